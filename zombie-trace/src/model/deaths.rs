//! From the exit of a process to its reaping: when the zombie begins, who could reap it, when and by whom it is.
//!
//! The facts behind every branch are in `exit_notify`, `do_notify_parent` and `wait_consider_task` (`kernel/exit.c`,
//! `kernel/signal.c`), which did not change in what matters here from 5.10 to 7.2.

use super::{EVIDENCE_FRESH_NS, Identity, Inquiry, Model, Outcome};
use crate::event::{
    BootNs, ChildSignal, Comm, Exec, Exit, ExitStatus, Fork, Handler, NsPid, ProcessKey, SignalOutcome, Wait, WaitCall,
    WaitReport,
};

const SIGCHLD: i32 = 17;
const ECHILD: u32 = 10;
/// `WNOWAIT` of `waitid`: look, do not reap.
const WNOWAIT: u32 = 0x0100_0000;
/// So many parents that are gone are kept for the report.
const MAX_RETIRED: usize = 10_000;

/// How well the length of a zombie's life is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Begin and end were both seen.
    Exact,
    /// It was not longer than this: the end is known only from the freeing of its memory, a grace period after.
    UpperBound,
    /// It was not shorter than this: it was there before tracing began.
    LowerBound,
}

/// By what a zombie was reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A `wait4` call.
    Wait4,
    /// A `waitid` call.
    Waitid,
    /// Nobody waited: its parent, or the one that adopted it, discards the status.
    Auto,
    /// The kernel, for an init that tears its namespace down.
    Kernel,
    /// Not known: a call that is not seen (32-bit, io_uring), or lost events.
    Unknown,
}

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
    /// A wait call that returned it, but might only have looked.
    candidate: Option<(ProcessKey, WaitCall)>,
    numbers: [NsPid; 4],
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

/// A zombie that is gone, or a death that never was one.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// When.
    pub time: BootNs,
    /// Who.
    pub process: ProcessKey,
    /// Who, for people.
    pub identity: Identity,
    /// How it died.
    pub death: Death,
    /// How long it was a zombie, ns; 0 if it never was.
    pub zombie_ns: u64,
    /// How well that is known.
    pub precision: Precision,
    /// Who reaped it.
    pub reaper: Option<ProcessKey>,
    /// How.
    pub via: Via,
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
        let Some(process) = self.enter(child, time) else { return };
        process.forked(&Fork { forker, ..*fork }, parent);
        if is_new && let Some(forker) = self.enter(forker, time) {
            forker.children += 1;
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
            return;
        }
        let known = process.death.take();
        let is_first = known.as_ref().is_none_or(|it| it.preexisting);
        let waiter = match tracer {
            Some(tracer) if tracer.pid != parent.pid => tracer,
            _ => parent,
        };
        let mut death = known.unwrap_or_else(|| Box::new(Death::unseen(time, waiter)));
        death.exited = time;
        death.status = Some(exit.status);
        death.exit_signal = exit.exit_signal;
        death.parent = parent;
        death.tracer = exit.tracer;
        death.numbers = exit.ns;
        death.preexisting = false;
        death.discarded = exit.tracer.is_none() && exit.exit_signal == SIGCHLD && exit.parent_discards == Some(true);
        let begins_in_silence = exit.exit_signal == 0 && exit.tracer.is_none();
        process.death = Some(death);
        process.end = Some((time, exit.status));
        if is_first {
            self.totals.exits += 1;
        }
        for number in exit.ns.iter().filter(|it| it.nr != 0) {
            self.by_number.insert((number.inum, number.nr), key);
        }
        self.learn_cgroup(exit.cgroup);
        self.note_stop_exit(time, key, exit);
        if begins_in_silence {
            // No signal will tell of it. If the parent has called exec since the fork one will, and corrects this.
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
        let Some(process) = self.enter(child, time) else { return };
        let death = process.death.get_or_insert_with(|| Box::new(Death::unseen(time, target)));
        let to_tracer = death.tracer == Some(target.pid) && death.parent.pid != target.pid;
        if !to_tracer {
            death.parent = target;
        }
        death.child_signal = Some((signal.outcome, signal.handler, signal.blocked));
        let discards = signal.nocldwait || signal.handler == Handler::Ignore;
        if discards && !to_tracer && i32::try_from(signal.signal) == Ok(SIGCHLD) {
            death.discarded = true;
            return;
        }
        death.discarded = false;
        let begins = death.zombie_since.is_none() || (signal.child_is_current && !death.since_exact);
        let is_namespace_end = process.is_init && process.identity.level > 0;
        if begins {
            self.begin_zombie(child, time, true);
        }
        self.set_waiter(child, time, target);
        if is_namespace_end {
            self.end_namespace_of(child, time);
        }
    }

    /// An init is a zombie only after all others of its namespace were reaped (`zap_pid_ns_processes`), though the
    /// freeing of their memory may be yet to come.
    fn end_namespace_of(&mut self, init: ProcessKey, time: BootNs) {
        let mut left: Vec<ProcessKey> = self
            .table
            .iter()
            .filter(|process| process.death.as_ref().is_some_and(|death| death.waiter == init))
            .map(|process| process.key)
            .collect();
        left.sort_unstable();
        for key in left {
            self.close(key, time);
        }
        self.conclude_stop(init);
    }

    pub(super) fn on_wait(&mut self, time: BootNs, wait: &Wait) {
        let Some(number) = wait.child_nr else { return };
        if wait.errno == ECHILD || wait.report == WaitReport::Alive {
            return;
        }
        if wait.options.is_some_and(|options| options & WNOWAIT != 0) {
            return;
        }
        let Some(&child) = self.by_number.get(&(wait.ns, number)) else { return };
        let reaper = self.table.canonical(wait.reaper);
        let Some(death) = self.table.get_mut(child).and_then(|process| process.death.as_mut()) else { return };
        if death.zombie_since.is_none_or(|since| since > time) {
            return;
        }
        // A tracer's wait hands the zombie to the real parent (EXIT_TRACE), who was told so within that call.
        let handed_over = death.tracer == Some(reaper.pid) && death.parent.pid != reaper.pid;
        if handed_over {
            return;
        }
        let only_looked = match wait.call {
            WaitCall::Waitid => wait.options.is_none(),
            WaitCall::Wait4 => wait.report == WaitReport::Unknown && wait.options.is_none(),
        };
        if only_looked {
            death.candidate = Some((reaper, wait.call));
            return;
        }
        self.set_waiter(child, time, reaper);
        let via = match wait.call {
            WaitCall::Wait4 => Via::Wait4,
            WaitCall::Waitid => Via::Waitid,
        };
        self.end_zombie(child, time, Precision::Exact, Some(reaper), via);
    }

    pub(super) fn on_free(&mut self, time: BootNs, process: ProcessKey) {
        let key = self.table.canonical(process);
        self.close(key, time);
        self.leave(key);
    }

    /// The process is gone, in a way that was not seen: whatever it was, it ends now at the latest.
    pub(super) fn close(&mut self, key: ProcessKey, time: BootNs) {
        let Some(death) = self.table.get(key).and_then(|process| process.death.as_deref()) else { return };
        let parent = self.table.get(death.parent);
        let torn_down = parent.is_some_and(|it| it.is_init && it.death.is_some());
        if death.zombie_since.is_none() {
            let discarded = death.discarded && !torn_down;
            self.end_without_zombie(key, time, discarded);
            return;
        }
        let (reaper, via) = match death.candidate {
            Some((reaper, WaitCall::Wait4)) => (Some(reaper), Via::Wait4),
            Some((reaper, WaitCall::Waitid)) => (Some(reaper), Via::Waitid),
            None if death.discarded => (None, Via::Auto),
            None if torn_down => (None, Via::Kernel),
            None => (None, Via::Unknown),
        };
        self.end_zombie(key, time, Precision::UpperBound, reaper, via);
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

    /// Takes the process out of the table, and keeps it if there is something to say of it.
    pub(super) fn leave(&mut self, key: ProcessKey) {
        if self.table.get(key).is_some_and(|process| self.stops.concerns(process)) {
            self.conclude_stop(key);
        }
        let Some(process) = self.table.remove(key) else { return };
        if process.is_notable() {
            if self.retired.len() < MAX_RETIRED {
                self.retired.push(process);
            } else {
                self.totals.evicted += 1;
            }
        }
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

    pub(super) fn begin_zombie(&mut self, key: ProcessKey, time: BootNs, exact: bool) {
        let Some(death) = self.table.get_mut(key).and_then(|process| process.death.as_mut()) else { return };
        let is_new = death.zombie_since.is_none();
        death.zombie_since = Some(time);
        death.since_exact = exact;
        death.preexisting &= !exact;
        let waiter = death.waiter;
        self.ageing.push_back((time, key));
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

    fn set_waiter(&mut self, key: ProcessKey, time: BootNs, waiter: ProcessKey) {
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
        if death.aged || death.waits_since() != Some(since) {
            return;
        }
        death.aged = true;
        let waiter = death.waiter;
        let now = self.now;
        let Some(parent) = self.table.get_mut(waiter) else {
            self.announce(key);
            return;
        };
        let parenting = parent.parenting_mut();
        parenting.zombies_aged += 1;
        let fresh = parenting.evidence.as_ref().is_some_and(|(at, _)| *at >= since && at + EVIDENCE_FRESH_NS >= now);
        if fresh {
            self.announce(key);
            return;
        }
        let awaiting = self.awaiting.entry(waiter).or_default();
        awaiting.push(key);
        if awaiting.len() == 1 {
            self.inquiries.push_back(Inquiry::Process(waiter));
        }
    }

    pub(super) fn announce(&mut self, key: ProcessKey) {
        let is_zombie = self
            .table
            .get(key)
            .and_then(|process| process.death.as_ref())
            .is_some_and(|death| death.zombie_since.is_some());
        if is_zombie {
            self.outcomes.push_back(Outcome::Aged(key));
        }
    }

    fn end_zombie(
        &mut self,
        key: ProcessKey,
        time: BootNs,
        precision: Precision,
        reaper: Option<ProcessKey>,
        via: Via,
    ) {
        let Some((identity, death)) = self.take_death(key) else { return };
        let Some(since) = death.zombie_since else { return };
        let zombie_ns = time.saturating_sub(since);
        let precision = match precision {
            _ if death.preexisting => Precision::LowerBound,
            Precision::Exact if !death.since_exact => Precision::UpperBound,
            precision => precision,
        };
        self.totals.reaped += 1;
        self.totals.zombies_now = self.totals.zombies_now.saturating_sub(1);
        let is_late = zombie_ns >= self.config.min_age_ns;
        if let Some(parent) = self.table.get_mut(death.waiter) {
            let parenting = parent.parenting_mut();
            parenting.zombies_now = parenting.zombies_now.saturating_sub(1);
            if precision == Precision::Exact {
                parenting.latency.record(zombie_ns);
            }
            if matches!(via, Via::Wait4 | Via::Waitid | Via::Unknown) {
                parenting.reaped += 1;
                parenting.reaped_late += u64::from(is_late);
                parenting.reaped_unseen += u64::from(via == Via::Unknown);
                parenting.last_reap = Some(time);
            }
        }
        if precision == Precision::Exact {
            self.latency.record(zombie_ns);
        }
        if is_late {
            let ended = Ended { time, process: key, identity, death, zombie_ns, precision, reaper, via };
            self.outcomes.push_back(Outcome::Ended(Box::new(ended)));
        }
    }

    fn end_without_zombie(&mut self, key: ProcessKey, time: BootNs, discarded: bool) {
        let Some((identity, death)) = self.take_death(key) else { return };
        if !discarded {
            return;
        }
        self.totals.auto_reaped += 1;
        if let Some(parent) = self.table.get_mut(death.parent) {
            parent.parenting_mut().auto_reaped += 1;
        }
        let precision = Precision::UpperBound;
        let ended =
            Ended { time, process: key, identity, death, zombie_ns: 0, precision, reaper: None, via: Via::Auto };
        self.outcomes.push_back(Outcome::AutoReaped(Box::new(ended)));
    }

    /// Marks the process as reaped and takes what it was out.
    fn take_death(&mut self, key: ProcessKey) -> Option<(Identity, Death)> {
        let process = self.table.get_mut(key)?;
        let death = process.death.take()?;
        process.reaped = true;
        let identity = process.identity.clone();
        for number in death.numbers.iter().filter(|it| it.nr != 0) {
            let slot = (number.inum, number.nr);
            // The number may belong to a new process already.
            if self.by_number.get(&slot) == Some(&key) {
                self.by_number.remove(&slot);
            }
        }
        Some((identity, *death))
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
            candidate: None,
            numbers: [NsPid { nr: 0, inum: 0 }; 4],
        }
    }

    /// For a zombie found in `/proc`: its numbers, as far as its namespaces are known.
    pub(super) fn set_numbers(&mut self, numbers: [NsPid; 4]) {
        self.numbers = numbers;
    }
}
