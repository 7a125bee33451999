//! Stops: what came of a signal that asked the init of a pid namespace to end.
//!
//! Who stops a container sends a signal, waits for a grace period and then kills. The signal is SIGTERM, or whatever
//! the image asks for: then it is known as one only by what follows, so any signal that a process outside sent is
//! remembered for a while. A SIGKILL that nothing came before is no stop, it is meant to kill; nor is a signal that a
//! process takes as something else (to reload) and that nothing follows.

use super::{Identity, Model, Outcome, Process, Relation, Sender, Timer, inits::DroppedSignal};
use crate::event::{BootNs, Exit, ExitStatus, ProcessKey, Signal};
use crate::model::DropReason;

const SIGKILL: u32 = 9;
const SIGTERM: u32 = 15;

/// A stop that took longer than this is called slow, ns: half the grace period of Docker.
const SLOW_NS: u64 = 5_000_000_000;
/// After so long, ns, the end of an init has nothing more to do with a SIGTERM; with a SIGKILL in a generous grace
/// period it may.
const TERM_EXPIRES_NS: u64 = 600_000_000_000;
const TERM_GRACE_NS: u64 = 3_600_000_000_000;
/// The same for other signals, which mean many things.
const OTHER_EXPIRES_NS: u64 = 10_000_000_000;
const OTHER_GRACE_NS: u64 = 120_000_000_000;
/// The same signal again within this time, ns, is the same stop.
const SAME_STOP_NS: u64 = 120_000_000_000;
/// When an init is dead for so long, ns, and its namespace is still not gone, the stop is told with what is known.
const TEARDOWN_NS: u64 = 5_000_000_000;

/// So many inits may be in a stop at a time.
const MAX_OPEN: usize = 4096;
/// So many different signals to one init are remembered.
const MAX_ATTEMPTS: usize = 8;
/// So many processes that were killed unasked are named.
const MAX_VICTIMS: usize = 128;
/// So many stops are kept for the report.
const MAX_DONE: usize = 10_000;

/// How a stop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopOutcome {
    /// The init ended by itself, soon.
    Clean,
    /// It ended by itself, late.
    Slow,
    /// It had to be killed.
    Failed,
}

impl StopOutcome {
    /// The name in machine output.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Slow => "slow",
            Self::Failed => "failed",
        }
    }
}

/// A process that was killed and had not been asked to end.
#[derive(Clone, Debug, PartialEq)]
pub struct Victim {
    /// Who.
    pub process: ProcessKey,
    /// Who, for people.
    pub identity: Identity,
    died: BootNs,
}

/// A stop that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// The init.
    pub target: ProcessKey,
    /// The init, for people.
    pub identity: Identity,
    /// How it ended.
    pub outcome: StopOutcome,
    /// How the init ended.
    pub status: ExitStatus,
    /// The signal that asked it to.
    pub signal: u32,
    /// When that was first sent.
    pub sent: BootNs,
    /// How often it was.
    pub count: u64,
    /// Who sent it first.
    pub sender: Option<Sender>,
    /// From where.
    pub relation: Relation,
    /// Why the init did not get it; `None` if it did.
    pub dropped: Option<DropReason>,
    /// When it ended: for a failed stop, when it was killed.
    pub ended: BootNs,
    /// Who killed it; `None` if it was not killed, or the SIGKILL was not seen.
    pub killed_by: Option<Sender>,
    /// Processes of the namespace that were killed since, or with it, and had got neither SIGTERM nor that signal.
    pub killed_unasked: Vec<Victim>,
    /// How many more of them there were.
    pub more_killed_unasked: u64,
    /// Events were lost meanwhile: who was asked is not known, and nobody is called a victim.
    pub uncertain: bool,
}

impl Stop {
    /// From the signal to the end, ns.
    #[must_use]
    pub fn took_ns(&self) -> u64 {
        self.ended.saturating_sub(self.sent)
    }
}

/// A signal that may be meant to stop an init.
#[derive(Clone, Debug)]
struct Attempt {
    signal: u32,
    first: BootNs,
    last: BootNs,
    count: u64,
    sender: Option<Sender>,
    relation: Relation,
    dropped: Option<DropReason>,
}

/// An init that got such signals.
#[derive(Clone, Debug)]
struct Watch {
    init: ProcessKey,
    attempts: Vec<Attempt>,
    /// The first SIGKILL that got through; without a sender it is the kernel's (out of memory).
    kill: Option<(BootNs, Option<Sender>)>,
    end: Option<(BootNs, ExitStatus)>,
    victims: Vec<Victim>,
    more_victims: u64,
}

/// Stops in progress, by the inode of the pid namespace, and those that are over.
#[derive(Debug, Default)]
pub(super) struct Stops {
    open: rustc_hash::FxHashMap<u32, Watch>,
    pub(super) done: Vec<Stop>,
}

/// Signals that ask for an end in somebody's convention. Job control and timers are none.
fn may_stop(signal: u32, relation: Relation) -> bool {
    match (signal, relation) {
        (SIGTERM, Relation::Inside | Relation::Outside) => true,
        // HUP, INT, QUIT, USR1, USR2, WINCH, PWR, and real-time signals, from SIGRTMIN of the C libraries on.
        (1..=3 | 10 | 12 | 28 | 30 | 34..=64, Relation::Outside) => true,
        _ => false,
    }
}

fn bit(signal: u32) -> u64 {
    1u64.checked_shl(signal.wrapping_sub(1)).unwrap_or(0)
}

impl Model {
    /// Stops that are over, the oldest first.
    #[must_use]
    pub fn stops(&self) -> &[Stop] {
        &self.stops.done
    }

    /// A process other than an init was sent a signal that ends processes: it was asked to.
    pub(super) fn note_asked(&mut self, time: BootNs, signal: &Signal) {
        if signal.signal == SIGKILL {
            return;
        }
        let target = self.table.canonical(signal.target);
        let Some(process) = self.enter(target, time) else { return };
        process.asked |= bit(signal.signal);
        process.identity.comm = signal.target_comm;
        process.identity.ns.get_or_insert(signal.target_ns);
        if signal.target_cgroup != 0 {
            process.identity.cgroup = signal.target_cgroup;
        }
    }

    /// A signal was sent to an init. Whether it got it may turn out later, see [`Self::note_stop_dropped`].
    pub(super) fn note_stop_signal(
        &mut self,
        time: BootNs,
        signal: &Signal,
        target: ProcessKey,
        sender: Option<Sender>,
        relation: Relation,
    ) {
        if signal.target_level == 0 {
            return;
        }
        let namespace = signal.target_ns.inum;
        if signal.signal == SIGKILL {
            // It shows as exiting already: `complete_signal` comes before the tracepoint.
            let got_through = signal.outcome != crate::event::SignalOutcome::Ignored;
            if got_through && let Some(watch) = self.stops.watch(namespace, target) {
                watch.kill.get_or_insert((time, sender));
            }
            return;
        }
        if signal.target_exiting || !may_stop(signal.signal, relation) {
            return;
        }
        if self.stops.open.get(&namespace).is_none_or(|watch| watch.init != target) {
            if self.stops.open.len() >= MAX_OPEN {
                self.totals.overflows.add(super::Bounded::OpenStops);
                return;
            }
            self.stops.open.insert(namespace, Watch::new(target));
        }
        if let Some(watch) = self.stops.watch(namespace, target) {
            watch.attempt(time, signal.signal, sender, relation);
        }
    }

    /// It has turned out that the init does not get a signal.
    pub(super) fn note_stop_dropped(&mut self, dropped: &DroppedSignal) {
        let found = self.stops.open.values_mut().find(|watch| watch.init == dropped.target);
        let attempt = found.and_then(|watch| watch.attempts.iter_mut().find(|it| it.signal == dropped.signal));
        // One that had to wait is dropped later than it is sent.
        let waited = dropped.reason == DropReason::DroppedAtDelivery;
        let is_of = |it: &Attempt| it.first <= dropped.time && (waited || dropped.time <= it.last);
        if let Some(attempt) = attempt.filter(|it| is_of(it)) {
            attempt.dropped.get_or_insert(dropped.reason);
        }
    }

    /// A process has exited: an init whose end this is, or a victim of one.
    pub(super) fn note_stop_exit(&mut self, time: BootNs, process: ProcessKey, exit: &Exit) {
        if self.stops.open.is_empty() {
            return;
        }
        let innermost = exit.ns.iter().rev().find(|it| it.nr != 0).map_or(0, |it| it.inum);
        if let Some(watch) = self.stops.watch(innermost, process) {
            watch.end = Some((time, exit.status));
            self.set_timer(time + TEARDOWN_NS, Timer::Stop(process));
            return;
        }
        let ExitStatus::Signal { signal: 9, .. } = exit.status else { return };
        let Some((asked, identity)) = self.table.get(process).map(|it| (it.asked, it.identity.clone())) else { return };
        // Of its own namespace and of each around it.
        for namespace in exit.ns.iter().filter(|it| it.nr != 0).map(|it| it.inum) {
            let Some(watch) = self.stops.open.get_mut(&namespace) else { continue };
            let asks = watch.attempts.iter().fold(bit(SIGTERM), |asks, attempt| asks | bit(attempt.signal));
            if asked & asks != 0 {
                continue;
            }
            if watch.victims.len() < MAX_VICTIMS {
                watch.victims.push(Victim { process, identity: identity.clone(), died: time });
            } else {
                watch.more_victims += 1;
            }
        }
    }

    /// Nothing more is to come from an init: it is a zombie, which is after all others of its namespace are gone, or
    /// it is itself gone, or it has been dying for long.
    pub(super) fn conclude_stop(&mut self, init: ProcessKey) {
        let Some(namespace) = self.stops.open.iter().find(|(_, watch)| watch.init == init).map(|(&inum, _)| inum)
        else {
            return;
        };
        let identity = self.table.get(init).map(|process| process.identity.clone()).unwrap_or_default();
        let Some(stop) = self.stops.open.remove(&namespace).and_then(|watch| watch.conclude(identity, self.last_loss))
        else {
            return;
        };
        if stop.outcome == StopOutcome::Failed {
            self.outcomes.push_back(Outcome::StopFailed(Box::new(stop.clone())));
        }
        if self.stops.done.len() < MAX_DONE {
            self.stops.done.push(stop);
        } else {
            self.totals.overflows.add(super::Bounded::PastStops);
        }
    }
}

impl Stops {
    fn watch(&mut self, namespace: u32, init: ProcessKey) -> Option<&mut Watch> {
        self.open.get_mut(&namespace).filter(|watch| watch.init == init)
    }

    /// Who sent an init a signal that may stop it, and from where.
    pub(super) fn sender_of(&self, init: ProcessKey, signal: u32) -> Option<(Option<Sender>, Relation)> {
        let watch = self.open.values().find(|watch| watch.init == init)?;
        let attempt = watch.attempts.iter().find(|attempt| attempt.signal == signal)?;
        Some((attempt.sender, attempt.relation))
    }

    /// Whether the init of a namespace is to be concluded.
    pub(super) fn concerns(&self, process: &Process) -> bool {
        !self.open.is_empty() && process.is_init
    }
}

impl Watch {
    fn new(init: ProcessKey) -> Self {
        Self { init, attempts: Vec::new(), kill: None, end: None, victims: Vec::new(), more_victims: 0 }
    }

    fn attempt(&mut self, time: BootNs, signal: u32, sender: Option<Sender>, relation: Relation) {
        if let Some(known) = self.attempts.iter_mut().find(|it| it.signal == signal)
            && time.saturating_sub(known.last) <= SAME_STOP_NS
        {
            known.last = known.last.max(time);
            known.count += 1;
            return;
        }
        self.attempts.retain(|it| it.signal != signal);
        if self.attempts.len() == MAX_ATTEMPTS {
            self.attempts.remove(0);
        }
        self.attempts.push(Attempt { signal, first: time, last: time, count: 1, sender, relation, dropped: None });
        let first = self.attempts.iter().map(|it| it.first).min().unwrap_or(time);
        self.victims.retain(|victim| victim.died >= first);
        if self.victims.is_empty() {
            self.more_victims = 0;
        }
    }

    fn conclude(self, identity: Identity, last_loss: Option<BootNs>) -> Option<Stop> {
        let (ended, status) = self.end?;
        let is_killed = matches!(status, ExitStatus::Signal { signal: 9, .. });
        let (outcome, attempt, ended) = match (is_killed, self.kill) {
            // The kernel kills for want of memory, which is another story.
            (true, Some((_, None))) => return None,
            (true, kill) => {
                let (killed, killer) = kill.map_or((ended, None), |(time, killer)| (time, killer));
                (StopOutcome::Failed, self.unheeded(killed, killer.as_ref())?, killed)
            }
            (false, _) if matches!(status, ExitStatus::Signal { .. }) => return None,
            (false, _) => {
                let attempt = self.heeded(ended)?;
                let is_slow = ended.saturating_sub(attempt.first) > SLOW_NS;
                (if is_slow { StopOutcome::Slow } else { StopOutcome::Clean }, attempt, ended)
            }
        };
        let uncertain = last_loss.is_some_and(|lost| lost >= attempt.first);
        let attempt = attempt.clone();
        let mut victims = self.victims;
        victims.retain(|victim| victim.died >= attempt.first && !uncertain);
        Some(Stop {
            target: self.init,
            identity,
            outcome,
            status,
            signal: attempt.signal,
            sent: attempt.first,
            count: attempt.count,
            sender: attempt.sender,
            relation: attempt.relation,
            dropped: attempt.dropped,
            ended,
            killed_by: self.kill.and_then(|(_, killer)| killer).filter(|_| is_killed),
            killed_unasked: victims,
            more_killed_unasked: if uncertain { 0 } else { self.more_victims },
            uncertain,
        })
    }

    /// The signal that a SIGKILL at this time put through.
    fn unheeded(&self, killed: BootNs, killer: Option<&Sender>) -> Option<&Attempt> {
        let waited = |attempt: &Attempt| killed.saturating_sub(attempt.last);
        let term = self.attempts.iter().find(|it| it.signal == SIGTERM && waited(it) <= TERM_GRACE_NS);
        // Another signal may mean anything; it asked for an end if who sent it killed then.
        let by_the_same = |attempt: &&Attempt| match (&attempt.sender, killer) {
            (Some(sender), Some(killer)) => sender.process == killer.process || sender.comm == killer.comm,
            _ => false,
        };
        term.or_else(|| {
            self.attempts
                .iter()
                .filter(|it| it.signal != SIGTERM && waited(it) <= OTHER_GRACE_NS)
                .filter(by_the_same)
                .max_by_key(|it| it.last)
        })
    }

    /// The signal that made the init end by itself at this time.
    fn heeded(&self, ended: BootNs) -> Option<&Attempt> {
        let since = |attempt: &Attempt| ended.saturating_sub(attempt.last);
        let mut taken = self.attempts.iter().filter(|it| it.dropped.is_none());
        let term = taken.clone().find(|it| it.signal == SIGTERM && since(it) <= TERM_EXPIRES_NS);
        term.or_else(|| taken.rfind(|it| it.signal != SIGTERM && since(it) <= OTHER_EXPIRES_NS))
    }
}

#[cfg(test)]
#[path = "stops_tests.rs"]
mod tests;
