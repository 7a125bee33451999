//! How processes end: which signal it was, who sent it, and what else may have done it.
//!
//! Kept for every PID 1 of a pid namespace, and where it was asked for, for every process that a signal ends. What is made
//! of it is in `diagnosis`.

use super::{Bounded, DeadInit, Identity, Model, ModelEvent, Process, Relation, Sender, inits};
use crate::{
    event::{BootNs, Exit, ExitStatus, FatalSignal, Handler, MemoryLimit, ProcessKey, Signal, SignalOutcome},
    signal::{SIGABRT, SIGXCPU},
};

/// Maximum number of ends kept for the report.
const MAX_ENDINGS: usize = 10_000;
/// A signal kills at once, as a rule: after so long, ns, one that was not seen did not do it.
const BLIND_NS: u64 = 10_000_000_000;

/// How a process ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// When it exited.
    pub time: BootNs,
    /// Who.
    pub process: ProcessKey,
    /// Who, for people.
    pub identity: Identity,
    /// It was the init of a pid namespace other than the first.
    pub is_init: bool,
    /// How, as its parent is told.
    pub status: ExitStatus,
    /// The signal that ended it, as it was sent; `None` if it ended by itself, or that was not seen.
    pub signal: Option<FatalSignal>,
    /// Who sent it, with a parent where that is known: the process that ran then, if the kernel did.
    pub sender: Option<Sender>,
    /// It was PID 1 of the namespace that sent it, which had been sent the same before: by whom, and from where.
    pub passed_on: Option<(Option<Sender>, Relation)>,
    /// When it last called `abort()`, as far as that is seen: it sent itself SIGABRT.
    pub aborted: Option<BootNs>,
    /// When its limit on CPU time was last used up.
    pub used_up_cpu: Option<BootNs>,
    /// PID 1 of its namespace or of one around it, which had exited before.
    pub dead_init: Option<DeadInit>,
    /// The OOM killer chose it; `None` if that is not known.
    pub is_oom_victim: Option<bool>,
    /// Its memory limit, where the OOM killer chose it; `None` if that is not known.
    pub memory_limit: Option<MemoryLimit>,
    /// Pid of its tracer.
    pub tracer: Option<u32>,
    /// The last signal that asked it to end and that it took: which, when, who sent it, and from where.
    pub asked: Option<(u32, BootNs, Option<Sender>, Relation)>,
    /// Not all that could have ended it was seen.
    pub is_blind: bool,
}

impl Model {
    /// How PID 1s ended, and others if that was asked for; the oldest first.
    #[must_use]
    pub fn endings(&self) -> &[Ending] {
        &self.endings
    }

    /// A signal was sent.
    pub(super) fn note_fatal(&mut self, time: BootNs, signal: &Signal) {
        let is_init = signal.target_is_init && signal.target_level > 0;
        let is_unhandled = matches!(signal.handler, Handler::Default | Handler::Unknown);
        if !(is_init || self.config.ends) || !is_unhandled {
            return;
        }
        let target = self.table.canonical(signal.target);
        let sender = self.sender(signal);
        let relation = Relation::of(inits::is_sent_by_process(signal), signal.sender_inside);
        let Some(process) = self.enter(target, time) else { return };
        let fatal = process.fatal.get_or_insert_default();
        if signal.signal == SIGABRT && sender.process == target && relation != Relation::Kernel {
            fatal.aborted = Some(time);
        }
        if signal.signal == SIGXCPU && relation == Relation::Kernel {
            fatal.used_up_cpu = Some(time);
        }
        // One that is pending already ends it no sooner, and what is ignored does not.
        if matches!(signal.outcome, SignalOutcome::Delivered | SignalOutcome::LostInfo) {
            fatal.add(FatalSignal {
                time,
                signal: signal.signal,
                code: signal.code,
                sender: sender.known(),
                sender_thread: signal.sender_thread,
                relation,
                is_sender_exiting: signal.sender_exiting,
                is_for_group: signal.group,
                is_traced: signal.target_traced,
                is_last: signal.target_exiting,
            });
        }
    }

    /// A process that the OOM killer chose is about to exit.
    pub(super) fn note_memory_limit(&mut self, time: BootNs, process: ProcessKey, limit: MemoryLimit) {
        let key = self.table.canonical(process);
        if let Some(process) = self.enter(key, time) {
            process.fatal.get_or_insert_default().memory_limit = Some(limit);
        }
    }

    /// A process has exited.
    pub(super) fn note_ending(&mut self, time: BootNs, key: ProcessKey, exit: &Exit) {
        let Some(process) = self.table.get(key) else { return };
        let is_init = process.is_nested_init();
        let by_signal = match exit.status {
            ExitStatus::Signal { signal, .. } => Some(u32::from(signal)),
            ExitStatus::Code(_) => None,
        };
        if !(is_init || self.config.ends && by_signal.is_some()) {
            return;
        }
        let fatal = process.fatal.as_deref();
        let signal = by_signal.and_then(|signal| fatal?.find(signal)).copied();
        let sender = signal.map(|it| Sender::recall(&it.sender));
        let ending = Ending {
            time,
            process: key,
            identity: process.identity.clone(),
            is_init,
            status: exit.status,
            passed_on: sender.as_ref().and_then(|sender| self.passed_on(process, sender, by_signal?)),
            sender,
            signal,
            aborted: fatal.and_then(|it| it.aborted),
            used_up_cpu: fatal.and_then(|it| it.used_up_cpu),
            dead_init: self.dead_init_around(key, exit),
            is_oom_victim: exit.is_oom_victim,
            memory_limit: fatal.and_then(|it| it.memory_limit),
            tracer: exit.tracer,
            asked: self.stops.taken_before(key, time),
            is_blind: self.is_blind_for(process, time),
        };
        if self.endings.len() < MAX_ENDINGS {
            self.endings.push(ending.clone());
        } else {
            self.totals.overflows.add(Bounded::PastEnds);
        }
        self.news.push_back(ModelEvent::Ends(Box::new(ending)));
    }

    /// Who sent a signal to PID 1 of a namespace, if that is who sent it to this process of the same.
    fn passed_on(&self, process: &Process, sender: &Sender, signal: u32) -> Option<(Option<Sender>, Relation)> {
        let is_pid_1 = sender.ns.nr == 1 && process.identity.ns.is_some_and(|ns| ns.inum == sender.ns.inum);
        if is_pid_1 && sender.process != process.key { self.stops.sender_of(sender.process, signal) } else { None }
    }

    /// PID 1 of a namespace that the process is in, which has exited before it.
    fn dead_init_around(&self, process: ProcessKey, exit: &Exit) -> Option<DeadInit> {
        let is_in = |init: &&DeadInit| {
            let number = exit.ns.iter().find(|it| it.nr != 0 && it.inum == init.inum);
            init.process != process && number.is_some_and(|it| it.nr != 1)
        };
        self.dead_inits.iter().rev().find(is_in).copied()
    }

    /// Whether a signal that killed the process at this time may not have been seen.
    fn is_blind_for(&self, process: &Process, time: BootNs) -> bool {
        let blind = self.last_loss.max(self.gap).unwrap_or(0).max(self.config.started);
        process.key.start_ns <= blind && time.saturating_sub(blind) < BLIND_NS
    }
}
