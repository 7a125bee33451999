//! A stop that was in progress when another reader was told of it.

use super::{Attempt, KilledProcess, MAX_ATTEMPTS, MAX_KILLED, Watch};
use crate::{
    event::{BootNs, KnownAttempt, KnownKill, KnownStop, NsPid, ProcessKey},
    model::{Identity, Sender},
};

/// Nothing is counted up to more than this.
const MOST: u64 = 1 << 40;

impl Watch {
    /// For whoever reads on from here.
    pub(in crate::model) fn known(&self, process: ProcessKey, last_loss: Option<BootNs>) -> KnownStop {
        KnownStop {
            process,
            namespace: self.namespace,
            attempts: self.attempts.iter().map(Attempt::known).collect(),
            kill: self.kill.map(|(time, killer)| (time, killer.map(|killer| killer.known()))),
            end: self.end,
            killed: self.killed.iter().map(KilledProcess::known).collect(),
            last_loss,
        }
    }

    /// What another reader knew.
    pub(in crate::model) fn recall(known: &KnownStop) -> Self {
        Self {
            namespace: known.namespace,
            attempts: known.attempts.iter().take(MAX_ATTEMPTS).map(Attempt::recall).collect(),
            kill: known.kill.map(|(time, killer)| (time, killer.as_ref().map(Sender::recall))),
            end: known.end,
            killed: known.killed.iter().take(MAX_KILLED).map(KilledProcess::recall).collect(),
        }
    }
}

impl Attempt {
    fn known(&self) -> KnownAttempt {
        let Self { signal, first, last, count, sender, relation, dropped, received, killed } = *self;
        let sender = sender.map(|sender| sender.known());
        KnownAttempt { signal, first, last, count, sender, relation, dropped, is_received: received, killed }
    }

    fn recall(known: &KnownAttempt) -> Self {
        let KnownAttempt { signal, first, last, count, ref sender, relation, dropped, is_received, killed } = *known;
        Self {
            signal,
            first,
            last,
            count: count.min(MOST),
            sender: sender.as_ref().map(Sender::recall),
            relation,
            dropped,
            received: is_received,
            killed: killed.min(MOST),
        }
    }
}

impl KilledProcess {
    /// Without its arguments, of which nobody needs those of a hundred processes.
    fn known(&self) -> KnownKill {
        let identity = &self.identity;
        KnownKill {
            process: self.process,
            comm: identity.comm,
            ns: identity.ns.map(|ns| (ns.nr, ns.inum)),
            level: identity.level,
            cgroup: identity.cgroup,
            uid: identity.uid,
            exe: identity.exe.clone(),
            died: self.died,
            asked_at: self.asked_at,
        }
    }

    fn recall(known: &KnownKill) -> Self {
        let identity = Identity {
            comm: known.comm,
            ns: known.ns.map(|(nr, inum)| NsPid { nr, inum }),
            level: known.level,
            cgroup: known.cgroup,
            uid: known.uid,
            exe: known.exe.clone(),
            cmdline: None,
        };
        Self { process: known.process, identity, died: known.died, asked_at: known.asked_at }
    }
}
