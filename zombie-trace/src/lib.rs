//! Userspace of zombie-trace: library.

pub mod kernel;
