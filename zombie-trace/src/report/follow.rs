//! A process and its descendants, out of a recording of more: what the kernel's filter does in a live run.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;

use crate::event::{Event, Fact, What};

/// Who is followed. As in the kernel that goes by the pid, so whoever has the root's pid is followed.
#[derive(Debug)]
pub(super) struct Follow {
    root: u32,
    followed: FxHashSet<u32>,
    /// Seeds of a scan that is not complete: a parent may come after its children.
    seeds: Vec<Event>,
}

impl Follow {
    pub(super) fn new(root: u32) -> Self {
        Self { root, followed: FxHashSet::from_iter([root]), seeds: Vec::new() }
    }

    /// Gives on what is of those who are followed.
    pub(super) fn pass(&mut self, event: &Event, mut on: impl FnMut(&Event)) {
        if let What::Fact(Fact::Seed(_)) = &event.what {
            self.seeds.push(event.clone());
            return;
        }
        if !self.seeds.is_empty() {
            self.pass_seeds(&mut on);
        }
        if self.takes(event) {
            on(event);
        }
        if let What::Free(process) = &event.what
            && process.pid != self.root
        {
            self.followed.remove(&process.pid);
        }
    }

    fn takes(&mut self, event: &Event) -> bool {
        let wanted = |pid| self.followed.contains(&pid);
        match &event.what {
            What::Fork(fork) => {
                if wanted(fork.forker.pid) {
                    self.followed.insert(fork.child.pid);
                }
                self.followed.contains(&fork.child.pid)
            }
            What::Exit(exit) => wanted(exit.process.pid),
            // A parent that is followed is told of children that it adopted, too.
            What::ChildSignal(signal) => wanted(signal.current.pid) || wanted(signal.target.pid),
            What::Signal(signal) => wanted(signal.target.pid),
            What::Deliver(deliver) => wanted(deliver.target.pid),
            What::Exec(exec) => wanted(exec.process.pid),
            What::Release(release) => wanted(release.process.pid),
            What::Free(process) => wanted(process.pid),
            What::ForkFailed(failed) => wanted(failed.process.pid),
            What::Wait(_) | What::Fact(_) | What::Loss { .. } | What::Full { .. } | What::Tick => true,
        }
    }

    /// Zombies are none of the filter's business unless they are followed; living processes are who somebody is.
    fn pass_seeds(&mut self, on: &mut impl FnMut(&Event)) {
        let seeds = std::mem::take(&mut self.seeds);
        let mut rest: BTreeSet<(u32, u32)> = seeds
            .iter()
            .filter_map(|event| match &event.what {
                What::Fact(Fact::Seed(seed)) => Some((seed.parent_pid, seed.process.pid)),
                _ => None,
            })
            .collect();
        loop {
            let (new, left): (BTreeSet<_>, _) =
                rest.into_iter().partition(|(parent, _)| self.followed.contains(parent));
            rest = left;
            if new.is_empty() {
                break;
            }
            self.followed.extend(new.into_iter().map(|(_, pid)| pid));
        }
        for event in &seeds {
            if let What::Fact(Fact::Seed(seed)) = &event.what
                && (!seed.is_zombie || self.followed.contains(&seed.process.pid))
            {
                on(event);
            }
        }
    }
}
