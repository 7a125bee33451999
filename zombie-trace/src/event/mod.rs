//! The model's events: what happened, in terms of processes, already decoded.
//!
//! Kernel events come from the wire through [`crate::decode`]. The live source makes context events from `/proc` and
//! the maps: they are part of the stream (and of a recording), so that nothing after this point has to read from the
//! machine. Lookups are [`Fact`]s, which never advance the model's clock. Recordings hold them as JSON: new fields need
//! a default, so that older recordings stay readable.

mod context;
mod doing;
mod exec;
mod fatal;
mod known;
mod known_stop;
mod signals;
#[cfg(test)]
mod tests;

use std::fmt;

pub use crate::abi::{Comm, Handler, NsPid};
pub use context::*;
pub use doing::*;
pub use exec::{Exec, SigchldAtExec};
pub use fatal::FatalSignal;
pub use known::*;
pub use known_stop::*;
use serde::{Deserialize, Serialize};
pub use signals::{ChildSignal, Deliver, Disposition, DropReason, Relation, Signal, SignalOutcome};

/// Nanoseconds of the boot clock.
pub type BootNs = u64;

/// A unique process: the pid in the initial pid namespace and the start time (`start_boottime`).
///
/// A process that existed before tracing is first seen in `/proc`, which rounds its start down to a clock tick; the
/// model then keeps that rounded key and maps the kernel's exact one to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessKey {
    /// Thread-group id on the host.
    pub pid: u32,
    /// Start, ns of the boot clock.
    pub start_ns: BootNs,
}

impl fmt::Display for ProcessKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.pid)
    }
}

/// A decoded wait status (`wait(2)`).
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
    /// From the kernel's status word: code << 8, or signal with 0x80 for a core dump.
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

/// What happened, or was looked up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum What {
    /// The last thread of a process, or its leader before the others, exits.
    #[serde(skip)]
    Exit(Exit),
    /// A parent is notified of a child's death.
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
    /// A process is reaped without a visible wait call.
    #[serde(skip)]
    Release(Release),
    /// A process is freed.
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
    /// A pid namespace had no number left for the fork whose failure is reported next.
    #[serde(skip)]
    FullPidNs(FullPidNs),
    /// The memory limit of a process that the OOM killer chose and whose exit is reported next.
    #[serde(skip)]
    MemoryLimit {
        /// The process.
        process: ProcessKey,
        /// The limit.
        limit: MemoryLimit,
    },
    /// Context: events were lost; how many since the last such event.
    Loss {
        /// Number of events.
        events: u64,
    },
    /// Context: a map of the kernel side was full.
    Full {
        /// Which.
        map: KernelMap,
        /// What it refused since the last such event: processes or calls.
        refused: u64,
    },
    /// Context: time passes.
    Tick,
    /// Context: something was looked up.
    #[serde(untagged)]
    Fact(Fact),
}

/// Something that was looked up at the time of its event.
///
/// A lookup is ahead of events that are still in the ring: its answer must not advance the model's clock, or a zombie
/// would reach the minimum age before its reap is read. So everything looked up belongs here, and [`Event::clock`]
/// returns no time for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Fact {
    /// A process found in `/proc`.
    Seed(Box<Seed>),
    /// All of `/proc` was read; the scan had begun at the given time. What was known before but not found is gone.
    SeedDone {
        /// When the scan began.
        began: BootNs,
    },
    /// A zombie that the recorder knew before this file began; comes after [`Fact::SeedDone`].
    Zombie(Box<KnownZombie>),
    /// What else the recorder knew about a process before this file began; comes after [`Fact::SeedDone`].
    Process(Box<KnownProcess>),
    /// A stop that had begun before this file; comes after [`Fact::SeedDone`].
    Stop(Box<KnownStop>),
    /// Nothing ran on this machine for a while.
    Paused {
        /// From this time on.
        from: BootNs,
        /// Until this one.
        until: BootNs,
    },
    /// The path of a cgroup id.
    Cgroup(Cgroup),
    /// What `/proc` and the maps showed of a process when the model asked.
    Evidence(Box<Evidence>),
    /// How many pids a process could use and how many were in use when the model asked.
    Limits(Box<PidLimits>),
}

impl From<Fact> for What {
    fn from(fact: Fact) -> Self {
        Self::Fact(fact)
    }
}

impl Event {
    /// The time to which this event advances the model's clock; `None` for lookups.
    #[must_use]
    pub fn clock(&self) -> Option<BootNs> {
        match self.what {
            What::Fact(_) => None,
            _ => Some(self.time),
        }
    }
}

/// See [`crate::abi::ExitEvent`].
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
    /// The parent's SIGCHLD is `SIG_IGN` or has `SA_NOCLDWAIT`: there will be no zombie. `None` if it could not be
    /// read.
    pub parent_discards: Option<bool>,
    /// It was created with `CLONE_AUTOREAP`: unless traced, it never becomes a zombie.
    pub reaps_itself: bool,
    /// The OOM killer chose it; `None` if that could not be read.
    pub is_oom_victim: Option<bool>,
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

/// What a wait call reported about the child it returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReport {
    /// Dead.
    Dead,
    /// Stopped, trapped or continued: alive.
    Alive,
    /// The caller passed no place for the status.
    Unknown,
}

/// See [`crate::abi::WaitEvent`].
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
    /// What it reported about the child.
    pub report: WaitReport,
}

/// See [`crate::abi::ReleaseEvent`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Release {
    /// The process that is reaped.
    pub process: ProcessKey,
    /// Who reaps it.
    pub reaper: ProcessKey,
    /// Whether the reaper is exiting: the kernel reaps for it.
    pub reaper_exiting: bool,
    /// Whether the reaper is the init of its pid namespace.
    pub reaper_is_init: bool,
}

/// See [`crate::abi::ForkEvent`].
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

/// See [`crate::abi::FullPidNsEvent`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FullPidNs {
    /// The process that could not fork.
    pub process: ProcessKey,
    /// The namespace.
    pub inum: u32,
    /// Its depth; 0 is that of the machine.
    pub level: u32,
    /// Its numbers in use, and its `pid_max`.
    pub usage: Usage,
}

/// See [`crate::abi::MemoryLimitEvent`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum MemoryLimit {
    /// Neither the process's cgroup nor one above it has a limit.
    None,
    /// The lowest of them.
    Bytes {
        /// The limit in bytes.
        bytes: u64,
        /// How many levels above the process's own cgroup it is set; 0 is its own.
        levels_above: u32,
    },
}

/// See [`crate::abi::ForkFailedEvent`].
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
