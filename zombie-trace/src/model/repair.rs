//! What `/proc` shows, at the start and again after events were lost.
//!
//! The source attaches the probes, hands over their events so far, reads `/proc`, and hands over the result before the
//! events that arrived meanwhile. So a seed may be older than what follows it, but not older than what came before it.

use super::{Life, Model, ModelEvent, Process, Query, Zombie};
use crate::event::{BootNs, NsPid, ProcessKey, Seed};

impl Model {
    /// Parents are linked when all processes are known, because a parent may come after its child.
    pub(super) fn on_seed(&mut self, time: BootNs, seed: &Seed) {
        let key = self.table.canonical_rounded(seed.process, seed.tick_ns);
        let started = self.config.started;
        let is_command = self.config.command == Some(seed.process.pid) && seed.process.start_ns < started;
        let Some(process) = self.enter(key, time) else { return };
        // If the fork was seen, the start is known better.
        process.preexisting |= process.forker.is_none() && seed.process.start_ns < started;
        process.seeded(seed);
        process.identity.descends |= is_command;
        if seed.is_zombie && seed.threads > 1 {
            // The leader is dead but other threads are not: nobody can reap it yet.
            let is_news = self.transit(key, |process| process.life.leader_found_dead(time, seed.tracer));
            if is_news == Some(true) {
                self.watch_dying(time, key);
            }
        }
        if !seed.is_zombie && self.table.get(key).is_some_and(|process| process.life.is_refuted_at(time)) {
            self.forget_numbers(key);
            self.transit(key, |process| process.life = Life::Alive);
        }
        self.learn_cgroup(seed.cgroup);
        self.unlinked.insert(key, (time, seed.clone()));
    }

    fn link(&mut self, time: BootNs, key: ProcessKey, seed: &Seed) {
        let parent = self.table.by_pid(seed.parent_pid).unwrap_or(ProcessKey { pid: seed.parent_pid, start_ns: 0 });
        // Its fork may have been lost.
        let descends = self.table.get(parent).is_some_and(|it| it.identity.descends);
        let Some(process) = self.table.get_mut(key) else { return };
        process.parent = Some(parent);
        process.identity.descends |= descends && process.forker.is_none();
        process.origin.get_or_insert(parent);
        let own_ns = process.identity.ns;
        if seed.is_zombie && seed.threads <= 1 {
            self.on_zombie_seed(time, key, parent, own_ns, seed);
        } else if seed.is_zombie {
            let parent_ns = self.table.get(parent).and_then(|it| it.identity.ns.map(|ns| (ns.inum, it.identity.level)));
            self.set_numbers(key, time, numbers(&seed.ns_pids, own_ns, parent_ns));
        }
    }

    fn on_zombie_seed(
        &mut self,
        time: BootNs,
        key: ProcessKey,
        parent: ProcessKey,
        own_ns: Option<NsPid>,
        seed: &Seed,
    ) {
        let waiter = match seed.tracer {
            Some(pid) if pid != parent.pid => self.table.by_pid(pid).unwrap_or(ProcessKey { pid, start_ns: 0 }),
            _ => parent,
        };
        let parent_ns = self.table.get(waiter).and_then(|it| it.identity.ns.map(|ns| (ns.inum, it.identity.level)));
        let numbers = numbers(&seed.ns_pids, own_ns, parent_ns);
        // An unknown waiter is kept unchanged: nothing is known about it.
        let known = Some(waiter).filter(|&waiter| self.table.get(waiter).is_some());
        let was_doubted = self.table.get(key).and_then(Process::zombie).is_some_and(Zombie::may_be_gone);
        let is_zombie =
            self.transit(key, |process| process.life.found_zombie(time, parent, seed.tracer, known, seed.status));
        if is_zombie != Some(true) {
            return;
        }
        let zombie = self.table.get(key).and_then(Process::zombie);
        if let Some(zombie) = zombie.filter(|it| was_doubted && !it.may_be_gone() && !it.is_aged()) {
            // It may have reached the minimum age while in doubt.
            self.ageing.push_front((zombie.waits_since(), key));
        }
        self.set_numbers(key, time, numbers);
    }

    pub(super) fn set_numbers(&mut self, key: ProcessKey, time: BootNs, numbers: [NsPid; 4]) {
        if self.table.get_mut(key).is_some_and(|process| process.life.set_numbers(numbers)) {
            self.claim_pids(key, time, numbers);
        }
    }

    /// The scan is complete. What was known when it began but was not found is gone.
    pub(super) fn on_seed_done(&mut self, time: BootNs, began: BootNs) {
        for (key, (read, seed)) in std::mem::take(&mut self.unlinked) {
            // A zombie counts from when it was read: it may have been reaped before the scan ended.
            self.link(read, key, &seed);
        }
        let mut gone: Vec<ProcessKey> = self
            .table
            .iter()
            .filter(|process| process.last_seen < began && process.key.start_ns < began)
            .map(|process| process.key)
            .collect();
        gone.sort_unstable();
        for key in gone {
            self.close(key, time);
            self.leave(key);
        }
    }

    pub(super) fn on_loss(&mut self, time: BootNs, events: u64) {
        self.totals.lost += events;
        self.busiest.lost(events);
        // Losses are counted after the ring is read, so they may be as new as the newest event.
        self.last_loss = Some(time.max(self.now));
        self.news.push_back(ModelEvent::Lost(events));
        self.want_scan();
    }

    pub(super) fn want_scan(&mut self) {
        if !self.rescan_wanted {
            self.rescan_wanted = true;
            self.queries.push_back(Query::Rescan);
        }
    }
}

/// The numbers of a zombie by namespace. `/proc` hides the namespace of a zombie, so the inodes are those of its own
/// namespace if that was known before, and of its waiter's, whose wait call will name the child by that number.
fn numbers(ns_pids: &[u32], own: Option<NsPid>, waiter: Option<(u32, u32)>) -> [NsPid; 4] {
    let mut numbers = [NsPid { nr: 0, inum: 0 }; 4];
    let innermost = ns_pids.len().saturating_sub(1);
    for (level, (&nr, slot)) in ns_pids.iter().zip(&mut numbers).enumerate() {
        let inum = match (own, waiter) {
            (Some(own), _) if level == innermost && own.inum != 0 => own.inum,
            (_, Some((inum, waiter_level))) if usize::try_from(waiter_level) == Ok(level) => inum,
            _ => 0,
        };
        *slot = NsPid { nr: if inum == 0 { 0 } else { nr }, inum };
    }
    numbers
}
