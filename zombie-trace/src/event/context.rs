//! Context events: what the live source read from `/proc` and the maps, as the model and recordings get it.

use serde::{Deserialize, Serialize};

use super::{BootNs, Comm, Doing, ExitStatus, ProcessKey};
use crate::container::{self, Container};

/// A process as `/proc` shows it, found by a scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seed {
    /// The process; its start is rounded down to a clock tick.
    pub process: ProcessKey,
    /// Length of that tick, ns.
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

/// Where a cgroup id leads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cgroup {
    /// The id in the events.
    pub id: u64,
    /// Path within its hierarchy.
    pub path: String,
    /// Name of the pod, where the kubelet's log folders tell it; only in recordings that know no `container`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Namespace of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The container, with all that could be found out about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Box<Container>>,
}

impl Cgroup {
    /// A cgroup and what was found out about it.
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

/// A map of the kernel side that can be full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelMap {
    /// Of the followed processes: who does not fit is not followed.
    Followed,
    /// Of the counters of wait calls: how a process that does not fit waits is not known.
    WaitCounters,
    /// Of the wait calls in progress: what a call that does not fit asks for is not known.
    WaitCalls,
}

/// How a process waits; see [`zombie_trace_ebpf::abi::WaitStats`] for the fields.
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
    /// Whether `recent` holds all there ever were.
    pub recent_complete: bool,
}

/// What is known of a process at the moment of judging.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The process.
    pub process: ProcessKey,
    /// Since when its wait calls are counted: the start of tracing, or its own.
    pub observed_since: BootNs,
    /// How it waits: `None` if that is not known (the map was full, or it is a 32-bit program on a kernel that does
    /// not show its calls); no calls at all is `Some` of the default.
    pub waits: Option<WaitActivity>,
    /// What `/proc` says; `None` if it is gone, or could not be read (see `gaps`).
    pub proc: Option<ProcFacts>,
    /// What could not be read, or not to its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// What its threads do, its leader first; not in recordings of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doing: Vec<Doing>,
}

/// Something of a process that was to be read, and was not, or not to its end.
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

    /// Only so many were read.
    #[must_use]
    pub const fn only(part: Part, count: u32) -> Self {
        Self { part, reason: GapReason::Only(count) }
    }
}

/// A part of what is read of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Part {
    /// All of it.
    Process,
    /// Its arguments.
    CommandLine,
    /// The file it runs.
    Executable,
    /// The files of its root.
    Image,
    /// Its open files.
    Descriptors,
    /// Its threads.
    Threads,
    /// The cgroups above its own.
    Cgroups,
}

/// Why something was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum GapReason {
    /// It was not read at all.
    Unread(Unread),
    /// Its file system is not one of this machine's own, and may never answer.
    Remote,
    /// Nothing tells what its file system is: it may be one that never answers.
    UnknownFileSystem,
    /// There are more than this, and only so many were read.
    Only(u32),
}

/// Why nothing was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Unread {
    /// The kernel did not answer within 100 ms.
    TimedOut,
    /// More was asked than may be read in a second.
    Busy,
    /// All readers are stuck in the kernel, or none could be started.
    NoReader,
}

/// What `/proc/PID` says of a live process.
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
    /// How often the leader gave up a processor: unchanged between two looks, it did not run.
    pub switches: u64,
    /// For how long the leader has run, ns, where it was ready to run and the kernel tells (`/proc/PID/schedstat`).
    pub ran_ns: Option<u64>,
    /// The frozen cgroup that holds it still, as a path within its hierarchy; `None` if none is known to.
    pub frozen_by: Option<String>,
    /// Its threads, where the leader's state alone does not tell whether it can run; at most [`MAX_THREADS`].
    pub tasks: Vec<Task>,
    /// What it is written in, where that can be told from the executable.
    pub runtime: Option<Runtime>,
    /// For PID 1 of a namespace with a root of its own: programs in there that are made to be one.
    pub inits_in_image: Vec<String>,
}

impl ProcFacts {
    /// Whether, for all that one look tells, none of its threads can run: stopped, in a tracer's hands, in uninterruptible
    /// sleep, frozen, or ready to run but perhaps without a processor.
    #[must_use]
    pub fn may_be_held(&self) -> bool {
        let held = |state: char| matches!(state, 'T' | 't' | 'D');
        let all_known = usize::try_from(self.threads).is_ok_and(|threads| threads <= self.tasks.len());
        self.frozen_by.is_some()
            || self.is_ready()
            || held(self.state) && (self.threads <= 1 || all_known && self.tasks.iter().all(|task| held(task.state)))
    }

    /// Whether its only thread was ready to run: running, or waiting for a processor.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state == 'R' && self.threads <= 1 && self.ran_ns.is_some()
    }

    /// At most so many of its threads are in a wait call: a thread that sleeps elsewhere than `do_wait` (`kernel/exit.c`)
    /// is in none.
    #[must_use]
    pub fn max_waiting(&self) -> u32 {
        match (self.threads, &self.wait_channel) {
            (0 | 1, Some(place)) if !place.starts_with("do_wait") => 0,
            (threads, _) => threads.max(1),
        }
    }

    /// What does not change as long as its leader does not run.
    #[must_use]
    pub fn progress(&self) -> (u64, Option<u64>) {
        (self.switches, self.ran_ns)
    }
}

/// So many threads of a process are looked at.
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
    /// Pid of its tracer, looked up for a dead thread only: it stays until that one has waited for it.
    #[serde(default)]
    pub tracer: Option<u32>,
}

/// What a program is written in, or what runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Runtime {
    /// Go, told by the build information in the executable.
    Go,
    /// `CPython` and its kin.
    Python,
    /// Node.js
    Node,
    /// A Java virtual machine.
    Java,
    /// A shell.
    Shell,
}

/// The limits on pids that hold for a process, and how far they were used up, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PidLimits {
    /// The process.
    pub process: ProcessKey,
    /// Each cgroup from its own to the root, innermost first; also those without a limit.
    pub cgroups: Vec<PidsUsage>,
    /// `RLIMIT_NPROC`; `None` if it is unlimited, does not bind the process (root), or could not be read.
    pub rlimit: Option<Usage>,
    /// `pid_max` against all tasks of the machine.
    pub pid_max: Option<Usage>,
    /// `threads-max` against all tasks of the machine.
    #[serde(default)]
    pub threads_max: Option<Usage>,
    /// The failed fork that these were read after; `None` if they were read for another reason. Then also all that
    /// follows is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<BootNs>,
    /// Real user of the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// What there was, counted for this answer alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<TaskCounts>,
    /// The pid namespace for its children, where that has no live PID 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_pid_ns: Option<u32>,
}

/// Tasks that count against limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCounts {
    /// Those of its user.
    pub of_user: Tasks,
    /// Those in its innermost cgroup that has a limit, and below.
    pub of_cgroup: Tasks,
    /// All of the machine.
    pub of_machine: Tasks,
}

/// Tasks by what they are.
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
    /// Whether nothing was found out.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.waits.is_none() && self.proc.is_none()
    }
}

impl PidLimits {
    /// Nothing of them is known.
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

/// How much of something is used, and how much may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tasks in use, zombies included.
    pub used: u64,
    /// How many may be.
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
