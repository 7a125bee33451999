//! How many pids a process may use, and how many are in use.

use std::{collections::HashMap, fs};

use super::{ProcReader, boot_clock_now};
use crate::event::{BootNs, PidLimits, ProcessKey, Usage};

/// A count of all tasks is good for so long, ns: it reads the status of every process.
const CENSUS_FRESH_NS: u64 = 5_000_000_000;

/// Tasks by user, counted now and then.
#[derive(Clone, Debug, Default)]
pub struct Census {
    taken: Option<BootNs>,
    by_uid: HashMap<u32, u64>,
}

impl ProcReader {
    /// The limits on pids for a process. For one that is dead its cgroup by its id, if that is given.
    ///
    /// The tasks of a user are counted anew only now and then, hence the census to keep.
    /// `alive` is called now and then while that takes long.
    #[must_use]
    pub fn limits(&self, process: ProcessKey, cgroup: u64, census: &mut Census, alive: &mut dyn FnMut()) -> PidLimits {
        let cgroups = match self.cgroup_lines(process) {
            Some(lines) => self.pids_usage(&lines),
            None if cgroup != 0 => self.hierarchies.pids_usage_of(cgroup, alive),
            None => Vec::new(),
        };
        let rlimit = self.rlimit(process, census, alive);
        let [pid_max, threads_max] = ["pid_max", "threads-max"].map(|name| self.of_machine(name));
        PidLimits { cgroups, rlimit, pid_max, threads_max, ..PidLimits::unknown(process) }
    }

    /// The soft limit on processes of its user; `None` if there is none, or it is not to be seen.
    #[must_use]
    pub fn process_limit(&self, process: ProcessKey) -> Option<u64> {
        max_processes(&self.file(process, "limits")?)
    }

    fn rlimit(&self, process: ProcessKey, census: &mut Census, alive: &mut dyn FnMut()) -> Option<Usage> {
        let allowed = self.process_limit(process)?;
        let (uid, _) = user_and_threads(&self.file(process, "status")?)?;
        // The kernel does not hold root to it.
        (uid != 0).then(|| Usage { used: self.tasks_of(uid, census, alive), allowed })
    }

    fn tasks_of(&self, uid: u32, census: &mut Census, alive: &mut dyn FnMut()) -> u64 {
        let now = boot_clock_now();
        if census.taken.is_none_or(|taken| now.saturating_sub(taken) > CENSUS_FRESH_NS) {
            census.by_uid.clear();
            for pid in self.pids().unwrap_or_default() {
                alive();
                let Ok(status) = fs::read(self.directory(pid).join("status")) else { continue };
                if let Some((uid, threads)) = user_and_threads(&status) {
                    *census.by_uid.entry(uid).or_default() += threads;
                }
            }
            census.taken = Some(now);
        }
        census.by_uid.get(&uid).copied().unwrap_or(0)
    }

    /// One that holds for all tasks together.
    fn of_machine(&self, name: &str) -> Option<Usage> {
        let allowed = fs::read_to_string(self.root().join("sys/kernel").join(name)).ok()?.trim().parse().ok()?;
        let used = all_tasks(&fs::read_to_string(self.root().join("loadavg")).ok()?)?;
        Some(Usage { used, allowed })
    }
}

/// The soft limit of `/proc/PID/limits`; `None` for "unlimited".
fn max_processes(limits: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(limits);
    text.lines().find_map(|line| line.strip_prefix("Max processes"))?.split_ascii_whitespace().next()?.parse().ok()
}

/// `Uid` (the real one) and `Threads` of `/proc/PID/status`.
fn user_and_threads(status: &[u8]) -> Option<(u32, u64)> {
    let text = String::from_utf8_lossy(status);
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key))?.split_ascii_whitespace().next();
    Some((value("Uid:")?.parse().ok()?, value("Threads:")?.parse().ok()?))
}

/// All tasks of the machine, zombies included: `0.00 0.01 0.05 1/234 5678`.
fn all_tasks(loadavg: &str) -> Option<u64> {
    loadavg.split_ascii_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_or_none() {
        let line = |value: &str| {
            format!("Limit  Soft Limit  Hard Limit  Units\nMax processes   {value}   {value}   processes\n")
                .into_bytes()
        };
        assert_eq!(max_processes(&line("63304")), Some(63_304));
        assert_eq!(max_processes(&line("unlimited")), None);
        assert_eq!(max_processes(b""), None);
    }

    #[test]
    fn tasks_are_counted_by_their_real_user() {
        assert_eq!(user_and_threads(b"Name:\tx\nUid:\t7\t8\t8\t8\nThreads:\t3\n"), Some((7, 3)));
        assert_eq!(user_and_threads(b"Name:\tx\n"), None);
        assert_eq!(all_tasks("0.00 0.01 0.05 1/234 5678\n"), Some(234));
    }

    #[test]
    fn the_running_machine_has_room_and_a_census_is_kept() {
        let reader = ProcReader::new("/proc".into());
        let mut census = Census::default();
        let process = reader.seed(std::process::id()).unwrap().process;
        let limits = reader.limits(process, 0, &mut census, &mut || {});
        for limit in [limits.pid_max.unwrap(), limits.threads_max.unwrap()] {
            assert!(0 < limit.used && limit.used < limit.allowed, "{limit:?}");
        }
        assert!(reader.tasks_of(reader.seed(std::process::id()).unwrap().uid, &mut census, &mut || {}) > 0);
        let taken = census.taken;
        reader.tasks_of(0, &mut census, &mut || {});
        assert_eq!(census.taken, taken);
    }
}
