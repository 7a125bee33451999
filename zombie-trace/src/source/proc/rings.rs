//! Whether a process has an io_uring, through which it may wait for children without a system call (since 6.7).

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use super::{Depth, ProcReader, boot_clock_now};
use crate::event::{BootNs, Gap, Part, ProcessKey};

/// The kernel's name for it (io_uring/io_uring.c, `io_uring_get_file`).
const NAME: &str = "anon_inode:[io_uring]";
/// Maximum number of descriptors of a process looked at, the lowest: each takes the kernel about two microseconds.
const MAX_DESCRIPTORS: usize = 512;
/// Maximum number of bytes read of its memory map.
const MAX_MAPS: u64 = 1 << 20;
/// How long a negative result is reused, ns.
const NONE_FRESH_NS: u64 = 1_000_000_000;
/// Maximum number of processes remembered.
const MAX_KNOWN: usize = 4096;

/// Earlier results: a walk over all descriptors is expensive.
#[derive(Debug, Default)]
pub struct RingCache {
    known: HashMap<ProcessKey, (BootNs, Found)>,
}

#[derive(Clone, Copy, Debug)]
struct Found {
    uses: Option<bool>,
    is_cut: bool,
}

impl RingCache {
    /// Whether a process has an io_uring; `None` if that may not be read or there is too much to look through, which is
    /// added to the gaps.
    pub fn uses_io_uring(
        &mut self,
        proc: &ProcReader,
        process: ProcessKey,
        depth: Depth,
        gaps: &mut Vec<Gap>,
    ) -> Option<bool> {
        let now = boot_clock_now();
        let known = self.known.get(&process).filter(|(at, found)| {
            // A program that has one may use it at any time.
            found.uses == Some(true) || now.saturating_sub(*at) < NONE_FRESH_NS
        });
        let found = match known {
            Some((_, found)) => *found,
            None => {
                let found = look(&proc.directory(process.pid), depth);
                if self.known.len() >= MAX_KNOWN {
                    self.known.clear();
                }
                self.known.insert(process, (boot_clock_now(), found));
                found
            }
        };
        if found.is_cut {
            gaps.push(Gap::only(Part::Descriptors, MAX_DESCRIPTORS.try_into().unwrap_or(u32::MAX)));
        }
        found.uses
    }
}

/// A ring is among the first descriptors or mapped, because programs create and map it early. One that is neither
/// (`IORING_SETUP_NO_MMAP`, after hundreds of other files) is not found.
fn look(directory: &Path, depth: Depth) -> Found {
    let found = |uses| Found { uses: Some(uses), is_cut: false };
    let unseen = |is_cut| Found { uses: None, is_cut };
    match is_open(&directory.join("fd")) {
        Ok(Some(uses)) => found(uses),
        Err(_) => unseen(false),
        // Reading a memory map needs a lock that its owner can hold.
        Ok(None) if depth == Depth::Brief => unseen(true),
        Ok(None) => match is_mapped(&directory.join("maps")) {
            Ok(Some(uses)) => found(uses),
            Ok(None) => unseen(true),
            Err(_) => unseen(false),
        },
    }
}

/// `None` if there are too many descriptors.
fn is_open(descriptors: &Path) -> io::Result<Option<bool>> {
    for (count, entry) in fs::read_dir(descriptors)?.enumerate() {
        if count == MAX_DESCRIPTORS {
            return Ok(None);
        }
        // A descriptor closed meanwhile is not an io_uring; one that may not be read may be.
        match fs::read_link(entry?.path()) {
            Ok(target) if target.as_os_str() == NAME => return Ok(Some(true)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(Some(false))
}

/// `None` if the map is too large.
fn is_mapped(maps: &Path) -> io::Result<Option<bool>> {
    let mut maps = BufReader::new(File::open(maps)?.take(MAX_MAPS));
    let mut line = Vec::new();
    while maps.read_until(b'\n', &mut line)? > 0 {
        if line.trim_ascii_end().ends_with(NAME.as_bytes()) {
            return Ok(Some(true));
        }
        line.clear();
    }
    Ok((maps.get_ref().limit() > 0).then_some(false))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const PROCESS: ProcessKey = ProcessKey { pid: 10, start_ns: 5 };

    fn descriptors(count: usize, ring_at: Option<usize>) -> (tempfile::TempDir, ProcReader) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("10/fd")).unwrap();
        for number in 0..count {
            let target = if Some(number) == ring_at { NAME } else { "/dev/null" };
            symlink(target, folder.path().join("10/fd").join(number.to_string())).unwrap();
        }
        let proc = ProcReader::new(folder.path().to_owned());
        (folder, proc)
    }

    fn ask(cache: &mut RingCache, proc: &ProcReader) -> (Option<bool>, Vec<Gap>) {
        ask_to(Depth::Full, cache, proc)
    }

    fn ask_to(depth: Depth, cache: &mut RingCache, proc: &ProcReader) -> (Option<bool>, Vec<Gap>) {
        let mut gaps = Vec::new();
        (cache.uses_io_uring(proc, PROCESS, depth, &mut gaps), gaps)
    }

    #[test]
    fn a_ring_is_found_and_remembered() {
        let (folder, proc) = descriptors(3, Some(1));
        let mut cache = RingCache::default();
        assert_eq!(ask(&mut cache, &proc), (Some(true), vec![]));
        fs::remove_dir_all(folder.path().join("10")).unwrap();
        assert_eq!(ask(&mut cache, &proc).0, Some(true));
        assert_eq!(ask(&mut RingCache::default(), &proc).0, None);
    }

    #[test]
    fn where_there_are_many_descriptors_the_memory_map_tells() {
        let (folder, proc) = descriptors(MAX_DESCRIPTORS + 1, None);
        let maps = folder.path().join("10/maps");
        let plain = "7f0000000000-7f0000001000 rw-s 00000000 00:0f 12    /dev/shm/x\n";
        fs::write(&maps, plain).unwrap();
        assert_eq!(ask(&mut RingCache::default(), &proc), (Some(false), vec![]));
        let ring = plain.replace("/dev/shm/x", NAME);
        fs::write(&maps, format!("{plain}{ring}{plain}")).unwrap();
        assert_eq!(ask(&mut RingCache::default(), &proc), (Some(true), vec![]));
        let cut = vec![Gap::only(Part::Descriptors, MAX_DESCRIPTORS as u32)];
        assert_eq!(ask_to(Depth::Brief, &mut RingCache::default(), &proc), (None, cut.clone()), "its lock may be kept");
        fs::write(&maps, plain.repeat(20_000)).unwrap();
        assert_eq!(ask(&mut RingCache::default(), &proc), (None, cut), "too much to look through");
        fs::remove_file(&maps).unwrap();
        assert_eq!(ask(&mut RingCache::default(), &proc), (None, vec![]));
        let (_folder, proc) = descriptors(20, None);
        assert_eq!(ask(&mut RingCache::default(), &proc), (Some(false), vec![]));
    }
}
