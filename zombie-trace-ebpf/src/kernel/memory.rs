//! Reads of kernel and user memory. A failed read is `None`, never a made-up value.

use aya_ebpf::helpers::{bpf_probe_read_kernel, bpf_probe_read_user};
use zombie_trace_ebpf::abi::ABSENT;

/// Reads a `T` at `base + offset`; `None` if the base is null, the field is absent, or the read faults.
#[inline(always)]
pub(crate) fn read<T: Copy>(base: u64, offset: u32) -> Option<T> {
    if base == 0 || offset == ABSENT {
        return None;
    }
    // SAFETY: the helper checks the address and fails instead of faulting; every T used is a plain integer or array.
    unsafe { bpf_probe_read_kernel((base + u64::from(offset)) as *const T) }.ok()
}

/// Reads a pointer, `None` also if it is null.
#[inline(always)]
pub(crate) fn read_pointer(base: u64, offset: u32) -> Option<u64> {
    match read::<u64>(base, offset) {
        Some(0) | None => None,
        pointer => pointer,
    }
}

/// Reads a `T` of the current process's memory.
#[inline(always)]
pub(crate) fn read_user<T: Copy>(address: u64) -> Option<T> {
    if address == 0 {
        return None;
    }
    // SAFETY: as in `read`.
    unsafe { bpf_probe_read_user(address as *const T) }.ok()
}
