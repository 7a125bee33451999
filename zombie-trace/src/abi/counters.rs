//! Counters of what could not be sent, or is not sent.

/// Index into a [`CounterRow`]; each value only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Counter {
    /// Events without room in the ring buffer.
    Lost = 0,
    /// Processes whose wait calls are not counted because the map `WAIT_STATS` is full; once per call.
    WaitStatsFull = 1,
    /// Processes that are not followed because the map `FOLLOWED` is full.
    FollowedFull = 2,
    /// Runs that a primary program missed and its backup did.
    Recovered = 3,
}

impl Counter {
    /// Number of counters.
    pub const COUNT: usize = Self::Recovered as usize + 1;
}

/// What the programs counted on one CPU, by [`Counter`]: a value of the array `COUNTERS`, which has one per possible
/// CPU. A cache line long, so that CPUs do not share lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CounterRow(pub [u64; Self::LEN]);

impl CounterRow {
    /// Maximum number of counters.
    pub const LEN: usize = 8;
}

const _: () = assert!(Counter::COUNT <= CounterRow::LEN);
