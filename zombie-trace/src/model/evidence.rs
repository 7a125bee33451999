//! What was found out of a process on request: its part in the model, and who waits for it.

use super::{Model, Timer, parenting};
use crate::event::{BootNs, Evidence};

impl Model {
    pub(super) fn on_evidence(&mut self, time: BootNs, evidence: &Evidence) {
        let key = self.table.canonical(evidence.process);
        let mut is_enough = true;
        if let Some(process) = self.table.get_mut(key) {
            if let Some(facts) = &evidence.proc {
                process.learn(facts);
            }
            is_enough = process.parenting_mut().learn(time, evidence, &self.pauses);
        }
        self.on_dying_answered(key);
        self.note_stop_look(time, key, evidence);
        let is_awaited = self.awaiting.contains_key(&key) || self.awaiting_review.contains_key(&key);
        let looks_again = !is_enough
            && (is_awaited || self.is_in_stop(key))
            && self.set_timer(time + parenting::SETTLING_NS, Timer::Still(key)).is_some();
        if !looks_again {
            self.on_reviewed(key);
            for zombie in self.awaiting.remove(&key).unwrap_or_default() {
                self.announce_or_query(zombie, Some(key));
            }
        }
        self.judge_pending(time, key, evidence);
    }
}
