//! Takes in what an earlier model knew, see [`super::snapshot`].
//!
//! It comes after the seeds of what exists and before any event. A model that was there all the time, or that also
//! reads the earlier file, knows it already, perhaps with another minimum age.

use super::{Asked, Fatal, Heritage, Model, life::Begin, pending, process::ExitedProcess};
use crate::event::{KnownBegin, KnownProcess, KnownStint, KnownZombie};

impl Model {
    pub(super) fn on_known_process(&mut self, known: &KnownProcess) {
        if !self.is_blank {
            return;
        }
        let key = self.table.canonical(known.process);
        let [forker, origin] = [known.forker, known.origin].map(|it| it.map(|it| self.table.canonical(it)));
        let min_age_ns = self.config.min_age_ns;
        let Some(process) = self.table.get_mut(key) else { return };
        let is_new_child = process.forker.is_none();
        process.preexisting &= forker.is_none();
        process.forker = process.forker.or(forker);
        process.origin = origin.or(process.origin);
        process.is_subreaper |= known.is_subreaper;
        process.asked = known.asked.as_ref().map(|asked| Box::new(Asked::recall(asked))).or(process.asked.take());
        process.fatal = known.fatal.as_ref().map(|fatal| Box::new(Fatal::recall(fatal))).or(process.fatal.take());
        process.is_counted_killed |= known.is_counted_killed;
        process.heritage = Heritage::recall(&known.heritage);
        if let Some(parent) = &known.parent {
            process.parenting_mut().recall(parent, min_age_ns);
            // It was looked at as this program: an exec would have made it begin anew.
            if let Some(facts) = parent.evidence.as_ref().and_then(|(_, evidence)| evidence.proc.as_ref()) {
                process.learn(facts);
            }
        }
        if let Some(signals) = known.signals.as_ref().filter(|_| process.is_init && !process.is_dead()) {
            let tally = process.signals.get_or_insert_default();
            let program = tally.program(&process.identity);
            tally.pending.recall(signals, &pending::Target { process: key, program: &program });
            self.wake_for_signals(key);
        }
        if let Some(forker) = forker.filter(|_| is_new_child) {
            let remains = known.dead_forker.as_ref().map(|it| ExitedProcess {
                key: forker,
                comm: it.comm,
                end: it.end,
                origin: it.origin.map(|origin| self.table.canonical(origin)),
                sigchld: it.sigchld,
                children: 0,
            });
            self.table.child_known(forker, remains);
        }
    }

    pub(super) fn on_known_zombie(&mut self, known: &KnownZombie) {
        let (key, waiter) = (self.table.canonical(known.process), self.table.canonical(known.waiter));
        let begin = match known.begin {
            KnownBegin::Exact => Begin::Exact,
            KnownBegin::Exit => Begin::Exit,
            KnownBegin::Found => Begin::Found,
        };
        self.last_loss = self.last_loss.max(known.last_loss);
        let canonical = |it: &KnownStint| KnownStint { process: self.table.canonical(it.process), ..*it };
        let former: Vec<KnownStint> = known.former.iter().map(canonical).collect();
        let (pauses, min_age_ns) = (self.pauses.clone(), self.config.min_age_ns);
        self.forget_numbers(key);
        let is_older = self.transit(key, |process| {
            let is_older = process.life.recall_zombie(known, begin, waiter);
            if let Some(own) = process.identity.ns.as_mut().filter(|ns| ns.inum == 0) {
                // `/proc` hides it for a zombie.
                let innermost = process.life.numbers().into_iter().rfind(|it| it.nr == own.nr && it.inum != 0);
                *own = innermost.unwrap_or(*own);
            }
            if let Some(zombie) = process.life.zombie_mut() {
                zombie.stints.recall(&former, |since, until| pauses.ran_ns(since, until) >= min_age_ns);
            }
            is_older
        });
        let numbers = self.table.get(key).map(|process| process.life.numbers());
        for number in numbers.iter().flatten().filter(|it| it.nr != 0) {
            self.by_number.entry((number.inum, number.nr)).or_insert(key);
        }
        // It is older than those that were only found. The oldest comes last.
        if is_older == Some(true)
            && let Some(entry) = self.ageing.pop_back()
        {
            self.ageing.push_front(entry);
        }
    }
}
