//! A process and its descendants, out of a recording of more: what the kernel's filter does in a live run.
//!
//! Processes are followed by pid and start, so that whoever gets the pid of one that is gone is another process. A child
//! that a followed process adopts or traces is told whole: how it exits, is reaped and freed. It is not followed: what
//! it forked before is no descendant.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::event::{ChildSignal, Event, Exit, Fact, ProcessKey, Seed, What};

/// Maximum number of dead processes that are kept in case a followed process adopts them.
const MAX_HELD: usize = 1 << 16;

/// When a process started, ns of the boot clock: within a clock tick for one found in `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Birth {
    start_ns: u64,
    tick_ns: u64,
}

impl Birth {
    fn is_of(self, key: ProcessKey) -> bool {
        key.start_ns / self.tick_ns == self.start_ns / self.tick_ns
    }
}

/// A dead process that is not followed: what was told of its death, and its numbers.
#[derive(Debug)]
struct Held {
    exit: Event,
    signal: Option<Event>,
}

/// Which processes are followed: those with the root's pid, and their descendants.
#[derive(Debug)]
pub(super) struct ProcessFilter {
    root: u32,
    /// By pid. A pid may be in use again before its former owner is freed.
    followed: FxHashMap<u32, Vec<Birth>>,
    /// Children that followed processes adopted or trace, by pid.
    wards: FxHashMap<u32, Vec<Birth>>,
    held: FxHashMap<ProcessKey, Held>,
    /// The held by (pid namespace, number in it).
    by_number: FxHashMap<(u32, u32), ProcessKey>,
    /// Seeds of a scan that is not complete: a parent may come after its children.
    seeds: Vec<Event>,
}

impl ProcessFilter {
    pub(super) fn new(root: u32) -> Self {
        Self {
            root,
            followed: FxHashMap::default(),
            wards: FxHashMap::default(),
            held: FxHashMap::default(),
            by_number: FxHashMap::default(),
            seeds: Vec::new(),
        }
    }

    /// Passes on what concerns the processes that are followed.
    pub(super) fn forward(&mut self, event: &Event, mut on: impl FnMut(&Event)) {
        if let What::Fact(Fact::Seed(_)) = &event.what {
            self.seeds.push(event.clone());
            return;
        }
        if !self.seeds.is_empty() {
            self.forward_seeds(&mut on);
        }
        if let What::ChildSignal(signal) = &event.what {
            self.adopt(signal, &mut on);
        }
        if self.accepts(event) {
            on(event);
        } else {
            self.hold(event);
        }
        if let What::Free(process) = &event.what {
            self.forget(*process);
        }
    }

    fn is_followed(&self, key: ProcessKey) -> bool {
        key.pid == self.root || contains(&self.followed, key)
    }

    /// Whether it is told of: followed, adopted or traced.
    fn is_told(&self, key: ProcessKey) -> bool {
        self.is_followed(key) || contains(&self.wards, key)
    }

    /// Whether a process with this pid is followed, where its start is not known.
    fn may_be_followed(&self, pid: u32) -> bool {
        pid == self.root || self.followed.contains_key(&pid)
    }

    fn accepts(&mut self, event: &Event) -> bool {
        match &event.what {
            What::Fork(fork) => {
                if self.is_followed(fork.forker) {
                    insert(&mut self.followed, fork.child, 1);
                } else if fork.parent_pid != fork.forker.pid && self.may_be_followed(fork.parent_pid) {
                    insert(&mut self.wards, fork.child, 1);
                }
                self.is_told(fork.child)
            }
            What::Exit(exit) => {
                if !self.is_told(exit.process) && self.has_followed_waiter(exit) {
                    insert(&mut self.wards, exit.process, 1);
                }
                self.is_told(exit.process)
            }
            What::ChildSignal(signal) => {
                self.is_followed(signal.target) || signal.child_is_current && self.is_told(signal.current)
            }
            What::Signal(signal) => self.is_followed(signal.target),
            What::Deliver(deliver) => self.is_followed(deliver.target),
            What::Exec(exec) => self.is_told(exec.process),
            What::Release(release) => self.is_told(release.process),
            What::Free(process) | What::MemoryLimit { process, .. } => self.is_told(*process),
            What::FullPidNs(full) => self.is_followed(full.process),
            What::ForkFailed(failed) => self.is_followed(failed.process),
            What::Wait(_) | What::Fact(_) | What::Loss { .. } | What::Full { .. } | What::Tick => true,
        }
    }

    fn has_followed_waiter(&self, exit: &Exit) -> bool {
        self.is_followed(exit.parent) || exit.tracer.is_some_and(|pid| self.may_be_followed(pid))
    }

    /// Keeps what was told of a death, in case a followed process adopts the zombie.
    fn hold(&mut self, event: &Event) {
        match &event.what {
            What::Exit(exit) if exit.group_dead && self.held.len() < MAX_HELD => {
                for number in exit.ns.iter().filter(|number| number.nr != 0) {
                    self.by_number.insert((number.inum, number.nr), exit.process);
                }
                self.held.insert(exit.process, Held { exit: event.clone(), signal: None });
            }
            What::ChildSignal(signal) if signal.child_is_current => {
                if let Some(held) = self.held.get_mut(&signal.current) {
                    held.signal = Some(event.clone());
                }
            }
            _ => {}
        }
    }

    /// A followed process is told of a child. If that was not followed until now, it is from its death on.
    fn adopt(&mut self, signal: &ChildSignal, on: &mut impl FnMut(&Event)) {
        if !self.is_followed(signal.target) {
            return;
        }
        let child = if signal.child_is_current {
            signal.current
        } else {
            let Some(child) = self.by_number.get(&(signal.target_ns.inum, signal.child_nr)) else { return };
            *child
        };
        if self.is_told(child) {
            return;
        }
        insert(&mut self.wards, child, 1);
        if let Some(held) = self.let_go(child) {
            on(&held.exit);
            held.signal.iter().for_each(on);
        }
    }

    fn let_go(&mut self, key: ProcessKey) -> Option<Held> {
        let held = self.held.remove(&key)?;
        if let What::Exit(exit) = &held.exit.what {
            for number in &exit.ns {
                let slot = (number.inum, number.nr);
                // The number may belong to another one already.
                if self.by_number.get(&slot) == Some(&key) {
                    self.by_number.remove(&slot);
                }
            }
        }
        Some(held)
    }

    fn forget(&mut self, key: ProcessKey) {
        remove(&mut self.followed, key);
        remove(&mut self.wards, key);
        self.let_go(key);
    }

    /// Zombies are none of the filter's business unless they are followed; living processes are who somebody is.
    fn forward_seeds(&mut self, on: &mut impl FnMut(&Event)) {
        let seeds = std::mem::take(&mut self.seeds);
        let found = |event: &Event| match &event.what {
            What::Fact(Fact::Seed(seed)) => Some(seed.clone()),
            _ => None,
        };
        let all: FxHashMap<u32, Box<Seed>> =
            seeds.iter().filter_map(found).map(|seed| (seed.process.pid, seed)).collect();
        let mut rest: BTreeSet<(u32, u32)> = all.values().map(|seed| (seed.parent_pid, seed.process.pid)).collect();
        loop {
            let is_followed = |pid: u32| {
                let Some(seed) = all.get(&pid) else { return self.may_be_followed(pid) };
                pid == self.root || knows(&self.followed, seed)
            };
            let (new, left): (BTreeSet<_>, _) = rest.into_iter().partition(|(parent, _)| is_followed(*parent));
            rest = left;
            if new.is_empty() {
                break;
            }
            for (_, pid) in new {
                if let Some(seed) = all.get(&pid).filter(|seed| !self.is_known(seed)) {
                    insert(&mut self.followed, seed.process, seed.tick_ns.max(1));
                }
            }
        }
        for event in &seeds {
            if let What::Fact(Fact::Seed(seed)) = &event.what
                && (!seed.is_zombie || seed.process.pid == self.root || self.is_known(seed))
            {
                on(event);
            }
        }
    }

    /// Whether a process that was found is told of, by the start that is known of it.
    fn is_known(&self, seed: &Seed) -> bool {
        knows(&self.followed, seed) || knows(&self.wards, seed)
    }
}

/// Whether a process that was found is among these; either start may be known to a tick only.
fn knows(processes: &FxHashMap<u32, Vec<Birth>>, seed: &Seed) -> bool {
    let start_ns = seed.process.start_ns;
    processes.get(&seed.process.pid).is_some_and(|births| {
        births.iter().any(|birth| {
            let tick_ns = birth.tick_ns.max(seed.tick_ns);
            start_ns / tick_ns == birth.start_ns / tick_ns
        })
    })
}

fn contains(processes: &FxHashMap<u32, Vec<Birth>>, key: ProcessKey) -> bool {
    processes.get(&key.pid).is_some_and(|births| births.iter().any(|birth| birth.is_of(key)))
}

fn insert(processes: &mut FxHashMap<u32, Vec<Birth>>, key: ProcessKey, tick_ns: u64) {
    if !contains(processes, key) {
        processes.entry(key.pid).or_default().push(Birth { start_ns: key.start_ns, tick_ns });
    }
}

fn remove(processes: &mut FxHashMap<u32, Vec<Birth>>, key: ProcessKey) {
    if let Some(births) = processes.get_mut(&key.pid) {
        births.retain(|birth| !birth.is_of(key));
        if births.is_empty() {
            processes.remove(&key.pid);
        }
    }
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
