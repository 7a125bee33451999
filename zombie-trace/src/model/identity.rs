//! Who a process is.

use crate::event::{Comm, NsPid};

/// Who a process is, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// Name, at most 15 bytes and a NUL; any bytes.
    pub comm: Comm,
    /// Number and namespace innermost; zero if unknown.
    pub ns: Option<NsPid>,
    /// Depth of that namespace.
    pub level: u32,
    /// Cgroup id; 0 if unknown.
    pub cgroup: u64,
    /// Real user id.
    pub uid: Option<u32>,
    /// Path of the executable, if it was looked up.
    pub exe: Option<Box<str>>,
    /// Arguments, if they were looked up.
    pub cmdline: Option<Box<[String]>>,
}
