//! What is done to the command, as data.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::sandbox::User;

/// Scenes to play one after the other under one tracer, which drops its privileges and cannot start again.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Scene {
    /// What is done, each to a new PID 1.
    pub plans: Vec<Plan>,
    /// How long PID 1 has to exit.
    pub grace: Duration,
    /// How long the command must start nothing to count as started.
    pub settle: Duration,
    /// Number of its stop signal.
    pub stop_signal: i32,
    /// The user and group it runs as.
    pub user: Option<User>,
    /// The root of its file system.
    pub rootfs: Option<PathBuf>,
    /// Its working directory, instead of the tool's.
    pub workdir: Option<PathBuf>,
    /// All of its environment, instead of the tool's.
    pub environment: Option<Vec<(String, String)>>,
    /// Pid of the tool; when that is gone, so is everything.
    pub tool: u32,
    /// The descriptor that the result is written to.
    pub result_fd: i32,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Plan {
    /// The stop signal is sent to PID 1.
    Stop,
    /// The same, with a workload whose own child takes a while to exit.
    StopDescendants,
    /// Orphans are added beside the command and exit at once.
    Orphans {
        /// Number of orphans.
        count: u32,
    },
    /// The same while PID 1 is stopped: their signals coalesce, and it finds them all dead when it resumes.
    OrphansWhileStopped {
        /// Number of orphans.
        count: u32,
    },
    /// Orphans are added and exit one after the other.
    OrphanStream {
        /// Number of orphans.
        count: u32,
        /// Milliseconds between them.
        every_ms: u32,
    },
    /// An orphan of a process that entered by `setns`, as `docker exec` does.
    EnteredOrphan,
    /// Another signal is sent to PID 1.
    Signal {
        /// Which.
        signal: i32,
    },
    /// The workload exits with each of [`EXIT_CODES`], one after the other.
    ExitCodes,
    /// The children of PID 1 are killed with SIGKILL.
    KillChild,
    /// The same, and an orphan dies at that moment.
    KillChildWithOrphan,
    /// PID 1 inherits SIGCHLD like this: an orphan dies, then its child.
    InheritedSigchld(Inheritance),
    /// PID 1 inherits its stop signal like this, and gets it.
    InheritedStop(Inheritance),
    /// An orphan and a stop, in an unusual environment.
    Under(Environment),
}

/// How a signal is inherited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Inheritance {
    /// In the mask.
    Blocked,
    /// At `SIG_IGN`.
    Ignored,
}

/// Where PID 1 is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Environment {
    /// On a root file system that cannot be written.
    ReadOnlyRoot,
    /// As a user who is not root.
    NonRootUser,
    /// In a session of its own without a terminal.
    NoTerminal,
    /// In a session of its own with a terminal.
    Terminal,
    /// In a cgroup that has no pid left.
    PidsMax,
}

/// The exit codes tested: success, failure, wrong usage, shell conventions, and the ends of the range.
pub const EXIT_CODES: [u8; 9] = [0, 1, 2, 32, 64, 126, 127, 254, 255];

impl Plan {
    /// Whether the plan needs the tool's own workload.
    pub(super) fn needs_workload(self) -> bool {
        matches!(self, Self::ExitCodes | Self::StopDescendants)
    }

    /// Whether the tool's own workload shows more.
    pub(super) fn prefers_workload(self) -> bool {
        self.needs_workload() || matches!(self, Self::Signal { .. })
    }
}
