//! From the exit of a process on: when the zombie begins, and who could reap it since when.
//!
//! [`super::life`] decides what an event means for the process; this file prepares the event, and counts what changes
//! for parents and in the totals.

use super::{
    EVIDENCE_FRESH_NS, Life, Model, ModelEvent, ParentState, Process, Query,
    entered::Entered,
    life::{Announcement, SIGCHLD, current_stint, discarded_by},
};
use crate::event::{BootNs, ChildSignal, Comm, Exec, Exit, Fork, Handler, NsPid, ProcessKey};

/// What an event about a child says about its parent.
struct ParentGlimpse {
    comm: Comm,
    ns: Option<(NsPid, u32)>,
    is_init: bool,
    is_subreaper: bool,
}

impl Model {
    pub(super) fn on_fork(&mut self, time: BootNs, fork: &Fork) {
        self.busiest.add(fork.cgroup);
        let forker = self.table.canonical(fork.forker);
        let child = self.table.canonical(fork.child);
        let parent = if fork.parent_pid == forker.pid {
            forker
        } else {
            self.table.by_pid(fork.parent_pid).unwrap_or(ProcessKey { pid: fork.parent_pid, start_ns: 0 })
        };
        // A child found in /proc before its fork was read is counted once.
        let is_new = self.table.get(child).is_none_or(|process| process.forker.is_none());
        self.claim_pids(child, time, [fork.ns]);
        let descends = self.table.get(forker).is_some_and(|it| it.identity.descends);
        let entered = self.table.get(forker).and_then(|it| Entered::at_fork(it.entered, it.known_level(), fork));
        let Some(process) = self.enter(child, time) else { return };
        process.forked(&Fork { forker, ..*fork }, parent);
        process.entered = entered;
        process.identity.descends |= descends;
        self.note_stop_fork(time, forker);
        if is_new && let Some(forker) = self.enter(forker, time) {
            forker.children += 1;
            forker.heritage.forked_as = Some(fork.comm);
            if let Some(parenting) = &mut forker.parenting {
                parenting.rhythm.forked(time);
            }
            if forker.identity.comm[0] == 0 {
                forker.identity.comm = fork.comm;
            }
        }
        self.learn_cgroup(fork.cgroup);
    }

    pub(super) fn on_exec(&mut self, time: BootNs, exec: &Exec) {
        let key = self.table.canonical(exec.process);
        self.enter(key, time);
        self.note_stop_exec(time, key);
        self.forget_numbers(key);
        self.transit(key, |process| {
            process.life.executes();
            process.executed(time, exec);
        });
        if exec.sigchld.is_some_and(|it| it.ignored || it.blocked) {
            self.note_sources(key);
        }
        self.learn_cgroup(exec.cgroup);
    }

    pub(super) fn on_exit(&mut self, time: BootNs, exit: &Exit) {
        self.busiest.add(exit.cgroup);
        let key = self.table.canonical(exit.process);
        let parent = self.table.canonical(exit.parent);
        self.update_parent_from_event(
            time,
            parent,
            &ParentGlimpse {
                comm: exit.parent_comm,
                ns: None,
                is_init: exit.parent_is_init,
                is_subreaper: exit.parent_is_subreaper,
            },
        );
        // A dying init sets its SIGCHLD to SIG_IGN (`zap_pid_ns_processes`): this does not show that it discarded
        // statuses before.
        let torn_down = self.table.get(parent).is_some_and(|it| it.is_init && it.is_dead());
        let tracer = exit.tracer.map(|pid| self.table.by_pid(pid).unwrap_or(ProcessKey { pid, start_ns: 0 }));
        let Some(process) = self.enter(key, time) else { return };
        let identity = &mut process.identity;
        identity.comm = exit.comm;
        identity.uid = Some(exit.uid);
        identity.level = exit.level;
        identity.ns = exit.ns.iter().rev().find(|it| it.nr != 0).copied();
        if exit.cgroup != 0 {
            identity.cgroup = exit.cgroup;
        }
        process.is_init = exit.is_init;
        process.is_subreaper = exit.is_subreaper;
        process.parent = Some(parent);
        if !exit.group_dead {
            if process.life.leader_exits(time, exit.tracer, exit.ns) {
                self.watch_dying(time, key);
            }
            self.claim_pids(key, time, exit.ns);
            return;
        }
        let waiter = tracer.filter(|tracer| tracer.pid != parent.pid).unwrap_or(parent);
        let is_first =
            self.transit(key, |process| process.life.group_exits(time, exit, parent, waiter, torn_down)) == Some(true);
        if !is_first {
            return;
        }
        self.note_dead_init(time, key);
        self.totals.exits += 1;
        self.share(key, |share| share.exits += 1);
        self.claim_pids(key, time, exit.ns);
        self.learn_cgroup(exit.cgroup);
        if self.table.get(key).is_some_and(Process::is_dying) {
            self.watch_dying(time, key);
        }
        self.note_ending(time, key, exit);
        self.note_stop_exit(time, key, exit);
        self.leave_tracees(time, key);
    }

    /// A tracer exits. The zombies it held pass to their parents, which are notified unless the exit signal is 0.
    fn leave_tracees(&mut self, time: BootNs, tracer: ProcessKey) {
        let process = self.table.get(tracer);
        if process.and_then(|it| it.parenting.as_ref()).is_none_or(|it| it.zombies_now == 0) {
            return;
        }
        let is_silent = |process: &&Process| {
            let zombie = process.zombie().filter(|zombie| zombie.waiter() == tracer && zombie.is_held_by_tracer());
            // Being orphaned made its exit signal SIGCHLD (`kernel/exit.c`, `reparent_leader`): then the adopter is
            // notified.
            let is_orphan = |zombie: &super::life::Zombie| {
                // A parent that is no longer known is gone.
                self.table.get(zombie.death.parent).is_none_or(|parent| parent.life.is_dead())
            };
            zombie.is_some_and(|zombie| zombie.death.exit_signal == 0 && !is_orphan(zombie))
        };
        let mut silent: Vec<ProcessKey> = self.table.iter().filter(is_silent).map(|process| process.key).collect();
        silent.sort_unstable();
        for key in silent {
            self.transit(key, |process| process.life.passes_to_parent(time));
        }
    }

    pub(super) fn on_child_signal(&mut self, time: BootNs, signal: &ChildSignal) {
        let target = self.table.canonical(signal.target);
        self.update_parent_from_event(
            time,
            target,
            &ParentGlimpse {
                comm: signal.target_comm,
                ns: Some((signal.target_ns, signal.target_level)),
                is_init: signal.target_is_init,
                is_subreaper: signal.target_is_subreaper,
            },
        );
        let child = if signal.child_is_current {
            self.table.canonical(signal.current)
        } else {
            // Not found: forged, or about a death of which nothing else was seen.
            let Some(&child) = self.by_number.get(&(signal.target_ns.inum, signal.child_nr)) else { return };
            child
        };
        let is_sigchld = i32::try_from(signal.signal) == Ok(SIGCHLD);
        if let Some(parent) = self.table.get_mut(target).filter(|_| is_sigchld) {
            parent.parenting_mut().got_child_signal(time, signal);
        }
        if self.enter(child, time).is_none() {
            return;
        }
        let discards = (signal.nocldwait || signal.handler == Handler::Ignore) && is_sigchld;
        let told = Announcement {
            time,
            target,
            current: self.table.canonical(signal.current),
            by_itself: signal.child_is_current,
            discards,
            outcome: (signal.outcome, signal.handler, signal.blocked),
            last_loss: self.last_loss,
        };
        self.transit(child, |process| process.life.announced(&told));
        // The exit event has all numbers of a process. If it was missed, this is the one that the target waits for.
        let mut numbers = [NsPid { nr: 0, inum: 0 }; 4];
        numbers[0] = NsPid { nr: signal.child_nr, inum: signal.target_ns.inum };
        self.set_numbers(child, time, numbers);
        self.settle_later(child);
        let Some(process) = self.table.get(child) else { return };
        if process.is_nested_init() && process.zombie().is_some() {
            self.end_namespace_of(child, time);
        }
    }

    /// The process, added if it is new; `None` if the table is full. A reused pid means that its former owner is gone,
    /// whether or not that was seen.
    pub(super) fn enter(&mut self, key: ProcessKey, time: BootNs) -> Option<&mut Process> {
        if key.pid == 0 {
            return None;
        }
        if let (_, Some(former)) = self.table.upsert(key, time) {
            self.close(former, time);
            self.leave(former);
        }
        self.table.get_mut(key)
    }

    fn update_parent_from_event(&mut self, time: BootNs, key: ProcessKey, glimpse: &ParentGlimpse) {
        let Some(parent) = self.enter(key, time) else { return };
        parent.identity.comm = glimpse.comm;
        parent.is_init = glimpse.is_init;
        parent.is_subreaper = glimpse.is_subreaper;
        if let Some((ns, level)) = glimpse.ns {
            parent.identity.ns = Some(ns);
            parent.identity.level = level;
        }
    }

    /// A reused number means that its former owner was reaped, whether or not that was seen. Only dead processes are
    /// found by number.
    pub(super) fn claim_pids(&mut self, key: ProcessKey, time: BootNs, numbers: impl IntoIterator<Item = NsPid>) {
        for number in numbers.into_iter().filter(|it| it.nr != 0) {
            let slot = (number.inum, number.nr);
            if let Some(&former) = self.by_number.get(&slot)
                && former != key
            {
                self.close(former, time);
            }
            if self.table.get(key).is_some_and(|it| it.life.numbers().contains(&number)) {
                self.by_number.insert(slot, key);
            }
        }
    }

    /// Changes the life of a process, and updates the number of zombies, in total and of each waiter.
    pub(super) fn transit<R>(&mut self, key: ProcessKey, change: impl FnOnce(&mut Process) -> R) -> Option<R> {
        let process = self.table.get_mut(key)?;
        let (before, was_discarded_by) = (current_stint(&process.life), discarded_by(&process.life));
        let result = change(process);
        let (after, is_discarded_by) = (current_stint(&process.life), discarded_by(&process.life));
        if was_discarded_by != is_discarded_by {
            if let Some(parenting) = was_discarded_by.and_then(|parent| self.parenting_of(parent)) {
                parenting.discarding = parenting.discarding.saturating_sub(1);
            }
            if let Some(parenting) = is_discarded_by.and_then(|parent| self.parenting_of(parent)) {
                parenting.discarding += 1;
            }
        }
        if before == after {
            return Some(result);
        }
        let former = before.map(|stint| stint.process);
        if let Some(former) = former.filter(|&former| after.is_none_or(|stint| stint.process != former)) {
            self.end_review(former, key);
        }
        match after {
            Some(stint) => {
                self.ageing.push_back((stint.since, key));
                self.drop_stale_age_entries();
                if before.is_none() {
                    self.totals.zombies += 1;
                    self.totals.zombies_now += 1;
                    self.share(key, |share| share.zombies += 1);
                }
                if former != Some(stint.process) {
                    self.loses_zombie(former);
                    if let Some(before) = before.filter(|before| before.aged) {
                        self.passes_on(before.process, stint.process);
                    }
                    if let Some(waiter) = self.table.get_mut(stint.process) {
                        waiter.parenting_mut().gain(stint.since);
                    }
                }
            }
            // It was not a zombie after all.
            None => {
                self.totals.zombies = self.totals.zombies.saturating_sub(1);
                self.share(key, |share| share.zombies = share.zombies.saturating_sub(1));
                self.totals.zombies_now = self.totals.zombies_now.saturating_sub(1);
                self.loses_zombie(former);
            }
        }
        Some(result)
    }

    /// What a process is to its children. It may be freed before they are: the kernel frees dead processes in any
    /// order.
    pub(super) fn parenting_of(&mut self, parent: ProcessKey) -> Option<&mut ParentState> {
        let process = match self.table.get_mut(parent) {
            Some(process) => process,
            None => self.retired.get_mut(parent)?,
        };
        Some(process.parenting_mut())
    }

    /// An old zombie has passed from one waiter to another.
    fn passes_on(&mut self, from: ProcessKey, to: ProcessKey) {
        if let Some(parenting) = self.table.get_mut(from).map(Process::parenting_mut) {
            let before = parenting.passed_on.map_or(0, |(count, _)| count);
            parenting.passed_on = Some((before + 1, to));
        }
    }

    fn loses_zombie(&mut self, waiter: Option<ProcessKey>) {
        if let Some(waiter) = waiter.and_then(|key| self.table.get_mut(key)) {
            let parenting = waiter.parenting_mut();
            parenting.zombies_now = parenting.zombies_now.saturating_sub(1);
        }
    }

    /// Keeps the queue of ages no longer than the number of zombies requires, however high the minimum age.
    fn drop_stale_age_entries(&mut self) {
        let zombies = usize::try_from(self.totals.zombies_now).unwrap_or(usize::MAX);
        if self.ageing.len() > 4096 && self.ageing.len() / 2 > zombies {
            let table = &self.table;
            self.ageing.retain(|&(since, key)| {
                let zombie = table.get(key).and_then(Process::zombie);
                zombie.is_some_and(|zombie| zombie.waits_since() == since && !zombie.is_aged())
            });
        }
    }

    /// A zombie has reached the minimum age: asks about its parent, unless that was just done.
    pub(super) fn reach_min_age(&mut self, since: BootNs, key: ProcessKey) {
        let Some(process) = self.table.get_mut(key) else { return };
        let Life::Zombie(zombie) = &mut process.life else { return };
        if zombie.is_aged() || zombie.waits_since() != since {
            return;
        }
        if zombie.may_be_gone() {
            // A wait call returned it and may have reaped it. Only `/proc` shows whether it still exists.
            self.want_scan();
            return;
        }
        zombie.stints.current_mut().aged = true;
        let waiter = zombie.waiter();
        if let Some(parent) = self.table.get_mut(waiter) {
            parent.parenting_mut().zombies_aged += 1;
        }
        self.announce_or_query(key, None);
    }

    /// Announces a zombie that has reached the minimum age if all is known about its waiter, and else asks about the
    /// waiter first. `answered` is the process for which an answer has just arrived.
    pub(super) fn announce_or_query(&mut self, key: ProcessKey, answered: Option<ProcessKey>) {
        // A zombie adopted meanwhile reaches the minimum age again.
        let aged = self.table.get(key).and_then(Process::zombie).filter(|zombie| zombie.is_aged());
        let Some((since, waiter)) = aged.map(|zombie| (zombie.waits_since(), zombie.waiter())) else { return };
        let evidence = self
            .table
            .get(waiter)
            .map(|it| it.parenting.as_deref().filter(|it| it.is_settled()).and_then(|it| it.evidence.as_ref()));
        let is_known = match evidence {
            // Nothing will ever be known about the waiter.
            None => true,
            Some(None) => false,
            Some(Some((at, _))) => *at >= since && at.saturating_add(EVIDENCE_FRESH_NS) >= self.now,
        };
        if is_known || answered == Some(waiter) {
            self.news.push_back(ModelEvent::Aged(key));
            self.review_later(key);
            return;
        }
        let awaiting = self.awaiting.entry(waiter).or_default();
        awaiting.push(key);
        if awaiting.len() == 1 {
            self.queries.push_back(Query::Process(waiter));
        }
    }
}
