//! Limits on pids, and which of them a fork has run into.

use crate::event::{FullPidNs, PidLimits, Usage};

pub(super) const EAGAIN: u32 = 11;
const ENOMEM: u32 = 12;

/// Forks fail up to this many tasks below `pid_max`: groups and sessions take numbers, too, and the first few hundred
/// are not reused.
const PID_MAX_SLACK: u64 = 350;

/// Which limit a process has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitKind {
    /// `pids.max` of its cgroup or of one above.
    PidsMax,
    /// RLIMIT_NPROC of its user.
    Rlimit,
    /// `pid_max` of the machine, or of a pid namespace.
    PidMax,
    /// `threads-max` (kernel/fork.c, copy_process: the count goes down when a zombie is reaped).
    ThreadsMax,
    /// The pid namespace for its children has lost its PID 1: nothing can start there any more (`kernel/pid.c`,
    /// `alloc_pid`: ENOMEM).
    DeadPidNamespace,
    /// Not known; ENOMEM has other reasons than pids.
    Unknown,
}

impl LimitKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::PidsMax, Self::Rlimit, Self::PidMax, Self::ThreadsMax, Self::DeadPidNamespace, Self::Unknown];

    /// The name in machine output.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::PidsMax => "pids.max",
            Self::Rlimit => "rlimit",
            Self::PidMax => "pid_max",
            Self::ThreadsMax => "threads-max",
            Self::DeadPidNamespace => "dead-pid-namespace",
            Self::Unknown => "unknown",
        }
    }
}

/// A limit on pids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The kind.
    pub kind: LimitKind,
    /// The cgroup, for `pids.max`.
    pub path: Option<String>,
    /// The pid namespace, for a `pid_max` that is not the machine's.
    pub pid_ns: Option<u32>,
    /// How much of it is used; `None` if unknown.
    pub usage: Option<Usage>,
}

/// Every limit, the innermost first.
pub(crate) fn all(limits: &PidLimits) -> Vec<Limit> {
    let cgroups = limits.cgroups.iter().filter_map(|cgroup| {
        let usage = Some(Usage { used: cgroup.current, allowed: cgroup.max? });
        Some(Limit { kind: LimitKind::PidsMax, path: Some(cgroup.path.clone()), pid_ns: None, usage })
    });
    let plain =
        |kind, usage: Option<Usage>| usage.map(|usage| Limit { kind, path: None, pid_ns: None, usage: Some(usage) });
    let others = [
        plain(LimitKind::Rlimit, limits.rlimit),
        plain(LimitKind::PidMax, limits.pid_max),
        plain(LimitKind::ThreadsMax, limits.threads_max),
    ];
    cgroups.chain(others.into_iter().flatten()).collect()
}

/// The limit that a fork has reached: one that is used up, or else a cgroup that has refused forks before and is more
/// than half full, since by now there may be room again. `full` is the pid namespace that had no number left, when the
/// fork failed.
pub(super) fn hit(limits: &PidLimits, full: Option<&FullPidNs>, errno: u32) -> Limit {
    let unknown = Limit { kind: LimitKind::Unknown, path: None, pid_ns: None, usage: None };
    if errno == ENOMEM && limits.dead_pid_ns.is_some() {
        return Limit { kind: LimitKind::DeadPidNamespace, ..unknown };
    }
    if errno != EAGAIN {
        return unknown;
    }
    let is_full = |limit: &Limit| {
        let slack = if limit.kind == LimitKind::PidMax { PID_MAX_SLACK } else { 0 };
        limit.usage.is_some_and(|usage| usage.used.saturating_add(slack) >= usage.allowed)
    };
    let all = all(limits);
    let refused = |limit: &Limit| {
        let cgroup = limits.cgroups.iter().find(|cgroup| limit.path.as_ref() == Some(&cgroup.path));
        // The cgroup counts refusals for ever; an old one says nothing if there is plenty of room now.
        let is_near = limit.usage.is_some_and(|usage| usage.used >= usage.allowed / 2);
        is_near && cgroup.is_some_and(|cgroup| cgroup.refused > 0)
    };
    let of_namespace = full.map(|full| Limit {
        kind: LimitKind::PidMax,
        path: None,
        pid_ns: (full.level > 0).then_some(full.inum),
        usage: Some(full.usage),
    });
    // Exactly counted limits first: almost no number left is not none.
    let is_exact = |limit: &Limit| limit.kind != LimitKind::PidMax && is_full(limit);
    if let Some(found) = all.iter().find(|limit| is_exact(limit)).cloned().or(of_namespace) {
        return found;
    }
    let found = all.iter().find(|limit| is_full(limit)).or_else(|| all.iter().find(|limit| refused(limit)));
    found.cloned().unwrap_or(unknown)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::event::{PidsUsage, ProcessKey};

    pub(in crate::model) const PROCESS: ProcessKey = ProcessKey { pid: 5, start_ns: 1 };

    /// Of a process in a cgroup that may have ten tasks.
    pub(in crate::model) fn limits(current: u64, refused: u64) -> PidLimits {
        let cgroup = |path: &str, current, max| PidsUsage { path: path.into(), current, max, refused };
        PidLimits {
            cgroups: vec![cgroup("/app/inner", current, None), cgroup("/app", current, Some(10))],
            rlimit: Some(Usage { used: 3, allowed: 100 }),
            pid_max: Some(Usage { used: 200, allowed: 32_768 }),
            threads_max: Some(Usage { used: 200, allowed: 60_000 }),
            ..PidLimits::unknown(PROCESS)
        }
    }

    #[test]
    fn the_limit_that_is_used_up_is_the_one() {
        let found = hit(&limits(10, 0), None, EAGAIN);
        assert_eq!((found.kind, found.path.as_deref()), (LimitKind::PidsMax, Some("/app")));
        let by_user = PidLimits { rlimit: Some(Usage { used: 100, allowed: 100 }), ..limits(5, 0) };
        assert_eq!(hit(&by_user, None, EAGAIN).kind, LimitKind::Rlimit);
        let by_machine = PidLimits { pid_max: Some(Usage { used: 32_500, allowed: 32_768 }), ..limits(5, 0) };
        assert_eq!(hit(&by_machine, None, EAGAIN).kind, LimitKind::PidMax);
        let by_threads = PidLimits { threads_max: Some(Usage { used: 900, allowed: 900 }), ..limits(5, 0) };
        assert_eq!(hit(&by_threads, None, EAGAIN).kind, LimitKind::ThreadsMax);
    }

    #[test]
    fn a_full_pid_namespace_is_the_one_unless_a_limit_that_is_counted_exactly_is() {
        let full = FullPidNs { process: PROCESS, inum: 7, level: 2, usage: Usage { used: 300, allowed: 301 } };
        let found = hit(&limits(5, 0), Some(&full), EAGAIN);
        assert_eq!((found.kind, found.pid_ns, found.usage), (LimitKind::PidMax, Some(7), Some(full.usage)));
        assert_eq!(hit(&limits(10, 0), Some(&full), EAGAIN).kind, LimitKind::PidsMax);
        assert_eq!(hit(&limits(9, 1), Some(&full), EAGAIN).kind, LimitKind::PidMax, "that was another time");
        let of_machine = FullPidNs { level: 0, ..full };
        assert_eq!(hit(&limits(5, 0), Some(&of_machine), EAGAIN).pid_ns, None);
    }

    #[test]
    fn a_cgroup_with_room_again_is_told_by_its_refusals() {
        assert_eq!(hit(&limits(9, 1), None, EAGAIN).kind, LimitKind::PidsMax);
        assert_eq!(hit(&limits(9, 0), None, EAGAIN).kind, LimitKind::Unknown);
        assert_eq!(hit(&limits(3, 1), None, EAGAIN).kind, LimitKind::Unknown, "that was another time");
    }

    #[test]
    fn enomem_is_a_dead_pid_namespace_or_memory_and_no_limit_on_pids() {
        assert_eq!(hit(&limits(10, 3), None, ENOMEM).kind, LimitKind::Unknown);
        let dead = PidLimits { dead_pid_ns: Some(7), ..limits(10, 3) };
        assert_eq!(hit(&dead, None, ENOMEM).kind, LimitKind::DeadPidNamespace);
        assert_eq!(hit(&dead, None, EAGAIN).kind, LimitKind::PidsMax);
    }
}
