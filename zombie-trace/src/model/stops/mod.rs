//! Stops: what came of a signal that asked the init of a pid namespace to end.
//!
//! Who stops a container sends a signal, waits for a grace period and then kills. The signal is SIGTERM, or whatever
//! the image asks for: then it is known as one only by what follows, so any signal that a process outside sent is
//! remembered for a while. A SIGKILL that nothing came before is no stop, it is meant to kill; nor is a signal that a
//! process takes as something else (to reload) and that nothing follows, nor one that the init sends itself.

mod entrants;
mod looks;
mod path;
mod watch;

use std::{collections::BTreeSet, sync::Arc};

pub use path::{Look, Member};
use rustc_hash::FxHashMap;

use super::{
    Disposition, DropReason, DroppedSignal, Identity, Model, ModelEvent, Origin, Process, Relation, Sender, Teardown,
    Timer, inits::Fate,
};
use crate::{
    event::{BootNs, Exit, ExitStatus, KnownStop, NsPid, ProcessKey, Signal, SignalOutcome},
    signal::{SIGHUP, SIGINT, SIGKILL, SIGPWR, SIGQUIT, SIGRTMAX, SIGRTMIN, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH},
};
use watch::Watch;

/// When an init is dead for so long, ns, and its namespace is still not gone, the stop is told with what is known.
const TEARDOWN_NS: u64 = 5_000_000_000;
/// How often, ns, inits that nothing was heard of for long are looked for to make room for others.
const SWEEP_NS: u64 = 1_000_000_000;

/// Maximum number of inits that may be in a stop at a time.
const MAX_OPEN: usize = 4096;
/// Maximum number of stops kept for the report.
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
pub struct KilledProcess {
    /// Who.
    pub process: ProcessKey,
    /// Who, for people.
    pub identity: Identity,
    died: BootNs,
    asked_at: Option<BootNs>,
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
    /// Why the signal did not reach the init; `None` if it did, or that is not known.
    pub dropped: Option<DropReason>,
    /// Whether the signal reached the init; `None` if that is not known: it was blocked, and may have been read.
    pub received: Option<bool>,
    /// When it ended: for a failed stop, when it was killed.
    pub ended: BootNs,
    /// Who killed it; `None` if it was not killed, or the SIGKILL was not seen.
    pub killed_by: Option<Sender>,
    /// Processes of the namespace that were killed since, or with it, and had not been asked to end.
    pub killed_without_term: Vec<KilledProcess>,
    /// How many more of them there were.
    pub more_killed_without_term: u64,
    /// Events were lost meanwhile: who was asked is not known, and nobody is said to be killed without it.
    pub uncertain: bool,
    /// What the init did with the signal when it was first sent; `None` if that is not known.
    pub disposition: Option<Disposition>,
    /// What the init was when it lost the signal, if it has become another program since.
    pub program: Option<Arc<Identity>>,
    /// When it became that other program.
    pub became: Option<BootNs>,
    /// When it last started a process since the signal.
    pub forked: Option<BootNs>,
    /// When it raised the signal again, having received it, and the kernel dropped that.
    pub reraised: Option<BootNs>,
    /// The last look at the init between the signal and the end.
    pub look: Option<Look>,
    /// The others of its namespace that were asked, or killed, or are still there; parents first.
    pub path: Vec<Member>,
    /// How many more of them there were.
    pub more_in_path: u64,
    /// What kept the namespace from ending, if it had not ended long after its init.
    pub teardown: Option<Box<Teardown>>,
}

impl Stop {
    /// From the signal to the end, ns.
    #[must_use]
    pub fn took_ns(&self) -> u64 {
        self.ended.saturating_sub(self.sent)
    }
}

/// Stops in progress, by init, and those that are over.
#[derive(Debug, Default)]
pub(super) struct Stops {
    open: FxHashMap<ProcessKey, Watch>,
    /// The init of a pid namespace, by the inode of that.
    by_namespace: FxHashMap<u32, ProcessKey>,
    swept: BootNs,
    /// When inits are looked at next, one time for each.
    looks_due: BTreeSet<(BootNs, ProcessKey)>,
    /// When it was last gathered who lives in their namespaces.
    gathered: Option<BootNs>,
    /// Since when looks are counted, and how many there were.
    looked: (BootNs, usize),
    pub(super) done: Vec<Stop>,
}

/// Signals that ask for an end in somebody's convention. Job control and timers do not.
fn may_stop(signal: u32, relation: Relation) -> bool {
    matches!(
        (signal, relation),
        (SIGTERM, Relation::Inside | Relation::Outside)
            | (
                SIGHUP | SIGINT | SIGQUIT | SIGUSR1 | SIGUSR2 | SIGWINCH | SIGPWR | SIGRTMIN..=SIGRTMAX,
                Relation::Outside,
            )
    )
}

fn innermost(ns: &[NsPid]) -> u32 {
    ns.iter().rev().find(|it| it.nr != 0).map_or(0, |it| it.inum)
}

impl Model {
    /// Stops that are over, the oldest first.
    #[must_use]
    pub fn stops(&self) -> &[Stop] {
        &self.stops.done
    }

    /// A process other than an init was sent a signal that ends processes: it was asked to.
    pub(super) fn note_asked(&mut self, time: BootNs, signal: &Signal) {
        let target = self.table.canonical(signal.target);
        let Some(process) = self.enter(target, time) else { return };
        process.identity.comm = signal.target_comm;
        process.identity.ns.get_or_insert(signal.target_ns);
        if signal.target_cgroup != 0 {
            process.identity.cgroup = signal.target_cgroup;
        }
        self.ask(time, signal, target);
    }

    /// A signal was sent to an init. Whether it got it may turn out later, see [`Stops::note_dropped`].
    pub(super) fn note_stop_signal(
        &mut self,
        time: BootNs,
        signal: &Signal,
        fate: Fate,
        target: ProcessKey,
        sender: Option<Sender>,
        relation: Relation,
    ) {
        if signal.target_level == 0 {
            return;
        }
        if signal.signal == SIGKILL {
            // It shows as exiting already: `complete_signal` comes before the tracepoint.
            let got_through = signal.outcome != SignalOutcome::Ignored;
            if got_through && let Some(watch) = self.stops.open.get_mut(&target) {
                watch.kill.get_or_insert((time, sender));
            }
            return;
        }
        // What is ignored by default says nothing, and who signals itself does not stop itself: it ends, or signals
        // its group.
        let says_nothing = fate == Fate::Quiet || Origin::of(target, sender.as_ref()) == Origin::Itself;
        if says_nothing || signal.target_exiting || !may_stop(signal.signal, relation) {
            return;
        }
        if !self.stops.open.contains_key(&target) {
            if !self.stops.make_room(time) {
                self.totals.overflows.add(super::Bounded::OpenStops);
                return;
            }
            let namespace = signal.target_ns.inum;
            self.stops.by_namespace.insert(namespace, target);
            self.stops.open.insert(target, Watch::new(namespace));
        }
        if let Some(watch) = self.stops.open.get_mut(&target) {
            let disposition = Disposition::when_sent(signal);
            let is_new = watch.attempt(time, signal.signal, disposition, sender, relation);
            if fate == Fate::Handled {
                watch.received(signal.signal);
            }
            if is_new {
                self.plan_looks(time, target);
            }
        }
    }

    /// A process has exited: an init whose end this is, or one that was killed in a stop.
    pub(super) fn note_stop_exit(&mut self, time: BootNs, process: ProcessKey, exit: &Exit) {
        if exit.is_init {
            self.note_signals_at_exit(time, process, exit.status);
        }
        if self.stops.open.is_empty() {
            return;
        }
        if let Some(watch) = self.stops.open.get_mut(&process) {
            // Each of several threads may tell of the death.
            if watch.end.is_none() {
                watch.end = Some((time, exit.status));
                self.set_timer(time.saturating_add(TEARDOWN_NS), Timer::Stop(process));
            }
            return;
        }
        if innermost(&exit.ns) == 0 {
            return;
        }
        let is_killed = matches!(exit.status, ExitStatus::Signal { signal, .. } if u32::from(signal) == SIGKILL);
        if self.table.get(process).is_none_or(|it| it.is_counted_killed) {
            return;
        }
        // Of its own namespace and of each around it.
        for namespace in exit.ns.iter().filter(|it| it.nr != 0).map(|it| it.inum) {
            let Some(&init) = self.stops.by_namespace.get(&namespace) else { continue };
            let has_entered = self.has_entered(process, init);
            let Some(watch) = self.stops.open.get_mut(&init) else { continue };
            let Some(ended) = self.table.get_mut(process) else { continue };
            let asked_at = ended.asked.as_ref().map(|asked| asked.last);
            let is_asked = asked_at.is_some_and(|asked| watch.is_asked_by(asked));
            watch.gathered.ended(time, exit.status, ended, is_killed || is_asked);
            if is_killed {
                ended.is_counted_killed = true;
                // Nobody asks the init to tell those who came from outside.
                if !has_entered {
                    watch.killed(KilledProcess { process, identity: ended.identity.clone(), died: time, asked_at });
                }
            }
        }
    }

    /// A stop had begun when another reader was told of it.
    pub(super) fn on_known_stop(&mut self, known: &KnownStop) {
        let init = self.table.canonical(known.process);
        if !self.is_blank || self.stops.open.len() >= MAX_OPEN {
            return;
        }
        let Some(process) = self.table.get(init) else { return };
        self.last_loss = self.last_loss.max(known.last_loss);
        // A scan knows the start of a process only by the tick.
        let watch = Watch::recall(known, &Arc::new(process.identity.clone()), |process| self.table.canonical(process));
        if let Some((ended, _)) = watch.end {
            self.set_timer(ended.saturating_add(TEARDOWN_NS), Timer::Stop(init));
        }
        self.stops.by_namespace.insert(watch.namespace, init);
        self.stops.open.insert(init, watch);
        self.plan_next_look(init);
    }

    /// Nothing more is to come from an init: it is a zombie, which is after all others of its namespace are gone, or
    /// it is itself gone, or it has been dying for long.
    pub(super) fn conclude_stop(&mut self, init: ProcessKey) {
        self.conclude_stop_with(init, None);
    }

    /// An init is dead for long, and its namespace has not ended.
    pub(super) fn conclude_stuck_stop(&mut self, init: ProcessKey) {
        let teardown = self.stops.open.contains_key(&init).then(|| self.teardown(init)).flatten();
        self.conclude_stop_with(init, teardown.map(Box::new));
    }

    fn conclude_stop_with(&mut self, init: ProcessKey, teardown: Option<Box<Teardown>>) {
        let Some(watch) = self.stops.close(init) else { return };
        let identity = self.table.get(init).map(|process| process.identity.clone()).unwrap_or_default();
        let Some(mut stop) = watch.conclude(init, identity, self.last_loss) else { return };
        let since = stop.sent.saturating_sub(watch::ASKED_BEFORE_NS);
        let find = |key| self.table.get(key);
        (stop.path, stop.more_in_path) = watch.gathered.into_members(init, since, stop.ended, find);
        stop.teardown = teardown;
        if stop.outcome == StopOutcome::Failed {
            self.news.push_back(ModelEvent::StopFailed(Box::new(stop.clone())));
        }
        if self.stops.done.len() < MAX_DONE {
            self.stops.done.push(stop);
        } else {
            self.totals.overflows.add(super::Bounded::PastStops);
        }
    }
}

impl Stops {
    /// Who sent an init a signal that may stop it, and from where.
    pub(super) fn sender_of(&self, init: ProcessKey, signal: u32) -> Option<(Option<Sender>, Relation)> {
        let attempt = self.open.get(&init)?.find(signal)?;
        Some((attempt.sender, attempt.relation))
    }

    /// The last signal that asked an init to end before this time, unless it did not reach it.
    pub(super) fn taken_before(
        &self,
        init: ProcessKey,
        time: BootNs,
    ) -> Option<(u32, BootNs, Option<Sender>, Relation)> {
        self.open.get(&init)?.taken_before(time)
    }

    /// Whether the init of a namespace is to be concluded.
    pub(super) fn concerns(&self, process: &Process) -> bool {
        self.open.contains_key(&process.key)
    }

    /// It has turned out that a signal did not reach an init.
    pub(super) fn note_dropped(&mut self, dropped: &DroppedSignal) {
        // What the init raises against itself is another matter than what it was sent.
        let Some(watch) = self.open.get_mut(&dropped.target) else { return };
        match dropped.origin() {
            Origin::Itself => watch.reraised(dropped),
            _ => watch.dropped(dropped),
        }
    }

    /// It has turned out that it did not turn out so.
    pub(super) fn note_not_dropped(&mut self, dropped: &DroppedSignal) {
        if let Some(watch) = self.open.get_mut(&dropped.target) {
            watch.not_dropped(dropped.signal);
        }
    }

    /// It has turned out that a signal reached an init.
    pub(super) fn note_received(&mut self, init: ProcessKey, signal: u32) {
        if let Some(watch) = self.open.get_mut(&init) {
            watch.received(signal);
        }
    }

    /// Those in progress, for the next file of a recording.
    pub(super) fn known(&self, last_loss: Option<BootNs>) -> Vec<KnownStop> {
        let mut known: Vec<_> = self.open.iter().map(|(&init, watch)| watch.known(init, last_loss)).collect();
        known.sort_unstable_by_key(|stop| stop.process);
        known
    }

    fn close(&mut self, init: ProcessKey) -> Option<Watch> {
        let watch = self.open.remove(&init)?;
        // The number may be another namespace's by now.
        if self.by_namespace.get(&watch.namespace) == Some(&init) {
            self.by_namespace.remove(&watch.namespace);
        }
        Some(watch)
    }

    /// Whether one more init can be watched. Those that were signalled long ago and live make room.
    fn make_room(&mut self, now: BootNs) -> bool {
        if self.open.len() < MAX_OPEN {
            return true;
        }
        if now.saturating_sub(self.swept) < SWEEP_NS {
            return false;
        }
        self.swept = now;
        let over: Vec<_> = self.open.iter().filter(|(_, watch)| watch.is_over(now)).map(|(&init, _)| init).collect();
        for init in over {
            self.close(init);
        }
        self.open.len() < MAX_OPEN
    }
}

#[cfg(test)]
pub(crate) mod tests;
