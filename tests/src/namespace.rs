//! A pid namespace and its lifetime.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::{Event, clock};

/// A pid namespace while a test watched it.
///
/// The kernel reuses the number of a namespace at once, so the tracer may report other namespaces with the same number:
/// the start time of a process decides, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    inode: u64,
    /// On the boot clock, ns.
    lived: RangeInclusive<u64>,
}

impl Namespace {
    /// The namespace with this inode, made after `began` on the boot clock and alive until the call.
    ///
    /// It must not be gone, or only just: the time since then counts as its own.
    pub fn until_now(inode: u64, began: u64) -> Self {
        Self { inode, lived: began..=clock::boot_now() }
    }

    /// The inode, as `pid_ns` in the machine output.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Whether a process of the machine output lived in it.
    pub fn has(&self, process: &Value) -> bool {
        process["pid_ns"] == self.inode && process["start_ns"].as_u64().is_some_and(|start| self.lived.contains(&start))
    }

    /// Whether the process in this field of an event lived in it.
    pub fn has_the(&self, field: &str, event: &Event) -> bool {
        self.has(&event.0[field])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_a_later_namespace_of_the_same_number_is_not_in_it() {
        let began = clock::boot_now();
        let namespace = Namespace::until_now(7, began);
        let later = clock::boot_now() + 1;
        assert!(namespace.has(&serde_json::json!({"pid_ns": 7, "start_ns": began})));
        assert!(!namespace.has(&serde_json::json!({"pid_ns": 7, "start_ns": later})));
        assert!(!namespace.has(&serde_json::json!({"pid_ns": 8, "start_ns": began})));
        assert!(!namespace.has(&serde_json::json!({"pid_ns": 7})));
    }
}
