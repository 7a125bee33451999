//! The wire ABI between the eBPF programs and userspace.
//!
//! The lib target contains only the shared layouts, so it builds for the kernel (`no_std`, BPF target) and for the
//! host. Layout rules: `repr(C)`, fixed-width integers, explicit padding, no `bool`, no `Option`, no enum that carries
//! data. Every size and every offset that userspace relies on is asserted at compile time.
#![no_std]

pub mod abi;
