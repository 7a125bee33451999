//! Which processes hold the other end of a pipe or a socket: a bounded search through their descriptors.
//!
//! The search covers the process itself and its descendants first, then the processes started after it, in order of
//! pids: orphans that inherited a pipe from it are most likely there.

use std::time::Instant;

use super::{ProcReader, number_of, parse::Stat, process::Directory};
use crate::event::Holder;

/// Maximum number of descriptors looked at in each process.
const MAX_DESCRIPTORS: usize = 256;
const MAX_HOLDERS: usize = 4;
const MAX_DESCENDANTS: usize = 64;
const MAX_OTHERS: usize = 64;
/// Maximum number of descriptors looked at in all the searches of one look.
const MAX_LINKS: usize = 1024;

/// Maximum length of the list of a process's children that is read, in bytes.
const MAX_CHILDREN_TEXT: usize = 16 << 10;

/// See the module.
pub(super) struct Search<'a> {
    proc: &'a ProcReader,
    process: u32,
    /// Only a busy machine takes this long.
    until: Instant,
    /// How many descriptors may still be looked at.
    links: usize,
    /// The processes to look at, listed on first use.
    candidates: Option<Vec<u32>>,
    /// There are more processes.
    is_cut: bool,
    buffer: Vec<u8>,
}

impl<'a> Search<'a> {
    pub(super) fn new(proc: &'a ProcReader, of: u32, until: Instant) -> Self {
        Self { proc, process: of, until, links: MAX_LINKS, candidates: None, is_cut: false, buffer: Vec::new() }
    }

    /// Holders of the write end or the read end of the pipe, and whether the search was cut short.
    pub(super) fn of_pipe(&mut self, inode: u64, written: bool) -> (Vec<Holder>, bool) {
        self.of(&format!("pipe:[{inode}]"), Some(written))
    }

    /// Holders of the socket, and whether the search was cut short.
    pub(super) fn of_socket(&mut self, inode: u64) -> (Vec<Holder>, bool) {
        self.of(&format!("socket:[{inode}]"), None)
    }

    /// Processes with a descriptor that links to `wanted`, open for writing or reading if that matters.
    fn of(&mut self, wanted: &str, written: Option<bool>) -> (Vec<Holder>, bool) {
        let candidates = self.candidates.take().unwrap_or_else(|| self.collect());
        let mut holders = Vec::new();
        let mut is_cut = self.is_cut;
        for &pid in &candidates {
            if holders.len() == MAX_HOLDERS || self.links == 0 || Instant::now() >= self.until {
                is_cut = true;
                break;
            }
            let Ok(directory) = Directory::open(&self.proc.directory(pid)) else { continue };
            let most = MAX_DESCRIPTORS.min(self.links);
            let descriptors = directory.numbers("fd", most).unwrap_or_default();
            is_cut |= descriptors.len() == most;
            self.links = self.links.saturating_sub(descriptors.len());
            let mut is_opened_for = |descriptor: u32, written| {
                directory.read(&format!("fdinfo/{descriptor}"), &mut self.buffer).is_ok()
                    && number_of(&self.buffer, "flags:", 8).is_some_and(|flags| is_end(flags, written))
            };
            let holds = descriptors.into_iter().any(|descriptor| {
                directory.link(&format!("fd/{descriptor}")).is_ok_and(|target| target.as_os_str() == wanted)
                    && written.is_none_or(|written| is_opened_for(descriptor, written))
            });
            let comm = |buffer: &mut Vec<u8>| {
                directory.read("stat", buffer).ok()?;
                Stat::parse(buffer).map(|stat| stat.comm)
            };
            if holds && let Some(comm) = comm(&mut self.buffer) {
                holders.push(Holder { pid, comm });
            }
        }
        self.candidates = Some(candidates);
        (holders, is_cut)
    }

    fn collect(&mut self) -> Vec<u32> {
        let mut candidates = vec![self.process];
        let mut next = 0;
        while let Some(&pid) = candidates.get(next)
            && candidates.len() < MAX_DESCENDANTS
        {
            next += 1;
            let Ok(directory) = Directory::open(&self.proc.directory(pid)) else { continue };
            candidates.extend(children(&directory, pid, &mut self.buffer).0);
        }
        candidates.truncate(MAX_DESCENDANTS);
        let mut others = self.proc.pids().unwrap_or_default();
        others.retain(|pid| !candidates.contains(pid));
        // Pids wrap around: lower ones are older, or newer than all higher ones.
        others.sort_unstable_by_key(|&pid| (pid < self.process, pid));
        self.is_cut = others.len() > MAX_OTHERS;
        candidates.extend(others.into_iter().take(MAX_OTHERS));
        candidates
    }
}

/// The children of a process's leader, forked or adopted, oldest first, and whether these are all.
pub(super) fn children(directory: &Directory, pid: u32, buffer: &mut Vec<u8>) -> (Vec<u32>, bool) {
    let Ok(is_cut) = directory.read_up_to(&format!("task/{pid}/children"), buffer, MAX_CHILDREN_TEXT) else {
        return (Vec::new(), false);
    };
    let text = String::from_utf8_lossy(buffer);
    // A number without a space after it was truncated.
    let whole = text.split_inclusive(' ').filter_map(|pid| pid.strip_suffix(' ')?.parse().ok());
    (whole.collect(), !is_cut)
}

/// Whether a descriptor with these flags can be written to, or read from.
fn is_end(flags: u64, written: bool) -> bool {
    const ACCESS: u64 = 3;
    const READ_ONLY: u64 = 0;
    const WRITE_ONLY: u64 = 1;
    if written { flags & ACCESS != READ_ONLY } else { flags & ACCESS != WRITE_ONLY }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::read_link,
        os::fd::AsRawFd,
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn who_holds_either_end_of_a_pipe_is_found_and_a_search_that_was_cut_short_says_so() {
        let (input, output) = rustix::pipe::pipe().unwrap();
        let link = read_link(format!("/proc/self/fd/{}", input.as_raw_fd())).unwrap();
        let inode = link.to_str().and_then(|it| it.strip_prefix("pipe:[")?.strip_suffix(']')?.parse().ok()).unwrap();
        let proc = ProcReader::new("/proc".into());
        let own = std::process::id();
        let search = |patience| Search::new(&proc, own, Instant::now() + patience);
        let holds = |(holders, _): (Vec<Holder>, bool)| holders.iter().any(|holder| holder.pid == own);
        assert!(holds(search(Duration::from_secs(5)).of_pipe(inode, true)));
        assert!(holds(search(Duration::from_secs(5)).of_pipe(inode, false)));
        drop(output);
        assert!(!holds(search(Duration::from_secs(5)).of_pipe(inode, true)), "that end was closed");
        assert_eq!(search(Duration::ZERO).of_pipe(inode, true), (Vec::new(), true));
    }
}
