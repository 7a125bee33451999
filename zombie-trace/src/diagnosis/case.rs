//! The input of a rule: one zombie, its waiter, and what is known about both.

use super::words;
use crate::{
    event::{BootNs, Evidence, ProcFacts, WaitActivity},
    model::{Ancestor, Death, Model, ParentState, Process, RunState, Zombie},
};

/// One zombie to diagnose.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// What else is known.
    pub model: &'a Model,
    /// The time of the diagnosis, ns of the boot clock.
    pub now: BootNs,
    /// The zombie.
    pub zombie: &'a Process,
    /// Since when it is a zombie, and who could reap it.
    pub state: &'a Zombie,
    /// Its death.
    pub death: &'a Death,
    /// Since when the waiter could have reaped it: since it became a zombie, was adopted, or was found.
    pub since: BootNs,
    /// The process that could reap it; `None` if nothing is known about it.
    pub waiter: Option<&'a Process>,
    /// Its first parent, if the waiter adopted it.
    pub first_parent: Option<Ancestor<'a>>,
    /// It was adopted.
    pub adopted: bool,
    /// Events were lost since the zombie began, so unseen things may have happened.
    pub uncertain: bool,
}

impl<'a> Case<'a> {
    pub(super) fn new(model: &'a Model, zombie: &'a Process) -> Option<Self> {
        let state = zombie.zombie()?;
        let death = &state.death;
        let since = state.waits_since();
        let first = zombie.origin.filter(|origin| origin.pid != death.parent.pid);
        Some(Self {
            model,
            now: model.now(),
            zombie,
            state,
            death,
            since,
            waiter: model.process(state.waiter()),
            first_parent: first.and_then(|key| model.ancestor(key)),
            adopted: first.is_some(),
            // A zombie found by a scan after the loss may have begun before it.
            uncertain: model.last_loss().is_some_and(|lost| lost >= death.exited.min(since) || state.preexisting()),
        })
    }

    /// What the waiter is to its children.
    pub(super) fn parenting(&self) -> Option<&'a ParentState> {
        self.waiter?.parenting.as_deref()
    }

    /// Evidence on the waiter, read after the zombie began, and when that was.
    pub(super) fn evidence(&self) -> Option<(BootNs, &'a Evidence)> {
        let (at, evidence) = self.parenting()?.evidence.as_ref()?;
        (*at >= self.since).then_some((*at, evidence))
    }

    /// How the waiter waits, as far as known.
    pub(super) fn waits(&self) -> Option<&'a WaitActivity> {
        self.evidence()?.1.waits.as_ref()
    }

    /// What `/proc` says of the waiter.
    pub(super) fn facts(&self) -> Option<&'a ProcFacts> {
        self.evidence()?.1.proc.as_ref()
    }

    /// Whether the waiter was seen running, or at least not seen blocked: only then its silence means something.
    pub(super) fn waiter_runs(&self) -> bool {
        self.parenting().is_none_or(|it| it.run_state == RunState::Running)
    }

    /// Whether the waiter is outside the zombie's pid namespace.
    pub(super) fn waiter_is_outside(&self) -> bool {
        let own = &self.zombie.identity;
        let Some(waiter) = self.waiter.map(|it| &it.identity) else { return false };
        own.ns.is_some() && waiter.ns.is_some() && waiter.level < own.level
    }

    /// The ancestors of the zombie by birth, nearest first, as far as remembered.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = Ancestor<'a>> {
        let model = self.model;
        let mut next = self.zombie.origin;
        // Processes are born after their parents, so this ends; the limit guards against bad input.
        std::iter::from_fn(move || {
            let ancestor = model.ancestor(next?)?;
            next = match ancestor {
                Ancestor::Alive(process) => process.origin,
                Ancestor::Dead(remains) => remains.origin,
            };
            Some(ancestor)
        })
        .take(64)
    }

    /// How long the waiter was watched while the zombie waited and the machine ran, ns.
    pub(super) fn watched_for(&self) -> u64 {
        self.evidence().map_or(0, |(at, _)| self.model.ran_ns(self.since, at))
    }

    pub(super) fn waiter_name(&self) -> String {
        let pid = self.state.waiter().pid;
        self.waiter.map_or_else(|| format!("process {pid}"), |waiter| words::name(&waiter.identity.comm, pid))
    }
}
