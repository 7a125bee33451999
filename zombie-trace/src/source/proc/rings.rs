//! Whether a process has an io_uring, through which it may wait for children without a system call (since 6.7).

use std::collections::HashMap;

use super::{ProcReader, boot_clock_now};
use crate::event::{BootNs, Gap, Part, ProcessKey};

/// At most so many descriptors of a process are looked at.
const MAX_DESCRIPTORS: usize = 32_768;
/// A process that had none may have made one after this time, ns.
const NONE_FRESH_NS: u64 = 1_000_000_000;
/// At most so many processes are remembered.
const MAX_KNOWN: usize = 4096;

/// What was found out before: a walk over all descriptors is dear.
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
    /// Whether a process has an io_uring; `None` if its descriptors may not be seen, or are too many, which is added to
    /// the gaps. `alive` is called now and then.
    pub fn uses_io_uring(
        &mut self,
        proc: &ProcReader,
        process: ProcessKey,
        alive: &mut dyn FnMut(),
        gaps: &mut Vec<Gap>,
    ) -> Option<bool> {
        let now = boot_clock_now();
        let known = self.known.get(&process).filter(|(at, found)| {
            // A program that has made one may go on to use it, whatever else it does.
            found.uses == Some(true) || now.saturating_sub(*at) < NONE_FRESH_NS
        });
        let found = match known {
            Some((_, found)) => *found,
            None => {
                let found = walk(proc, process, alive);
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

fn walk(proc: &ProcReader, process: ProcessKey, alive: &mut dyn FnMut()) -> Found {
    let unseen = Found { uses: None, is_cut: false };
    let Ok(entries) = std::fs::read_dir(proc.directory(process.pid).join("fd")) else { return unseen };
    for (count, entry) in entries.enumerate() {
        if count == MAX_DESCRIPTORS {
            return Found { uses: None, is_cut: true };
        }
        if count.is_multiple_of(256) {
            alive();
        }
        let Ok(entry) = entry else { return unseen };
        // A descriptor that was closed meanwhile is no io_uring; one that may not be read hides the answer.
        match std::fs::read_link(entry.path()) {
            Ok(target) if target.as_os_str() == "anon_inode:[io_uring]" => {
                return Found { uses: Some(true), is_cut: false };
            }
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return unseen,
            _ => {}
        }
    }
    Found { uses: Some(false), is_cut: false }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    const PROCESS: ProcessKey = ProcessKey { pid: 10, start_ns: 5 };

    fn descriptors(count: usize, ring_at: Option<usize>) -> (tempfile::TempDir, ProcReader) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("10/fd")).unwrap();
        for number in 0..count {
            let target = if Some(number) == ring_at { "anon_inode:[io_uring]" } else { "/dev/null" };
            symlink(target, folder.path().join("10/fd").join(number.to_string())).unwrap();
        }
        let proc = ProcReader::new(folder.path().to_owned());
        (folder, proc)
    }

    fn ask(cache: &mut RingCache, proc: &ProcReader) -> (Option<bool>, Vec<Gap>) {
        let mut gaps = Vec::new();
        (cache.uses_io_uring(proc, PROCESS, &mut || {}, &mut gaps), gaps)
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
    fn too_many_descriptors_are_not_known_and_that_is_said() {
        let (_folder, proc) = descriptors(MAX_DESCRIPTORS + 1, None);
        let mut signs = 0;
        let mut gaps = Vec::new();
        let uses = RingCache::default().uses_io_uring(&proc, PROCESS, &mut || signs += 1, &mut gaps);
        assert_eq!(uses, None);
        assert_eq!(gaps, [Gap::only(Part::Descriptors, MAX_DESCRIPTORS as u32)]);
        assert!(signs > 100, "{signs}");
        let (_folder, proc) = descriptors(20, None);
        assert_eq!(ask(&mut RingCache::default(), &proc), (Some(false), vec![]));
    }
}
