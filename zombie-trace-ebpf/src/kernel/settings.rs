//! The frozen globals that userspace fills in before the load.
//!
//! The compiler must not fold their initial values, so it does not see which static a pointer leads to. The verifier does,
//! and takes what is read for constants, because the maps behind them are frozen. Reads that are not volatile keep the
//! programs short: much of their time goes into fetching their code.

use core::arch::asm;

use zombie_trace_ebpf::abi::{Offsets, Settings};

#[unsafe(no_mangle)]
pub(crate) static OFFSETS: Offsets = Offsets::NONE;

#[unsafe(no_mangle)]
pub(crate) static SETTINGS: Settings = Settings {
    follow: 0,
    ends: 0,
    syscalls_have_backup: 0,
    tasks_are_typed: 0,
    registers_have_helper: 0,
    page_shift: 12,
    reserved: [0; 6],
    wakeup_bytes: 64 * 1024,
};

/// The same static, but the compiler does not know that.
#[inline(always)]
fn opaque<T>(value: &'static T) -> &'static T {
    let known: *const T = value;
    let pointer: *const T;
    // An instruction, because the kernel takes no object that says of two source lines that they begin at the same one
    // (`kernel/bpf/verifier.c`, `check_btf_line`).
    // SAFETY: a move between registers.
    unsafe { asm!("{} = {}", out(reg) pointer, in(reg) known, options(pure, readonly, nostack)) };
    // SAFETY: the pointer is that of the static, which is never written after the load.
    unsafe { &*pointer }
}

#[inline(always)]
pub(crate) fn offsets() -> &'static Offsets {
    opaque(&OFFSETS)
}

#[inline(always)]
fn settings() -> &'static Settings {
    opaque(&SETTINGS)
}

/// One offset.
macro_rules! offset {
    ($field:ident) => {
        $crate::kernel::settings::offsets().$field
    };
}
pub(crate) use offset;

/// Whether only followed processes send events.
#[inline(always)]
pub(crate) fn follows() -> bool {
    settings().follow != 0
}

/// Whether every signal that ends a process is told of.
#[inline(always)]
pub(crate) fn tells_ends() -> bool {
    settings().ends != 0
}

/// How many waiting bytes wake the reader.
#[inline(always)]
pub(crate) fn wakeup_bytes() -> u64 {
    u64::from(settings().wakeup_bytes)
}

/// Whether the programs at system calls have a backup.
#[inline(always)]
pub(crate) fn syscalls_have_backup() -> bool {
    settings().syscalls_have_backup != 0
}

/// Whether the verifier knows the type behind the pointers to tasks.
#[inline(always)]
pub(crate) fn tasks_are_typed() -> bool {
    settings().tasks_are_typed != 0
}

/// Binary logarithm of the size of a page in bytes.
#[inline(always)]
pub(crate) fn page_shift() -> u32 {
    u32::from(settings().page_shift)
}

/// Whether the kernel says where a thread's registers are.
#[inline(always)]
pub(crate) fn registers_have_helper() -> bool {
    settings().registers_have_helper != 0
}
