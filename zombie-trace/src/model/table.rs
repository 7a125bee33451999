//! All processes, by key and by pid; bounded.

use rustc_hash::FxHashMap;

use super::process::{Ancestor, ExitedProcess, Process};
use crate::event::{BootNs, ProcessKey};

/// The process table, with a maximum size; a process that does not fit is only counted.
#[derive(Debug)]
pub struct Table {
    processes: FxHashMap<ProcessKey, Process>,
    /// The newest process with each pid.
    by_pid: FxHashMap<u32, ProcessKey>,
    /// Processes whose start is known to a clock tick only: pid → (start, tick).
    rounded: FxHashMap<u32, (BootNs, u64)>,
    dead: FxHashMap<ProcessKey, ExitedProcess>,
    limit: usize,
    evicted: u64,
}

impl Table {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            processes: FxHashMap::default(),
            by_pid: FxHashMap::default(),
            rounded: FxHashMap::default(),
            dead: FxHashMap::default(),
            limit,
            evicted: 0,
        }
    }

    /// How many processes did not fit.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The key under which the process is known: one found in `/proc` keeps the start rounded to a tick.
    #[must_use]
    pub fn canonical(&self, key: ProcessKey) -> ProcessKey {
        match self.rounded.get(&key.pid) {
            Some(&(start_ns, tick)) if key.start_ns / tick == start_ns / tick => ProcessKey { start_ns, ..key },
            _ => key,
        }
    }

    /// The key of a process found in `/proc`, whose start is rounded down to `tick` ns: the known one, if the pid is
    /// known and started in the same tick; else the rounded one, which then is the canonical one.
    pub(super) fn canonical_rounded(&mut self, key: ProcessKey, tick: u64) -> ProcessKey {
        let tick = tick.max(1);
        if let Some(&known) = self.by_pid.get(&key.pid)
            && known.start_ns / tick == key.start_ns / tick
        {
            return known;
        }
        if self.processes.len() < self.limit {
            self.rounded.insert(key.pid, (key.start_ns, tick));
        }
        key
    }

    pub(super) fn get(&self, key: ProcessKey) -> Option<&Process> {
        self.processes.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: ProcessKey) -> Option<&mut Process> {
        self.processes.get_mut(&key)
    }

    /// The newest process with this pid.
    pub(super) fn by_pid(&self, pid: u32) -> Option<ProcessKey> {
        self.by_pid.get(&pid).copied()
    }

    /// The process, made if it is not known; `None` if the table is full. The second value is another process that
    /// had the pid before and was not known to be gone.
    pub(super) fn upsert(&mut self, key: ProcessKey, time: BootNs) -> (Option<&mut Process>, Option<ProcessKey>) {
        let mut former = None;
        if !self.processes.contains_key(&key) {
            if self.processes.len() >= self.limit {
                self.evicted += 1;
                return (None, None);
            }
            self.processes.insert(key, Process::new(key, time));
            let newest = self.by_pid.entry(key.pid).or_insert(key);
            if newest.start_ns < key.start_ns {
                former = Some(*newest);
                *newest = key;
            }
        }
        let mut process = self.processes.get_mut(&key);
        if let Some(process) = &mut process {
            process.last_seen = process.last_seen.max(time);
        }
        (process, former)
    }

    /// Takes a process out. While its children live, a summary of it is kept.
    pub(super) fn remove(&mut self, key: ProcessKey) -> Option<Process> {
        let process = self.processes.remove(&key)?;
        if self.by_pid.get(&key.pid) == Some(&key) {
            self.by_pid.remove(&key.pid);
        }
        if self.rounded.get(&key.pid).is_some_and(|&(start, _)| start == key.start_ns) {
            self.rounded.remove(&key.pid);
        }
        if process.children > 0 {
            let Process { origin, children, .. } = process;
            let sigchld = process.heritage.sigchld;
            let remains =
                ExitedProcess { key, comm: process.identity.comm, end: process.end(), origin, sigchld, children };
            self.dead.insert(key, remains);
        }
        if let Some(forker) = process.forker {
            self.child_gone(forker);
        }
        Some(process)
    }

    /// A process turned out to be the child of `forker`, which was `remains` if it is gone.
    pub(super) fn child_known(&mut self, forker: ProcessKey, remains: Option<ExitedProcess>) {
        if let Some(process) = self.processes.get_mut(&forker) {
            process.children = process.children.saturating_add(1);
        } else if let Some(remains) = remains.map(|remains| self.dead.entry(forker).or_insert(remains)) {
            remains.children = remains.children.saturating_add(1);
        }
    }

    fn child_gone(&mut self, forker: ProcessKey) {
        if let Some(process) = self.processes.get_mut(&forker) {
            process.children = process.children.saturating_sub(1);
        } else if let Some(remains) = self.dead.get_mut(&forker) {
            remains.children = remains.children.saturating_sub(1);
            if remains.children == 0 {
                self.dead.remove(&forker);
            }
        }
    }

    pub(super) fn ancestor(&self, key: ProcessKey) -> Option<Ancestor<'_>> {
        self.get(key).map(Ancestor::Alive).or_else(|| self.dead.get(&key).map(Ancestor::Dead))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Process> {
        self.processes.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        self.processes.values_mut()
    }

    /// How many processes are kept, dead ancestors included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.processes.len() + self.dead.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl super::Model {
    /// The process of an event, whose key is exact; one found in `/proc` is known by a rounded one.
    #[must_use]
    pub fn process_of(&self, key: ProcessKey) -> Option<&Process> {
        self.table.get(self.table.canonical(key))
    }
}
