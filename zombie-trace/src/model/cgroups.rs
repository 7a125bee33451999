//! Where cgroup ids lead: what was asked, and what of it is worth remembering.

use rustc_hash::FxHashSet;

use super::{Model, Query};

/// So many cgroups are always remembered.
pub(super) const MIN_CGROUPS: usize = 1 << 14;

impl Model {
    /// Asks once where a cgroup id leads.
    pub(super) fn learn_cgroup(&mut self, id: u64) {
        if id != 0 && !self.cgroups.contains_key(&id) {
            self.forget_unused_cgroups();
            self.cgroups.insert(id, None);
            self.queries.push_back(Query::Cgroup(id));
        }
    }

    /// Keeps the cgroups in proportion to those that known processes are in: containers come and go.
    fn forget_unused_cgroups(&mut self) {
        if self.cgroups.len() < self.max_cgroups {
            return;
        }
        let used: FxHashSet<u64> = self.processes().map(|process| process.identity.cgroup).collect();
        self.cgroups.retain(|id, _| used.contains(id));
        self.max_cgroups = MIN_CGROUPS.max(2 * self.cgroups.len());
    }
}
