//! Findings, as records.

use serde::Serialize;

use super::process::ProcessRecord;
use crate::{
    diagnosis::{Cause, StopCause},
    model::DropReason,
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
    /// What it is about, for who decides by it; in the machine output the id says it.
    #[serde(skip)]
    pub kind: FindingKind,
    /// Stable from run to run: no pids, no times.
    pub id: String,
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
    ForkFailure,
    /// A process that began to die cannot go.
    Stuck {
        /// What keeps it.
        cause: Cause,
    },
}
