//! Whose the sums are, where a command is followed amid the whole machine.

use rustc_hash::FxHashMap;

use super::{Latency, Model};
use crate::event::ProcessKey;

/// Maximum number of cgroups that are counted apart. What is in others is in the sums of the machine only.
const MAX_CGROUPS: usize = 1 << 12;

/// Of some processes, how many went which way.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Processes that exited.
    pub exits: u64,
    /// Zombies that were seen, of any age.
    pub zombies: u64,
    /// Zombies that were reaped.
    pub reaped: u64,
    /// Children that never became zombies because their parent discards the status.
    pub auto_reaped: u64,
    /// Time to reap, where begin and end are known exactly.
    pub latency: Latency,
}

impl Default for Share {
    fn default() -> Self {
        Self { exits: 0, zombies: 0, reaped: 0, auto_reaped: 0, latency: Latency::of_all() }
    }
}

impl Share {
    fn add(&mut self, other: &Self) {
        self.exits += other.exits;
        self.zombies += other.zombies;
        self.reaped += other.reaped;
        self.auto_reaped += other.auto_reaped;
        self.latency.add(&other.latency);
    }
}

/// The command's own share, and that of each cgroup with processes that do not descend from it.
#[derive(Debug, Default)]
pub(super) struct Shares {
    command: Share,
    cgroups: FxHashMap<u64, Share>,
}

impl Model {
    /// Counts for whoever this process belongs to.
    pub(super) fn share(&mut self, process: ProcessKey, count: impl FnOnce(&mut Share)) {
        if self.config.command.is_none() {
            return;
        }
        let Some(process) = self.table.get(process) else { return };
        if process.identity.descends {
            return count(&mut self.shares.command);
        }
        let cgroup = process.identity.cgroup;
        let cgroups = &mut self.shares.cgroups;
        if cgroups.len() < MAX_CGROUPS || cgroups.contains_key(&cgroup) {
            count(cgroups.entry(cgroup).or_default());
        }
    }

    /// The share of the command together with that of these cgroups.
    #[must_use]
    pub fn share_with<'a>(&self, cgroups: impl IntoIterator<Item = &'a u64>) -> Share {
        let mut sum = self.shares.command.clone();
        for share in cgroups.into_iter().filter_map(|cgroup| self.shares.cgroups.get(cgroup)) {
            sum.add(share);
        }
        sum
    }

    /// The share of a cgroup in what does not descend from the command.
    #[must_use]
    pub fn share_of_cgroup(&self, cgroup: u64) -> Option<&Share> {
        self.shares.cgroups.get(&cgroup)
    }
}
