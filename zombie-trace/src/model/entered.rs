//! Who came into a pid namespace from outside: by `docker exec`, `nsenter` or a probe of a kubelet.
//!
//! Such a process is in the namespace, but descends from a process outside, not from the init: that did not start it, and
//! is not its parent, so nobody can ask the init to tell it of a stop.

use super::{Model, Process};
use crate::event::{Fork, ProcessKey};

/// Maximum number of parents that are looked at. A chain is as long as a process is nested.
const MAX_PARENTS: usize = 64;

/// The namespaces that a process, or one that it descends from, came into from outside: those of the levels above
/// `from`, up to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entered {
    from: u32,
    to: u32,
}

impl Entered {
    /// What a process at this level, with this number in its namespace, has entered whose forker is at that level.
    fn of_step(forker: u32, level: u32, nr: u32) -> Option<Self> {
        // The first of a namespace is its init, which nobody enters.
        let to = if nr == 1 { level.saturating_sub(1) } else { level };
        (to > forker).then_some(Self { from: forker, to })
    }

    pub(super) fn at_fork(forker: Option<&Process>, fork: &Fork) -> Option<Self> {
        let forker = forker?;
        let own = forker.identity.ns.and_then(|_| Self::of_step(forker.identity.level, fork.level, fork.ns.nr));
        match (own, forker.entered) {
            (Some(own), Some(earlier)) => Some(Self { from: own.from.min(earlier.from), to: own.to.max(earlier.to) }),
            (own, earlier) => own.or(earlier),
        }
    }

    const fn is_into(self, level: u32) -> bool {
        self.from < level && level <= self.to
    }
}

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
            // Its fork was seen, so what it descends from is in `entered`.
            if process.forker.is_some() {
                return false;
            }
            let parent = process.origin.or(process.parent).and_then(|parent| self.table.get(parent));
            let (Some(own), Some(parent)) = (process.identity.ns, parent) else { return false };
            let step = parent
                .identity
                .ns
                .and_then(|_| Entered::of_step(parent.identity.level, process.identity.level, own.nr));
            if step.is_some_and(|entered| entered.is_into(level)) {
                return true;
            }
            next = Some(parent);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::Entered;

    #[test]
    fn a_step_into_deeper_namespaces_is_an_entrance_except_for_an_init() {
        assert_eq!(Entered::of_step(1, 1, 7), None);
        assert_eq!(Entered::of_step(0, 1, 1), None, "a new namespace");
        let entered = Entered::of_step(0, 2, 7).unwrap();
        assert_eq!([0, 1, 2, 3].map(|level| entered.is_into(level)), [false, true, true, false]);
        let entered = Entered::of_step(0, 2, 1).unwrap();
        assert_eq!([0, 1, 2].map(|level| entered.is_into(level)), [false, true, false], "a new one within one entered");
    }
}
