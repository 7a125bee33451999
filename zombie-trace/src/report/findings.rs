//! Findings, as records.

use serde::{Serialize, Serializer};

use super::process::ProcessRecord;
use crate::{
    diagnosis::{Cause, StopCause},
    model::{DropReason, LimitKind},
};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Must be mended.
    Error,
    /// Should be looked at.
    Warning,
    /// Good to know; no finding for the exit code.
    Note,
}

impl Severity {
    /// The name in machine output.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing to be said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Stable from run to run: no pids, no times.
    pub id: String,
    /// The id that `zombie-trace explain` explains: the cause, the reason or the limit.
    #[serde(rename = "explain", serialize_with = "explained_by")]
    pub kind: FindingKind,
    /// How bad it is.
    pub severity: Severity,
    /// In a few words.
    pub title: String,
    /// In a sentence or two.
    pub detail: String,
    /// Whose fault.
    pub process: ProcessRecord,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// A parent let zombies wait.
    Zombies {
        /// Why.
        cause: Cause,
    },
    /// Exit statuses were lost, and no zombie waited.
    LostStatus {
        /// How.
        cause: Cause,
    },
    /// An init did not get a signal.
    DroppedSignal {
        /// Its number.
        signal: u32,
        /// Why.
        reason: DropReason,
    },
    /// A stop of an init went wrong.
    Stop {
        /// Why; `None` if nothing is known to have gone wrong but how it ended.
        cause: Option<StopCause>,
    },
    /// A fork failed.
    ForkFailure {
        /// Which limit it ran into.
        limit: LimitKind,
    },
    /// A process that began to die cannot go.
    Stuck {
        /// What keeps it.
        cause: Cause,
    },
}

impl FindingKind {
    /// The id under which `zombie-trace explain` has more about it.
    #[must_use]
    pub const fn explained_by(self) -> &'static str {
        match self {
            Self::Zombies { cause } | Self::LostStatus { cause } | Self::Stuck { cause } => cause.id(),
            Self::DroppedSignal { reason, .. } => reason.id(),
            Self::Stop { cause: Some(cause) } => cause.id(),
            Self::Stop { cause: None } => StopCause::Unknown.id(),
            Self::ForkFailure { limit } => limit.id(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn explained_by<S: Serializer>(kind: &FindingKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.explained_by())
}
