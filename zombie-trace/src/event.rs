//! The model's events: what happened, in terms of processes, with everything raw already taken apart.
//!
//! Two origins. Kernel events come from the wire by way of [`crate::decode`]. Context events are made by the live
//! source from `/proc` and the maps: they are part of the stream (and of a recording), so that nothing after this
//! point ever has to look at the machine. Recordings hold context events as JSON: a field that is added needs a default
//! (`#[serde(default)]`), so that older recordings stay readable.

use std::fmt;

use serde::{Deserialize, Serialize};
pub use zombie_trace_ebpf::abi::{Comm, Handler, NsPid};

/// Nanoseconds of the boot clock.
pub type BootNs = u64;

/// A process, once and for all: the pid in the initial pid namespace and when it started (`start_boottime`).
///
/// A process that existed before tracing is first seen in `/proc`, which rounds its start down to a clock tick; the
/// model then keeps that rounded key and maps the kernel's exact one onto it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessKey {
    /// Thread-group id, the host's.
    pub pid: u32,
    /// Start, ns of the boot clock.
    pub start_ns: BootNs,
}

impl fmt::Display for ProcessKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.pid)
    }
}

/// A raw wait status taken apart (`wait(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ExitStatus {
    /// Ended by `exit`, with this code.
    Code(u8),
    /// Ended by a signal.
    Signal {
        /// Its number.
        signal: u8,
        /// Whether a core was dumped.
        core_dumped: bool,
    },
}

impl ExitStatus {
    /// From the status word as the kernel keeps it: code << 8, or signal with 0x80 for a core dump.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Self {
        match (raw & 0x7f) as u8 {
            0 => Self::Code((raw >> 8 & 0xff) as u8),
            signal => Self::Signal { signal, core_dumped: raw & 0x80 != 0 },
        }
    }
}

/// Something that happened at `time`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, ns of the boot clock.
    pub time: BootNs,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum What {
    /// The last thread of a process, or its leader before the others, exits.
    #[serde(skip)]
    Exit(Exit),
    /// A parent is told of a child's death.
    #[serde(skip)]
    ChildSignal(ChildSignal),
    /// A signal was generated for an init of a pid namespace, or a fatal one for any process.
    #[serde(skip)]
    Signal(Signal),
    /// An init took a signal with the default disposition from its queue.
    #[serde(skip)]
    Deliver(Deliver),
    /// A wait call returned a child, or failed for one.
    #[serde(skip)]
    Wait(Wait),
    /// A process is gone for good.
    #[serde(skip)]
    Free(ProcessKey),
    /// A new process.
    #[serde(skip)]
    Fork(Fork),
    /// A process runs a new program.
    #[serde(skip)]
    Exec(Exec),
    /// A fork was refused.
    #[serde(skip)]
    ForkFailed(ForkFailed),
    /// Context: a process found in `/proc`.
    Seed(Box<Seed>),
    /// Context: all of `/proc` was read; the scan had begun at the given time. What was known before and not found is
    /// gone.
    SeedDone {
        /// When the scan began.
        began: BootNs,
    },
    /// Context: where a cgroup id leads.
    Cgroup(Cgroup),
    /// Context: what `/proc` and the maps said of a process when the model asked.
    Evidence(Box<Evidence>),
    /// Context: how many pids a process could use and how many were in use when the model asked.
    Limits(Box<PidLimits>),
    /// Context: events were lost; how many since the last such event.
    Loss {
        /// Number of events.
        events: u64,
    },
    /// Context: time passes.
    Tick,
}

/// See [`zombie_trace_ebpf::abi::ExitEvent`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exit {
    /// The process.
    pub process: ProcessKey,
    /// The thread that exits.
    pub thread: u32,
    /// Its real parent.
    pub parent: ProcessKey,
    /// Its tracer's pid, if it has one.
    pub tracer: Option<u32>,
    /// Whether no live thread remains. If not, the leader died before the others.
    pub group_dead: bool,
    /// How it ended.
    pub status: ExitStatus,
    /// Signal for the parent: SIGCHLD after a plain fork, 0 for none.
    pub exit_signal: i32,
    /// The parent's SIGCHLD is `SIG_IGN` or has `SA_NOCLDWAIT`: no zombie is to come. `None` if it could not be read.
    pub parent_discards: Option<bool>,
    /// Whether the process is the init of its pid namespace.
    pub is_init: bool,
    /// Whether the process is a subreaper.
    pub is_subreaper: bool,
    /// Whether the parent is the init of its pid namespace.
    pub parent_is_init: bool,
    /// Whether the parent is a subreaper.
    pub parent_is_subreaper: bool,
    /// Depth of the pid namespace.
    pub level: u32,
    /// Pid numbers, outermost namespace first; `nr` 0 where there is none.
    pub ns: [NsPid; 4],
    /// Real user id.
    pub uid: u32,
    /// Cgroup id; 0 if unknown.
    pub cgroup: u64,
    /// Name.
    pub comm: Comm,
    /// The parent's name.
    pub parent_comm: Comm,
}

/// See [`zombie_trace_ebpf::abi::ChildSignalEvent`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChildSignal {
    /// The running process.
    pub current: ProcessKey,
    /// Whether the dead child is `current`.
    pub child_is_current: bool,
    /// The child's number in the target's namespace.
    pub child_nr: u32,
    /// Who is told.
    pub target: ProcessKey,
    /// Who is told, by name.
    pub target_comm: Comm,
    /// The target in its own namespace.
    pub target_ns: NsPid,
    /// Depth of that namespace.
    pub target_level: u32,
    /// Whether the target is the init of its namespace.
    pub target_is_init: bool,
    /// Whether the target is a subreaper.
    pub target_is_subreaper: bool,
    /// Whether the target is exiting.
    pub target_exiting: bool,
    /// The signal.
    pub signal: u32,
    /// What became of it.
    pub outcome: SignalOutcome,
    /// The target's disposition.
    pub handler: Handler,
    /// `SA_NOCLDWAIT`
    pub nocldwait: bool,
    /// Blocked in the target.
    pub blocked: bool,
}

/// The `result` of `signal_generate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalOutcome {
    /// Queued.
    Delivered,
    /// Thrown away.
    Ignored,
    /// The same signal was pending already.
    AlreadyPending,
    /// A real-time signal found the queue full; the sender got EAGAIN.
    Overflow,
    /// Queued without its siginfo.
    LostInfo,
    /// A number this version does not know.
    Unknown(u32),
}

/// See [`zombie_trace_ebpf::abi::SignalEvent`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signal {
    /// Whom it is for.
    pub target: ProcessKey,
    /// The target's name.
    pub target_comm: Comm,
    /// The target in its own namespace.
    pub target_ns: NsPid,
    /// Depth of that namespace.
    pub target_level: u32,
    /// Cgroup of the target.
    pub target_cgroup: u64,
    /// Whether the target is the init of its namespace.
    pub target_is_init: bool,
    /// `SIGNAL_UNKILLABLE` is set.
    pub unkillable: bool,
    /// The target is on its way out.
    pub target_exiting: bool,
    /// The target is traced.
    pub target_traced: bool,
    /// For the process, not one thread.
    pub group: bool,
    /// The running process: the sender, unless `from_kernel`.
    pub sender: ProcessKey,
    /// Its name.
    pub sender_comm: Comm,
    /// The sender in its own namespace.
    pub sender_ns: NsPid,
    /// Its real user id.
    pub sender_uid: u32,
    /// Whether the sender is visible in the target's namespace.
    pub sender_inside: bool,
    /// The kernel sent it.
    pub from_kernel: bool,
    /// The sender is exiting.
    pub sender_exiting: bool,
    /// The signal.
    pub signal: u32,
    /// `si_code`
    pub code: i32,
    /// What became of it.
    pub outcome: SignalOutcome,
    /// The target's disposition.
    pub handler: Handler,
    /// Blocked in the target.
    pub blocked: bool,
}

/// See [`zombie_trace_ebpf::abi::DeliverEvent`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deliver {
    /// The receiver.
    pub target: ProcessKey,
    /// The signal.
    pub signal: u32,
    /// `si_code`
    pub code: i32,
    /// The receiver is traced.
    pub traced: bool,
}

/// Which system call waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitCall {
    /// `wait4` (and `wait`, `waitpid`)
    Wait4,
    /// `waitid`
    Waitid,
}

/// What a wait call selects. Ids are numbers in the caller's pid namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Not known.
    Unknown,
    /// Any child.
    Any,
    /// One process.
    Pid(u32),
    /// A process group; 0 is the caller's own.
    Pgid(u32),
    /// A process by descriptor number.
    Pidfd(u32),
}

/// What a wait call said of the child it returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReport {
    /// Dead.
    Dead,
    /// Stopped, trapped or continued: alive.
    Alive,
    /// The caller passed no place for the status.
    Unknown,
}

/// See [`zombie_trace_ebpf::abi::WaitEvent`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wait {
    /// The caller.
    pub reaper: ProcessKey,
    /// The calling thread.
    pub thread: u32,
    /// The caller's pid namespace.
    pub ns: u32,
    /// The child, numbered in that namespace; `None` if none was named.
    pub child_nr: Option<u32>,
    /// Positive errno, 0 for success.
    pub errno: u32,
    /// Which call.
    pub call: WaitCall,
    /// What it selected.
    pub selector: Selector,
    /// Its options; `None` if the call began before tracing did.
    pub options: Option<u32>,
    /// What it said of the child.
    pub report: WaitReport,
}

/// See [`zombie_trace_ebpf::abi::ForkEvent`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fork {
    /// Who called fork.
    pub forker: ProcessKey,
    /// The new process.
    pub child: ProcessKey,
    /// Pid of its real parent: the forker's, or under `CLONE_PARENT` the forker's parent's.
    pub parent_pid: u32,
    /// The child in its innermost pid namespace.
    pub ns: NsPid,
    /// Depth of that namespace.
    pub level: u32,
    /// Cgroup of the child.
    pub cgroup: u64,
    /// Real user id.
    pub uid: u32,
    /// Name.
    pub comm: Comm,
}

/// See [`zombie_trace_ebpf::abi::ExecEvent`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exec {
    /// The process.
    pub process: ProcessKey,
    /// Thread id of the caller before; differs from the pid where a non-leader thread called exec.
    pub old_thread: u32,
    /// Real user id after.
    pub uid: u32,
    /// Cgroup.
    pub cgroup: u64,
    /// The new name.
    pub comm: Comm,
}

/// See [`zombie_trace_ebpf::abi::ForkFailedEvent`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ForkFailed {
    /// The caller.
    pub process: ProcessKey,
    /// Positive errno: EAGAIN (11) or ENOMEM (12).
    pub errno: u32,
    /// Calls that failed since the last event of this process, this one included.
    pub failures: u32,
    /// Real user id.
    pub uid: u32,
    /// Cgroup of the caller.
    pub cgroup: u64,
    /// Name.
    pub comm: Comm,
    /// The caller in its own pid namespace.
    pub ns: NsPid,
    /// Depth of that namespace.
    pub level: u32,
}

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
    /// Name of the pod, where the kubelet's log folders tell it.
    pub pod: Option<String>,
    /// Namespace of the pod.
    pub namespace: Option<String>,
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
    pub last_success_ns: BootNs,
    pub sigchld_delivered: u64,
    pub last_sigchld_ns: BootNs,
    pub options_seen: u32,
    pub options_always: u32,
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
    /// What `/proc` says; `None` if it is gone.
    pub proc: Option<ProcFacts>,
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
    /// Whether none of its threads could run when it was looked at: stopped, in a tracer's hands, in uninterruptible
    /// sleep, or frozen.
    #[must_use]
    pub fn is_still(&self) -> bool {
        let held = |state: char| matches!(state, 'T' | 't' | 'D');
        let all_known = usize::try_from(self.threads).is_ok_and(|threads| threads <= self.tasks.len());
        self.frozen_by.is_some()
            || held(self.state) && (self.threads <= 1 || all_known && self.tasks.iter().all(|task| held(task.state)))
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
