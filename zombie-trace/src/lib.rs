//! Userspace of zombie-trace: library.

pub mod container;
