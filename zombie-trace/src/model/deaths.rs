//! From the exit of a process on: when the zombie begins, and who could reap it since when.
//!
//! The facts behind every branch are in `exit_notify`, `do_notify_parent` and `wait_consider_task` (`kernel/exit.c`,
//! `kernel/signal.c`), which did not change in what matters here from 5.10 to 7.2.

use super::{EVIDENCE_FRESH_NS, Inquiry, Model, Outcome, ends::Released};
use crate::event::{
    BootNs, ChildSignal, Comm, Exec, Exit, ExitStatus, Fork, Handler, NsPid, ProcessKey, SignalOutcome, WaitCall,
};

const SIGCHLD: i32 = 17;

/// A process that is dying, or a zombie.
#[derive(Clone, Debug, PartialEq)]
pub struct Death {
    /// When the last thread exited, or when it was first seen dead.
    pub exited: BootNs,
    /// How it ended; `None` if that was not seen.
    pub status: Option<ExitStatus>,
    /// The signal for the parent: SIGCHLD after a plain fork, 0 for none.
    pub exit_signal: i32,
    /// Its real parent when it died; follows reparenting.
    pub parent: ProcessKey,
    /// Pid of its tracer when it died.
    pub tracer: Option<u32>,
    /// Who could wait for it since `waiter_since`: the parent, the adopter, or the tracer.
    pub waiter: ProcessKey,
    /// Since when.
    pub waiter_since: BootNs,
    /// When it became a zombie; `None` while it is still dying, or if it never does.
    pub zombie_since: Option<BootNs>,
    /// Whether `zombie_since` is the moment itself. If not, see `preexisting`; else it is the exit, a little before.
    pub since_exact: bool,
    /// It was a zombie before tracing began: `zombie_since` is when it was found.
    pub preexisting: bool,
    /// The parent discards the status of its children: there will be no zombie.
    pub discarded: bool,
    /// What became of the signal to the waiter: the outcome, the disposition, and whether it was blocked.
    pub child_signal: Option<(SignalOutcome, Handler, bool)>,
    /// It has reached the minimum age.
    pub aged: bool,
    /// Its exit was seen.
    pub(super) exit_seen: bool,
    /// A wait call that returned it, but might only have looked.
    pub(super) candidate: Option<(ProcessKey, WaitCall)>,
    /// It was seen to be reaped, but not by which call.
    pub(super) released: Option<Released>,
    pub(super) numbers: [NsPid; 4],
}

impl Death {
    /// Age of the zombie at this time, ns.
    #[must_use]
    pub fn age(&self, now: BootNs) -> Option<u64> {
        Some(now.saturating_sub(self.zombie_since?))
    }

    /// Since when its present waiter could have reaped it; `None` while it is no zombie.
    #[must_use]
    pub fn waits_since(&self) -> Option<BootNs> {
        Some(self.zombie_since?.max(self.waiter_since))
    }

    /// Whether a tracer other than the parent has to wait first.
    #[must_use]
    pub fn is_held_by_tracer(&self) -> bool {
        self.tracer == Some(self.waiter.pid) && self.waiter.pid != self.parent.pid
    }
}

/// What is said of a parent in passing, in an event about a child.
struct ParentGlimpse {
    comm: Comm,
    ns: Option<(NsPid, u32)>,
    is_init: bool,
    is_subreaper: bool,
}

impl Model {
    pub(super) fn on_fork(&mut self, time: BootNs, fork: &Fork) {
        let forker = self.table.canonical(fork.forker);
        let child = self.table.canonical(fork.child);
        let parent = if fork.parent_pid == forker.pid {
            forker
        } else {
            self.table.by_pid(fork.parent_pid).unwrap_or(ProcessKey { pid: fork.parent_pid, start_ns: 0 })
        };
        // Known already (found in /proc before its fork was read): counted once.
        let is_new = self.table.get(child).is_none_or(|process| process.forker.is_none());
        self.claim_numbers(child, time, [fork.ns]);
        let Some(process) = self.enter(child, time) else { return };
        process.forked(&Fork { forker, ..*fork }, parent);
        if is_new && let Some(forker) = self.enter(forker, time) {
            forker.children += 1;
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
        if let Some(process) = self.enter(key, time) {
            process.executed(exec);
        }
        self.learn_cgroup(exec.cgroup);
    }

    pub(super) fn on_exit(&mut self, time: BootNs, exit: &Exit) {
        let key = self.table.canonical(exit.process);
        let parent = self.table.canonical(exit.parent);
        self.glimpse_parent(
            time,
            parent,
            &ParentGlimpse {
                comm: exit.parent_comm,
                ns: None,
                is_init: exit.parent_is_init,
                is_subreaper: exit.parent_is_subreaper,
            },
        );
        // A dying init sets SIGCHLD to SIG_IGN for itself: what it tears down is not what it discarded in life.
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
            process.leader_died.get_or_insert(time);
            self.watch_dying(time, key);
            return;
        }
        // Not the death of the leader alone: the process is dead.
        process.leader_died = None;
        let known = process.death.take();
        let is_first = known.as_ref().is_none_or(|it| it.preexisting);
        let waiter = match tracer {
            Some(tracer) if tracer.pid != parent.pid => tracer,
            _ => parent,
        };
        let mut death = known.unwrap_or_else(|| Box::new(Death::unseen(time, waiter)));
        death.exited = time;
        death.exit_seen = true;
        death.waiter_since = death.waiter_since.min(time);
        death.status = Some(exit.status);
        death.exit_signal = exit.exit_signal;
        death.parent = parent;
        death.tracer = exit.tracer;
        death.numbers = exit.ns;
        death.preexisting = false;
        death.discarded =
            exit.tracer.is_none() && exit.exit_signal == SIGCHLD && exit.parent_discards == Some(true) && !torn_down;
        // Without an exit signal nothing will tell of it. If the parent has called exec since the fork a signal will,
        // and corrects this. One that was found to be a zombie before its exit was read is one since about the exit.
        let begins_now =
            (exit.exit_signal == 0 && exit.tracer.is_none()) || (death.zombie_since.is_some() && !death.since_exact);
        process.death = Some(death);
        process.end = Some((time, exit.status));
        if is_first {
            self.totals.exits += 1;
        }
        self.claim_numbers(key, time, exit.ns);
        self.learn_cgroup(exit.cgroup);
        if exit.is_init && exit.level > 0 {
            self.watch_dying(time, key);
        }
        self.note_stop_exit(time, key, exit);
        if begins_now {
            self.begin_zombie(key, time, false);
        }
    }

    pub(super) fn on_child_signal(&mut self, time: BootNs, signal: &ChildSignal) {
        let target = self.table.canonical(signal.target);
        self.glimpse_parent(
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
        if let Some(parent) = self.table.get_mut(target) {
            let tally = &mut parent.parenting_mut().child_signals;
            match signal.outcome {
                SignalOutcome::Ignored => tally[1] += 1,
                SignalOutcome::AlreadyPending => tally[2] += 1,
                _ => tally[0] += 1,
            }
        }
        let last_loss = self.last_loss;
        let Some(process) = self.enter(child, time) else { return };
        let death = process.death.get_or_insert_with(|| Box::new(Death::unseen(time, target)));
        let to_tracer = death.tracer == Some(target.pid) && death.parent.pid != target.pid;
        if !to_tracer {
            death.parent = target;
        }
        death.child_signal = Some((signal.outcome, signal.handler, signal.blocked));
        let discards = signal.nocldwait || signal.handler == Handler::Ignore;
        // do_notify_parent discards nothing that is traced, not even by its own parent.
        let is_traced = death.tracer == Some(target.pid);
        if discards && !is_traced && i32::try_from(signal.signal) == Ok(SIGCHLD) {
            death.discarded = true;
            return;
        }
        death.discarded = false;
        let begins = death.zombie_since.is_none() || (signal.child_is_current && !death.since_exact);
        let is_namespace_end = process.is_init && process.identity.level > 0;
        // Where another process tells of it and events were lost since the exit, the first signal may be among them.
        let is_first = signal.child_is_current || last_loss.is_none_or(|lost| lost < death.exited);
        let since = if is_first { time } else { death.exited };
        if begins {
            self.begin_zombie(child, since, is_first);
        }
        self.set_waiter(child, time, target);
        if is_namespace_end {
            self.end_namespace_of(child, time);
        }
    }

    /// The process, made if it is new; `None` if the table is full. A pid that comes up again means that its former
    /// owner is gone, whether that was seen or not.
    pub(super) fn enter(&mut self, key: ProcessKey, time: BootNs) -> Option<&mut super::Process> {
        if key.pid == 0 {
            return None;
        }
        if let (_, Some(former)) = self.table.upsert(key, time) {
            self.close(former, time);
            self.leave(former);
        }
        self.table.get_mut(key)
    }

    fn glimpse_parent(&mut self, time: BootNs, key: ProcessKey, glimpse: &ParentGlimpse) {
        let Some(parent) = self.enter(key, time) else { return };
        parent.identity.comm = glimpse.comm;
        parent.is_init = glimpse.is_init;
        parent.is_subreaper = glimpse.is_subreaper;
        if let Some((ns, level)) = glimpse.ns {
            parent.identity.ns = Some(ns);
            parent.identity.level = level;
        }
    }

    /// A number that comes up again means that its former owner was reaped, whether that was seen or not. Only the dead
    /// are found by their numbers.
    pub(super) fn claim_numbers(&mut self, key: ProcessKey, time: BootNs, numbers: impl IntoIterator<Item = NsPid>) {
        for number in numbers.into_iter().filter(|it| it.nr != 0) {
            let slot = (number.inum, number.nr);
            if let Some(&former) = self.by_number.get(&slot)
                && former != key
            {
                self.close(former, time);
            }
            if self.table.get(key).is_some_and(|it| it.death.is_some()) {
                self.by_number.insert(slot, key);
            }
        }
    }

    pub(super) fn begin_zombie(&mut self, key: ProcessKey, time: BootNs, exact: bool) {
        let Some(death) = self.table.get_mut(key).and_then(|process| process.death.as_mut()) else { return };
        let is_new = death.zombie_since.is_none();
        death.zombie_since = Some(time);
        death.since_exact = exact;
        death.preexisting &= !exact;
        death.waiter_since = if is_new { death.waiter_since } else { death.waiter_since.min(time) };
        let waiter = death.waiter;
        self.ageing.push_back((time.max(death.waiter_since), key));
        self.forget_stale_ages();
        if is_new {
            self.totals.zombies += 1;
            self.totals.zombies_now += 1;
            if let Some(parent) = self.table.get_mut(waiter) {
                parent.parenting_mut().gain(time);
            }
        }
    }

    /// Keeps the queue of ages in proportion to the zombies there are, however long the minimum age.
    fn forget_stale_ages(&mut self) {
        let zombies = usize::try_from(self.totals.zombies_now).unwrap_or(usize::MAX);
        if self.ageing.len() > 4096 && self.ageing.len() / 2 > zombies {
            let table = &self.table;
            self.ageing.retain(|&(since, key)| {
                table
                    .get(key)
                    .and_then(|process| process.death.as_ref())
                    .is_some_and(|death| death.waits_since() == Some(since) && !death.aged)
            });
        }
    }

    pub(super) fn set_waiter(&mut self, key: ProcessKey, time: BootNs, waiter: ProcessKey) {
        let Some(death) = self.table.get_mut(key).and_then(|process| process.death.as_mut()) else { return };
        if death.waiter == waiter {
            return;
        }
        let former = std::mem::replace(&mut death.waiter, waiter);
        death.waiter_since = time;
        if death.zombie_since.is_none() {
            return;
        }
        // The new waiter gets its own time before it is blamed.
        death.aged = false;
        self.ageing.push_back((time, key));
        if let Some(former) = self.table.get_mut(former) {
            let parenting = former.parenting_mut();
            parenting.zombies_now = parenting.zombies_now.saturating_sub(1);
        }
        if let Some(parent) = self.enter(waiter, time) {
            parent.parenting_mut().gain(time);
        }
    }

    /// A zombie is as old as it takes to be worth a word: asks after its parent, unless that was just done.
    pub(super) fn come_of_age(&mut self, since: BootNs, key: ProcessKey) {
        let Some(death) = self.table.get_mut(key).and_then(|process| process.death.as_mut()) else { return };
        if death.aged || death.released.is_some() || death.waits_since() != Some(since) {
            return;
        }
        death.aged = true;
        let waiter = death.waiter;
        if let Some(parent) = self.table.get_mut(waiter) {
            parent.parenting_mut().zombies_aged += 1;
        }
        self.announce_or_ask(key, None);
    }

    /// Announces a zombie that has come of age if what can be known of its waiter is known; else asks after that one
    /// first. `answered` is the process that was just asked after.
    pub(super) fn announce_or_ask(&mut self, key: ProcessKey, answered: Option<ProcessKey>) {
        let Some(death) = self.table.get(key).and_then(|process| process.death.as_deref()) else { return };
        // One that was adopted meanwhile comes of age again.
        let Some(since) = death.waits_since().filter(|_| death.aged) else { return };
        let waiter = death.waiter;
        let evidence = self
            .table
            .get(waiter)
            .map(|it| it.parenting.as_deref().filter(|it| it.is_settled()).and_then(|it| it.evidence.as_ref()));
        let is_known = match evidence {
            // Nothing is known of the waiter, and nothing will be.
            None => true,
            Some(None) => false,
            Some(Some((at, _))) => *at >= since && at.saturating_add(EVIDENCE_FRESH_NS) >= self.now,
        };
        if is_known || answered == Some(waiter) {
            self.outcomes.push_back(Outcome::Aged(key));
            return;
        }
        let awaiting = self.awaiting.entry(waiter).or_default();
        awaiting.push(key);
        if awaiting.len() == 1 {
            self.inquiries.push_back(Inquiry::Process(waiter));
        }
    }
}

impl Death {
    /// A death of which only this is known: at `time`, `waiter` could wait.
    pub(super) fn unseen(time: BootNs, waiter: ProcessKey) -> Self {
        Self {
            exited: time,
            status: None,
            exit_signal: SIGCHLD,
            parent: waiter,
            tracer: None,
            waiter,
            waiter_since: time,
            zombie_since: None,
            since_exact: false,
            preexisting: false,
            discarded: false,
            child_signal: None,
            aged: false,
            exit_seen: false,
            candidate: None,
            released: None,
            numbers: [NsPid { nr: 0, inum: 0 }; 4],
        }
    }

    /// Whether it can be found by a number.
    pub(super) fn has_numbers(&self) -> bool {
        self.numbers.iter().any(|it| it.nr != 0)
    }
}
