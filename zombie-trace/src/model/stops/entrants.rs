//! Which processes of a namespace its init has nothing to do with.

use crate::{
    event::ProcessKey,
    model::{Model, entered::Entered},
};

/// Maximum number of parents that are looked at. A chain is as long as a process is nested.
const MAX_PARENTS: usize = 64;

impl Model {
    /// Whether a process came from outside into the pid namespace of this init, or descends from one that did. `false`
    /// if that is not known: its forker was gone before tracing began.
    pub(super) fn has_entered(&self, process: ProcessKey, init: ProcessKey) -> bool {
        let Some(level) = self.table.get(init).map(|init| init.identity.level) else { return false };
        let mut next = self.table.get(process);
        for _ in 0..MAX_PARENTS {
            let Some(process) = next.filter(|it| it.key != init) else { return false };
            if process.entered.is_some_and(|entered| entered.is_into(level)) {
                return true;
            }
            let parent = process.forker.or(process.origin).or(process.parent);
            let parent = parent.and_then(|parent| self.table.get(parent));
            let (Some(own), Some(parent)) = (process.identity.ns, parent) else { return false };
            let step = parent.known_level().and_then(|level| Entered::of_step(level, process.identity.level, own.nr));
            if step.is_some_and(|entered| entered.is_into(level)) {
                return true;
            }
            next = Some(parent);
        }
        false
    }
}
