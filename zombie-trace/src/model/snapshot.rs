//! What a model knows and `/proc` does not show: each file of a rotated recording begins with it. [`super::recall`]
//! takes it in.

use std::cmp::Reverse;

use super::{Ancestor, Model, Process, life::Begin};
use crate::event::{Fact, KnownAncestor, KnownBegin, KnownProcess, KnownZombie, ProcessKey};

/// Maximum number of processes in it; those that had children come first.
const MAX_PROCESSES: usize = 65_536;

impl Model {
    /// Pauses, and what is known about processes, current zombies (the youngest first) and stops. A model that takes
    /// this in after the seeds knows as much about them.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Fact> {
        let pauses = self.pauses.iter().map(|(from, until)| Fact::Paused { from, until });
        let mut processes: Vec<KnownProcess> = self
            .table
            .iter()
            .filter_map(|it| Some(self.known_process(it)).filter(|known| is_telling(it, known)))
            .collect();
        processes.sort_unstable_by_key(|it| (it.parent.is_none(), it.process));
        processes.truncate(MAX_PROCESSES);
        let mut zombies: Vec<KnownZombie> = self.table.iter().filter_map(|it| self.known_zombie(it)).collect();
        zombies.sort_unstable_by_key(|zombie| (Reverse(zombie.waits_since), zombie.process));
        pauses
            .chain(processes.into_iter().map(Box::new).map(Fact::Process))
            .chain(zombies.into_iter().map(Box::new).map(Fact::Zombie))
            .chain(self.stops.known(self.last_loss).into_iter().map(Box::new).map(Fact::Stop))
            .collect()
    }

    fn known_zombie(&self, process: &Process) -> Option<KnownZombie> {
        // Of one whose memory is freed, nothing more comes.
        let zombie = process.zombie().filter(|_| !process.life.is_freed())?;
        let begin = match zombie.begin {
            Begin::Exact => KnownBegin::Exact,
            Begin::Exit => KnownBegin::Exit,
            Begin::Found => KnownBegin::Found,
        };
        Some(KnownZombie {
            process: process.key,
            since: zombie.since,
            begin,
            waiter: zombie.waiter(),
            waits_since: zombie.waits_since(),
            last_loss: self.last_loss,
            death: Some(zombie.death.known()),
            former: zombie.stints.known(),
        })
    }

    fn known_process(&self, process: &Process) -> KnownProcess {
        let dead = |key: ProcessKey| match self.table.ancestor(key)? {
            Ancestor::Alive(_) => None,
            Ancestor::Dead(remains) => Some(KnownAncestor {
                comm: remains.comm,
                end: remains.end,
                origin: remains.origin,
                sigchld: remains.sigchld,
            }),
        };
        // The next look at a process that is to end is compared with the last one.
        let is_watched = self.is_in_stop(process.key);
        let signals = process.signals.as_ref().map(|signals| signals.pending.known());
        KnownProcess {
            process: process.key,
            forker: process.forker,
            dead_forker: process.forker.and_then(dead),
            origin: process.origin,
            is_subreaper: process.is_subreaper,
            asked: process.asked.as_ref().map(|asked| asked.known()),
            fatal: process.fatal.as_ref().map(|fatal| Box::new(fatal.known())),
            is_counted_killed: process.is_counted_killed,
            heritage: process.heritage.known(),
            parent: process.parenting.as_ref().map(|it| Box::new(it.known(self.config.min_age_ns, is_watched))),
            signals: signals.filter(|it| *it != Default::default()).map(Box::new),
        }
    }
}

/// Whether it says more than the parent, which `/proc` shows.
fn is_telling(process: &Process, known: &KnownProcess) -> bool {
    *known != KnownProcess::of(process.key, process.parent)
}
