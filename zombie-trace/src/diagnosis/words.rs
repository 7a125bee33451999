//! Small words for evidence.

pub(super) use crate::text::{duration, plural, size, times};

use crate::{event::Comm, text::escape};

/// Where in the kernel: ` in nfs_wait`. Symbol names are treated as any text.
pub(super) fn function(name: &str) -> String {
    format!(" in {}", escape::text(name.as_bytes()))
}

/// A process's name, or its pid if it has no known name.
pub(super) fn name(comm: &Comm, pid: u32) -> String {
    let name = escape::comm(comm);
    if name.is_empty() { format!("process {pid}") } else { name.into_owned() }
}
