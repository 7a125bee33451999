//! A tracer's objects in the kernel, and whether they still exist.

use std::collections::BTreeSet;
use std::os::fd::{FromRawFd, OwnedFd};

/// A BPF object by its id, which the kernel does not reuse soon (bpf(2), `BPF_*_GET_FD_BY_ID`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// A program.
    Program(u32),
    /// A map.
    Map(u32),
    /// The attachment of a program.
    Link(u32),
}

impl Object {
    fn parse(line: &str) -> Option<Self> {
        let (kind, id) = line.split_once(':')?;
        let id = id.trim().parse().ok()?;
        match kind {
            "prog_id" => Some(Self::Program(id)),
            "map_id" => Some(Self::Map(id)),
            "link_id" => Some(Self::Link(id)),
            _ => None,
        }
    }

    /// Whether the kernel still has it.
    pub fn exists(self) -> bool {
        let (command, id) = match self {
            Self::Program(id) => (13, id),
            Self::Map(id) => (14, id),
            Self::Link(id) => (30, id),
        };
        // The id, what to go on from, and flags; the kernel takes a shorter bpf_attr than its own.
        let attributes = [id, 0, 0];
        // SAFETY: the kernel reads as many bytes as it is told, and nothing else.
        let found = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_ptr(), size_of_val(&attributes)) };
        let Ok(descriptor) = i32::try_from(found) else { return false };
        if descriptor < 0 {
            return false;
        }
        // SAFETY: the kernel has just made this descriptor for us alone.
        drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
        true
    }
}

/// The objects that a process holds.
pub fn objects_of(pid: i32) -> BTreeSet<Object> {
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return BTreeSet::new() };
    let texts = descriptors.flatten().filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    texts.flat_map(|text| text.lines().filter_map(Object::parse).collect::<Vec<_>>()).collect()
}
