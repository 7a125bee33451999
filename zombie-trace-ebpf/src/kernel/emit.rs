//! Output: events into the ring buffer, and counters for what does not get there.

use core::arch::asm;

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns},
};
use zombie_trace_ebpf::abi::{Counter, CounterRow, EventKind, Header};

use super::{
    maps::{COUNTERS, EVENTS},
    settings::wakeup_bytes,
};

/// The last place in the first row of the counters, which says that a warning was given.
const WARNED: usize = CounterRow::LEN - 1;
const _: () = assert!(WARNED >= Counter::COUNT);

/// Boot-clock time, ns.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: no arguments, always succeeds.
    unsafe { bpf_ktime_get_boot_ns() }
}

#[inline(always)]
pub(crate) fn count(counter: Counter) {
    // SAFETY: no arguments, always succeeds.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    if let Some(row) = COUNTERS.get_ptr_mut(cpu) {
        // Atomic, because programs of one CPU may interrupt each other.
        // SAFETY: a live map value.
        unsafe { add(&raw mut (*row).0[counter as usize], 1) };
    }
}

/// Adds atomically. In assembly, because Rust has no atomic arithmetic for a target that may lack compare-and-swap;
/// every kernel with BPF knows this instruction.
///
/// # Safety
/// `value` is an aligned number inside a live map value.
#[inline(always)]
pub(crate) unsafe fn add(value: *mut u64, summand: u64) {
    // SAFETY: as the caller says.
    unsafe { asm!("lock *(u64 *)({} + 0) += {}", in(reg) value, in(reg) summand, options(nostack)) };
}

/// Whether there was no warning yet: a full map causes one warning, but is counted each time.
#[inline(always)]
pub(crate) fn is_first_warning() -> bool {
    let Some(row) = COUNTERS.get_ptr_mut(0) else { return false };
    // SAFETY: a live map value. Two CPUs may both be the first.
    let warned = unsafe { &mut (*row).0[WARNED] };
    core::mem::replace(warned, 1) == 0
}

/// The header of an event of type `T` that happens now.
#[inline(always)]
pub(crate) fn header<T>(kind: EventKind) -> Header {
    Header {
        time_ns: now(),
        kind: kind as u16,
        len: size_of::<T>() as u16,
        // SAFETY: no arguments, always succeeds.
        cpu: unsafe { bpf_get_smp_processor_id() },
    }
}

/// Sends one event. The reader is woken only when enough bytes are waiting, because a wake-up costs tens of times as
/// much as an event. Crossing the threshold wakes, so that a slow reader is not woken repeatedly; a reader that missed
/// it returns by its own timer.
#[inline(always)]
pub(crate) fn emit<T: 'static>(event: T) {
    let Some(mut entry) = EVENTS.reserve::<T>(0) else {
        count(Counter::Lost);
        return;
    };
    entry.write(event);
    let threshold = wakeup_bytes();
    let waiting = EVENTS.query(u64::from(BPF_RB_AVAIL_DATA));
    let record = size_of::<T>() as u64 + 8;
    let crossed = waiting >= threshold && waiting < threshold + record;
    entry.submit(u64::from(if crossed { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP }));
}
