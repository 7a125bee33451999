//! A parent is looked at again as its zombie grows older: what it still has not done then says more than at first.
//!
//! One zombie of each parent represents all. It is looked at again whenever it is ten times as old, so that even a
//! zombie a year old costs fewer than ten queries.

use super::{MAX_TIMERS, Model, ModelEvent, Process, Query, Timer};
use crate::event::{BootNs, ProcessKey};

/// A zombie is looked at again when its age has grown by this factor.
const FACTOR: u64 = 10;
/// The factor for a parent that called wait after the child died: it may have stopped since, which the first look
/// cannot show.
const EARLY_FACTOR: u64 = 3;
/// Minimum age, ns, at which the first look counts.
const MIN_AGE_NS: u64 = 100_000_000;

/// A planned look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Review {
    zombie: ProcessKey,
    waiter: ProcessKey,
    /// Since when the waiter could reap it.
    since: BootNs,
    /// The age at which it is made, ns.
    age_ns: u64,
    /// An additional look, some time before that.
    is_early: bool,
}

impl Model {
    /// Plans the first review for a zombie just announced, unless another one represents its parent.
    pub(super) fn review_later(&mut self, zombie: ProcessKey) {
        let Some(state) = self.table.get(zombie).and_then(Process::zombie) else { return };
        let (waiter, since) = (state.waiter(), state.waits_since());
        let is_reviewed = |parent: &Process| parent.parenting.as_ref().is_some_and(|it| it.review.is_some());
        if self.table.get(waiter).is_none_or(is_reviewed) {
            return;
        }
        let age_ns = self.config.min_age_ns.max(MIN_AGE_NS);
        let has_waited = self.table.get(waiter).is_some_and(|parent| has_waited_since(parent, since));
        self.plan(Review { zombie, waiter, since, age_ns, is_early: has_waited });
    }

    fn plan(&mut self, review: Review) {
        let factor = if review.is_early { EARLY_FACTOR } else { FACTOR };
        let age_ns = review.age_ns.saturating_mul(factor);
        // Signals have priority for timers: a skipped review costs a second look, not a finding.
        let has_room = self.timers.len() < MAX_TIMERS / 2;
        let at = review.since.saturating_add(age_ns);
        let is_set =
            has_room && self.set_timer(at, Timer::Review(Review { age_ns, is_early: false, ..review })).is_some();
        let timer = is_set.then_some((review.zombie, (at, self.timer_count)));
        if let Some(parent) = self.table.get_mut(review.waiter) {
            parent.parenting_mut().review = timer;
        }
    }

    /// The zombie no longer waits for this process.
    pub(super) fn end_review(&mut self, waiter: ProcessKey, zombie: ProcessKey) {
        let parenting = self.table.get_mut(waiter).and_then(|parent| parent.parenting.as_mut());
        if let Some(parenting) = parenting.filter(|it| it.review.is_some_and(|(of, _)| of == zombie))
            && let Some((_, timer)) = parenting.review.take()
        {
            self.timers.remove(&timer);
            self.awaiting_review.remove(&waiter);
        }
    }

    /// This process has left the table.
    pub(super) fn forget_review(&mut self, waiter: &Process) {
        self.awaiting_review.remove(&waiter.key);
        if let Some((_, timer)) = waiter.parenting.as_ref().and_then(|it| it.review) {
            self.timers.remove(&timer);
        }
    }

    fn is_due(&self, review: Review) -> bool {
        let process = self.table.get(review.zombie).filter(|process| process.life.release().is_none());
        process
            .and_then(Process::zombie)
            .is_some_and(|zombie| zombie.waiter() == review.waiter && zombie.waits_since() == review.since)
    }

    pub(super) fn ask_for_review(&mut self, review: Review) {
        if !self.is_due(review) {
            self.end_review(review.waiter, review.zombie);
            return;
        }
        if self.awaiting_review.insert(review.waiter, review).is_none() {
            self.queries.push_back(Query::Process(review.waiter));
        }
    }

    /// Fresh evidence on this process has arrived.
    pub(super) fn on_reviewed(&mut self, waiter: ProcessKey) {
        let Some(review) = self.awaiting_review.remove(&waiter) else { return };
        if self.is_due(review) {
            self.news.push_back(ModelEvent::Reviewed(review.zombie));
            self.plan(review);
        } else {
            self.end_review(review.waiter, review.zombie);
        }
    }
}

/// Whether it was seen waiting or reaping since this time.
fn has_waited_since(parent: &Process, since: BootNs) -> bool {
    let Some(parenting) = parent.parenting.as_deref() else { return false };
    let waits = parenting.evidence.as_ref().and_then(|(_, evidence)| evidence.waits.as_ref());
    parenting.last_reap_seen >= Some(since)
        || waits.is_some_and(|waits| waits.last_call_ns >= since || waits.in_progress > 0)
}
