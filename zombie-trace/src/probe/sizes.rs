//! Number of entries of the kernel's maps.

use std::{fs, path::Path};

/// A node with a hundred pods has a few thousand processes, of which a few hundred wait at a time; a hostile workload
/// has as many as its limits allow. So a map has an entry for each task that the machine allows, within bounds, because
/// each entry costs memory from the start (about 230 bytes for a process's wait counters, 80 for a followed
/// process).
const WAITS: (u32, u32) = (16 * 1024, 64 * 1024);
/// Bounds of the followed processes, whose map is created only with a filter.
const FOLLOWED: (u32, u32) = (16 * 1024, 256 * 1024);

/// Entries of the maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Of `WAIT_STATS`, one for each process that ever waited.
    pub(super) wait_stats: u32,
    /// Of `FOLLOWED`, one for each process that is followed.
    pub(super) followed: u32,
}

impl Sizes {
    /// What this machine may need.
    pub(super) fn of_this_machine() -> Self {
        let limit = |name| number(&Path::new("/proc/sys/kernel").join(name));
        Self::for_tasks([limit("pid_max"), limit("threads-max")].into_iter().flatten().min())
    }

    /// What a machine that allows this number of tasks may need; `None` if that is not known.
    fn for_tasks(tasks: Option<u32>) -> Self {
        let within = |(least, most): (u32, u32)| tasks.map_or(most, |tasks| tasks.clamp(least, most));
        Self { wait_stats: within(WAITS), followed: within(FOLLOWED) }
    }

    /// All of the same size.
    pub(super) fn all(entries: u32) -> Self {
        Self { wait_stats: entries, followed: entries }
    }
}

fn number(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_as_large_as_the_machine_may_need_within_bounds() {
        assert_eq!(Sizes::for_tasks(Some(1000)), Sizes::all(16 * 1024));
        assert_eq!(Sizes::for_tasks(Some(40_000)), Sizes::all(40_000));
        let large = Sizes { wait_stats: 64 * 1024, followed: 256 * 1024 };
        assert_eq!(Sizes::for_tasks(Some(4_000_000)), large);
        assert_eq!(Sizes::for_tasks(None), large);
    }
}
