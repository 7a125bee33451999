//! Undecided signals of one init: queued because they are blocked (or the init is traced), or just taken from the queue
//! with the default action.
//!
//! A blocked signal may be read by `sigwait` or a signalfd, at once or later by an event loop. So it is checked
//! repeatedly, and reported as blocked when it has stayed pending for long. That is taken back if the signal is read
//! after all, or if the init exits by itself, perhaps because it read the signal. A signal taken from the queue at
//! `SIG_DFL` either ends the init at once or was dropped by the kernel.

mod known;

use super::{DroppedSignal, Relation, Sender, TimerKey};
use crate::{event::BootNs, signal};
pub(super) use known::Target;

/// When a blocked signal is checked, ns after it was sent: often at first, to see whether it is read at once.
const LOOKS_NS: [u64; 14] = {
    let ms = [50, 100, 200, 400, 800, 1600, 3200, 5000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000];
    let mut looks = [0; 14];
    let mut index = 0;
    while index < looks.len() {
        looks[index] = ms[index] * 1_000_000;
        index += 1;
    }
    looks
};
/// A signal that stays blocked and pending for this long, ns, is reported: half the grace period of Docker.
const BLOCKED_GRACE_NS: u64 = 5_000_000_000;
/// If an init still lives this long, ns, after a deadly signal left its queue, the signal was dropped.
const DELIVERY_GRACE_NS: u64 = 100_000_000;
/// A query unanswered for this long, ns, may be asked again.
const PATIENCE_NS: u64 = 1_000_000_000;
/// Maximum number of senders of one pending signal that are counted separately.
const MAX_SENDERS: usize = 16;

/// A signal in the queue of an init.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    /// What is reported if it stays there, and how often this sender sent it.
    drops: Vec<(DroppedSignal, u64)>,
    /// Whether it matters if it stays.
    watched: bool,
    /// When it was last known to be there.
    seen: Option<BootNs>,
    /// The next look, as an index of [`LOOKS_NS`].
    look: usize,
    /// It was reported as blocked.
    told: bool,
}

/// A signal that was taken from the queue.
#[derive(Clone, Debug)]
struct Taken {
    at: BootNs,
    dropped: DroppedSignal,
    count: u64,
}

/// An outcome of a pending signal.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Turn {
    /// The signal did not reach the init, this many times.
    Dropped(DroppedSignal, u64),
    /// The signal reached the init.
    Got(u32),
    /// It was reported as dropped but was not, this many times.
    TakenBack(DroppedSignal, u64),
}

/// The undecided signals of one init, at most one entry per signal.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    queue: Vec<Queued>,
    taken: Vec<Taken>,
    /// Signals that reached a handler of this program, bit n-1 for signal n.
    handled: u64,
    /// When the last query was sent, if it is still unanswered.
    asked: Option<BootNs>,
    timer: Option<TimerKey>,
}

impl Queued {
    fn signal(&self) -> u32 {
        self.first().signal
    }

    fn first(&self) -> &DroppedSignal {
        &self.drops[0].0
    }

    fn due(&self) -> Option<BootNs> {
        let after = LOOKS_NS.get(self.look).filter(|_| self.watched)?;
        Some(self.first().time.saturating_add(*after))
    }

    fn see(&mut self, time: BootNs) {
        self.seen = self.seen.max(Some(time));
    }

    /// Adds another one of the same signal.
    fn add(&mut self, dropped: DroppedSignal) {
        let known = self.drops.iter().position(|(it, _)| {
            it.reason == dropped.reason
                && it.relation == dropped.relation
                && it.sender.map(|it| it.process) == dropped.sender.map(|it| it.process)
        });
        let is_full = self.drops.len() >= MAX_SENDERS;
        match known.or(is_full.then_some(MAX_SENDERS - 1)) {
            Some(index) => self.drops[index].1 += 1,
            None => self.drops.push((dropped, 1)),
        }
    }

    fn taken_back(self, turns: &mut Vec<Turn>) {
        if self.told {
            turns.extend(self.drops.into_iter().map(|(dropped, count)| Turn::TakenBack(dropped, count)));
        }
    }
}

impl Pending {
    /// The init has called exec: its handlers are gone, but pending signals stay.
    pub(super) fn begin_program(&mut self) {
        self.handled = 0;
    }

    /// A signal reached a handler.
    pub(super) fn handled(&mut self, signal: u32) {
        self.handled |= signal::bit(signal);
    }

    /// Whether the signal reached a handler of this program before. If it is blocked now, the handler may be running.
    pub(super) fn has_handled(&self, signal: u32) -> bool {
        self.handled & signal::bit(signal) != 0
    }

    /// A signal that was not pending is queued. `watched`: whether it matters that it is read.
    pub(super) fn queued(&mut self, dropped: DroppedSignal, watched: bool) -> Vec<Turn> {
        let mut turns = Vec::new();
        if let Some(index) = self.position(dropped.signal) {
            if signal::is_queued(dropped.signal) {
                self.queue[index].watched |= watched;
                self.queue[index].add(dropped);
                return turns;
            }
            // It is queued again, so the earlier one was taken.
            turns.push(Turn::Got(dropped.signal));
            self.queue.swap_remove(index).taken_back(&mut turns);
        }
        self.queue.push(Queued { drops: vec![(dropped, 1)], watched, seen: None, look: 0, told: false });
        turns
    }

    /// A signal was sent while the same was pending.
    pub(super) fn coalesced(&mut self, dropped: DroppedSignal) -> Vec<Turn> {
        let Some(index) = self.position(dropped.signal) else { return Vec::new() };
        let queued = &mut self.queue[index];
        queued.see(dropped.time);
        // A signal that does not matter stays so.
        if !queued.watched {
            return Vec::new();
        }
        queued.add(dropped.clone());
        if queued.told { vec![Turn::Dropped(dropped, 1)] } else { Vec::new() }
    }

    /// A signal was taken from the queue for its default action. `unknown` is what to report if it was not seen being
    /// queued.
    pub(super) fn delivered(&mut self, at: BootNs, unknown: DroppedSignal) -> Vec<Turn> {
        let mut turns = Vec::new();
        let mut dropped = unknown;
        if let Some(index) = self.position(dropped.signal) {
            let queued = self.queue.swap_remove(index);
            let first = queued.first();
            (dropped.sender, dropped.relation) = (first.sender, first.relation);
            queued.taken_back(&mut turns);
        }
        match self.taken.iter_mut().find(|it| it.dropped.signal == dropped.signal) {
            Some(taken) => taken.count += 1,
            None => self.taken.push(Taken { at, dropped, count: 1 }),
        }
        turns
    }

    /// Who sent a signal that is pending, and from where.
    pub(super) fn sender(&self, signal: u32) -> Option<(Option<Sender>, Relation)> {
        self.position(signal).map(|index| self.queue[index].first()).map(|it| (it.sender, it.relation))
    }

    /// What `/proc` says at this time: which signals are blocked, and which are pending.
    pub(super) fn learn(&mut self, time: BootNs, blocked: u64, pending: u64) -> Vec<Turn> {
        self.asked = None;
        let mut turns = Vec::new();
        let mut index = 0;
        while index < self.queue.len() {
            let queued = &mut self.queue[index];
            let (first, bit) = (queued.first(), signal::bit(queued.signal()));
            if first.time > time {
                index += 1;
            } else if pending & bit == 0 {
                turns.push(Turn::Got(first.signal));
                self.queue.swap_remove(index).taken_back(&mut turns);
            } else {
                // A pending signal that is no longer blocked is about to be taken.
                if blocked & bit != 0 {
                    let is_long = time >= first.time.saturating_add(BLOCKED_GRACE_NS);
                    queued.see(time);
                    if is_long && queued.watched && !queued.told {
                        queued.told = true;
                        turns.extend(queued.drops.iter().map(|(it, count)| Turn::Dropped(it.clone(), *count)));
                    }
                }
                index += 1;
            }
        }
        turns
    }

    /// The init has exited, by itself or by SIGKILL.
    pub(super) fn ended(&mut self, time: BootNs, killed: bool) -> Vec<Turn> {
        let mut turns = Vec::new();
        // An init that exits within the grace period may have died of the signal it took.
        self.taken.clear();
        for queued in std::mem::take(&mut self.queue) {
            let sent = queued.first().time;
            // It was seen pending for much of the time, so most likely it was not read later either.
            let stayed = queued.seen.is_some_and(|seen| (seen.saturating_sub(sent)) * 3 >= time.saturating_sub(sent));
            match (killed, queued.told) {
                (false, _) => queued.taken_back(&mut turns),
                (true, true) => {}
                (true, false) if stayed && queued.watched => {
                    turns.extend(queued.drops.into_iter().map(|(dropped, count)| Turn::Dropped(dropped, count)));
                }
                (true, false) => {}
            }
        }
        turns
    }

    /// What is due at this time: signals that the init outlived, and whether to query the init.
    pub(super) fn due(&mut self, now: BootNs) -> (Vec<Turn>, bool) {
        self.timer = None;
        let mut turns = Vec::new();
        self.taken.retain(|taken| {
            let is_over = taken.at.saturating_add(DELIVERY_GRACE_NS) <= now;
            if is_over {
                turns.push(Turn::Dropped(taken.dropped.clone(), taken.count));
            }
            !is_over
        });
        let mut looks = false;
        for queued in &mut self.queue {
            while queued.due().is_some_and(|due| due <= now) {
                queued.look += 1;
                looks = true;
            }
        }
        let asks = looks && self.asked.is_none_or(|asked| asked.saturating_add(PATIENCE_NS) <= now);
        if asks {
            self.asked = Some(now);
        }
        (turns, asks)
    }

    /// When the next timer is due, and the current timer if that one is too late or not needed.
    pub(super) fn next_due(&mut self) -> (Option<BootNs>, Option<TimerKey>) {
        let looks = self.queue.iter().filter_map(Queued::due);
        let next = looks.chain(self.taken.iter().map(|it| it.at.saturating_add(DELIVERY_GRACE_NS))).min();
        match (next, self.timer) {
            (Some(next), Some(timer)) if timer.0 <= next => (None, None),
            (None, None) => (None, None),
            (next, _) => (next, self.timer.take()),
        }
    }

    pub(super) fn set_timer(&mut self, timer: Option<TimerKey>) {
        self.timer = timer;
    }

    fn position(&self, signal: u32) -> Option<usize> {
        self.queue.iter().position(|it| it.signal() == signal)
    }
}

#[cfg(test)]
#[path = "pending_tests.rs"]
mod tests;
