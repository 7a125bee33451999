//! The running kernel: its type information, the offsets of the fields that the eBPF programs read, and whether it
//! allows tracing.
//!
//! Not here: the programs and their loading, and anything about traced processes.

pub mod btf;
pub mod differences;
pub mod facts;
pub mod hook_btf;
pub mod offsets;
pub mod preflight;

pub use btf::{Btf, BtfError};
pub use offsets::{OffsetError, Resolved, resolve};
