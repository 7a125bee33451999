//! What a judgement says.

use serde::Serialize;

use crate::report::{ProcessRecord, Severity};

/// What a policy looks at. The ids are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A zombie waited too long.
    ZombieAge,
    /// Zombies were left at the end.
    ZombiesLeft,
    /// A cause that is denied.
    DeniedCause,
    /// A PID 1 did not get a signal.
    DroppedSignal,
    /// A stop failed.
    FailedStop,
    /// A fork failed.
    ForkFailure,
    /// An exit status was lost without a zombie.
    LostStatus,
    /// A process that began to die cannot go.
    Stuck,
    /// The command failed.
    CommandFailed,
}

impl Rule {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 9] = [
        Self::ZombieAge,
        Self::ZombiesLeft,
        Self::DeniedCause,
        Self::DroppedSignal,
        Self::FailedStop,
        Self::ForkFailure,
        Self::LostStatus,
        Self::Stuck,
        Self::CommandFailed,
    ];

    /// The stable id.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::ZombieAge => "zombie-age",
            Self::ZombiesLeft => "zombies-left",
            Self::DeniedCause => "denied-cause",
            Self::DroppedSignal => "dropped-signal",
            Self::FailedStop => "failed-stop",
            Self::ForkFailure => "fork-failure",
            Self::LostStatus => "lost-status",
            Self::Stuck => "stuck-process",
            Self::CommandFailed => "command-failed",
        }
    }

    /// What is asked for, in a few words.
    #[must_use]
    pub const fn demand(self) -> &'static str {
        match self {
            Self::ZombieAge => "zombies are reaped in time",
            Self::ZombiesLeft => "no zombies are left at the end",
            Self::DeniedCause => "no finding has a denied cause",
            Self::DroppedSignal => "every signal reaches its PID 1",
            Self::FailedStop => "stop signals stop their target",
            Self::ForkFailure => "forks succeed",
            Self::LostStatus => "no exit status is lost to another thread",
            Self::Stuck => "every exiting process finishes exiting",
            Self::CommandFailed => "the command succeeds",
        }
    }
}

/// Something that the policy does not let pass.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// Stable from run to run: no pids, no times.
    pub id: String,
    /// The id that `zombie-trace explain` explains: the cause, the reason, the limit or the rule.
    pub explain: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// In a few words.
    pub title: String,
    /// In a sentence or two.
    pub detail: String,
    /// How many: zombies, signals, failures.
    pub amount: u64,
    /// How many are let pass.
    pub limit: u64,
    /// How many processes it is about.
    pub processes: u64,
    /// The worst of them; null for the command, and for what is about many.
    pub process: Option<ProcessRecord>,
}

/// A violation that is let pass.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exempted {
    /// By what.
    pub by: Exemption,
    /// Which.
    #[serde(flatten)]
    pub violation: Violation,
}

/// Why a violation is let pass.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Exemption {
    /// An entry of the policy.
    AllowEntry {
        /// Its pattern.
        finding: String,
        /// Its reason.
        reason: String,
        /// Its last day.
        expires: String,
    },
    /// It was there before, and is not worse.
    Baseline {
        /// How many there were.
        amount: u64,
    },
}

/// An entry of the policy whose time is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Expired {
    /// Its pattern.
    pub finding: String,
    /// Its reason.
    pub reason: String,
    /// Its last day.
    pub expires: String,
    /// Violations that it would have let pass.
    pub violations: u64,
}

/// What is made of a report.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verdict {
    /// What fails the check, by rule.
    pub violations: Vec<Violation>,
    /// What is let pass.
    pub waived: Vec<Exempted>,
    /// Entries of the policy that no longer allow anything.
    pub expired: Vec<Expired>,
    /// Entries of the policy that nothing matched.
    pub unused: Vec<String>,
    /// Why the absence of violations says nothing; null if it does.
    pub unmeasured: Option<String>,
    /// Rules that could not be judged, because the source sees nothing of them.
    pub unseen: Vec<Rule>,
    /// What else a reader should know.
    pub notes: Vec<String>,
}

impl Verdict {
    /// Whether it was measured and nothing violates the policy.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty() && self.unmeasured.is_none()
    }

    /// `pass`, `fail` or `unmeasured`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match (self.violations.is_empty(), &self.unmeasured) {
            (false, _) => "fail",
            (true, Some(_)) => "unmeasured",
            (true, None) => "pass",
        }
    }
}
