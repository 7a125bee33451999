//! A reader of events that answers what the model asks, and what must hold of its model at any time.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::simulator::{Chapter, Kernel, Step, Traits, TrueEnd};
use super::story::ms;
use crate::event::{Event, Evidence, Fact, ProcessKey, WaitActivity, What};
use crate::model::{Config, Model, ModelEvent, Query};

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (any::<u8>(), any::<u16>(), any::<u8>(), prop_oneof![0u32..3, 0u32..30_000])
        .prop_map(|(kind, pick, how, gap_us)| Step { kind, pick, how, gap_us });
    proptest::collection::vec(step, 1..200)
}

pub(super) fn traits() -> impl Strategy<Value = Traits> {
    (any::<bool>(), any::<bool>()).prop_map(|(has_fentry, repeats_exits)| Traits { has_fentry, repeats_exits })
}

/// Applies events as the live loop does: whatever is asked is answered.
pub(super) struct Reader {
    pub(super) model: Model,
    pub(super) news: Vec<ModelEvent>,
    pub(super) queries: usize,
    /// The answers to the last event that it read.
    pub(super) answers: Vec<Event>,
}

impl Reader {
    pub(super) fn new(min_age_ns: u64) -> Self {
        let model = Model::new(Config { min_age_ns, started: ms(0), ..Config::default() });
        Self { model, news: Vec::new(), queries: 0, answers: Vec::new() }
    }

    pub(super) fn read(&mut self, event: &Event) {
        self.model.apply(event);
        self.answers.clear();
        while let Some(query) = self.model.next_query() {
            if let Query::Process(process) = query {
                self.queries += 1;
                let waits = Some(WaitActivity { recent_complete: true, ..WaitActivity::default() });
                let evidence =
                    Evidence { process, observed_since: ms(0), waits, proc: None, gaps: Vec::new(), doing: Vec::new() };
                let time = self.model.now() + 1;
                let answer = Event { time, what: What::Fact(Fact::Evidence(Box::new(evidence))) };
                self.model.apply(&answer);
                self.answers.push(answer);
            }
        }
        self.news.extend(std::iter::from_fn(|| self.model.next_event()));
    }

    /// Reads what another reader recorded: an event and the answers to it. Its own queries are answered only with what
    /// was last known, as in a replay.
    pub(super) fn read_recorded(&mut self, event: &Event, answers: &[Event]) {
        self.model.apply(event);
        answers.iter().for_each(|answer| self.model.apply(answer));
        while let Some(query) = self.model.next_query() {
            let Query::Process(key) = query else { continue };
            let parenting = self.model.process(key).and_then(|it| it.parenting.as_ref());
            if let Some((_, known)) = parenting.and_then(|it| it.evidence.clone()) {
                let what = What::Fact(Fact::Evidence(known));
                self.model.apply(&Event { time: self.model.now() + 1, what });
            } else {
                let nothing = Evidence {
                    process: key,
                    observed_since: ms(0),
                    waits: None,
                    proc: None,
                    gaps: Vec::new(),
                    doing: Vec::new(),
                };
                self.model.apply(&Event { time: self.model.now(), what: Fact::Evidence(Box::new(nothing)).into() });
            }
        }
        self.news.extend(std::iter::from_fn(|| self.model.next_event()));
    }

    pub(super) fn read_all(&mut self, events: &[Event]) {
        for event in events {
            self.read(event);
        }
    }

    /// Nothing more comes.
    pub(super) fn conclude(&mut self) {
        self.model.conclude();
        self.news.extend(std::iter::from_fn(|| self.model.next_event()));
    }

    pub(super) fn known(&self, key: ProcessKey) -> ProcessKey {
        self.model.table.canonical(key)
    }

    /// Each zombie with who can reap it.
    pub(super) fn zombies(&self) -> BTreeMap<ProcessKey, ProcessKey> {
        let zombie = |process: &crate::model::Process| Some((process.key, process.zombie()?.waiter()));
        self.model.processes().filter_map(zombie).collect()
    }

    /// What must hold at any time.
    pub(super) fn check(&self) -> Result<(), TestCaseError> {
        let zombies = self.zombies();
        let totals = self.model.totals();
        prop_assert_eq!(totals.zombies, totals.reaped + totals.zombies_now);
        prop_assert_eq!(totals.zombies_now, zombies.len() as u64);
        for process in self.model.table.iter() {
            let counted = process.parenting.as_ref().map_or(0, |it| it.zombies_now);
            let there = zombies.values().filter(|&&waiter| waiter == process.key).count() as u64;
            prop_assert_eq!(counted, there, "zombies of {:?}", process.key);
        }
        prop_assert!(self.model.awaiting.is_empty());
        Ok(())
    }

    /// Every zombie that is believed in is one, with who can reap it; unless it was reaped unseen, which its freeing
    /// will show.
    pub(super) fn check_believed(&self, kernel: &Kernel, chapter: &Chapter) -> Result<(), TestCaseError> {
        for (zombie, waiter) in &self.zombies() {
            if let Some(truth) = chapter.zombies.get(zombie) {
                prop_assert_eq!(*waiter, self.known(truth.waiter), "waiter of {:?}", zombie);
                continue;
            }
            let is_unseen = |end: &TrueEnd| end.seen_reaper.is_none();
            prop_assert!(
                chapter.told_early.contains(zombie) || kernel.ends.get(zombie).is_some_and(is_unseen),
                "{:?} is no zombie",
                zombie
            );
        }
        Ok(())
    }

    /// Nothing is remembered when nothing exists, except strangers.
    pub(super) fn check_empty(&self, strangers: &BTreeSet<ProcessKey>) -> Result<(), TestCaseError> {
        let left: Vec<_> = self.model.table.iter().filter(|it| !strangers.contains(&it.key)).collect();
        prop_assert!(left.is_empty(), "{:?}", left);
        if strangers.is_empty() {
            prop_assert_eq!(self.model.table.len(), 0, "{:?}", self.model.table);
        }
        prop_assert!(self.model.by_number.is_empty());
        prop_assert!(self.model.awaiting.is_empty());
        prop_assert!(self.model.unlinked.is_empty() && self.model.timers.is_empty());
        prop_assert_eq!(self.model.totals().zombies_now, 0);
        Ok(())
    }
}

/// The processes an event is about: events with none in common may be seen in either order.
fn pids(event: &Event) -> BTreeSet<u32> {
    match &event.what {
        What::Exit(it) => [it.process.pid, it.parent.pid].into_iter().chain(it.tracer).collect(),
        What::ChildSignal(it) => [it.current.pid, it.target.pid].into(),
        What::Wait(it) => [it.reaper.pid].into(),
        What::Free(it) => [it.pid].into(),
        What::Release(it) => [it.process.pid, it.reaper.pid].into(),
        What::Fork(it) => [it.forker.pid, it.child.pid].into(),
        _ => BTreeSet::new(),
    }
}

/// Swaps neighbours that happened on two CPUs at nearly the same time and have nothing to do with each other. Waits
/// and what is told by others name a child by a number only; they stay where they are, and so do forks, which may take
/// up the pid of another.
pub(super) fn shuffle(events: &mut [Event], swaps: &[bool]) {
    let movable = |event: &Event| {
        matches!(&event.what, What::Exit(_) | What::Free(_))
            || matches!(&event.what, What::ChildSignal(it) if it.child_is_current)
    };
    for (index, _) in swaps.iter().enumerate().filter(|(_, swap)| **swap) {
        let Some([first, second]) = events.get_mut(index..index + 2) else { return };
        let close = first.time.abs_diff(second.time) < 5_000;
        if close && movable(first) && movable(second) && pids(first).is_disjoint(&pids(second)) {
            std::mem::swap(first, second);
        }
    }
}
