//! A signal that ends who gets it.

use serde::{Deserialize, Serialize};

use super::{BootNs, KnownSender, Relation};

/// A signal as it was sent to a process that does not handle or ignore it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FatalSignal {
    /// When.
    pub time: BootNs,
    /// Which.
    pub signal: u32,
    /// `si_code`
    pub code: i32,
    /// The process that ran: who sent it, unless the kernel did.
    pub sender: KnownSender,
    /// The thread that ran.
    pub sender_thread: u32,
    /// From where.
    pub relation: Relation,
    /// The thread that ran was on its way out.
    pub is_sender_exiting: bool,
    /// For the process, not one thread.
    pub is_for_group: bool,
    /// The receiver was traced.
    pub is_traced: bool,
    /// The receiver was on its way out when it was told: by this signal, since the kernel sets that first, or before.
    pub is_last: bool,
}
