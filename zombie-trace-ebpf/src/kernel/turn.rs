//! Work that two programs share: the second does what the first was left out for (see [`crate::probes`]).

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use zombie_trace_ebpf::abi::Counter;

use super::{emit::count, maps::DONE, settings::syscalls_again};

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
    /// first one need not tell is no loss when it is left out.
    #[inline(always)]
    pub(crate) fn is_mine(self, doing: Doing) -> bool {
        let thread = u64::from(bpf_get_current_pid_tgid() as u32) << 8 | doing as u64;
        match self {
            Self::Only => true,
            Self::First => {
                // Full cannot be: the least recently used makes room.
                let _ = DONE.insert(thread, 1, 0);
                true
            }
            Self::Again => {
                let was_left_out = DONE.remove(thread).is_err();
                if was_left_out {
                    make_good();
                }
                was_left_out
            }
        }
    }
}

/// Notes that a second program does what the first was left out for: what the kernel counts beyond that is lost.
#[inline(always)]
pub(crate) fn make_good() {
    count(Counter::MadeGood);
}
