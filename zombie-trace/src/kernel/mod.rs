//! What this kernel looks like from inside: its type information, from it where the fields are that the eBPF programs
//! read, and whether it lets us trace at all.
//!
//! Not here: which programs there are and how they are loaded, and anything that a traced process does.

pub mod btf;
pub mod differences;
pub mod facts;
pub mod function_btf;
pub mod offsets;
pub mod preflight;

pub use btf::{Btf, BtfError};
pub use offsets::{OffsetError, Resolved, resolve};
