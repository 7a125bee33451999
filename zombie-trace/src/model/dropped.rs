//! A signal that did not reach an init: which, why, and who sent it.

use std::sync::Arc;

use super::Identity;
use crate::event::{BootNs, Comm, KnownSender, NsPid, ProcessKey};
pub use crate::event::{DropReason, Relation};

/// Who sent a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The sender.
    pub process: ProcessKey,
    /// Its name at that moment.
    pub comm: Comm,
    /// Its pid in its own pid namespace.
    pub ns: NsPid,
    /// Its real user id.
    pub uid: u32,
    /// Its parent and the parent's name, if known: the shell or agent that ran `kill` says more than `kill`.
    pub parent: Option<(ProcessKey, Comm)>,
}

impl Sender {
    /// For the next file of a recording.
    pub(super) fn known(&self) -> KnownSender {
        let Self { process, comm, ns, uid, parent } = *self;
        KnownSender { process, comm, ns: (ns.nr, ns.inum), uid, parent }
    }

    /// From what another reader knew.
    pub(super) fn recall(known: &KnownSender) -> Self {
        let KnownSender { process, comm, ns: (nr, inum), uid, parent } = *known;
        Self { process, comm, ns: NsPid { nr, inum }, uid, parent }
    }
}

/// A signal that did not reach an init.
#[derive(Clone, Debug, PartialEq)]
pub struct DroppedSignal {
    /// When it was sent.
    pub time: BootNs,
    /// The init.
    pub target: ProcessKey,
    /// The init as it was then: it may have called exec since.
    pub program: Arc<Identity>,
    /// The signal.
    pub signal: u32,
    /// Why.
    pub reason: DropReason,
    /// Who sent it, unless the kernel did.
    pub sender: Option<Sender>,
    /// Where the sender is, seen from the init.
    pub relation: Relation,
}
