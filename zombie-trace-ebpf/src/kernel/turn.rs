//! Work that two programs share: the second does what the first was left out for (see [`crate::probes`]).

use aya_ebpf::helpers::bpf_get_current_pid_tgid;

use super::maps::DONE;

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
    FailedFork,
}

impl Turn {
    /// Whether it is for this program to tell what the running thread does. To be asked once, where nothing else can
    /// keep it from being told.
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
            Self::Again => DONE.remove(thread).is_err(),
        }
    }
}
