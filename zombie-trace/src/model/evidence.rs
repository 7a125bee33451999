//! Answers about a process: what they change in the model, and which zombies wait for them.

use super::{Model, ModelEvent, Timer, parenting};
use crate::event::{BootNs, Evidence, ProcessKey};

impl Model {
    pub(super) fn on_evidence(&mut self, time: BootNs, evidence: &Evidence) {
        let key = self.table.canonical(evidence.process);
        let mut is_enough = true;
        let unseen = self.announced_unseen(key, evidence);
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
            && self.set_timer(time.saturating_add(parenting::SETTLING_NS), Timer::Still(key)).is_some();
        if !looks_again {
            self.on_reviewed(key);
            for zombie in self.awaiting.remove(&key).unwrap_or_default() {
                self.announce_or_query(zombie, Some(key));
            }
        }
        if let Some(zombie) = unseen {
            self.news.push_back(ModelEvent::Reviewed(zombie));
        }
        self.judge_pending(time, key, evidence);
    }

    /// The zombie that represents those of this process, if it was announced before anybody looked at the process, and
    /// this evidence is such a look. It happens when a recording is read with a lower minimum age than it was made
    /// with.
    fn announced_unseen(&self, waiter: ProcessKey, evidence: &Evidence) -> Option<ProcessKey> {
        let parenting = self.table.get(waiter)?.parenting.as_deref()?;
        let (zombie, _) = parenting.review?;
        let since = self.table.get(zombie)?.zombie()?.waits_since();
        let is_seen = parenting.evidence.as_ref().is_some_and(|(at, known)| *at >= since && !known.is_empty());
        (!is_seen && !evidence.is_empty()).then_some(zombie)
    }
}
