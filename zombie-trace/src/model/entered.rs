//! Who came into a pid namespace from outside: by `docker exec`, `nsenter` or a probe of a kubelet.
//!
//! Such a process is in the namespace, but descends from a process outside, not from the init: that did not start it, and
//! is not its parent, so nobody can ask the init to tell it of a stop.

use crate::event::Fork;

/// The namespaces that a process, or one that it descends from, came into from outside: those of the levels above
/// `from`, up to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entered {
    from: u32,
    to: u32,
}

impl Entered {
    /// What a process at this level, with this number in its namespace, has entered whose forker is at that level.
    pub(super) fn of_step(forker: u32, level: u32, nr: u32) -> Option<Self> {
        // The first of a namespace is its init, which nobody enters.
        let to = if nr == 1 { level.saturating_sub(1) } else { level };
        (to > forker).then_some(Self { from: forker, to })
    }

    /// What a new process has entered whose forker has entered this, and is at this level; `None` if that is not known.
    pub(super) fn at_fork(earlier: Option<Self>, level: Option<u32>, fork: &Fork) -> Option<Self> {
        let own = level.and_then(|level| Self::of_step(level, fork.level, fork.ns.nr));
        match (own, earlier) {
            (Some(own), Some(earlier)) => Some(Self { from: own.from.min(earlier.from), to: own.to.max(earlier.to) }),
            (own, earlier) => own.or(earlier),
        }
    }

    /// Whether the namespace of this level is among them.
    pub(super) const fn is_into(self, level: u32) -> bool {
        self.from < level && level <= self.to
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
