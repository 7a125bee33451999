//! The tally of the signals that did not reach an init.

use std::sync::Arc;

use super::{DropReason, DroppedSignal, Identity, Relation, Sender, Weight, pending::Pending};
use crate::event::BootNs;

/// Maximum number of senders of one signal that are counted separately.
const MAX_SENDERS: usize = 16;
/// Maximum number of tallies of one init. There are fewer kinds of drops, but the init may run many programs in turn.
const MAX_TALLIES: usize = 256;

/// One kind of drop, counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    /// The signal.
    pub signal: u32,
    /// Why.
    pub reason: DropReason,
    /// Weight of the most important one.
    pub weight: Weight,
    /// The init as it was then.
    pub program: Arc<Identity>,
    /// How often.
    pub count: u64,
    /// The first time.
    pub first: BootNs,
    /// The last time.
    pub last: BootNs,
    /// Who sent it, and how often; the kernel is `None`. At most 16; the rest is only in `count`.
    pub senders: Vec<(Option<Sender>, Relation, u64)>,
    /// The init's program, numbered by exec.
    generation: u32,
}

impl Tally {
    fn new(dropped: &DroppedSignal, generation: u32) -> Self {
        Self {
            signal: dropped.signal,
            reason: dropped.reason,
            weight: Weight::Nothing,
            program: Arc::clone(&dropped.program),
            count: 0,
            first: dropped.time,
            last: dropped.time,
            senders: Vec::new(),
            generation,
        }
    }

    fn sender_like(&mut self, dropped: &DroppedSignal) -> Option<usize> {
        let kind = |sender: Sender| (sender.comm, sender.uid, sender.parent.map(|(_, comm)| comm));
        let wanted = (dropped.relation, dropped.sender.map(kind));
        self.senders.iter().position(|(sender, relation, _)| (*relation, sender.map(kind)) == wanted)
    }
}

/// What happened to the signals of an init.
#[derive(Clone, Debug, Default)]
pub struct SignalTally {
    /// What did not reach it.
    pub drops: Vec<Tally>,
    /// What may still reach it.
    pub(super) pending: Pending,
    /// How many programs it ran before this one, counted while there was something to remember.
    generation: u32,
    /// The current program, as last looked up.
    program: Option<Arc<Identity>>,
}

impl SignalTally {
    pub(super) fn is_reportable(&self) -> bool {
        !self.drops.is_empty()
    }

    /// The init has called exec.
    pub(super) fn begin_program(&mut self) {
        self.generation += 1;
        self.program = None;
        self.pending.begin_program();
    }

    /// The init as it is now; shared, because a storm of signals is about one program.
    pub(super) fn program(&mut self, identity: &Identity) -> Arc<Identity> {
        match &self.program {
            Some(known) if **known == *identity => Arc::clone(known),
            _ => Arc::clone(self.program.insert(Arc::new(identity.clone()))),
        }
    }

    /// Counts a signal that was dropped `count` times.
    pub(super) fn add(&mut self, dropped: &DroppedSignal, count: u64) {
        let kind = |it: &Tally| (it.signal, it.reason) == (dropped.signal, dropped.reason);
        let found = self.drops.iter().position(|it| kind(it) && it.generation == self.generation);
        let is_full = self.drops.len() >= MAX_TALLIES;
        let index = found.or_else(|| self.drops.iter().rposition(kind).filter(|_| is_full));
        let index = index.unwrap_or_else(|| {
            // There are fewer kinds than room, so a full list without this kind has hundreds of programs: the oldest
            // goes.
            if is_full {
                self.drops.remove(0);
            }
            self.drops.push(Tally::new(dropped, self.generation));
            self.drops.len() - 1
        });
        let tally = &mut self.drops[index];
        tally.count += count;
        tally.last = tally.last.max(dropped.time);
        tally.weight = tally.weight.max(dropped.weight());
        if tally.generation == self.generation {
            // What was learned about the program since.
            tally.program = Arc::clone(&dropped.program);
        }
        if let Some(index) = tally.sender_like(dropped) {
            tally.senders[index].2 += count;
        } else if tally.senders.len() < MAX_SENDERS {
            tally.senders.push((dropped.sender, dropped.relation, count));
        }
    }

    /// The signal did reach the init after all.
    pub(super) fn take_back(&mut self, dropped: &DroppedSignal, count: u64) {
        let kind = |it: &Tally| (it.signal, it.reason) == (dropped.signal, dropped.reason);
        let Some(index) = self.drops.iter().rposition(kind) else { return };
        let tally = &mut self.drops[index];
        tally.count = tally.count.saturating_sub(count);
        if tally.count == 0 {
            self.drops.remove(index);
        } else if let Some(sender) = tally.sender_like(dropped) {
            tally.senders[sender].2 = tally.senders[sender].2.saturating_sub(count);
            tally.senders.retain(|it| it.2 > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Comm, NsPid, ProcessKey},
        signal::{SIGHUP, SIGTERM},
    };

    fn comm(name: &str) -> Comm {
        let mut comm = Comm::default();
        comm[..name.len()].copy_from_slice(name.as_bytes());
        comm
    }

    fn dropped(program: &str, signal: u32, sender: u32) -> DroppedSignal {
        let sender = Sender {
            process: ProcessKey { pid: sender, start_ns: 1 },
            comm: comm(&format!("s{sender}")),
            ns: NsPid { nr: sender, inum: 1 },
            uid: 0,
            parent: None,
        };
        DroppedSignal {
            time: 5,
            target: ProcessKey { pid: 1, start_ns: 1 },
            program: Arc::new(Identity { comm: comm(program), ..Identity::default() }),
            signal,
            reason: DropReason::NoHandler,
            sender: Some(sender),
            relation: Relation::Outside,
        }
    }

    #[test]
    fn each_program_has_its_own_tally_though_they_have_one_name() {
        let mut signals = SignalTally::default();
        signals.add(&dropped("bash", SIGTERM, 2), 1);
        signals.begin_program();
        signals.add(&dropped("tini", SIGTERM, 2), 2);
        signals.begin_program();
        signals.add(&dropped("tini", SIGTERM, 2), 3);
        let told: Vec<_> = signals.drops.iter().map(|it| (it.program.comm, it.count)).collect();
        assert_eq!(told, [(comm("bash"), 1), (comm("tini"), 2), (comm("tini"), 3)]);
    }

    #[test]
    fn the_program_is_shared_until_it_changes() {
        let mut signals = SignalTally::default();
        let mut identity = Identity { comm: comm("app"), ..Identity::default() };
        let first = signals.program(&identity);
        assert!(Arc::ptr_eq(&first, &signals.program(&identity)));
        identity.exe = Some("/app".into());
        assert_eq!(signals.program(&identity).exe.as_deref(), Some("/app"));
    }

    #[test]
    fn the_weight_is_that_of_the_one_that_matters_most() {
        let mut signals = SignalTally::default();
        let mut by_itself = dropped("app", SIGTERM, 1);
        by_itself.sender = by_itself.sender.map(|sender| Sender { process: by_itself.target, ..sender });
        signals.add(&by_itself, 1);
        assert_eq!(signals.drops[0].weight, Weight::Warning);
        for sender in 2..40 {
            signals.add(&dropped("app", SIGTERM, sender), 1);
        }
        assert_eq!((signals.drops[0].weight, signals.drops[0].count), (Weight::Error, 39));
        assert_eq!(signals.drops[0].senders.len(), MAX_SENDERS);
    }

    #[test]
    fn what_is_taken_back_is_gone() {
        let mut signals = SignalTally::default();
        signals.add(&dropped("app", SIGTERM, 2), 3);
        signals.add(&dropped("app", SIGTERM, 3), 1);
        signals.take_back(&dropped("app", SIGTERM, 2), 3);
        assert_eq!((signals.drops[0].count, signals.drops[0].senders.len()), (1, 1));
        signals.take_back(&dropped("app", SIGTERM, 3), 1);
        assert!(!signals.is_reportable());
        signals.take_back(&dropped("app", SIGTERM, 3), 1);
    }

    #[test]
    fn an_init_that_execs_for_ever_takes_no_memory_for_it() {
        let mut signals = SignalTally::default();
        for round in 0..10_000 {
            signals.add(&dropped("app", if round % 2 == 0 { SIGTERM } else { SIGHUP }, 2), 1);
            signals.begin_program();
        }
        assert_eq!(signals.drops.len(), MAX_TALLIES);
        assert_eq!(signals.drops.iter().map(|it| it.count).sum::<u64>(), 10_000);
    }
}
