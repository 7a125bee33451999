//! A signal that asks a process to end, and what it does with it.

use super::Sender;
pub use crate::event::Disposition;
use crate::{
    event::{BootNs, KnownAsked},
    signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
};

/// A signal sent to a process to make it exit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// The signal.
    pub signal: u32,
    /// When it was first sent.
    pub first: BootNs,
    /// When it was last sent.
    pub last: BootNs,
    /// Who sent it first; `None` for the kernel.
    pub sender: Option<Sender>,
    /// What the process did with it when it was first sent; `None` if that is not known.
    pub disposition: Option<Disposition>,
}

impl Asked {
    /// Whether this signal is seen for every process. Other signals are seen only when an init is the target.
    #[must_use]
    pub const fn is_seen(signal: u32) -> bool {
        matches!(signal, SIGHUP | SIGINT | SIGQUIT | SIGTERM)
    }

    /// For the next file of a recording.
    pub(super) fn known(&self) -> KnownAsked {
        let Self { signal, first, last, sender, disposition } = *self;
        KnownAsked { signal, first, last, sender: sender.map(|sender| sender.known()), disposition }
    }

    /// From what another reader knew.
    pub(super) fn recall(known: &KnownAsked) -> Self {
        let KnownAsked { signal, first, last, ref sender, disposition } = *known;
        Self { signal, first, last, sender: sender.as_ref().map(Sender::recall), disposition }
    }
}
