//! The frozen globals that userspace fills in before the load.

use core::ptr::read_volatile;

use zombie_trace_ebpf::abi::{Offsets, Settings};

#[unsafe(no_mangle)]
pub(crate) static OFFSETS: Offsets = Offsets::NONE;

#[unsafe(no_mangle)]
pub(crate) static SETTINGS: Settings =
    Settings { follow: 0, ends: 0, syscalls_have_backup: 0, wakeup_bytes: 64 * 1024 };

/// One offset. Volatile, or the compiler would fold the initial value; still a constant for the verifier, because the
/// map behind it is frozen.
macro_rules! offset {
    ($field:ident) => {
        // SAFETY: a static of plain integers, never written after the load.
        unsafe { core::ptr::read_volatile(&raw const $crate::kernel::settings::OFFSETS.$field) }
    };
}
pub(crate) use offset;

/// Whether only followed processes send events.
#[inline(always)]
pub(crate) fn follows() -> bool {
    // SAFETY: a static of plain integers, never written after the load.
    unsafe { read_volatile(&raw const SETTINGS.follow) != 0 }
}

/// Whether every signal that ends a process is told of.
#[inline(always)]
pub(crate) fn tells_ends() -> bool {
    // SAFETY: as above.
    unsafe { read_volatile(&raw const SETTINGS.ends) != 0 }
}

/// How many waiting bytes wake the reader.
#[inline(always)]
pub(crate) fn wakeup_bytes() -> u64 {
    // SAFETY: as above.
    u64::from(unsafe { read_volatile(&raw const SETTINGS.wakeup_bytes) })
}

/// Whether the programs at system calls have a backup.
#[inline(always)]
pub(crate) fn syscalls_have_backup() -> bool {
    // SAFETY: as above.
    unsafe { read_volatile(&raw const SETTINGS.syscalls_have_backup) != 0 }
}
