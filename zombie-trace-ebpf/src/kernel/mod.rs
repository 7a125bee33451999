//! Shared by the probes: reading kernel memory through resolved offsets, tasks, and output to userspace.

pub(crate) mod arguments;
pub(crate) mod emit;
pub(crate) mod follow;
pub(crate) mod maps;
pub(crate) mod memory;
pub(crate) mod memory_cgroup;
pub(crate) mod registers;
pub(crate) mod role;
pub(crate) mod settings;
pub(crate) mod task;
pub(crate) mod wait_stats;
