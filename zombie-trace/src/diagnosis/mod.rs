//! Why a zombie is unreaped, and what helps: pure rules over the model.
//!
//! A rule looks at one zombie and its waiter and either says nothing or states its evidence. The order is
//! [`rules::ORDER`], most specific first: the first rule that matches names the cause, further ones are listed as
//! contributing. If none matches, the cause is `unknown`, with advice on what would decide it: a wrong cause is worse
//! than none.

mod advice;
mod case;
mod damage;
mod doing;
mod endings;
mod gaps;
mod heritage;
mod programs;
mod rules;
mod stops;
#[cfg(test)]
mod tests;
mod words;

pub use case::Case;
pub use damage::{Damage, LimitUsage, damage, whose};
pub use doing::Activity;
pub use endings::{ADVICE_ON_ABORT, EndVerdict, EndWay, judge_ending, shown_status};
pub use stops::{StopCause, StopVerdict, advise_on_drop, advise_on_passing_on, diagnose_stop, place_in_stop};

use crate::{
    event::ExitStatus,
    model::{Kept, Model, Process, Stolen},
};
use rules::Finding;

/// Why a zombie is unreaped. The ids are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Its parent has not waited since it died.
    NeverWaits,
    /// It was adopted by a PID 1 that does not reap.
    InitDoesNotReap,
    /// It was adopted by a subreaper that does not reap.
    SubreaperDoesNotReap,
    /// It was adopted by an application that runs instead of the image's init.
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
    /// Its parent's handler of SIGCHLD was entered and does not return.
    HandlerStuck,
    /// Its parent's handler of SIGCHLD existed for the first children and is gone.
    HandlerReset,
    /// Its parent reaps late.
    LazyReaper,
    /// Its parent is stopped, frozen or asleep.
    ParentCannotRun,
    /// No zombie yet: threads live on after their leader.
    LeaderZombieWithLiveThreads,
    /// The init of its namespace is stuck while exiting.
    NamespaceTeardownStuck,
    /// Its parent is a container runtime outside the container.
    ShimOrRuntime,
    /// No zombie: one thread took the status that another waited for.
    StatusStolen,
    /// Its tracer has to wait first.
    HeldByTracer,
    /// Its exit signal is not SIGCHLD, so a plain wait does not see it.
    NeedsWclone,
    /// No zombie: the status is discarded.
    AutoReaped,
    /// The evidence does not decide it.
    Unknown,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::NeverWaits,
        Self::InitDoesNotReap,
        Self::InitBypassed,
        Self::InitNotPid1,
        Self::SubreaperDoesNotReap,
        Self::WaitsForOthers,
        Self::OneWaitPerSigchld,
        Self::SigchldBlocked,
        Self::HandlerIgnoresChildren,
        Self::HandlerStuck,
        Self::HandlerReset,
        Self::LazyReaper,
        Self::NeedsWclone,
        Self::ParentCannotRun,
        Self::HeldByTracer,
        Self::LeaderZombieWithLiveThreads,
        Self::NamespaceTeardownStuck,
        Self::ShimOrRuntime,
        Self::StatusStolen,
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
            Self::HandlerStuck => "handler-stuck",
            Self::HandlerReset => "handler-reset",
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

    /// Whether it remains the cause after the zombie was reaped.
    #[must_use]
    pub const fn still_applies_after_reap(self) -> bool {
        !matches!(
            self,
            Self::NeverWaits
                | Self::InitDoesNotReap
                | Self::SubreaperDoesNotReap
                | Self::InitBypassed
                | Self::InitNotPid1
                | Self::WaitsForOthers
                | Self::HandlerIgnoresChildren
                | Self::HandlerReset
                | Self::Unknown
        )
    }

    /// What it means, in a few words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::NeverWaits => "does not wait for its children",
            Self::InitDoesNotReap => "is PID 1 but does not reap the orphans it adopts",
            Self::SubreaperDoesNotReap => "is a subreaper but does not reap the orphans it adopts",
            Self::InitBypassed => "runs as PID 1 instead of the image's init, and does not reap",
            Self::InitNotPid1 => "is PID 1 and does not reap, and the init it started cannot adopt orphans",
            Self::WaitsForOthers => "waits only for other children",
            Self::OneWaitPerSigchld => "waits once for each SIGCHLD, but one SIGCHLD can stand for several deaths",
            Self::SigchldBlocked => "blocks SIGCHLD, so it never sees its children's SIGCHLD",
            Self::HandlerIgnoresChildren => "has a SIGCHLD handler that does not wait",
            Self::HandlerStuck => "is stuck in its SIGCHLD handler",
            Self::HandlerReset => "lost its SIGCHLD handler after the first signals",
            Self::LazyReaper => "reaps, but late",
            Self::ParentCannotRun => "cannot run, and so cannot reap",
            Self::LeaderZombieWithLiveThreads => "looks like a zombie but has running threads",
            Self::NamespaceTeardownStuck => "is an exiting PID 1 that waits for its namespace to empty",
            Self::ShimOrRuntime => "is a container runtime that missed a process exit",
            Self::StatusStolen => "reaps children in one place that another place waits for",
            Self::HeldByTracer => "is a tracer that has not waited for the process",
            Self::NeedsWclone => "waits without __WALL for a child whose exit signal is not SIGCHLD",
            Self::AutoReaped => "discards the exit status of its children",
            Self::Unknown => "does not reap (cause unknown)",
        }
    }
}

/// The diagnosis of a zombie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The cause.
    pub cause: Cause,
    /// The facts, a sentence each.
    pub evidence: Vec<String>,
    /// What to do.
    pub advice: String,
    /// Other causes that fit.
    pub contributing: Vec<Cause>,
    /// What the waiter did instead.
    pub doing: Vec<Activity>,
}

impl Verdict {
    fn alone(finding: Finding) -> Self {
        let Finding { cause, evidence, advice } = finding;
        Self { cause, evidence, advice, contributing: Vec::new(), doing: Vec::new() }
    }
}

/// Diagnoses one current zombie. `None` if it is not a zombie.
#[must_use]
pub fn judge(model: &Model, zombie: &Process) -> Option<Verdict> {
    let case = Case::new(model, zombie)?;
    let mut findings = rules::ORDER.iter().filter_map(|rule| rule(&case));
    let mut verdict = match findings.next() {
        Some(first) => {
            let contributing = findings.map(|finding| finding.cause).collect();
            Verdict { contributing, ..Verdict::alone(first) }
        }
        None => rules::unknown(&case),
    };
    verdict.evidence.extend(rules::made_by_sibling(&case));
    verdict.evidence.extend(rules::born_into_namespace(&case));
    heritage::before_exec(&case, &mut verdict);
    verdict.evidence.extend(doing::sentence(&case));
    verdict.evidence.extend(gaps::sentences(&case));
    verdict.evidence.extend(gaps::pause(&case));
    verdict.doing = doing::activities(&case);
    Some(verdict)
}

/// Diagnoses a process that began to exit and cannot be reaped yet. `None` if it is not known to be stuck.
#[must_use]
pub fn judge_stuck(model: &Model, process: &Process) -> Option<Verdict> {
    rules::stuck(model, process).map(Verdict::alone)
}

/// Whether a process may be stuck on purpose: threads that outlive their leader and sleep normally.
#[must_use]
pub fn may_be_intentional(process: &Process) -> bool {
    rules::may_be_intentional(process)
}

/// Diagnoses a parent that has no zombies now, but had some for long.
#[must_use]
pub fn judge_reaped_parent(parent: &Process) -> Option<Verdict> {
    rules::reaped_late(parent).map(Verdict::alone)
}

/// The diagnosis for a thread that missed the status of its child.
#[must_use]
pub fn stolen_evidence(parent_name: &str, stolen: &Stolen) -> Vec<String> {
    let before = match stolen.time.checked_sub(stolen.taken) {
        Some(before) if before > 0 => format!(" {} before", words::duration(before)),
        _ => String::new(),
    };
    let mut evidence = if stolen.taker == stolen.loser {
        vec![
            format!("{parent_name} waited for the child by its pid and got ECHILD"),
            format!(
                "the same thread had already reaped it{before} with waitpid(-1, …, WNOHANG), after its SIGCHLD had gone \
                 to the handler"
            ),
        ]
    } else {
        vec![
            format!("thread {} of {parent_name} waited for the child and got ECHILD", stolen.loser),
            format!("thread {} had already reaped it{before} with waitpid(-1)", stolen.taker),
        ]
    };
    evidence.extend(stolen.status.map(|status| match status {
        ExitStatus::Code(code) => format!("the missed status: exit {code}"),
        ExitStatus::Signal { signal, .. } => {
            format!("the missed status: killed by {}", crate::signal::name(signal.into()))
        }
    }));
    evidence
}

/// Advice for [`Cause::StatusStolen`].
pub const STATUS_STOLEN_ADVICE: &str = "Wait in one place only: a waitpid(-1, …) loop that passes statuses on, or one wait \
     per child. Do not mix them: a SIGCHLD handler should wait for the pids that it knows, or be set to SIG_DFL while a \
     library waits for its own child.";

/// The diagnosis for a parent whose children leave no zombies because it discards their status.
#[must_use]
pub fn auto_reaped_evidence(model: &Model, parent: Option<&Process>, parent_name: &str) -> Vec<String> {
    let inherited = parent.and_then(|parent| heritage::inherited(model, parent, Kept::Ignored));
    let mut evidence = vec![format!(
        "SIGCHLD is SIG_IGN or SA_NOCLDWAIT in {parent_name}, so the kernel reaped the child immediately and discarded its \
         exit status; a wait for it fails with ECHILD"
    )];
    evidence.extend(inherited.map(|inherited| inherited.sentence));
    evidence
}

/// Which process made this one ignore SIGCHLD, and what to do about it.
#[must_use]
pub fn auto_reaped_advice(model: &Model, parent: &Process) -> String {
    match heritage::inherited(model, parent, Kept::Ignored) {
        Some(inherited) => format!("{}. {}", inherited.sentence, inherited.advice_on_ignored()),
        None => AUTO_REAPED_ADVICE.to_owned(),
    }
}

/// Advice for [`Cause::AutoReaped`].
const AUTO_REAPED_ADVICE: &str =
    "If the status is needed, set SIGCHLD to SIG_DFL before starting children; SIG_IGN survives exec.";
