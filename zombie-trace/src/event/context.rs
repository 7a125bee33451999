//! Context events: what the live source read from `/proc` and the maps, for the model and recordings.

use serde::{Deserialize, Serialize};

use super::{BootNs, Comm, Doing, ExitStatus, ProcessKey};
use crate::container::{self, Container};

/// A process as `/proc` shows it, found by a scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seed {
    /// The process; its start is rounded down to a clock tick.
    pub process: ProcessKey,
    /// Length of a tick, ns.
    pub tick_ns: u64,
    /// Its parent's pid.
    pub parent_pid: u32,
    /// Its tracer's pid, if it has one.
    pub tracer: Option<u32>,
    /// Name.
    pub comm: Comm,
    /// `Z` in its `stat`.
    pub is_zombie: bool,
    /// Number of threads; a leader that is `Z` with others alive cannot be reaped.
    pub threads: u32,
    /// How it ended, for a zombie (`stat` field 52).
    pub status: Option<ExitStatus>,
    /// Pid numbers from the initial namespace inwards (`NSpid`), without namespace inodes for a zombie.
    pub ns_pids: Vec<u32>,
    /// Inode of its pid namespace; 0 if unreadable (as for a zombie).
    pub pid_ns: u32,
    /// Real user id.
    pub uid: u32,
    /// Cgroup id; 0 if unknown.
    pub cgroup: u64,
    /// Path of the executable.
    pub exe: Option<String>,
    /// Arguments.
    pub cmdline: Vec<String>,
}

/// The path of a cgroup id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cgroup {
    /// The id in the events.
    pub id: u64,
    /// Path within its hierarchy.
    pub path: String,
    /// Name of the pod, from the kubelet's log folders; only in recordings without `container`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Namespace of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The container, with all that is known about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Box<Container>>,
}

impl Cgroup {
    /// A cgroup and its container.
    #[must_use]
    pub fn new(id: u64, path: String, container: Option<Container>) -> Self {
        Self { id, path, pod: None, namespace: None, container: container.map(Box::new) }
    }

    /// The container it belongs to.
    #[must_use]
    pub fn container(&self) -> Option<Container> {
        let mut container = match &self.container {
            Some(container) => (**container).clone(),
            None => container::container(&self.path)?,
        };
        container.pod = container.pod.or_else(|| self.pod.clone());
        container.namespace = container.namespace.or_else(|| self.namespace.clone());
        Some(container)
    }
}

/// A map of the kernel side that can be full, and what is missing then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelMap {
    /// Followed processes: those that do not fit are not followed.
    Followed,
    /// Counters of wait calls: how a process that does not fit waits is unknown.
    WaitCounters,
    /// Wait calls in progress, in recordings of older versions: the arguments of a call that did not fit are unknown.
    WaitCalls,
}

/// How a process waits; see [`crate::abi::WaitStats`] for the fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the wire's WaitStats, documented there")]
pub struct WaitActivity {
    pub calls: u64,
    pub successes: u64,
    pub empty: u64,
    pub no_child: u64,
    pub any_calls: u64,
    pub pgid_calls: u64,
    pub pid_calls: u64,
    pub first_call_ns: BootNs,
    pub last_call_ns: BootNs,
    pub last_any_ns: BootNs,
    pub options_seen: u32,
    /// Calls in progress.
    pub in_progress: u32,
    /// The last specific selectors, pids positive and process groups negative, in the caller's namespace.
    pub recent: Vec<i32>,
    /// Whether `recent` is complete.
    pub recent_complete: bool,
}

/// Evidence on a process for the diagnosis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The process.
    pub process: ProcessKey,
    /// When counting its wait calls began: at the start of tracing, or its own start.
    pub observed_since: BootNs,
    /// How it waits: `None` if unknown (the map was full, or it is a 32-bit program on a kernel that does not show its
    /// calls); `Some` of the default if it made no calls.
    pub waits: Option<WaitActivity>,
    /// What `/proc` says; `None` if it is gone, or could not be read (see `gaps`).
    pub proc: Option<ProcFacts>,
    /// What could not be read, or only partly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// What its threads do, its leader first; not in recordings of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doing: Vec<Doing>,
}

/// Something about a process that was not read, or only partly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Gap {
    /// What.
    pub part: Part,
    /// Why.
    pub reason: GapReason,
}

impl Gap {
    /// It was not read.
    #[must_use]
    pub const fn unread(part: Part, reason: Unread) -> Self {
        Self { part, reason: GapReason::Unread(reason) }
    }

    /// Only this many were read.
    #[must_use]
    pub const fn only(part: Part, count: u32) -> Self {
        Self { part, reason: GapReason::Only(count) }
    }
}

/// A part of what is read about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Part {
    /// All of it.
    Process,
    /// Its arguments.
    CommandLine,
    /// The file it runs.
    Executable,
    /// The files in its root.
    Image,
    /// Its open files.
    Descriptors,
    /// Its threads.
    Threads,
    /// The cgroups above its own.
    Cgroups,
}

/// Why something was not read completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum GapReason {
    /// It was not read at all.
    Unread(Unread),
    /// Its file system is not local and may never answer.
    Remote,
    /// Its file system is unknown and may never answer.
    UnknownFileSystem,
    /// Only this many were read, of more.
    Only(u32),
}

/// Why nothing was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Unread {
    /// The kernel did not answer within 100 ms.
    TimedOut,
    /// There were more questions than may be answered per second.
    Busy,
    /// All readers are stuck in the kernel, or none could be started.
    NoReader,
}

/// What `/proc/PID` shows of a live process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcFacts {
    /// State letter of the leader (`R`, `S`, `D`, `T`, `t`, `Z`, `X`, `I`).
    pub state: char,
    /// Number of threads.
    pub threads: u32,
    /// Parent's pid.
    pub parent_pid: u32,
    /// Tracer's pid.
    pub tracer: Option<u32>,
    /// `SigBlk` of the leader, bit n-1 for signal n.
    pub blocked: u64,
    /// `SigIgn`
    pub ignored: u64,
    /// `SigCgt`
    pub caught: u64,
    /// `SigPnd | ShdPnd`
    pub pending: u64,
    /// Path of the executable.
    pub exe: Option<String>,
    /// Arguments.
    pub cmdline: Vec<String>,
    /// Where the kernel says the leader sleeps (`wchan`).
    pub wait_channel: Option<String>,
    /// Inode of its pid namespace; 0 if unreadable.
    pub pid_ns: u32,
    /// Pid numbers from the initial namespace inwards.
    pub ns_pids: Vec<u32>,
    /// The leader's context switches: if unchanged between two looks, it did not run.
    pub switches: u64,
    /// Run time of the leader, ns, if it was runnable and the kernel shows it (`/proc/PID/schedstat`).
    pub ran_ns: Option<u64>,
    /// The frozen cgroup that holds it, as a path within its hierarchy; `None` if none is known.
    pub frozen_by: Option<String>,
    /// Its threads, if the leader's state alone does not show whether it can run; at most [`MAX_THREADS`].
    pub tasks: Vec<Task>,
    /// Its language or runtime, if the executable shows it.
    pub runtime: Option<Runtime>,
    /// For PID 1 of a namespace with its own root: init programs in that root.
    pub inits_in_image: Vec<String>,
}

impl ProcFacts {
    /// Whether, at this look, none of its threads could run: stopped, held by a tracer, in uninterruptible sleep,
    /// frozen, or runnable but perhaps without a CPU.
    #[must_use]
    pub fn may_be_held(&self) -> bool {
        let held = |state: char| matches!(state, 'T' | 't' | 'D');
        let all_known = usize::try_from(self.threads).is_ok_and(|threads| threads <= self.tasks.len());
        self.frozen_by.is_some()
            || self.is_ready()
            || held(self.state) && (self.threads <= 1 || all_known && self.tasks.iter().all(|task| held(task.state)))
    }

    /// Whether its only thread was runnable: running, or waiting for a CPU.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state == 'R' && self.threads <= 1 && self.ran_ns.is_some()
    }

    /// Maximum number of its threads in a wait call: a thread that sleeps elsewhere than in `do_wait` (`kernel/exit.c`)
    /// is not in one.
    #[must_use]
    pub fn max_waiting(&self) -> u32 {
        match (self.threads, &self.wait_channel) {
            (0 | 1, Some(place)) if !place.starts_with("do_wait") => 0,
            (threads, _) => threads.max(1),
        }
    }

    /// Values that do not change while its leader does not run.
    #[must_use]
    pub fn progress(&self) -> (u64, Option<u64>) {
        (self.switches, self.ran_ns)
    }
}

/// Maximum number of threads of a process looked at.
pub const MAX_THREADS: usize = 64;

/// A thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub tid: u32,
    /// State letter.
    pub state: char,
    /// Its name.
    pub comm: Comm,
    /// Where the kernel says it sleeps.
    pub wait_channel: Option<String>,
    /// Pid of its tracer, looked up only for a dead thread, which stays until the tracer has waited for it.
    #[serde(default)]
    pub tracer: Option<u32>,
}

/// A program's language or runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Runtime {
    /// Go, recognised by the build information in the executable.
    Go,
    /// `CPython` and the like.
    Python,
    /// Node.js
    Node,
    /// A Java virtual machine.
    Java,
    /// A shell.
    Shell,
}

/// The pid limits of a process and their usage, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PidLimits {
    /// The process.
    pub process: ProcessKey,
    /// Each cgroup from its own to the root, innermost first; also those without a limit.
    pub cgroups: Vec<PidsUsage>,
    /// `RLIMIT_NPROC`; `None` if it is unlimited, does not apply (root), or could not be read.
    pub rlimit: Option<Usage>,
    /// `pid_max` against all tasks of the machine.
    pub pid_max: Option<Usage>,
    /// `threads-max` against all tasks of the machine.
    #[serde(default)]
    pub threads_max: Option<Usage>,
    /// The failed fork that these were read for; `None` if read for another reason, without the fields below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<BootNs>,
    /// Real user of the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Task counts, made for this answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<TaskCounts>,
    /// The pid namespace for its children, if that has no live PID 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_pid_ns: Option<u32>,
}

/// Tasks that count against limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCounts {
    /// Those of its user.
    pub of_user: Tasks,
    /// Those in its innermost cgroup with a limit, and below.
    pub of_cgroup: Tasks,
    /// All of the machine.
    pub of_machine: Tasks,
}

/// Tasks by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tasks {
    /// Live processes.
    pub processes: u64,
    /// Their threads beyond the first of each.
    pub threads: u64,
    /// Zombies.
    pub zombies: u64,
}

impl Evidence {
    /// Whether nothing is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.waits.is_none() && self.proc.is_none()
    }
}

impl PidLimits {
    /// Unknown limits.
    #[must_use]
    pub const fn unknown(process: ProcessKey) -> Self {
        Self {
            process,
            cgroups: Vec::new(),
            rlimit: None,
            pid_max: None,
            threads_max: None,
            failed: None,
            uid: None,
            tasks: None,
            dead_pid_ns: None,
        }
    }
}

/// Usage of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tasks in use, zombies included.
    pub used: u64,
    /// Tasks allowed.
    pub allowed: u64,
}

/// Pids in use of a cgroup, and how many it allows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PidsUsage {
    /// Path of the cgroup within its hierarchy.
    pub path: String,
    /// `pids.current`: tasks of the cgroup and all below it, zombies included.
    pub current: u64,
    /// `pids.max`; `None` is "max", no limit.
    pub max: Option<u64>,
    /// How often a fork was refused, from `pids.events`; 0 where that file is missing.
    pub refused: u64,
}
