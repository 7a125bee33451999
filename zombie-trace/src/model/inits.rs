//! Signals that do not reach the init of a pid namespace.
//!
//! The order of decisions is `sig_ignored` and `sig_task_ignored` at generation and `get_signal` at delivery
//! (`kernel/signal.c`). Queued signals are decided later, see [`super::pending`].

use super::{
    Asked, DropReason, DroppedSignal, Model, ModelEvent, Query, Relation, Sender, Timer, Weight, pending::Turn,
};
use crate::{
    event::{BootNs, Deliver, Evidence, ExitStatus, Handler, ProcessKey, Signal, SignalOutcome},
    signal::{self, SIGKILL, SIGSTOP},
};

/// `si_code` of signals that the kernel sends from any context, such as expired timers and ready input.
const SI_TIMER: i32 = -2;
const SI_ASYNCIO: i32 = -4;

/// What happens to a signal at its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing expects it, or it is unknown.
    Nothing,
    /// Ignored, and its default is to be ignored.
    Quiet,
    /// It reaches a handler.
    Handled,
    /// Dropped.
    Dropped(DropReason),
    /// It is in the queue, and blocked.
    Queued,
    /// The same signal is already in the queue, and blocked.
    Coalesced,
    /// It is in the queue of a traced init, whose tracer sees it first.
    Traced,
}

impl Fate {
    fn of(signal: &Signal) -> Self {
        if signal.target_exiting || !signal.unkillable {
            return Self::Nothing;
        }
        let is_queued = matches!(signal.outcome, SignalOutcome::Delivered | SignalOutcome::LostInfo);
        match (signal.outcome, signal.handler) {
            (SignalOutcome::Ignored, _) if signal::is_ignored_by_default(signal.signal) => Self::Quiet,
            (SignalOutcome::Ignored, Handler::Default) if matches!(signal.signal, SIGKILL | SIGSTOP) => {
                Self::Dropped(DropReason::ProtectedFromInside)
            }
            (SignalOutcome::Ignored, Handler::Default) => Self::Dropped(DropReason::NoHandler),
            (SignalOutcome::Ignored, Handler::Ignore) => Self::Dropped(DropReason::Ignored),
            _ if is_queued && signal.blocked => Self::Queued,
            (SignalOutcome::AlreadyPending, _) if signal.blocked => Self::Coalesced,
            _ if is_queued && signal.target_traced => Self::Traced,
            (_, Handler::Function) if is_queued => Self::Handled,
            _ => Self::Nothing,
        }
    }
}

/// Whether a process sent the signal. A process may claim to be the kernel (`rt_sigqueueinfo` takes any negative
/// `si_code`); what the kernel itself sends with such codes has a cause outside all processes, or the same sender.
pub(super) fn is_sent_by_process(signal: &Signal) -> bool {
    !signal.from_kernel || signal.code < 0 && !matches!(signal.code, SI_TIMER | SI_ASYNCIO)
}

impl Model {
    pub(super) fn on_signal(&mut self, time: BootNs, signal: &Signal) {
        self.note_fatal(time, signal);
        if !signal.target_is_init {
            if Asked::is_seen(signal.signal) {
                self.note_asked(time, signal);
            }
            return;
        }
        let target = self.table.canonical(signal.target);
        self.busiest.add(self.table.get(target).map_or(0, |init| init.identity.cgroup));
        let sender = is_sent_by_process(signal).then(|| self.sender(signal));
        let relation = Relation::of(sender.is_some(), signal.sender_inside);
        self.learn_cgroup(signal.target_cgroup);
        let Some(process) = self.enter(target, time) else { return };
        process.is_init = true;
        process.identity.comm = signal.target_comm;
        process.identity.ns = Some(signal.target_ns);
        process.identity.level = signal.target_level;
        if signal.target_cgroup != 0 {
            process.identity.cgroup = signal.target_cgroup;
        }
        let fate = Fate::of(signal);
        self.note_stop_signal(time, signal, fate, target, sender, relation);
        if fate == Fate::Nothing {
            return;
        }
        if fate == Fate::Quiet {
            self.totals.quiet_signals += 1;
            return;
        }
        let Some(process) = self.table.get_mut(target) else { return };
        let signals = process.signals.get_or_insert_default();
        if fate == Fate::Handled {
            signals.pending.handled(signal.signal);
            return;
        }
        let reason = match fate {
            Fate::Dropped(reason) => reason,
            Fate::Coalesced => DropReason::Coalesced,
            _ => DropReason::Blocked,
        };
        let program = signals.program(&process.identity);
        let dropped = DroppedSignal { time, target, program, signal: signal.signal, reason, sender, relation };
        let turns = match fate {
            Fate::Queued => {
                // While a handler runs, its signal is blocked; another one runs the handler again.
                let is_handled = signal.handler == Handler::Function && signals.pending.has_handled(signal.signal);
                let watched = !is_handled && dropped.weight() > Weight::Nothing;
                signals.pending.queued(dropped, watched)
            }
            Fate::Traced => signals.pending.queued(dropped, false),
            Fate::Coalesced => signals.pending.coalesced(dropped),
            _ => vec![Turn::Dropped(dropped, 1)],
        };
        self.take_turns(target, turns);
        self.wake_for_signals(target);
    }

    /// The sender, recorded now because `kill` and the like exit at once.
    pub(super) fn sender(&self, signal: &Signal) -> Sender {
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
        let program = process.signals.get_or_insert_default().program(&process.identity);
        // A handler that existed when it was sent is gone after exec; then it was not queued for lack of a handler.
        let queued = process.signals.as_ref().and_then(|it| it.pending.sender(deliver.signal));
        let sent = queued.or_else(|| self.stops.sender_of(target, deliver.signal));
        let (sender, relation) = sent.unwrap_or((None, Relation::Kernel));
        let reason = DropReason::DroppedAtDelivery;
        let dropped = DroppedSignal { time, target, program, signal: deliver.signal, reason, sender, relation };
        let Some(signals) = self.table.get_mut(target).and_then(|it| it.signals.as_mut()) else { return };
        let turns = signals.pending.delivered(time, dropped);
        self.take_turns(target, turns);
        self.wake_for_signals(target);
    }

    /// Called when the timer of an init's signals has run out.
    pub(super) fn on_signals_due(&mut self, target: ProcessKey) {
        let now = self.now;
        let Some(process) = self.table.get_mut(target) else { return };
        let is_dead = process.is_dead();
        let Some(signals) = &mut process.signals else { return };
        signals.pending.set_timer(None);
        if is_dead {
            return;
        }
        let (turns, asks) = signals.pending.due(now);
        self.take_turns(target, turns);
        if asks {
            self.queries.push_back(Query::Process(target));
        }
        self.wake_for_signals(target);
    }

    /// Takes what `/proc` says about an init with pending signals. A program that uses `sigtimedwait` or a signalfd
    /// blocks them, too, but does not leave them pending.
    pub(super) fn judge_pending(&mut self, time: BootNs, target: ProcessKey, evidence: &Evidence) {
        let Some(facts) = &evidence.proc else { return };
        let Some(process) = self.table.get_mut(target).filter(|process| !process.is_dead()) else { return };
        let Some(signals) = &mut process.signals else { return };
        let turns = signals.pending.learn(time, facts.blocked, facts.pending);
        self.take_turns(target, turns);
        self.wake_for_signals(target);
    }

    /// An init has exited: decides what was pending.
    pub(super) fn note_signals_at_exit(&mut self, time: BootNs, target: ProcessKey, status: ExitStatus) {
        let Some(signals) = self.table.get_mut(target).and_then(|it| it.signals.as_mut()) else { return };
        let is_killed = matches!(status, ExitStatus::Signal { signal, .. } if u32::from(signal) == SIGKILL);
        let turns = signals.pending.ended(time, is_killed);
        self.take_turns(target, turns);
        self.wake_for_signals(target);
    }

    fn take_turns(&mut self, target: ProcessKey, turns: Vec<Turn>) {
        for turn in turns {
            match turn {
                Turn::Dropped(dropped, count) => self.record_drop(dropped, count),
                Turn::Got(signal) => self.stops.note_received(target, signal),
                Turn::TakenBack(dropped, count) => {
                    self.stops.note_not_dropped(&dropped);
                    if let Some(signals) = self.table.get_mut(target).and_then(|it| it.signals.as_mut()) {
                        signals.take_back(&dropped, count);
                    }
                }
            }
        }
    }

    /// Sets the one timer that an init has for its signals.
    pub(super) fn wake_for_signals(&mut self, target: ProcessKey) {
        let Some(signals) = self.table.get_mut(target).and_then(|it| it.signals.as_mut()) else { return };
        let (next, former) = signals.pending.next_due();
        if let Some(former) = former {
            self.timers.remove(&former);
        }
        let Some(next) = next else { return };
        let timer = self.set_timer(next, Timer::Signals(target));
        if let Some(signals) = self.table.get_mut(target).and_then(|it| it.signals.as_mut()) {
            signals.pending.set_timer(timer);
        }
    }

    fn record_drop(&mut self, dropped: DroppedSignal, count: u64) {
        let weight = dropped.weight();
        if weight == Weight::Nothing {
            self.totals.quiet_signals += count;
            return;
        }
        if let Some(process) = self.table.get_mut(dropped.target) {
            process.signals.get_or_insert_default().add(&dropped, count);
        }
        self.stops.note_dropped(&dropped);
        if weight.is_told_at_once() {
            self.news.push_back(ModelEvent::Dropped(Box::new(dropped)));
        }
    }
}
