//! The result from the scene's process: the outcome, and the processes there.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    event::{BootNs, Seed},
    source::proc::{Depth, ProcReader},
    text::escape,
};

/// A process of the namespace before anything was done to it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Child {
    /// Its pid on the host.
    pub pid: u32,
    /// When it was started, ns of the boot clock.
    pub start_ns: BootNs,
    /// Its parent's pid.
    pub parent: u32,
    /// Its name, escaped.
    pub comm: String,
    /// Signals that it blocks, bit n-1 for signal n.
    pub blocked: u64,
    /// Signals that it ignores.
    pub ignored: u64,
    /// Signals that it has handlers for.
    pub caught: u64,
}

/// The result from the scene's process.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct SceneResult {
    /// Why it could not be played.
    pub failure: Option<String>,
    /// What is missing for a result.
    pub missing: Option<String>,
    /// When it began, ns of the boot clock.
    pub began: BootNs,
    /// When it was over.
    pub ended: BootNs,
    /// PID 1, by its pid on the host.
    pub init: u32,
    /// The namespace.
    pub pid_ns: u32,
    /// What the command had started before anything was done to it.
    pub children: Vec<Child>,
    /// Name of PID 1 when the tool's own workload was ready, escaped.
    pub name: Option<String>,
    /// The tool's own workload ran instead of the command's.
    pub workload: bool,
    /// Wait status of PID 1; `None` if it had to be killed.
    pub status: Option<u32>,
    /// How long it took to end after the plan's action; `None` if it ended before that, or not at all.
    pub after: Option<Duration>,
    /// A killed child was replaced by another.
    pub restarted: bool,
    /// How long PID 1 was stopped with dead orphans.
    pub held: Duration,
    /// Why no stop signal was sent.
    pub not_stopped: Option<String>,
    /// How many pids its cgroup allowed.
    pub pids: Option<u64>,
    /// The workload's exit code, its PID 1, and how that ended.
    pub codes: Vec<(u8, u32, Option<u32>)>,
}

/// The processes in a namespace without its init.
pub(super) fn children(reader: &ProcReader, init: u32, pid_ns: u32) -> Vec<Child> {
    all(reader)
        .filter(|seed| seed.pid_ns == pid_ns && pid_ns != 0 && seed.process.pid != init && !seed.is_zombie)
        .map(|seed| {
            let looked = reader.look(seed.process.pid, seed.process.start_ns, Depth::Brief);
            let (facts, _) = looked.unwrap_or_default();
            Child {
                pid: seed.process.pid,
                start_ns: seed.process.start_ns,
                parent: seed.parent_pid,
                comm: escape::comm(&seed.comm).into_owned(),
                blocked: facts.blocked,
                ignored: facts.ignored,
                caught: facts.caught,
            }
        })
        .collect()
}

/// All processes, one by one: the reader's own scan starts threads, which a process that has made a pid namespace for
/// its children cannot. Without memory and files, whose reading may stall.
pub(super) fn all(reader: &ProcReader) -> impl Iterator<Item = Seed> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| reader.seed_to(Depth::Brief, entry.file_name().to_str()?.parse().ok()?))
}
