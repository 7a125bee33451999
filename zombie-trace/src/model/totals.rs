use super::{FullMaps, Overflows};

/// Sums over the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Processes that exited.
    pub exits: u64,
    /// Zombies that were seen, of any age.
    pub zombies: u64,
    /// Zombies that were reaped.
    pub reaped: u64,
    /// Children that never became zombies because their parent discards the status.
    pub auto_reaped: u64,
    /// Zombies that are there now.
    pub zombies_now: u64,
    /// Events lost.
    pub lost: u64,
    /// What did not fit into the tables.
    pub overflows: Overflows,
    /// What maps of the kernel side refused because they were full.
    pub full: FullMaps,
    /// Signals to inits that are ignored by default and so never count as dropped.
    pub quiet_signals: u64,
}
