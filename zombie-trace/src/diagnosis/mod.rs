//! Why a zombie waits, and what helps: pure rules over the model.
//!
//! A rule looks at one zombie and its waiter and either says nothing or states its evidence. The rules stand in the
//! order of [`rules::ORDER`], the most specific first; the first that speaks names the cause, the others that speak
//! are listed as contributing. Where the evidence does not carry any, the cause is `unknown`, with what would decide
//! it: a false accusation is worse than none.

mod advice;
mod case;
mod damage;
mod rules;
#[cfg(test)]
mod tests;
mod words;

pub use case::Case;
pub use damage::{Damage, Held, damage, whose};

use crate::model::{Model, Process, Stolen};
use rules::Finding;

/// Why a zombie waits. The ids are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Its parent never waits.
    NeverWaits,
    /// It was adopted by an init that is none.
    InitDoesNotReap,
    /// It was adopted by a subreaper that does not reap.
    SubreaperDoesNotReap,
    /// It was adopted by an application that runs in the place of the image's init.
    InitBypassed,
    /// An init runs, but below the process that adopts.
    InitNotPid1,
    /// Its parent waits for other children only.
    WaitsForOthers,
    /// Its parent waits once for each SIGCHLD, and signals coalesce.
    OneWaitPerSigchld,
    /// Its parent blocks SIGCHLD.
    SigchldBlocked,
    /// Its parent's handler of SIGCHLD does not wait.
    HandlerIgnoresChildren,
    /// Its parent reaps late.
    LazyReaper,
    /// Its parent is stopped, frozen or asleep.
    ParentCannotRun,
    /// No zombie yet: threads live on after their leader.
    LeaderZombieWithLiveThreads,
    /// The init of its namespace dies and does not come to an end.
    NamespaceTeardownStuck,
    /// Its parent is a container runtime outside the container.
    ShimOrRuntime,
    /// No zombie: one thread took the status that another waited for.
    StatusStolen,
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
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::NeverWaits,
        Self::InitDoesNotReap,
        Self::SubreaperDoesNotReap,
        Self::InitBypassed,
        Self::InitNotPid1,
        Self::WaitsForOthers,
        Self::OneWaitPerSigchld,
        Self::SigchldBlocked,
        Self::HandlerIgnoresChildren,
        Self::LazyReaper,
        Self::ParentCannotRun,
        Self::LeaderZombieWithLiveThreads,
        Self::NamespaceTeardownStuck,
        Self::ShimOrRuntime,
        Self::StatusStolen,
        Self::HeldByTracer,
        Self::NeedsWclone,
        Self::AutoReaped,
        Self::Unknown,
    ];

    /// The stable id.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::NeverWaits => "never-waits",
            Self::InitDoesNotReap => "init-does-not-reap",
            Self::SubreaperDoesNotReap => "subreaper-does-not-reap",
            Self::InitBypassed => "init-bypassed",
            Self::InitNotPid1 => "init-not-pid-1",
            Self::WaitsForOthers => "waits-for-others",
            Self::OneWaitPerSigchld => "one-wait-per-sigchld",
            Self::SigchldBlocked => "sigchld-blocked",
            Self::HandlerIgnoresChildren => "handler-ignores-children",
            Self::LazyReaper => "lazy-reaper",
            Self::ParentCannotRun => "parent-cannot-run",
            Self::LeaderZombieWithLiveThreads => "leader-zombie-with-live-threads",
            Self::NamespaceTeardownStuck => "namespace-teardown-stuck",
            Self::ShimOrRuntime => "shim-or-runtime",
            Self::StatusStolen => "status-stolen",
            Self::HeldByTracer => "held-by-tracer",
            Self::NeedsWclone => "needs-wclone",
            Self::AutoReaped => "auto-reaped",
            Self::Unknown => "unknown",
        }
    }

    /// Whether it is still what kept a zombie waiting when that was reaped in the end.
    #[must_use]
    pub const fn holds_when_reaped(self) -> bool {
        !matches!(
            self,
            Self::NeverWaits
                | Self::InitDoesNotReap
                | Self::SubreaperDoesNotReap
                | Self::InitBypassed
                | Self::InitNotPid1
                | Self::HandlerIgnoresChildren
                | Self::Unknown
        )
    }

    /// What it means, in a few words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::NeverWaits => "never waits for its children",
            Self::InitDoesNotReap => "is PID 1 but does not reap the orphans it adopts",
            Self::SubreaperDoesNotReap => "is a subreaper but does not reap the orphans it adopts",
            Self::InitBypassed => "runs as PID 1 in the place of the image's init, and does not reap",
            Self::InitNotPid1 => "is PID 1 and does not reap, while the init below it cannot",
            Self::WaitsForOthers => "waits only for other children",
            Self::OneWaitPerSigchld => "waits once for each SIGCHLD, though several children may die for one",
            Self::SigchldBlocked => "blocks SIGCHLD and does not learn of its children's deaths",
            Self::HandlerIgnoresChildren => "handles SIGCHLD without waiting",
            Self::LazyReaper => "reaps, but slowly",
            Self::ParentCannotRun => "cannot run, and so cannot reap",
            Self::LeaderZombieWithLiveThreads => "is shown as a zombie, but threads of it live",
            Self::NamespaceTeardownStuck => "dies as PID 1, and waits for what is left in its namespace",
            Self::ShimOrRuntime => "is a container runtime that missed the end of a process",
            Self::StatusStolen => "loses exit statuses from one of its threads to another",
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

impl Verdict {
    fn alone(finding: Finding) -> Self {
        let Finding { cause, evidence, advice } = finding;
        Self { cause, evidence, advice, contributing: Vec::new() }
    }
}

/// Judges one zombie that waits now. `None` if it is not a zombie.
#[must_use]
pub fn judge(model: &Model, zombie: &Process) -> Option<Verdict> {
    let case = Case::new(model, zombie)?;
    let mut findings = rules::ORDER.iter().filter_map(|rule| rule(&case));
    let Some(first) = findings.next() else { return Some(rules::unknown(&case)) };
    let contributing = findings.map(|finding| finding.cause).collect();
    Some(Verdict { contributing, ..Verdict::alone(first) })
}

/// Judges a process that began to die and has not come to an end. `None` if it is not known to be stuck.
#[must_use]
pub fn judge_stuck(model: &Model, process: &Process) -> Option<Verdict> {
    rules::stuck(model, process).map(Verdict::alone)
}

/// Whether a process that is stuck may be so on purpose: threads that outlive their leader and sleep like any other.
#[must_use]
pub fn may_be_meant(process: &Process) -> bool {
    rules::may_be_meant(process)
}

/// Judges a parent that has no zombies now, but had some for long.
#[must_use]
pub fn judge_past(parent: &Process) -> Option<Verdict> {
    rules::reaped_late(parent).map(Verdict::alone)
}

/// What to say of a thread that missed the status of its child.
#[must_use]
pub fn stolen_evidence(parent_name: &str, stolen: &Stolen) -> Vec<String> {
    vec![
        format!("thread {} of {parent_name} waited for the child and got ECHILD", stolen.loser),
        format!("thread {} had reaped it in a wait for any child", stolen.taker),
    ]
}

/// Advice for [`Cause::StatusStolen`].
pub const STATUS_STOLEN_ADVICE: &str = "Let one owner do all the waiting: either a loop over waitpid(-1, …) that hands \
     the statuses on, or a wait for each single child, but not both in one process.";

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
