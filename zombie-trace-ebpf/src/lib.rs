//! The wire ABI between the eBPF programs and userspace, as the programs see it.
//!
//! It contains only the shared layouts, so it builds for the kernel (`no_std`, BPF target) and for the host. The files
//! lie in `zombie-trace`, so that its package is whole without this crate, which is never published.
#![no_std]

#[path = "../../zombie-trace/src/abi/mod.rs"]
pub mod abi;
