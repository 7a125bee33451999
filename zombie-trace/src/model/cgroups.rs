//! Paths of cgroup ids: asked for once, and forgotten when no process needs them.

use rustc_hash::FxHashSet;

use super::{Model, Query};

/// Number of cgroups that are always remembered.
pub(super) const MIN_CGROUPS: usize = 1 << 14;

impl Model {
    /// Asks once for the path of a cgroup id.
    pub(super) fn learn_cgroup(&mut self, id: u64) {
        if id != 0 && !self.cgroups.contains_key(&id) {
            self.forget_unused_cgroups();
            self.cgroups.insert(id, None);
            self.queries.push_back(Query::Cgroup(id));
        }
    }

    /// Forgets cgroups without known processes, because containers come and go.
    fn forget_unused_cgroups(&mut self) {
        if self.cgroups.len() < self.max_cgroups {
            return;
        }
        let used: FxHashSet<u64> = self.processes().map(|process| process.identity.cgroup).collect();
        self.cgroups.retain(|id, _| used.contains(id));
        self.max_cgroups = MIN_CGROUPS.max(2 * self.cgroups.len());
    }
}
