//! Undecided signals from the snapshot of another reader.

use std::sync::Arc;

use super::{LOOKS_NS, MAX_SENDERS, Pending, Queued, Taken};
use crate::{
    event::{KnownQueued, KnownSignal, KnownSignals, ProcessKey},
    model::{DroppedSignal, Identity, Sender},
    signal::SIGRTMAX,
};

/// Maximum number of undecided signals: one of each.
const MAX_SIGNALS: usize = SIGRTMAX as usize;
/// Upper bound on how often a signal was sent.
const MOST: u64 = 1 << 40;

/// The init that the signals are for.
pub(in crate::model) struct Target<'a> {
    pub(in crate::model) process: ProcessKey,
    pub(in crate::model) program: &'a Arc<Identity>,
}

impl Target<'_> {
    fn dropped(&self, known: &KnownSignal) -> DroppedSignal {
        DroppedSignal {
            time: known.time,
            target: self.process,
            program: Arc::clone(self.program),
            signal: known.signal,
            reason: known.reason,
            sender: known.sender.as_ref().map(Sender::recall),
            relation: known.relation,
        }
    }
}

fn known(dropped: &DroppedSignal) -> KnownSignal {
    let DroppedSignal { time, signal, reason, sender, relation, .. } = *dropped;
    KnownSignal { signal, time, reason, sender: sender.map(|sender| sender.known()), relation }
}

fn is_signal(number: u32) -> bool {
    (1..=SIGRTMAX).contains(&number)
}

impl Pending {
    /// For the next file of a recording.
    pub(in crate::model) fn known(&self) -> KnownSignals {
        let queued = |queued: &Queued| KnownQueued {
            sent: queued.drops.iter().map(|(dropped, count)| (known(dropped), *count)).collect(),
            is_watched: queued.watched,
            seen: queued.seen,
            looks: queued.look,
            is_told: queued.told,
        };
        let taken = |taken: &Taken| (taken.at, known(&taken.dropped), taken.count);
        KnownSignals {
            queue: self.queue.iter().map(queued).collect(),
            taken: self.taken.iter().map(taken).collect(),
            asked: self.asked,
            handled: self.handled,
        }
    }

    /// What another reader knew.
    pub(in crate::model) fn recall(&mut self, known: &KnownSignals, target: &Target<'_>) {
        let mut pending = Self { asked: known.asked, handled: known.handled, timer: self.timer, ..Self::default() };
        for queued in known.queue.iter().take(MAX_SIGNALS) {
            let sent = queued.sent.iter().filter(|(signal, _)| is_signal(signal.signal)).take(MAX_SENDERS);
            let drops: Vec<_> = sent.map(|(signal, count)| (target.dropped(signal), (*count).clamp(1, MOST))).collect();
            let Some((first, _)) = drops.first() else { continue };
            if pending.position(first.signal).is_none() && drops.iter().all(|(it, _)| it.signal == first.signal) {
                pending.queue.push(Queued {
                    drops,
                    watched: queued.is_watched,
                    seen: queued.seen,
                    look: queued.looks.min(LOOKS_NS.len()),
                    told: queued.is_told,
                });
            }
        }
        for (at, signal, count) in known.taken.iter().take(MAX_SIGNALS) {
            let is_new = pending.taken.iter().all(|it| it.dropped.signal != signal.signal);
            if is_new && is_signal(signal.signal) {
                let dropped = target.dropped(signal);
                pending.taken.push(Taken { at: *at, dropped, count: (*count).clamp(1, MOST) });
            }
        }
        *self = pending;
    }
}
