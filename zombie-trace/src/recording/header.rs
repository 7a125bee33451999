//! What a recording says of itself.

use std::str::FromStr;

use globset::GlobBuilder;
use serde::{Deserialize, Serialize};
use zombie_trace_ebpf::abi::ABI_VERSION;

use crate::{container::Selector, event::BootNs, report::Scope};

/// The first thing in a file. All that a report needs to know of the machine and of the run.
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
    /// `/proc/sys/kernel/random/boot_id`: times of the boot clock mean something only within one boot.
    pub boot_id: String,
    /// When tracing began, ns of the boot clock. With host and boot it names the run.
    pub started: BootNs,
    /// When this file of the run begins.
    pub opened: BootNs,
    /// Which file of the run this is, from 0.
    pub part: u64,
    /// What to add to times of the boot clock to get the wall clock's, as of the start of the run.
    pub clock_offset_ns: i64,
    /// Optional probes that were not there, and so what is not in it.
    pub missing_probes: Vec<String>,
    /// Only descendants of one process were traced.
    pub follows: bool,
    /// What was looked at.
    pub scope: ScopeText,
    /// The minimum age of zombies that were asked after.
    pub min_age_ns: u64,
    /// When the command was about to be started, ns of the boot clock; 0 without a command. Who is older is no
    /// descendant of it.
    pub command_began: BootNs,
}

impl Header {
    /// One of this program and its wire events.
    #[must_use]
    pub fn of_this_version() -> Self {
        Self { abi: ABI_VERSION, program: env!("CARGO_PKG_VERSION").to_owned(), ..Self::default() }
    }
}

/// The last thing in the last file of a run that was not cut off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ended {
    /// The command that was traced; empty for none.
    pub argv: Vec<String>,
    /// Its raw wait status; `None` if it ran on.
    pub status: Option<u32>,
}

/// A scope as it is written on a command line.
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

impl From<&Scope> for ScopeText {
    fn from(scope: &Scope) -> Self {
        Self {
            container: scope.container.as_ref().map(ToString::to_string),
            pid_ns: scope.pid_ns,
            cgroup: scope.cgroup.clone(),
            comm: scope.comm.as_ref().map(|glob| glob.glob().glob().to_owned()),
        }
    }
}

impl ScopeText {
    /// The scope, if everything in it means something.
    ///
    /// # Errors
    /// What does not, in words.
    pub fn scope(&self) -> Result<Scope, String> {
        let container = match &self.container {
            Some(text) => Some(Selector::from_str(text).map_err(|error| error.to_string())?),
            None => None,
        };
        let comm = match &self.comm {
            // Names of processes are no paths: a star also stands for a slash.
            Some(text) => Some(
                GlobBuilder::new(text)
                    .literal_separator(false)
                    .build()
                    .map_err(|error| error.kind().to_string())?
                    .compile_matcher(),
            ),
            None => None,
        };
        Ok(Scope { container, pid_ns: self.pid_ns, cgroup: self.cgroup.clone(), comm })
    }
}
