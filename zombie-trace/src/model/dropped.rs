//! A signal that an init did not get: which, why, and who sent it.

use std::sync::Arc;

use super::Identity;
use crate::event::{BootNs, Comm, NsPid, ProcessKey};

/// Why an init did not get a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// `SIG_DFL` in an init: the kernel drops what would end or stop it.
    NoHandler,
    /// SIGKILL or SIGSTOP from within the namespace.
    ProtectedFromInside,
    /// `SIG_IGN` was set.
    Ignored,
    /// Blocked, and nobody takes it from the queue.
    Blocked,
    /// Queued while it was blocked or traced, dropped at delivery.
    DroppedAtDelivery,
    /// The same signal was pending already.
    Coalesced,
}

impl DropReason {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// Who sent a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Who.
    pub process: ProcessKey,
    /// Its name at that moment.
    pub comm: Comm,
    /// It in its own pid namespace.
    pub ns: NsPid,
    /// Its real user id.
    pub uid: u32,
    /// Its parent and that one's name, if they are known: `kill` says little, the shell or agent that ran it more.
    pub parent: Option<(ProcessKey, Comm)>,
}

/// A signal that an init did not get.
#[derive(Clone, Debug, PartialEq)]
pub struct DroppedSignal {
    /// When it was sent.
    pub time: BootNs,
    /// The init.
    pub target: ProcessKey,
    /// The init as it was then: it may have become another program since.
    pub program: Arc<Identity>,
    /// The signal.
    pub signal: u32,
    /// Why.
    pub reason: DropReason,
    /// Who sent it, unless the kernel did.
    pub sender: Option<Sender>,
    /// From where.
    pub relation: Relation,
}
