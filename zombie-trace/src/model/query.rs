//! What the model asks for.

use crate::event::{BootNs, ProcessKey};

/// What the model would like to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// How this process waits, what `/proc` says of it and how many pids it may use ([`crate::event::Fact::Limits`], then
    /// [`crate::event::Fact::Evidence`]).
    Process(ProcessKey),
    /// The same of a process whose namespace is to end.
    StopMember(ProcessKey),
    /// What exists now ([`crate::event::Fact::Seed`], [`crate::event::Fact::SeedDone`]): events were lost.
    Rescan,
    /// Where this cgroup id leads ([`crate::event::Fact::Cgroup`]).
    Cgroup(u64),
    /// How many pids this process may use ([`crate::event::Fact::Limits`]).
    Limits {
        /// The process.
        process: ProcessKey,
        /// Its cgroup, in case it is gone.
        cgroup: u64,
        /// When a fork of it failed: what was counted before tells nothing.
        failed: BootNs,
    },
}
