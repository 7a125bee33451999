//! For replays only: counting from a later time on, and continuing after a gap that cannot be repaired.

use rustc_hash::FxHashMap;

use super::{Latency, Model, Totals, Zombie};
use crate::event::{BootNs, ProcessKey};

impl Model {
    /// Forgets what is over and keeps current processes, zombies, their waiters, and the evidence on their parents.
    /// Counts restart; a current zombie counts for its parent.
    pub fn begin_window(&mut self, time: BootNs) {
        let mut aged: FxHashMap<ProcessKey, u64> = FxHashMap::default();
        for zombie in self.table.iter().filter_map(|process| process.zombie()).filter(|zombie| zombie.is_aged()) {
            *aged.entry(zombie.waiter()).or_default() += 1;
        }
        for process in self.table.iter_mut() {
            process.signals = None;
            if let Some(parenting) = &mut process.parenting {
                parenting.zombies_aged = aged.get(&process.key).copied().unwrap_or(0);
                parenting.auto_reaped = 0;
                parenting.stolen = 0;
                parenting.reaped_late = 0;
                parenting.passed_on = None;
                parenting.latency = Latency::default();
            }
        }
        self.retired.clear();
        self.fork_failures.clear();
        self.stops.done.clear();
        self.endings.clear();
        self.totals =
            Totals { zombies: self.totals.zombies_now, zombies_now: self.totals.zombies_now, ..Totals::default() };
        self.latency = Latency::of_all();
        self.config.started = self.config.started.max(time);
        self.now = self.now.max(time);
    }

    /// Events are missing, and `/proc` of that time cannot be read. Dying processes and young zombies were most likely
    /// reaped in the gap; keeping them would be unfair to parents that waited. Zombies that had reached the minimum age
    /// stay.
    pub fn pass_gap(&mut self) {
        let mut fates_unknown: Vec<ProcessKey> = self
            .table
            .iter()
            .filter(|process| process.death().is_some() && !process.zombie().is_some_and(Zombie::is_aged))
            .map(|process| process.key)
            .collect();
        fates_unknown.sort_unstable();
        for key in fates_unknown {
            self.close(key, self.now);
            self.leave(key);
        }
        self.is_blank = true;
        self.gap = Some(self.now);
    }
}
