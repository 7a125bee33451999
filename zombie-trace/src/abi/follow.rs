//! The entries of the map `FOLLOWED`.

/// Userspace knows the start of a process only to this tick, ns: `/proc/PID/stat` counts hundredths of a second on
/// every architecture (`USER_HZ`).
pub const TICK_NS: u64 = 10_000_000;

/// What is sent about a process, as a number in [`Followed::role`].
pub mod follow_role {
    /// All events about it.
    pub const FOLLOWED: u64 = 1;
    /// Not followed, but must reap a followed process: only its wait calls that name a child, and the children that it
    /// leaves behind.
    pub const REAPER: u64 = 2;
}

/// The key of a process in the map: its pid, and the tick in which it started, which both sides know. The value
/// identifies the process.
#[must_use]
pub const fn follow_key(tgid: u32, start_ns: u64) -> u64 {
    // The tick wraps after 497 days, but the value has the full start.
    (tgid as u64) << 32 | (start_ns / TICK_NS) as u32 as u64
}

/// A value of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Followed {
    /// `start_boottime` of the process, in ns, because two processes may have the same pid within a tick. 0 in entries
    /// made by userspace, until the process is first seen.
    pub start_ns: u64,
    /// See [`follow_role`].
    pub role: u64,
}

impl Followed {
    /// As userspace reads and writes it.
    #[must_use]
    pub const fn to_words(self) -> [u64; 2] {
        [self.start_ns, self.role]
    }

    /// As userspace reads and writes it.
    #[must_use]
    pub const fn from_words([start_ns, role]: [u64; 2]) -> Self {
        Self { start_ns, role }
    }
}
