//! What could not be sent, and what is counted instead of sent.

/// Index into a [`CounterRow`]; each value only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Counter {
    /// Events that did not fit into the ring buffer.
    Lost = 0,
    /// Events sent.
    Sent = 1,
    /// Processes whose wait calls are not counted because the map `WAIT_STATS` is full.
    WaitStatsFull = 2,
    /// Wait calls whose arguments are not known because the map `WAITING` is full.
    WaitingFull = 3,
    /// Descendants that could not be followed because the map `FOLLOWED` is full.
    FollowedFull = 4,
    /// Signals to an init whose default action is to be ignored (SIGCHLD, SIGURG, …) or that a timer sent and a
    /// handler took: never a drop.
    QuietSignals = 5,
    /// What a program was left out for and a second one at the same place did instead.
    MadeGood = 6,
}

impl Counter {
    /// How many counters there are.
    pub const COUNT: usize = Self::MadeGood as usize + 1;
}

/// What the programs counted on one CPU, by [`Counter`]: a value of the array `COUNTERS`, which has one for each CPU
/// that there may be. A cache line long, so that CPUs do not get in each other's way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CounterRow(pub [u64; Self::LEN]);

impl CounterRow {
    /// Room for so many counters.
    pub const LEN: usize = 8;
}

const _: () = assert!(Counter::COUNT <= CounterRow::LEN);
