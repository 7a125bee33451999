//! Timers of the model.

use super::{Bounded, MAX_TIMERS, Model, Query, Timer, TimerKey};
use crate::event::BootNs;

impl Model {
    /// Sets a timer; `None` if there are too many already.
    pub(super) fn set_timer(&mut self, at: BootNs, timer: Timer) -> Option<TimerKey> {
        if self.timers.len() >= MAX_TIMERS {
            self.totals.overflows.add(Bounded::Timers);
            return None;
        }
        self.timer_count += 1;
        self.timers.insert((at, self.timer_count), timer);
        Some((at, self.timer_count))
    }

    pub(super) fn run_timers(&mut self) {
        while let Some(entry) = self.timers.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            match entry.remove() {
                Timer::Signals(init) => self.on_signals_due(init),
                Timer::Still(parent) => self.queries.push_back(Query::Process(parent)),
                Timer::Stop(init) => self.conclude_stuck_stop(init),
                Timer::Review(review) => self.ask_for_review(review),
            }
        }
    }
}
