//! What a recording says about itself.

use crate::abi::ABI_VERSION;
use serde::{Deserialize, Serialize};

use crate::event::BootNs;

/// The start of a file: what a report needs to know about the machine and the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Header {
    /// Version of the wire events.
    pub abi: u32,
    /// Version of the program that wrote it.
    pub program: String,
    /// Name of the host.
    pub host: String,
    /// Release of its kernel.
    pub kernel: String,
    /// `/proc/sys/kernel/random/boot_id`: boot-clock times are comparable only within one boot.
    pub boot_id: String,
    /// When tracing began, ns of the boot clock. With host and boot it names the run.
    pub started: BootNs,
    /// When this file begins.
    pub opened: BootNs,
    /// Which file of the run this is, from 0.
    pub part: u64,
    /// Added to a boot-clock time gives wall-clock time, as of the start of the run.
    pub clock_offset_ns: i64,
    /// Optional probes that were missing.
    pub missing_probes: Vec<String>,
    /// Only descendants of one process were traced.
    pub follows: bool,
    /// Every signal that ends a process is in it.
    pub ends: bool,
    /// What was looked at.
    pub scope: ScopeText,
    /// The minimum age at which parents of zombies were queried.
    pub min_age_ns: u64,
    /// When the command was about to be started, ns of the boot clock; 0 without a command. Older processes are not its
    /// descendants.
    pub command_began: BootNs,
}

impl Header {
    /// A header of this program version and its wire events.
    #[must_use]
    pub fn of_this_version() -> Self {
        Self { abi: ABI_VERSION, program: env!("CARGO_PKG_VERSION").to_owned(), ..Self::default() }
    }
}

/// The end of the last file of a run, unless it was cut off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ended {
    /// The command that was traced; empty for none.
    pub argv: Vec<String>,
    /// Its raw wait status; `None` if it was still running.
    pub status: Option<u32>,
}

/// A scope as command-line options.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScopeText {
    /// `--container`
    pub container: Option<String>,
    /// `--pid-ns`
    pub pid_ns: Option<u32>,
    /// `--cgroup`
    pub cgroup: Option<String>,
    /// `--comm`
    pub comm: Option<String>,
}
