//! What the maps of the kernel side refused because they were full.

use crate::event::KernelMap;

/// What was refused so far, by map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FullMaps {
    /// Processes that were not followed; see [`KernelMap::Followed`].
    pub followed: u64,
    /// Wait calls that were not counted, see [`KernelMap::WaitCounters`].
    pub wait_counters: u64,
    /// Wait calls whose arguments are not known, see [`KernelMap::WaitCalls`].
    pub wait_calls: u64,
}

impl FullMaps {
    /// Whether something was refused.
    #[must_use]
    pub fn any(self) -> bool {
        self != Self::default()
    }

    pub(super) fn add(&mut self, map: KernelMap, refused: u64) {
        let sum = match map {
            KernelMap::Followed => &mut self.followed,
            KernelMap::WaitCounters => &mut self.wait_counters,
            KernelMap::WaitCalls => &mut self.wait_calls,
        };
        *sum = sum.saturating_add(refused);
    }
}
