//! Reads of kernel and user memory.
//!
//! A read that fails is zero: the helper clears its destination then (`kernel/trace/bpf_trace.c`,
//! `bpf_probe_read_kernel_common`), and an address near zero, as of a field behind a null pointer, fails. So chains of
//! pointers are followed without branches, which keeps verification cheap: with a branch after every read the verifier
//! of 5.10 took minutes. If zero could be mistaken for a value, callers check the pointer.

use aya_ebpf::helpers::generated;
use zombie_trace_ebpf::abi::ABSENT;

/// Types for which any bits are a valid value, including zero.
pub(crate) trait Plain: Copy {}
impl Plain for u8 {}
impl Plain for u32 {}
impl Plain for i32 {}
impl Plain for u64 {}
impl Plain for [u8; 16] {}

/// Reads a `T` at `base + offset`; zero if the field is absent or cannot be read.
#[inline(always)]
pub(crate) fn read<T: Plain>(base: u64, offset: u32) -> T {
    // SAFETY: all bits zero are a value.
    let mut value: T = unsafe { core::mem::zeroed() };
    // A frozen constant: the verifier follows only one side.
    if offset != ABSENT {
        // SAFETY: the helper checks the source, and writes no more than the size of the destination.
        unsafe {
            generated::bpf_probe_read_kernel(
                (&raw mut value).cast(),
                size_of::<T>() as u32,
                (base.wrapping_add(u64::from(offset))) as *const _,
            );
        }
    }
    value
}

/// Reads a pointer, as a number.
#[inline(always)]
pub(crate) fn read_pointer(base: u64, offset: u32) -> u64 {
    read(base, offset)
}

/// Reads a `T` of the current process's memory; zero if it cannot be read.
#[inline(always)]
pub(crate) fn read_user<T: Plain>(address: u64) -> T {
    // SAFETY: as in `read`.
    let mut value: T = unsafe { core::mem::zeroed() };
    // SAFETY: as in `read`.
    unsafe {
        generated::bpf_probe_read_user((&raw mut value).cast(), size_of::<T>() as u32, address as *const _);
    }
    value
}
