//! A process and how it ended, as records.

use serde::Serialize;

use crate::{container::Container, event::ExitStatus, signal};

/// A process.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProcessRecord {
    /// Pid on the host.
    pub pid: u32,
    /// Start, ns of the boot clock.
    pub start_ns: u64,
    /// Pid in its own pid namespace; null if unknown.
    pub ns_pid: Option<u32>,
    /// Inode of that namespace; null if unknown.
    pub pid_ns: Option<u32>,
    /// Name, escaped.
    pub comm: String,
    /// Path of the executable, escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// Arguments, joined by spaces, escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmdline: Option<String>,
    /// The container it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// Its parent, for a sender of signals where that is known: `kill` says little, who ran it more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentName>,
    /// What ids of findings call it, escaped: its script rather than its interpreter. Not part of the machine output.
    #[serde(skip)]
    pub program: String,
    /// It is the command that is followed amid the whole machine, or descends from it. Not part of the machine output.
    #[serde(skip)]
    pub descends: bool,
}

/// The parent of a process, in brief.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ParentName {
    /// Pid on the host.
    pub pid: u32,
    /// Name, escaped.
    pub comm: String,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ExitRecord {
    /// By `exit`.
    Code {
        /// The code.
        code: u8,
    },
    /// By a signal.
    Signal {
        /// Its name.
        signal: String,
        /// Whether a core was dumped.
        core_dumped: bool,
    },
}

impl From<ExitStatus> for ExitRecord {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Code(code) => Self::Code { code },
            ExitStatus::Signal { signal, core_dumped } => {
                Self::Signal { signal: signal::name(signal.into()).into_owned(), core_dumped }
            }
        }
    }
}

impl std::fmt::Display for ExitRecord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code { code } => write!(formatter, "exit {code}"),
            Self::Signal { signal, core_dumped: false } => write!(formatter, "killed by {signal}"),
            Self::Signal { signal, core_dumped: true } => write!(formatter, "killed by {signal}, core dumped"),
        }
    }
}
