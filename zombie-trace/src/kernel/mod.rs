//! What this kernel looks like from inside: its type information, and from it where the fields are that the eBPF
//! programs read.
//!
//! Not here: which programs there are and how they are loaded, and anything that a traced process does.

pub mod btf;
pub mod offsets;

pub use btf::{Btf, BtfError};
pub use offsets::{OffsetError, Resolved, resolve};
