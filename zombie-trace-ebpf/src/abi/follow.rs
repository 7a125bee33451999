//! Who is followed: the entries of the map `FOLLOWED`.

/// Userspace knows the start of a process only to this tick, ns: `/proc/PID/stat` counts hundredths of a second on every
/// architecture (`USER_HZ`).
pub const TICK_NS: u64 = 10_000_000;

/// What the filter wants to know of a process, as a number in [`Followed::role`].
pub mod follow_role {
    /// All events about it.
    pub const FOLLOWED: u64 = 1;
    /// It is not followed, but a process that is followed waits for it to reap: only its wait calls that name a child,
    /// and the children that it leaves behind.
    pub const REAPER: u64 = 2;
}

/// The key of a process in the map: its pid, and the tick in which it started. Both ends can tell it; who has it is told
/// by the value.
#[must_use]
pub const fn follow_key(tgid: u32, start_ns: u64) -> u64 {
    // After 497 days the tick wraps, but the value holds the whole start.
    (tgid as u64) << 32 | (start_ns / TICK_NS) as u32 as u64
}

/// A value of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Followed {
    /// `start_boottime` of the process, in ns: two processes may have one pid within one tick. 0 where userspace made the
    /// entry, until the process is first looked at.
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
