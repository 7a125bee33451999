//! How many pids a process may use, and how many are in use.

use std::{fs, path::PathBuf};

use super::{
    ProcReader, boot_clock_now,
    parse::{Stat, Status},
    process::Directory,
};
use crate::event::{BootNs, PidLimits, PidsUsage, ProcessKey, TaskCounts, Tasks, Usage};

/// How long a count of all tasks is reused, ns: it reads the status of every process.
const CENSUS_FRESH_NS: u64 = 5_000_000_000;

/// A count of all tasks.
#[derive(Clone, Debug, Default)]
pub struct Census {
    taken: Option<BootNs>,
    processes: Vec<Counted>,
}

#[derive(Clone, Debug)]
struct Counted {
    uid: u32,
    threads: u64,
    is_zombie: bool,
    /// Its path in the hierarchy of the `pids` controller, if requested.
    cgroup: Option<PathBuf>,
}

impl Census {
    fn count(&self, counts: impl Fn(&Counted) -> bool) -> Tasks {
        let mut tasks = Tasks::default();
        for process in self.processes.iter().filter(|process| counts(process)) {
            if process.is_zombie {
                tasks.zombies += 1;
            } else {
                tasks.processes += 1;
                tasks.threads += process.threads.saturating_sub(1);
            }
        }
        tasks
    }
}

impl ProcReader {
    /// The limits on pids for a process. The cgroup of a dead one is found by id, if given.
    ///
    /// `census` keeps the count of a user's tasks, which is slow. `alive` is called regularly meanwhile.
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

    /// Like [`Self::limits`], for a fork of the process that failed at this time: everything is counted after that,
    /// including what fills the limits.
    #[must_use]
    pub fn limits_after(
        &self,
        failed: BootNs,
        process: ProcessKey,
        cgroup: u64,
        census: &mut Census,
        alive: &mut dyn FnMut(),
    ) -> PidLimits {
        let has_cgroups = census.processes.iter().any(|process| process.cgroup.is_some());
        if !has_cgroups || census.taken.is_none_or(|taken| taken < failed) {
            self.take_census(census, true, alive);
        }
        let mut limits = self.limits(process, cgroup, census, alive);
        limits.failed = Some(failed);
        limits.uid = self.file(process, "status").and_then(|status| user_and_threads(&status)).map(|(uid, _)| uid);
        let is_full = |cgroup: &&PidsUsage| cgroup.max.is_some_and(|max| cgroup.current >= max);
        let limited = limits.cgroups.iter().find(is_full).or_else(|| limits.cgroups.iter().find(|it| it.max.is_some()));
        let place = limited.map(|cgroup| cgroup.path.as_str());
        let is_below = |cgroup: &Option<PathBuf>| {
            place.zip(cgroup.as_ref()).is_some_and(|(place, cgroup)| cgroup.starts_with(place))
        };
        limits.tasks = Some(TaskCounts {
            of_user: census.count(|process| Some(process.uid) == limits.uid),
            of_cgroup: census.count(|process| is_below(&process.cgroup)),
            of_machine: census.count(|_| true),
        });
        limits.dead_pid_ns = self.dead_pid_namespace(process, alive);
        limits
    }

    /// The soft limit on processes of its user; `None` if there is none or it cannot be read.
    #[must_use]
    pub fn process_limit(&self, process: ProcessKey) -> Option<u64> {
        max_processes(&self.file(process, "limits")?)
    }

    fn rlimit(&self, process: ProcessKey, census: &mut Census, alive: &mut dyn FnMut()) -> Option<Usage> {
        let allowed = self.process_limit(process)?;
        let (uid, _) = user_and_threads(&self.file(process, "status")?)?;
        // It does not apply to root.
        (uid != 0).then(|| Usage { used: self.tasks_of(uid, census, alive), allowed })
    }

    fn tasks_of(&self, uid: u32, census: &mut Census, alive: &mut dyn FnMut()) -> u64 {
        let now = boot_clock_now();
        if census.taken.is_none_or(|taken| now.saturating_sub(taken) > CENSUS_FRESH_NS) {
            self.take_census(census, false, alive);
        }
        census.processes.iter().filter(|process| process.uid == uid).map(|process| process.threads).sum()
    }

    fn take_census(&self, census: &mut Census, with_cgroups: bool, alive: &mut dyn FnMut()) {
        census.taken = Some(boot_clock_now());
        census.processes.clear();
        let mut buffer = Vec::new();
        for pid in self.pids().unwrap_or_default() {
            alive();
            let Ok(directory) = Directory::open(&self.directory(pid)) else { continue };
            if directory.read("status", &mut buffer).is_err() {
                continue;
            }
            let Some((uid, threads)) = user_and_threads(&buffer) else { continue };
            let is_zombie = is_zombie(&buffer);
            let has_cgroup = with_cgroups && directory.read("cgroup", &mut buffer).is_ok();
            let cgroup = if has_cgroup { self.hierarchies.pids_path(&buffer) } else { None };
            census.processes.push(Counted { uid, threads, is_zombie, cgroup });
        }
    }

    /// The pid namespace for a process's children, if no live process is PID 1 there. `None` also if that is unknown.
    fn dead_pid_namespace(&self, process: ProcessKey, alive: &mut dyn FnMut()) -> Option<u32> {
        let mut buffer = Vec::new();
        let (directory, _) = self.open(process.pid, process.start_ns, &mut buffer)?;
        // A namespace that never had a process has no visible inode.
        let wanted = directory.namespace("ns/pid_for_children")?;
        if wanted == self.own_pid_ns {
            return None;
        }
        for pid in self.pids().ok()? {
            alive();
            let Ok(directory) = Directory::open(&self.directory(pid)) else { continue };
            if directory.read("stat", &mut buffer).is_err() {
                continue;
            }
            let Some(stat) = Stat::parse(&buffer) else { continue };
            if stat.is_zombie() || stat.is_gone() || stat.is_exiting || stat.is_kernel_thread {
                continue;
            }
            // A process that is gone is not its PID 1.
            if directory.read("status", &mut buffer).is_err() {
                continue;
            }
            let status = Status::parse(&buffer);
            if status.ns_pids.len() < 2 || status.ns_pids.last() != Some(&1) {
                continue;
            }
            // A process that may not be looked at may be its PID 1.
            if directory.namespace("ns/pid").is_none_or(|inode| inode == wanted) {
                return None;
            }
        }
        Some(wanted)
    }

    /// A limit for all tasks of the machine.
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

/// Whether this `/proc/PID/status` is a zombie's.
fn is_zombie(status: &[u8]) -> bool {
    let state = status.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"State:\t"));
    state.is_some_and(|state| state.starts_with(b"Z"))
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
        let failed = boot_clock_now();
        let after = reader.limits_after(failed, process, 0, &mut census, &mut || {});
        assert!(census.taken >= Some(failed), "the old one tells nothing of what came after it");
        let tasks = after.tasks.unwrap();
        assert!(tasks.of_user.processes > 0 && tasks.of_machine.threads >= tasks.of_user.threads, "{tasks:?}");
        assert_eq!(after.dead_pid_ns, None, "its own namespace lives");
        let taken = census.taken;
        reader.tasks_of(0, &mut census, &mut || {});
        assert_eq!(census.taken, taken);
    }
}
