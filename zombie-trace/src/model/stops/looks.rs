//! While a stop is under way and nothing has ended yet, the init and the processes of its namespace are looked at: what
//! they did then is all that tells where the time went.

use crate::{
    event::{BootNs, Evidence, ProcessKey, Signal},
    model::{Asked, Disposition, Model, Process, Query, inits::is_sent_by_process},
};

/// When they are looked at, ns after the signal: soon, and shortly before the usual ends of grace periods.
const LOOKS_NS: [u64; 5] = [250_000_000, 1_000_000_000, 4_000_000_000, 9_000_000_000, 29_000_000_000];
/// The same signal again within this time, ns, is the same request.
const SAME_REQUEST_NS: u64 = 120_000_000_000;
/// Which processes live in a namespace is known anew after this time, ns: it takes a walk over all.
const GATHERED_NS: u64 = 200_000_000;
/// Maximum number of processes of one namespace that are looked at, the init not counted.
const MAX_LOOKED_AT: usize = 12;
/// Maximum number of processes that are looked at in a second for the sake of stops: a reader does it in a small part of
/// that, so that whoever stops a thousand namespaces does not keep others from being judged.
const MAX_LOOKS_A_SECOND: usize = 500;
const SECOND_NS: u64 = 1_000_000_000;
/// Maximum number of processes of a namespace from which these are chosen.
const MAX_CHOICE: usize = 256;

/// When the init of a watch is looked at, and who besides it.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks {
    /// From when on they count.
    since: BootNs,
    /// How many were made.
    made: usize,
    /// One is to come.
    is_set: bool,
    /// Others of its namespace when that was last gathered; those that are no children of the init come last.
    others: Vec<(bool, ProcessKey)>,
}

impl Looks {
    /// From when on they count, and how many were made: for the next file of a recording.
    pub(super) const fn known(&self) -> (BootNs, usize) {
        (self.since, self.made)
    }

    /// As another reader knew it.
    pub(super) fn recall((since, made): (BootNs, usize)) -> Self {
        Self { since, made, ..Self::default() }
    }
}

impl Model {
    /// A process was sent a signal that asks to end.
    pub(super) fn ask(&mut self, time: BootNs, signal: &Signal, process: ProcessKey) {
        let sender = is_sent_by_process(signal).then(|| self.sender(signal));
        let disposition = Disposition::when_sent(signal);
        let Some(process) = self.table.get_mut(process) else { return };
        match &mut process.asked {
            Some(known) if known.signal == signal.signal && time.saturating_sub(known.last) <= SAME_REQUEST_NS => {
                known.last = known.last.max(time);
            }
            slot => {
                *slot = Some(Box::new(Asked { signal: signal.signal, first: time, last: time, sender, disposition }));
            }
        }
    }

    /// An init was sent a signal that may mean its end.
    pub(super) fn plan_looks(&mut self, time: BootNs, init: ProcessKey) {
        let Some(watch) = self.stops.open.get_mut(&init) else { return };
        if watch.looks.is_set {
            return;
        }
        watch.looks.since = time;
        watch.looks.made = 0;
        self.plan_next_look(init);
    }

    pub(super) fn plan_next_look(&mut self, init: ProcessKey) {
        let Some(watch) = self.stops.open.get_mut(&init) else { return };
        let Some(after) = LOOKS_NS.get(watch.looks.made) else { return };
        let at = watch.looks.since.saturating_add(*after);
        watch.looks.is_set = true;
        self.stops.looks_due.insert((at, init));
    }

    /// Looks at the inits for which it is time.
    pub(in crate::model) fn look_at_stops(&mut self) {
        while let Some(&(due, init)) = self.stops.looks_due.first().filter(|(due, _)| *due <= self.now) {
            self.stops.looks_due.remove(&(due, init));
            self.look_at_stop(init);
        }
    }

    fn look_at_stop(&mut self, init: ProcessKey) {
        let Some(watch) = self.stops.open.get_mut(&init) else { return };
        watch.looks.is_set = false;
        watch.looks.made += 1;
        if watch.end.is_some() || watch.kill.is_some() {
            return;
        }
        self.gather_members();
        let left = self.looks_left();
        let Some(watch) = self.stops.open.get(&init) else { return };
        let others = watch.looks.others.iter().map(|&(_, process)| process);
        self.queries.extend(std::iter::once(init).chain(others).take(left).map(Query::StopMember));
        self.stops.looked.1 += left.min(1 + watch.looks.others.len());
        self.plan_next_look(init);
    }

    /// How many more processes may be looked at in this second.
    fn looks_left(&mut self) -> usize {
        let (since, looked) = &mut self.stops.looked;
        if self.now.saturating_sub(*since) >= SECOND_NS {
            (*since, *looked) = (self.now, 0);
        }
        MAX_LOOKS_A_SECOND.saturating_sub(*looked)
    }

    /// Who lives in the namespaces whose inits are to end: one walk for all of them, however many there are.
    fn gather_members(&mut self) {
        let is_fresh = |gathered: BootNs| self.now.saturating_sub(gathered) < GATHERED_NS;
        if self.stops.gathered.is_some_and(is_fresh) {
            return;
        }
        self.stops.gathered = Some(self.now);
        self.stops.open.values_mut().for_each(|watch| watch.looks.others.clear());
        for process in self.table.iter().filter(|process| !process.is_dead()) {
            let Some(namespace) = process.identity.ns.map(|ns| ns.inum) else { continue };
            let Some(&init) = self.stops.by_namespace.get(&namespace).filter(|&&init| init != process.key) else {
                continue;
            };
            let Some(watch) = self.stops.open.get_mut(&init) else { continue };
            if watch.looks.others.len() < MAX_CHOICE {
                watch.looks.others.push((process.parent != Some(init), process.key));
            }
        }
        for watch in self.stops.open.values_mut() {
            watch.looks.others.sort_unstable_by_key(|&(is_no_child, key)| (is_no_child, key.start_ns, key.pid));
            watch.looks.others.truncate(MAX_LOOKED_AT);
        }
    }

    /// The init of the namespace of a process, if it is to end.
    fn stopping_init(&self, process: &Process) -> Option<ProcessKey> {
        if self.stops.open.is_empty() {
            return None;
        }
        self.stops.by_namespace.get(&process.identity.ns?.inum).copied()
    }

    /// Whether a process is looked at for the sake of a stop.
    pub(in crate::model) fn is_in_stop(&self, process: ProcessKey) -> bool {
        self.table.get(process).is_some_and(|it| !it.is_dead() && self.stopping_init(it).is_some())
    }

    /// There is fresh evidence on a process.
    pub(in crate::model) fn note_stop_look(&mut self, time: BootNs, process: ProcessKey, evidence: &Evidence) {
        let Some(facts) = &evidence.proc else { return };
        let Some(process) = self.table.get(process).filter(|it| !it.is_dead()) else { return };
        let Some(init) = self.stopping_init(process) else { return };
        let Some(watch) = self.stops.open.get_mut(&init) else { return };
        let parent = self.table.by_pid(facts.parent_pid).or(process.parent);
        if let Some(parenting) = &process.parenting {
            watch.gathered.looked(time, process.key, parent, parenting);
        }
    }

    /// A process runs a new program: an init that is to end may be another one from now on.
    pub(in crate::model) fn note_stop_exec(&mut self, time: BootNs, process: ProcessKey) {
        if self.stops.open.is_empty() {
            return;
        }
        if let Some(watch) = self.stops.open.get_mut(&process) {
            watch.became = Some(time);
        }
    }

    /// An init that is to end has started a process.
    pub(in crate::model) fn note_stop_fork(&mut self, time: BootNs, forker: ProcessKey) {
        if self.stops.open.is_empty() {
            return;
        }
        if let Some(watch) = self.stops.open.get_mut(&forker) {
            watch.forked = Some(time);
        }
    }
}
