//! What the model asks for.

use crate::event::{BootNs, ProcessKey};

/// A question of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// How this process waits, what `/proc` says of it and how many pids it may use ([`crate::event::Fact::Limits`],
    /// then [`crate::event::Fact::Evidence`]).
    Process(ProcessKey),
    /// The same for a process whose pid namespace is ending.
    StopMember(ProcessKey),
    /// What exists now ([`crate::event::Fact::Seed`], [`crate::event::Fact::SeedDone`]): events were lost.
    Rescan,
    /// The path of this cgroup id ([`crate::event::Fact::Cgroup`]).
    Cgroup(u64),
    /// How many pids this process may use ([`crate::event::Fact::Limits`]).
    Limits {
        /// The process.
        process: ProcessKey,
        /// Its cgroup, in case the process is gone.
        cgroup: u64,
        /// When its fork failed: earlier counts do not help.
        failed: BootNs,
    },
}
