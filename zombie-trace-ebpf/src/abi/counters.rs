//! What could not be sent, and what is counted instead of sent.

/// Index into the per-CPU map `COUNTERS`; each value is a `u64` that only grows.
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
}

impl Counter {
    /// How many counters there are.
    pub const COUNT: u32 = 6;
    /// All counters, in the order of their index.
    pub const ALL: [Self; Self::COUNT as usize] =
        [Self::Lost, Self::Sent, Self::WaitStatsFull, Self::WaitingFull, Self::FollowedFull, Self::QuietSignals];
}
