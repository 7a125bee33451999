//! The containers of a command, as records.

use serde::Serialize;

use super::{
    findings::Finding,
    following::How,
    impact::StopRecord,
    process::{ExitRecord, ProcessRecord},
};
use crate::{container::Container, diagnosis::StopCause, model::StopOutcome};

/// A container of the command that `check` ran.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContainerRecord {
    /// The container; null if it was gone before its name could be looked up.
    pub container: Option<Container>,
    /// Why it counts as one of the command's: `descends`, `named`, `began-meanwhile` or `asked`.
    pub followed: How,
    /// Its first process; null if unknown.
    pub process: Option<ProcessRecord>,
    /// How that process ended; null if it still runs.
    pub exit: Option<ExitRecord>,
    /// The exit status as a container runtime shows it: 128 plus the signal number if a signal killed it.
    pub exit_code: Option<u32>,
    /// Its processes that exited; null if they descend from the command and are counted there.
    pub exits: Option<u64>,
    /// Ids of the findings about its processes.
    pub findings: Vec<String>,
    /// Its completed stops.
    pub stops: Vec<ContainerStop>,
    /// Its pid namespace; not part of the machine output.
    #[serde(skip)]
    pub pid_ns: Option<u32>,
}

/// A stop of a container in brief; `stops` of the report has the rest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContainerStop {
    /// Name of the stop signal.
    pub signal: String,
    /// `clean`, `slow` or `failed`.
    pub outcome: StopOutcome,
    /// Why the stop went wrong; null for a clean stop.
    pub cause: Option<StopCause>,
}

/// Which processes beside its descendants belong to a command, where the whole machine was traced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doubts {
    /// Containers that the command or somebody else may have started, by what people call them.
    pub unclear: Vec<String>,
    /// Containers that began meanwhile and that no known client has started.
    pub unclaimed: Vec<String>,
    /// What `--containers` named and never was there.
    pub missing: Vec<String>,
    /// How many followed containers were gone before their name could be looked up.
    pub nameless: u64,
}

impl ContainerRecord {
    /// Whether this process is in it.
    #[must_use]
    pub fn holds(&self, process: &ProcessRecord) -> bool {
        match (&self.container, &process.container) {
            (Some(own), Some(its)) => own.runtime == its.runtime && own.id == its.id,
            // Without a name its namespace tells.
            (None, None) => self.pid_ns.is_some() && self.pid_ns == process.pid_ns,
            _ => false,
        }
    }

    /// Whether what its processes did is in the report: of one without a name only what descends from the command is.
    pub(super) fn is_judged(&self) -> bool {
        self.container.is_some() || self.followed == How::Descends
    }

    /// Adds what the report found about its processes.
    pub(super) fn add(&mut self, findings: &[Finding], stops: &[StopRecord]) {
        let own = findings.iter().filter(|finding| self.holds(&finding.process)).map(|finding| finding.id.clone());
        let mut ids: Vec<String> = own.collect();
        ids.dedup();
        let brief =
            |stop: &StopRecord| ContainerStop { signal: stop.signal.clone(), outcome: stop.outcome, cause: stop.cause };
        let of_it: Vec<ContainerStop> = stops.iter().filter(|stop| self.holds(&stop.target)).map(brief).collect();
        (self.findings, self.stops) = (ids, of_it);
    }
}
