//! Names and numbers of a process.

use crate::event::{BootNs, Comm, KnownKill, NsPid, ProcessKey};

/// Who a process is, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// Name, at most 15 bytes and a NUL; any bytes.
    pub comm: Comm,
    /// Innermost number and namespace; zero if unknown.
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
    /// It is the command that is followed amid the whole machine, or descends from it.
    pub descends: bool,
}

impl Identity {
    /// Of a process that is gone, for the next file of a recording; without its arguments, to keep it small.
    pub(super) fn known_as(&self, process: ProcessKey, died: BootNs, asked_at: Option<BootNs>) -> KnownKill {
        KnownKill {
            process,
            comm: self.comm,
            ns: self.ns.map(|ns| (ns.nr, ns.inum)),
            level: self.level,
            cgroup: self.cgroup,
            uid: self.uid,
            exe: self.exe.clone(),
            died,
            asked_at,
        }
    }

    /// From what another reader knew.
    pub(super) fn recall(known: &KnownKill) -> Self {
        Self {
            comm: known.comm,
            ns: known.ns.map(|(nr, inum)| NsPid { nr, inum }),
            level: known.level,
            cgroup: known.cgroup,
            uid: known.uid,
            exe: known.exe.clone(),
            cmdline: None,
            descends: false,
        }
    }
}
