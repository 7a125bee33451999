//! Reads of kernel and user memory.
//!
//! A read that fails is zero, and an address near zero, as of a field behind a null pointer, fails. So chains of
//! pointers are followed without branches, which keeps verification cheap: with a branch after every read the verifier
//! of 5.10 took minutes. If zero could be mistaken for a value, callers check the pointer.
//!
//! There are two ways to read the kernel's memory. Where the kernel says of which type the running task is (since 5.11),
//! a field is a plain load, a tenth of the cost of a call: the verifier knows the type behind such a pointer and behind
//! every pointer in it, and has the load return zero if it faults. Elsewhere, and behind pointers whose type it does
//! not know, a helper does it, which clears its destination if it fails (`kernel/trace/bpf_trace.c`,
//! `bpf_probe_read_kernel_common`).

use core::arch::asm;

use aya_ebpf::helpers::generated;
use zombie_trace_ebpf::abi::ABSENT;

use super::settings::tasks_are_typed;

/// Types for which any bits are a valid value, including zero.
pub(crate) trait Plain: Copy {
    /// The value at an address whose type the verifier knows.
    ///
    /// # Safety
    /// The verifier checks the access: a program with another one is not loaded.
    unsafe fn load(address: u64) -> Self;
}

// In assembly, because the compiler must neither split such a load nor join two.
macro_rules! plain {
    ($($type:ty: $load:literal,)*) => {
        $(impl Plain for $type {
            #[inline(always)]
            unsafe fn load(address: u64) -> Self {
                let value: u64;
                // SAFETY: as the caller says.
                unsafe { asm!($load, out(reg) value, in(reg) address, options(pure, readonly, nostack)) };
                value as Self
            }
        })*
    };
}
plain! {
    u8: "{} = *(u8 *)({} + 0)",
    u32: "{} = *(u32 *)({} + 0)",
    i32: "{} = *(u32 *)({} + 0)",
    u64: "{} = *(u64 *)({} + 0)",
}

impl Plain for [u8; 16] {
    #[inline(always)]
    unsafe fn load(address: u64) -> Self {
        // SAFETY: as the caller says; all bits are a value of either type.
        unsafe { core::mem::transmute([u64::load(address), u64::load(address.wrapping_add(8))]) }
    }
}

/// Reads a `T` at `base + offset`, where `base` is a task or was read through [`read`] from one, and `offset` is a
/// frozen constant; zero if the field is absent or cannot be read.
#[inline(always)]
pub(crate) fn read<T: Plain>(base: u64, offset: u32) -> T {
    // Frozen constants: the verifier follows only one side.
    if offset != ABSENT && tasks_are_typed() {
        // SAFETY: the verifier knows what is there.
        return unsafe { T::load(base.wrapping_add(u64::from(offset))) };
    }
    read_untyped(base, offset)
}

/// The same from anywhere.
#[inline(always)]
pub(crate) fn read_untyped<T: Plain>(base: u64, offset: u32) -> T {
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
    // SAFETY: as in `read_untyped`.
    let mut value: T = unsafe { core::mem::zeroed() };
    // SAFETY: as in `read_untyped`.
    unsafe {
        generated::bpf_probe_read_user((&raw mut value).cast(), size_of::<T>() as u32, address as *const _);
    }
    value
}
