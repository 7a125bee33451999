//! Signals that an init of a pid namespace does not get.
//!
//! The order of decisions is `sig_ignored` and `sig_task_ignored` at generation and `get_signal` at delivery
//! (`kernel/signal.c`).

use super::{BLOCKED_GRACE_NS, DELIVERY_GRACE_NS, Inquiry, Model, Outcome, Timer};
use crate::event::{BootNs, Comm, Deliver, Evidence, Handler, NsPid, ProcessKey, Signal, SignalOutcome};

const SIGKILL: u32 = 9;
const SIGCHLD: u32 = 17;
const SIGCONT: u32 = 18;
const SIGSTOP: u32 = 19;
const SIGURG: u32 = 23;
const SIGWINCH: u32 = 28;

/// So many different senders of one signal are told apart.
const MAX_SENDERS: usize = 16;

/// Why an init did not get a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// `SIG_DFL` in an init: the kernel drops what would end or stop it.
    NoHandler,
    /// SIGKILL or SIGSTOP from within the namespace.
    ProtectedFromInside,
    /// `SIG_IGN` was set.
    Ignored,
    /// Blocked, and nobody takes it from the queue.
    Blocked,
    /// Queued while it was blocked or traced, thrown away at delivery.
    DroppedAtDelivery,
    /// The same signal was pending already.
    Coalesced,
}

impl DropReason {
    /// The stable id.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::NoHandler => "no-handler",
            Self::ProtectedFromInside => "protected-from-inside",
            Self::Ignored => "ignored",
            Self::Blocked => "blocked",
            Self::DroppedAtDelivery => "dropped-at-delivery",
            Self::Coalesced => "coalesced",
        }
    }
}

/// Where a signal came from, seen from the init's namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// A process of the namespace, or of one below.
    Inside,
    /// A process that the init cannot see.
    Outside,
    /// The kernel itself: a timer, a terminal, a broken pipe.
    Kernel,
}

impl Relation {
    /// The name in machine output.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Inside => "inside",
            Self::Outside => "outside",
            Self::Kernel => "kernel",
        }
    }
}

/// Who sent a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Who.
    pub process: ProcessKey,
    /// Its name at that moment.
    pub comm: Comm,
    /// It in its own pid namespace.
    pub ns: NsPid,
    /// Its real user id.
    pub uid: u32,
    /// Its parent and that one's name, if they are known: `kill` says little, the shell or agent that ran it more.
    pub parent: Option<(ProcessKey, Comm)>,
}

/// A signal that an init did not get.
#[derive(Clone, Debug, PartialEq)]
pub struct DroppedSignal {
    /// When it was sent.
    pub time: BootNs,
    /// The init.
    pub target: ProcessKey,
    /// The signal.
    pub signal: u32,
    /// Why.
    pub reason: DropReason,
    /// Who sent it, unless the kernel did.
    pub sender: Option<Sender>,
    /// From where.
    pub relation: Relation,
}

/// One kind of drop, counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    /// The signal.
    pub signal: u32,
    /// Why.
    pub reason: DropReason,
    /// How often.
    pub count: u64,
    /// The first time.
    pub first: BootNs,
    /// The last time.
    pub last: BootNs,
    /// Who sent it, and how often; the kernel is `None`. Only so many are told apart, the rest is in `count` alone.
    pub senders: Vec<(Option<Sender>, Relation, u64)>,
}

/// What happened to the signals of an init.
#[derive(Clone, Debug, Default)]
pub struct SignalTally {
    /// What it did not get.
    pub drops: Vec<Tally>,
    /// Who last queued a signal that could not be delivered at once, by signal.
    queued: Vec<(u32, Option<Sender>, Relation)>,
    /// Blocked signals that are being watched.
    watched: Vec<u32>,
}

impl SignalTally {
    pub(super) fn is_notable(&self) -> bool {
        !self.drops.is_empty()
    }

    fn add(&mut self, dropped: &DroppedSignal) {
        let found = self.drops.iter_mut().position(|it| it.signal == dropped.signal && it.reason == dropped.reason);
        let index = found.unwrap_or_else(|| {
            self.drops.push(Tally {
                signal: dropped.signal,
                reason: dropped.reason,
                count: 0,
                first: dropped.time,
                last: dropped.time,
                senders: Vec::new(),
            });
            self.drops.len() - 1
        });
        let tally = &mut self.drops[index];
        tally.count += 1;
        tally.last = tally.last.max(dropped.time);
        let kind = |sender: Sender| (sender.comm, sender.uid, sender.parent.map(|(_, comm)| comm));
        let same = |known: &(Option<Sender>, Relation, u64)| {
            known.1 == dropped.relation && known.0.map(kind) == dropped.sender.map(kind)
        };
        if let Some(sender) = tally.senders.iter_mut().find(|it| same(it)) {
            sender.2 += 1;
        } else if tally.senders.len() < MAX_SENDERS {
            tally.senders.push((dropped.sender, dropped.relation, 1));
        }
    }
}

/// What to make of a signal at its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It got through, or nobody expects that it does.
    Fine,
    /// Ignored by default everywhere.
    Quiet,
    /// Thrown away.
    Dropped(DropReason),
    /// It is in the queue, and blocked.
    Queued(DropReason),
}

fn verdict(signal: &Signal) -> Verdict {
    if signal.target_exiting || !signal.unkillable {
        return Verdict::Fine;
    }
    let ignored_by_default = matches!(signal.signal, SIGCHLD | SIGCONT | SIGURG | SIGWINCH);
    match (signal.outcome, signal.handler) {
        (SignalOutcome::Ignored, Handler::Default) if ignored_by_default => Verdict::Quiet,
        (SignalOutcome::Ignored, Handler::Default) if matches!(signal.signal, SIGKILL | SIGSTOP) => {
            Verdict::Dropped(DropReason::ProtectedFromInside)
        }
        (SignalOutcome::Ignored, Handler::Default) => Verdict::Dropped(DropReason::NoHandler),
        (SignalOutcome::Ignored, Handler::Ignore) => Verdict::Dropped(DropReason::Ignored),
        (SignalOutcome::Delivered, _) if signal.blocked && !ignored_by_default => Verdict::Queued(DropReason::Blocked),
        (SignalOutcome::AlreadyPending, _) if signal.blocked && !ignored_by_default => {
            Verdict::Queued(DropReason::Coalesced)
        }
        _ => Verdict::Fine,
    }
}

impl Model {
    pub(super) fn on_signal(&mut self, time: BootNs, signal: &Signal) {
        if !signal.target_is_init {
            self.note_asked(time, signal);
            return;
        }
        let target = self.table.canonical(signal.target);
        let sender = (!signal.from_kernel).then(|| self.sender(signal));
        let relation = match (signal.from_kernel, signal.sender_inside) {
            (true, _) => Relation::Kernel,
            (false, true) => Relation::Inside,
            (false, false) => Relation::Outside,
        };
        self.learn_cgroup(signal.target_cgroup);
        let Some(process) = self.enter(target, time) else { return };
        process.is_init = true;
        process.identity.comm = signal.target_comm;
        process.identity.ns = Some(signal.target_ns);
        process.identity.level = signal.target_level;
        if signal.target_cgroup != 0 {
            process.identity.cgroup = signal.target_cgroup;
        }
        self.note_stop_signal(time, signal, target, sender, relation);
        let Some(process) = self.table.get_mut(target) else { return };
        let verdict = verdict(signal);
        let dropped = |reason| DroppedSignal { time, target, signal: signal.signal, reason, sender, relation };
        if signal.outcome == SignalOutcome::Delivered && (signal.blocked || signal.target_traced) {
            let queued = &mut process.signals.get_or_insert_default().queued;
            queued.retain(|it| it.0 != signal.signal);
            queued.push((signal.signal, sender, relation));
        }
        match verdict {
            Verdict::Fine => {}
            Verdict::Quiet => self.totals.quiet_signals += 1,
            Verdict::Dropped(reason) => self.note_drop(dropped(reason)),
            Verdict::Queued(reason) => {
                let watched = &mut process.signals.get_or_insert_default().watched;
                let is_first = !watched.contains(&signal.signal);
                if reason == DropReason::Coalesced || is_first {
                    let timer = Timer::Blocked(Box::new(dropped(reason)));
                    let is_set = self.set_timer(time.saturating_add(BLOCKED_GRACE_NS), timer);
                    if is_set
                        && reason == DropReason::Blocked
                        && let Some(process) = self.table.get_mut(target)
                    {
                        process.signals.get_or_insert_default().watched.push(signal.signal);
                    }
                }
            }
        }
    }

    /// Who sends, as it is now: `kill` and the like are gone in a moment.
    fn sender(&self, signal: &Signal) -> Sender {
        let process = self.table.canonical(signal.sender);
        let parent = self.table.get(process).and_then(|sender| self.table.get(sender.parent?));
        Sender {
            process,
            comm: signal.sender_comm,
            ns: signal.sender_ns,
            uid: signal.sender_uid,
            parent: parent.map(|parent| (parent.key, parent.identity.comm)),
        }
    }

    pub(super) fn on_deliver(&mut self, time: BootNs, deliver: &Deliver) {
        let target = self.table.canonical(deliver.target);
        let Some(process) = self.enter(target, time) else { return };
        process.is_init = true;
        let queued = process.signals.as_ref().and_then(|it| it.queued.iter().find(|it| it.0 == deliver.signal));
        let queued = queued.map(|&(_, sender, relation)| (sender, relation));
        // A handler that was there when it was sent is gone after exec: then it was not queued for want of one.
        let sent = queued.or_else(|| self.stops.sender_of(target, deliver.signal));
        let (sender, relation) = sent.unwrap_or((None, Relation::Kernel));
        let reason = DropReason::DroppedAtDelivery;
        let dropped = DroppedSignal { time, target, signal: deliver.signal, reason, sender, relation };
        self.set_timer(time.saturating_add(DELIVERY_GRACE_NS), Timer::Delivered(Box::new(dropped)));
    }

    /// The init took the signal and the grace has passed: if it lives, the kernel threw the signal away.
    pub(super) fn on_survived(&mut self, dropped: DroppedSignal) {
        let lives = self.table.get(dropped.target).is_some_and(|process| !process.is_dead());
        if lives {
            self.note_drop(dropped);
        }
    }

    /// A signal has been blocked for long: asks whether it still is.
    pub(super) fn on_blocked_long(&mut self, signal: DroppedSignal) {
        let target = signal.target;
        let Some(process) = self.table.get_mut(target) else { return };
        if let Some(signals) = &mut process.signals {
            signals.watched.retain(|&it| it != signal.signal);
        }
        if process.is_dead() {
            return;
        }
        let awaiting = self.awaiting_signals.entry(target).or_default();
        awaiting.push(signal);
        if awaiting.len() == 1 {
            self.inquiries.push_back(Inquiry::Process(target));
        }
    }

    /// An init that takes signals with `sigtimedwait` or a signalfd blocks them, too, but does not leave them pending.
    pub(super) fn judge_blocked(&mut self, signal: DroppedSignal, evidence: &Evidence) {
        let Some(facts) = &evidence.proc else { return };
        let bit = 1u64.checked_shl(signal.signal.wrapping_sub(1)).unwrap_or(0);
        if facts.blocked & bit != 0 && facts.pending & bit != 0 {
            self.note_drop(signal);
        }
    }

    fn note_drop(&mut self, dropped: DroppedSignal) {
        if let Some(process) = self.table.get_mut(dropped.target) {
            process.signals.get_or_insert_default().add(&dropped);
        }
        self.note_stop_dropped(&dropped);
        self.outcomes.push_back(Outcome::Dropped(Box::new(dropped)));
    }
}
