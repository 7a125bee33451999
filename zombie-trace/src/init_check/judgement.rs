//! What is made of a check. Why one failed is said by the rules that judge every stop and every zombie.

use super::{Observation, observe::describe_drop};
use crate::{
    diagnosis::{StopCause, advise_on_passing_on},
    report::{Grade, StopRecord},
};

/// A grade with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The grade.
    pub grade: Grade,
    /// What it rests on.
    pub evidence: Vec<String>,
    /// The id of why it failed.
    pub cause: Option<&'static str>,
    /// What to do.
    pub advice: Option<String>,
}

impl Judgement {
    /// It is as it should be.
    pub(super) fn pass(evidence: String) -> Self {
        Self::of(Grade::Pass, vec![evidence])
    }

    /// There was nothing to see.
    pub(super) fn not_applicable(why: impl Into<String>) -> Self {
        Self::of(Grade::NotApplicable, vec![why.into()])
    }

    /// It is not as it should be.
    pub(super) fn fail(what: String) -> Self {
        Self::of(Grade::Fail, vec![what])
    }

    /// A grade without a cause.
    pub(super) fn of(grade: Grade, evidence: Vec<String>) -> Self {
        Self { grade, evidence, cause: None, advice: None }
    }

    pub(super) fn is_fail(&self) -> bool {
        self.grade == Grade::Fail
    }

    /// It failed because of what the stop of PID 1 came to.
    pub(super) fn by_stop(self, seen: &Observation<'_>) -> Self {
        let signal = seen.scene.stop_signal.unsigned_abs();
        match seen.stop(signal).and_then(|stop| Some((stop.cause?, stop))) {
            Some((cause, stop)) => self.because(cause, stop),
            None => self.by_drop(seen, signal),
        }
    }

    /// It failed because a signal to PID 1, by which nobody needs to end, did not reach a child. `known` is why, if the
    /// stop rules, which see less of most signals than this check, do not say it more exactly.
    pub(super) fn by_signal(self, seen: &Observation<'_>, signal: u32, known: StopCause) -> Self {
        let judged = match seen.stop(signal).and_then(|stop| Some((stop.cause?, stop))) {
            Some((cause, stop)) if is_about_passing_on(cause) => self.because(cause, stop),
            _ => self.by_drop(seen, signal),
        };
        judged.or(seen, signal, known)
    }

    /// The cause that is known by the check itself, if there is no other.
    pub(super) fn or(mut self, seen: &Observation<'_>, signal: u32, known: StopCause) -> Self {
        if self.cause.is_none() {
            self.cause = Some(known.id());
            let name = seen.result.name.as_deref().unwrap_or("PID 1");
            self.advice = Some(advise_on_passing_on(name, signal));
        }
        self
    }

    fn because(mut self, cause: StopCause, stop: &StopRecord) -> Self {
        self.evidence.extend(stop.evidence.iter().cloned());
        self.cause = Some(cause.id());
        self.advice = stop.advice.clone();
        self
    }

    /// It failed because PID 1 did not get a signal, if that is so.
    pub(super) fn by_drop(mut self, seen: &Observation<'_>, signal: u32) -> Self {
        if let Some(dropped) = seen.drop_of(signal) {
            self.evidence.push(describe_drop(dropped));
            self.cause = StopCause::of_drop(dropped.reason).map(StopCause::id);
            self.advice.clone_from(&dropped.advice);
        }
        self
    }

    /// It failed because PID 1 does not reap, if it has zombies.
    pub(super) fn by_zombies(mut self, seen: &Observation<'_>) -> Self {
        if let Some(parent) = seen.as_parent() {
            // The third names the orphan's creator: the check itself.
            self.evidence.extend(parent.evidence.iter().take(2).cloned());
            self.cause = Some(parent.cause.id());
            self.advice = Some(parent.advice.clone());
        }
        self
    }
}

/// Whether a cause says why others did not get a signal, and not why PID 1 did not end: by most signals it need not.
const fn is_about_passing_on(cause: StopCause) -> bool {
    match cause {
        StopCause::BeforeExec
        | StopCause::ReraisedInVain
        | StopCause::TrapDeferred
        | StopCause::NotForwarded
        | StopCause::EndedBeforeChildren
        | StopCause::Frozen
        | StopCause::TeardownStuck => true,
        StopCause::NoHandler
        | StopCause::WrongStopSignal
        | StopCause::Ignored
        | StopCause::Blocked
        | StopCause::HandlerReturned
        | StopCause::ChildDidNotEnd
        | StopCause::Unknown => false,
    }
}
