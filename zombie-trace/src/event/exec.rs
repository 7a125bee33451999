//! A process calls exec.

use serde::{Deserialize, Serialize};

use super::{Comm, ProcessKey};

/// See [`crate::abi::ExecEvent`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exec {
    /// The process.
    pub process: ProcessKey,
    /// Thread id of the caller before; differs from the pid if a non-leader thread called exec.
    pub old_thread: u32,
    /// Real user id after.
    pub uid: u32,
    /// Cgroup.
    pub cgroup: u64,
    /// The new name.
    pub comm: Comm,
    /// SIGCHLD settings from the former program; `None` if unknown.
    pub sigchld: Option<SigchldAtExec>,
}

/// What exec keeps of SIGCHLD: that it is ignored, and the mask, but no handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigchldAtExec {
    /// `SIG_IGN`
    pub ignored: bool,
    /// Blocked.
    pub blocked: bool,
}
