//! What could not be sent, and what is counted instead of sent.

/// Index into a [`CounterRow`]; each value only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Counter {
    /// Events that found no room in the ring buffer.
    Lost = 0,
    /// Processes whose wait calls are not counted because the map `WAIT_STATS` is full; once for each call.
    WaitStatsFull = 1,
    /// Wait calls whose arguments are not known because the map `WAITING` is full.
    WaitingFull = 2,
    /// Processes that are not followed because the map `FOLLOWED` is full.
    FollowedFull = 3,
    /// What a primary program was left out for and its backup did.
    Recovered = 4,
}

impl Counter {
    /// Number of counters.
    pub const COUNT: usize = Self::Recovered as usize + 1;
}

/// What the programs counted on one CPU, by [`Counter`]: a value of the array `COUNTERS`, which has one for each CPU
/// that there may be. A cache line long, so that CPUs do not get in each other's way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CounterRow(pub [u64; Self::LEN]);

impl CounterRow {
    /// Maximum number of counters.
    pub const LEN: usize = 8;
}

const _: () = assert!(Counter::COUNT <= CounterRow::LEN);
