//! Counting from a later time on: what was before is still known, and no longer told.

use rustc_hash::FxHashMap;

use super::{Latency, Model, Totals};
use crate::event::{BootNs, ProcessKey};

impl Model {
    /// Forgets what is over and keeps what is: processes, zombies, whose they are, and what was found out about their
    /// parents. Counts begin anew; a zombie that is there counts as one of its parent's.
    pub fn begin_window(&mut self, time: BootNs) {
        let mut aged: FxHashMap<ProcessKey, u64> = FxHashMap::default();
        for death in self.table.iter().filter_map(|process| process.death.as_deref()).filter(|death| death.aged) {
            *aged.entry(death.waiter).or_default() += 1;
        }
        for process in self.table.iter_mut() {
            process.signals = None;
            if let Some(parenting) = &mut process.parenting {
                parenting.zombies_aged = aged.get(&process.key).copied().unwrap_or(0);
                parenting.auto_reaped = 0;
                parenting.reaped_late = 0;
                parenting.latency = Latency::default();
            }
        }
        self.retired.clear();
        self.totals =
            Totals { zombies: self.totals.zombies_now, zombies_now: self.totals.zombies_now, ..Totals::default() };
        self.latency = Latency::default();
        self.config.started = self.config.started.max(time);
        self.now = self.now.max(time);
    }
}
