//! What a model knows and `/proc` does not show, told to another one: each file of a rotated recording begins with it.

use std::cmp::Reverse;

use super::{Model, life::Begin};
use crate::event::{Fact, KnownBegin, KnownZombie};

impl Model {
    /// When nothing ran, and what is known of the zombies that there are now, the youngest first. A model that takes this in after it
    /// was told what exists knows as much of them.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Fact> {
        let known = |process: &super::Process| {
            let zombie = process.zombie()?;
            let begin = match zombie.begin {
                Begin::Exact => KnownBegin::Exact,
                Begin::Exit => KnownBegin::Exit,
                Begin::Found => KnownBegin::Found,
            };
            let (waiter, waits_since) = (zombie.waiter(), zombie.waits_since());
            let (process, since, last_loss) = (process.key, zombie.since, self.last_loss);
            Some(KnownZombie { process, since, begin, waiter, waits_since, last_loss })
        };
        let mut zombies: Vec<KnownZombie> = self.table.iter().filter_map(known).collect();
        zombies.sort_unstable_by_key(|zombie| (Reverse(zombie.waits_since), zombie.process));
        let pauses = self.pauses.iter().map(|(from, until)| Fact::Paused { from, until });
        pauses.chain(zombies.into_iter().map(Fact::Zombie)).collect()
    }

    pub(super) fn on_known_zombie(&mut self, known: &KnownZombie) {
        let (key, waiter) = (self.table.canonical(known.process), self.table.canonical(known.waiter));
        let begin = match known.begin {
            KnownBegin::Exact => Begin::Exact,
            KnownBegin::Exit => Begin::Exit,
            KnownBegin::Found => Begin::Found,
        };
        self.last_loss = self.last_loss.max(known.last_loss);
        let recall =
            |process: &mut super::Process| process.life.recall_zombie(known.since, begin, waiter, known.waits_since);
        // It is older than those that were only found. The oldest is told last.
        if self.transit(key, recall) == Some(true)
            && let Some(entry) = self.ageing.pop_back()
        {
            self.ageing.push_front(entry);
        }
    }
}
