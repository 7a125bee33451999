//! The per-CPU counters of the programs, summed up.

use zombie_trace_ebpf::abi::Counter;

/// What the programs counted since they were attached, over all CPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CounterValues([u64; Counter::COUNT as usize]);

impl CounterValues {
    /// The value of one counter.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.0.get(counter as usize).copied().unwrap_or(0)
    }

    pub(super) fn set(&mut self, counter: Counter, value: u64) {
        if let Some(slot) = self.0.get_mut(counter as usize) {
            *slot = value;
        }
    }
}
