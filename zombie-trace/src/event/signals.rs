//! Signals as the kernel reports them: generated and delivered.

use serde::{Deserialize, Serialize};

use super::{Comm, Handler, NsPid, ProcessKey};

/// See [`crate::abi::ChildSignalEvent`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChildSignal {
    /// The running process.
    pub current: ProcessKey,
    /// Whether the dead child is `current`.
    pub child_is_current: bool,
    /// The child's number in the target's namespace.
    pub child_nr: u32,
    /// The process notified.
    pub target: ProcessKey,
    /// Name of the process notified.
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
    /// What happened to it.
    pub outcome: SignalOutcome,
    /// The target's disposition.
    pub handler: Handler,
    /// `SA_NOCLDWAIT`
    pub nocldwait: bool,
    /// Blocked in the target.
    pub blocked: bool,
}

/// The `result` of `signal_generate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignalOutcome {
    /// Queued.
    Delivered,
    /// Discarded.
    Ignored,
    /// The same signal was pending already.
    AlreadyPending,
    /// A real-time signal found the queue full; the sender got EAGAIN.
    Overflow,
    /// Queued without its siginfo.
    LostInfo,
    /// A number unknown to this version.
    Unknown(u32),
}

/// See [`crate::abi::SignalEvent`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signal {
    /// The process it is for.
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
    /// The target is exiting.
    pub target_exiting: bool,
    /// The target is traced.
    pub target_traced: bool,
    /// For the process, not one thread.
    pub group: bool,
    /// The running process: the sender, unless `from_kernel`.
    pub sender: ProcessKey,
    /// The running thread.
    pub sender_thread: u32,
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
    /// What happened to it.
    pub outcome: SignalOutcome,
    /// The target's disposition.
    pub handler: Handler,
    /// Blocked in the target.
    pub blocked: bool,
}

/// See [`crate::abi::DeliverEvent`].
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

/// What a process does with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disposition {
    /// It has a handler.
    Handler,
    /// `SIG_DFL`
    Default,
    /// `SIG_IGN`
    Ignored,
    /// It blocks the signal, with any disposition.
    Blocked,
}

impl Disposition {
    /// The name in machine output.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Default => "default",
            Self::Ignored => "ignored",
            Self::Blocked => "blocked",
        }
    }

    /// As it was when this signal was sent; `None` if it could not be read.
    pub(crate) const fn when_sent(signal: &Signal) -> Option<Self> {
        match signal.handler {
            _ if signal.blocked => Some(Self::Blocked),
            Handler::Function => Some(Self::Handler),
            Handler::Default => Some(Self::Default),
            Handler::Ignore => Some(Self::Ignored),
            Handler::Unknown => None,
        }
    }
}

/// Why a signal did not reach an init.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// `SIG_DFL` in an init: the kernel drops signals that would kill or stop it.
    NoHandler,
    /// SIGKILL or SIGSTOP from within the namespace.
    ProtectedFromInside,
    /// `SIG_IGN` was set.
    Ignored,
    /// Blocked, and never taken from the queue.
    Blocked,
    /// Queued while it was blocked or traced, dropped at delivery.
    DroppedAtDelivery,
    /// The same signal was pending already.
    Coalesced,
}

impl DropReason {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::NoHandler,
        Self::ProtectedFromInside,
        Self::Ignored,
        Self::Blocked,
        Self::DroppedAtDelivery,
        Self::Coalesced,
    ];

    /// The stable id.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::NoHandler => "no-handler",
            Self::ProtectedFromInside => "protected-from-inside",
            Self::Ignored => "ignored",
            Self::Blocked => "blocked",
            Self::DroppedAtDelivery => "dropped-at-delivery",
            Self::Coalesced => "coalesced",
        }
    }
}

/// Where a signal came from, seen from the init's namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// A process of the namespace, or of one below.
    Inside,
    /// A process that the init cannot see.
    Outside,
    /// The kernel itself: a timer, a terminal, a limit.
    Kernel,
}

impl Relation {
    /// The name in machine output.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Inside => "inside",
            Self::Outside => "outside",
            Self::Kernel => "kernel",
        }
    }
}
