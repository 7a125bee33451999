//! Where events come from: `/proc` here; the live ring buffer and recordings beside it.

pub mod proc;
