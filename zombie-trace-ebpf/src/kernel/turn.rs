//! Work that two programs share: the second does what the first was left out for (see [`crate::probes`]).

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use zombie_trace_ebpf::abi::Counter;

use super::{
    emit::count,
    maps::{DONE, DONE_BITS},
    settings::syscalls_again,
};

/// Which of the programs at one place this is.
#[derive(Clone, Copy)]
pub(crate) enum Turn {
    /// There is no other.
    Only,
    /// The one that does the work, and notes it.
    First,
    /// The one that does it if it was not noted.
    Again,
}

/// What a thread is doing; it does one of each at a time.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Doing {
    Exit,
    Exec,
    Wait,
    Fork,
}

impl Turn {
    /// The turn of the first program at a system call, which has a second on some kernels only.
    #[inline(always)]
    pub(crate) fn first_at_syscall() -> Self {
        if syscalls_again() { Self::First } else { Self::Only }
    }

    /// Whether it is for this program to tell what the running thread does. To be asked once and first of all: what the
    /// first one need not tell is no loss when it is left out. `which` tells what the thread does now from what it did
    /// last: when the second program was left out then, the note of the first is still there.
    #[inline(always)]
    pub(crate) fn is_mine(self, doing: Doing, which: u32) -> bool {
        if let Self::Only = self {
            return true;
        }
        let thread = bpf_get_current_pid_tgid() as u32;
        let place = (doing as u32) << DONE_BITS | thread & ((1 << DONE_BITS) - 1);
        let note = u64::from(which) << 32 | u64::from(thread);
        let Some(done) = DONE.get_ptr_mut(place) else { return true };
        if let Self::First = self {
            // SAFETY: a live map value.
            unsafe { *done = note };
            return true;
        }
        // SAFETY: as above.
        if unsafe { *done } == note {
            // SAFETY: as above.
            unsafe { *done = 0 };
            return false;
        }
        make_good();
        true
    }
}

/// Notes that a second program does what the first was left out for: what the kernel counts beyond that is lost.
#[inline(always)]
pub(crate) fn make_good() {
    count(Counter::MadeGood);
}
