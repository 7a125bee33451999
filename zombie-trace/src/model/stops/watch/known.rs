//! A stop that was in progress when another reader was told of it.

use std::sync::Arc;

use super::{Attempt, Dropped, Gathered, KilledProcess, Looks, MAX_ATTEMPTS, MAX_KILLED, Watch};
use crate::{
    event::{BootNs, KnownAttempt, KnownKill, KnownStop, ProcessKey},
    model::{Identity, Sender},
};

/// Nothing is counted up to more than this.
const MOST: u64 = 1 << 40;

impl Watch {
    /// For the next file of a recording.
    pub(in crate::model) fn known(&self, process: ProcessKey, last_loss: Option<BootNs>) -> KnownStop {
        KnownStop {
            process,
            namespace: self.namespace,
            attempts: self.attempts.iter().map(Attempt::known).collect(),
            kill: self.kill.map(|(time, killer)| (time, killer.map(|killer| killer.known()))),
            end: self.end,
            killed: self.killed.iter().map(KilledProcess::known).collect(),
            looks: self.looks.known(),
            members: self.gathered.known(),
            more: self.gathered.more(),
            became: self.became,
            forked: self.forked,
            last_loss,
        }
    }

    /// What another reader knew of an init that is this program now; `own` gives the key by which a process is known here.
    pub(in crate::model) fn recall(
        known: &KnownStop,
        program: &Arc<Identity>,
        own: impl Fn(ProcessKey) -> ProcessKey,
    ) -> Self {
        Self {
            namespace: known.namespace,
            attempts: known
                .attempts
                .iter()
                .take(MAX_ATTEMPTS)
                .map(|attempt| Attempt::recall(attempt, program))
                .collect(),
            kill: known.kill.map(|(time, killer)| (time, killer.as_ref().map(Sender::recall))),
            end: known.end,
            killed: known.killed.iter().take(MAX_KILLED).map(KilledProcess::recall).collect(),
            looks: Looks::recall(known.looks),
            gathered: Gathered::recall(&known.members, known.more, own),
            became: known.became,
            forked: known.forked,
        }
    }
}

impl Attempt {
    fn known(&self) -> KnownAttempt {
        KnownAttempt {
            signal: self.signal,
            first: self.first,
            last: self.last,
            count: self.count,
            sender: self.sender.map(|sender| sender.known()),
            relation: self.relation,
            disposition: self.disposition,
            dropped: self.dropped.as_ref().map(|dropped| (dropped.reason, dropped.last)),
            reraised: self.reraised,
            is_received: self.received,
            killed: self.killed,
        }
    }

    fn recall(known: &KnownAttempt, program: &Arc<Identity>) -> Self {
        let dropped = |(reason, last)| Dropped { reason, last, program: Arc::clone(program) };
        Self {
            signal: known.signal,
            first: known.first,
            last: known.last,
            count: known.count.min(MOST),
            sender: known.sender.as_ref().map(Sender::recall),
            relation: known.relation,
            disposition: known.disposition,
            dropped: known.dropped.map(dropped),
            reraised: known.reraised,
            received: known.is_received,
            killed: known.killed.min(MOST),
        }
    }
}

impl KilledProcess {
    fn known(&self) -> KnownKill {
        self.identity.known_as(self.process, self.died, self.asked_at)
    }

    fn recall(known: &KnownKill) -> Self {
        let identity = Identity::recall(known);
        Self { process: known.process, identity, died: known.died, asked_at: known.asked_at }
    }
}
