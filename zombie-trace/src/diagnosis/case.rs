//! What a rule gets to see: one zombie, who should reap it, and what is known of both.

use crate::{
    event::{BootNs, Evidence, ProcFacts, WaitActivity},
    model::{Death, Forefather, Model, Parenting, Process},
    output::escape,
};

/// One zombie to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The time of judging, ns of the boot clock.
    pub now: BootNs,
    /// The zombie.
    pub zombie: &'a Process,
    /// Its death.
    pub death: &'a Death,
    /// Since when the waiter could have reaped it: since it became a zombie, was adopted, or was found.
    pub since: BootNs,
    /// Who could reap it; `None` if nothing is known of that process.
    pub waiter: Option<&'a Process>,
    /// The parent it had first, if that was another process: this one adopted it.
    pub first_parent: Option<Forefather<'a>>,
    /// It was adopted.
    pub adopted: bool,
    /// Events were lost since the zombie began: what was not seen may have happened.
    pub uncertain: bool,
}

impl<'a> Case<'a> {
    pub(super) fn new(model: &'a Model, zombie: &'a Process) -> Option<Self> {
        let death = zombie.death.as_deref()?;
        let since = death.waits_since()?;
        let first = zombie.origin.filter(|origin| origin.pid != death.parent.pid);
        Some(Self {
            now: model.now(),
            zombie,
            death,
            since,
            waiter: model.process(death.waiter),
            first_parent: first.and_then(|key| model.forefather(key)),
            adopted: first.is_some(),
            // One that was found by a scan after the loss may have begun before it.
            uncertain: model.last_loss().is_some_and(|lost| lost >= death.exited.min(since) || death.preexisting),
        })
    }

    /// What the waiter is to its children.
    pub(super) fn parenting(&self) -> Option<&'a Parenting> {
        self.waiter?.parenting.as_deref()
    }

    /// Evidence about the waiter from after the zombie began, and when it was taken.
    pub(super) fn evidence(&self) -> Option<(BootNs, &'a Evidence)> {
        let (at, evidence) = self.parenting()?.evidence.as_ref()?;
        (*at >= self.since).then_some((*at, evidence))
    }

    /// How the waiter waits, as far as that is known.
    pub(super) fn waits(&self) -> Option<&'a WaitActivity> {
        self.evidence()?.1.waits.as_ref()
    }

    /// What `/proc` says of the waiter.
    pub(super) fn facts(&self) -> Option<&'a ProcFacts> {
        self.evidence()?.1.proc.as_ref()
    }

    /// How long the waiter was watched while the zombie waited, ns.
    pub(super) fn watched_for(&self) -> u64 {
        self.evidence().map_or(0, |(at, _)| at.saturating_sub(self.since))
    }

    /// Name of the waiter.
    pub(super) fn waiter_name(&self) -> String {
        self.waiter.map_or_else(
            || format!("process {}", self.death.waiter.pid),
            |waiter| escape::comm(&waiter.identity.comm).into_owned(),
        )
    }
}
