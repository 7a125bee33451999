//! Why a zombie waits, and what helps: pure rules over the model.
//!
//! A rule looks at one zombie and its waiter and either says nothing or states its evidence. The rules stand in the
//! order of [`rules::ORDER`], the most specific first; the first that speaks names the cause, the others that speak
//! are listed as contributing. Where the evidence does not carry any, the cause is `unknown`, with what would decide
//! it: a false accusation is worse than none.

mod case;
mod damage;
mod rules;
mod words;

pub use case::Case;
pub use damage::{Damage, Held, damage, whose};
pub use words::duration;

use crate::model::{Model, Process};

/// Why a zombie waits. The ids are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Its parent never waits.
    NeverWaits,
    /// It was adopted by an init that is none.
    InitDoesNotReap,
    /// It was adopted by a subreaper that does not reap.
    SubreaperDoesNotReap,
    /// Its parent reaps late.
    LazyReaper,
    /// Its tracer has to wait first.
    HeldByTracer,
    /// It has another exit signal than SIGCHLD, and a plain wait does not see it.
    NeedsWclone,
    /// No zombie: the status is thrown away.
    AutoReaped,
    /// The evidence does not decide it.
    Unknown,
}

impl Cause {
    /// The stable id.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::NeverWaits => "never-waits",
            Self::InitDoesNotReap => "init-does-not-reap",
            Self::SubreaperDoesNotReap => "subreaper-does-not-reap",
            Self::LazyReaper => "lazy-reaper",
            Self::HeldByTracer => "held-by-tracer",
            Self::NeedsWclone => "needs-wclone",
            Self::AutoReaped => "auto-reaped",
            Self::Unknown => "unknown",
        }
    }

    /// What it means, in a few words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::NeverWaits => "never waits for its children",
            Self::InitDoesNotReap => "is PID 1 but does not reap the orphans it adopts",
            Self::SubreaperDoesNotReap => "is a subreaper but does not reap the orphans it adopts",
            Self::LazyReaper => "reaps, but slowly",
            Self::HeldByTracer => "traces the process and does not wait for it",
            Self::NeedsWclone => "waits without __WALL for a child whose exit signal is not SIGCHLD",
            Self::AutoReaped => "discards the exit status of its children",
            Self::Unknown => "does not reap; why is not known",
        }
    }
}

/// What is made of a zombie's waiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The cause.
    pub cause: Cause,
    /// What it rests on, a sentence each.
    pub evidence: Vec<String>,
    /// What to do.
    pub advice: String,
    /// Other causes that fit.
    pub contributing: Vec<Cause>,
}

/// Judges one zombie that waits now. `None` if it is not a zombie.
#[must_use]
pub fn judge(model: &Model, zombie: &Process) -> Option<Verdict> {
    let case = Case::new(model, zombie)?;
    let mut findings = rules::ORDER.iter().filter_map(|rule| rule(&case));
    let Some(first) = findings.next() else { return Some(rules::unknown(&case)) };
    let contributing = findings.map(|finding| finding.cause).collect();
    Some(Verdict { cause: first.cause, evidence: first.evidence, advice: first.advice, contributing })
}

/// Judges a parent that has no zombies now, but had some for long.
#[must_use]
pub fn judge_past(parent: &Process) -> Option<Verdict> {
    rules::reaped_late(parent).map(|finding| Verdict {
        cause: finding.cause,
        evidence: finding.evidence,
        advice: finding.advice,
        contributing: Vec::new(),
    })
}

/// What to say of a parent whose children leave no zombies because it discards their status.
#[must_use]
pub fn auto_reaped_evidence(parent_name: &str) -> Vec<String> {
    vec![format!(
        "{parent_name} has SIGCHLD at SIG_IGN or SA_NOCLDWAIT: the kernel reaped the child at once, its exit status is \
         lost, and a wait for it fails with ECHILD"
    )]
}

/// Advice for [`Cause::AutoReaped`].
pub const AUTO_REAPED_ADVICE: &str =
    "If the status is needed, set SIGCHLD to SIG_DFL before starting children; SIG_IGN is inherited over exec.";
