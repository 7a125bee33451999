//! Why a fork failed: what fills the limit, as a record and in words.

use serde::Serialize;

use super::process::ProcessRecord;
use crate::{
    event::Tasks,
    model::{ForkFailure, LimitKind},
    text::{duration, escape, plural},
};

/// What is known about a failed fork besides the numbers of the limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shortage {
    /// The user whose limit it is, if it is a limit of a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// What counts against the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filled_by: Option<FilledBy>,
    /// The pid namespace whose `pid_max` it is, if it is not the machine's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_pid_ns: Option<u32>,
    /// The pid namespace that has lost its PID 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_pid_ns: Option<DeadPidNs>,
}

/// Tasks by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FilledBy {
    /// Live processes.
    pub processes: u64,
    /// Their threads, not counting the first of each.
    pub threads: u64,
    /// Zombies.
    pub zombies: u64,
}

/// A pid namespace in which nothing can start any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadPidNs {
    /// Its inode.
    pub pid_ns: u32,
    /// Pid of its PID 1, on the host; null if the end of PID 1 was not seen.
    pub pid: Option<u32>,
    /// Its name, escaped.
    pub comm: Option<String>,
    /// How long before the failure PID 1 exited.
    pub exited_before_ns: Option<u64>,
}

impl Shortage {
    pub(super) fn of(failure: &ForkFailure) -> Self {
        let filled_by = failure.filled_by.map(|Tasks { processes, threads, zombies }| {
            // Of a cgroup of version 1 a zombie does not say that it is in it.
            FilledBy { processes, threads, zombies: zombies.max(failure.zombies) }
        });
        let dead_pid_ns = failure.dead_pid_ns.map(|(pid_ns, init)| DeadPidNs {
            pid_ns,
            pid: init.map(|init| init.process.pid),
            comm: init.map(|init| escape::comm(&init.comm).into_owned()),
            exited_before_ns: init.map(|init| failure.first.saturating_sub(init.exited)),
        });
        Self { uid: failure.uid, filled_by, limit_pid_ns: failure.limit.pid_ns, dead_pid_ns }
    }
}

/// What [`explain_fork_failure`] tells of.
pub(crate) struct ForkFailureContext<'a> {
    pub(crate) errno: &'static str,
    pub(crate) limit: LimitKind,
    pub(crate) path: Option<&'a str>,
    pub(crate) in_container: bool,
    pub(crate) used: Option<u64>,
    pub(crate) allowed: Option<u64>,
    pub(crate) zombies: u64,
    pub(crate) parent: Option<&'a ProcessRecord>,
    pub(crate) parent_zombies: u64,
    pub(crate) shortage: &'a Shortage,
}

/// Why a fork failed, in words: `1000 of 1002 pids in this container are zombies of app-test`.
pub(crate) fn explain_fork_failure(story: &ForkFailureContext<'_>) -> String {
    let place = match (story.limit, story.path) {
        (LimitKind::PidsMax, _) if story.in_container => "in this container".to_owned(),
        (LimitKind::PidsMax, Some(path)) => format!("in the cgroup {path}"),
        (LimitKind::Rlimit, _) => match story.shortage.uid {
            Some(uid) => format!("of user {uid} (RLIMIT_NPROC)"),
            None => "of this user".to_owned(),
        },
        (LimitKind::PidMax, _) if story.shortage.limit_pid_ns.is_some() && story.in_container => {
            "of this container's pid namespace (kernel.pid_max in it)".to_owned()
        }
        (LimitKind::PidMax, _) => match story.shortage.limit_pid_ns {
            Some(inum) => format!("of pid namespace {inum} (kernel.pid_max in it)"),
            None => "of this machine (kernel.pid_max)".to_owned(),
        },
        (LimitKind::ThreadsMax, _) => "of this machine (kernel.threads-max)".to_owned(),
        (LimitKind::DeadPidNamespace, _) => return dead_namespace(story.shortage),
        _ if story.errno == "ENOMEM" => {
            return "ENOMEM is no limit on pids: the kernel found no memory for the process, or may not commit more \
                    (vm.overcommit_memory); zombies are not the reason"
                .to_owned();
        }
        _ => return "the limit it reached is unknown".to_owned(),
    };
    let allowed = story.allowed.map_or_else(|| "the".to_owned(), |allowed| allowed.to_string());
    let mut words = match story.parent {
        Some(parent) if story.parent_zombies == story.zombies => {
            format!("{} of {allowed} pids {place} are zombies of {}", story.zombies, parent.comm)
        }
        Some(parent) => format!(
            "{} of {allowed} pids {place} are zombies, {} of them belonging to {}",
            story.zombies, story.parent_zombies, parent.comm
        ),
        None => {
            let used = story.used.map_or_else(|| "all".to_owned(), |used| used.to_string());
            let zombies = match story.shortage.filled_by.map(|tasks| tasks.zombies) {
                None => String::new(),
                Some(0) => ", none of them a zombie".to_owned(),
                Some(zombies) => format!(", {zombies} of them zombies"),
            };
            format!("{used} of {allowed} pids {place} are in use{zombies}")
        }
    };
    if let Some(tasks) = story.shortage.filled_by.filter(|tasks| tasks.processes > 0) {
        let processes = plural(tasks.processes, "process", "processes");
        let threads = match tasks.threads {
            0 => String::new(),
            threads => format!(" with {}", plural(threads, "more thread", "more threads")),
        };
        words.push_str(&format!("; {processes}{threads} {} alive", if tasks.processes == 1 { "is" } else { "are" }));
    }
    words
}

fn dead_namespace(shortage: &Shortage) -> String {
    let Some(dead) = &shortage.dead_pid_ns else {
        return "the pid namespace for its children has lost its PID 1".to_owned();
    };
    let init = match (&dead.comm, dead.pid, dead.exited_before_ns) {
        (Some(comm), Some(pid), Some(before)) => {
            format!("its PID 1, {comm} (pid {pid}), exited {} before", duration(before))
        }
        _ => "it has lost its PID 1".to_owned(),
    };
    format!(
        "nothing can start any more in pid namespace {}, in which its children would be: {init}; no limit is reached, and \
         zombies are not the reason. Use `unshare --pid --fork`, or restart the container",
        dead.pid_ns
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story(limit: LimitKind, errno: &'static str, shortage: &Shortage) -> String {
        explain_fork_failure(&ForkFailureContext {
            errno,
            limit,
            path: None,
            in_container: false,
            used: Some(40),
            allowed: Some(40),
            zombies: 0,
            parent: None,
            parent_zombies: 0,
            shortage,
        })
    }

    #[test]
    fn it_is_said_what_fills_a_limit_and_that_zombies_do_not() {
        let filled_by = Some(FilledBy { processes: 30, threads: 10, zombies: 0 });
        let shortage = Shortage { uid: Some(7), filled_by, ..Shortage::default() };
        assert_eq!(
            story(LimitKind::Rlimit, "EAGAIN", &shortage),
            "40 of 40 pids of user 7 (RLIMIT_NPROC) are in use, none of them a zombie; 30 processes with 10 more threads \
             are alive"
        );
    }

    #[test]
    fn the_numbers_of_a_pid_namespace_are_not_the_machines() {
        let shortage = Shortage { limit_pid_ns: Some(5), ..Shortage::default() };
        assert_eq!(
            story(LimitKind::PidMax, "EAGAIN", &shortage),
            "40 of 40 pids of pid namespace 5 (kernel.pid_max in it) are in use"
        );
    }

    #[test]
    fn enomem_is_told_as_a_dead_namespace_or_as_memory() {
        let comm = Some("python3".to_owned());
        let dead = DeadPidNs { pid_ns: 5, pid: Some(9), comm, exited_before_ns: Some(1_000_000_000) };
        let shortage = Shortage { dead_pid_ns: Some(dead), ..Shortage::default() };
        let told = story(LimitKind::DeadPidNamespace, "ENOMEM", &shortage);
        assert!(told.contains("pid namespace 5") && told.contains("python3 (pid 9), exited 1.0 s before"), "{told}");
        let told = story(LimitKind::Unknown, "ENOMEM", &Shortage::default());
        assert!(told.contains("no memory") && told.contains("zombies are not the reason"), "{told}");
    }
}
