//! Userspace of zombie-trace: library.
