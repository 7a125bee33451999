//! What a scan found.

use std::{cmp::Reverse, collections::HashMap};

use serde::Serialize;

use crate::{
    event::{Seed, Task},
    report::{ExitRecord, ProcessRecord},
    text::escape,
};

use super::{InitRecord, LimitRecord, Observation, inits, limits};

/// Name and version of the JSON object.
pub const SCHEMA: &str = "zombie-trace.scan/1";

/// What a scan found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// [`SCHEMA`]
    pub schema: &'static str,
    /// When, RFC 3339.
    pub time: String,
    /// Where.
    pub host: String,
    /// Release of the kernel.
    pub kernel: String,
    /// The zombies that were seen twice, those of the parent with most first.
    pub zombies: Vec<ZombieRecord>,
    /// How many were zombies at the first look and reaped before the second, which is normal.
    pub transient: u64,
    /// The parents, the one with most zombies first.
    pub parents: Vec<ParentRecord>,
    /// The init of each pid namespace, those that drop signals first.
    pub inits: Vec<InitRecord>,
    /// The limits on pids that zombies count against, the most exhausted first.
    pub limits: Vec<LimitRecord>,
}

/// A zombie.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ZombieRecord {
    /// The process.
    pub process: ProcessRecord,
    /// Its parent; `null` if it is outside the pid namespace that is looked at.
    pub parent: Option<ProcessRecord>,
    /// How it ended; absent if it may not be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<ExitRecord>,
    /// Since when it is a zombie; always unknown without tracing.
    pub state_since: Option<String>,
    /// How long ago it *started*: it has been a zombie for no longer.
    pub process_age_ns: u64,
    /// Who traces it: the tracer must wait before the parent can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracer: Option<ProcessRecord>,
    /// How many of its threads still run: if any, only the main thread is dead and nobody can reap it.
    #[serde(skip_serializing_if = "is_zero")]
    pub live_threads: u32,
    /// Its dead threads that stay because their tracer has not waited for them: until then nobody can reap it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_threads: Vec<HeldThread>,
}

/// A dead thread held by a tracer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldThread {
    /// Its id.
    pub tid: u32,
    /// Who traces it; `null` if it is outside the pid namespace that is looked at.
    pub tracer: Option<ProcessRecord>,
}

/// A parent of zombies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParentRecord {
    /// The process; `null` if it is outside the pid namespace that is looked at.
    pub process: Option<ProcessRecord>,
    /// How many zombies it has that could be reaped or are traced.
    pub zombies: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Report {
    /// Makes the report.
    #[must_use]
    pub fn new(observation: &Observation) -> Self {
        let by_pid = observation.by_pid();
        let mut zombies: Vec<&Seed> = observation.persistent().collect();
        let mut counts: HashMap<u32, u64> = HashMap::new();
        for zombie in &zombies {
            *counts.entry(zombie.parent_pid).or_default() += 1;
        }
        let count = |pid: u32| counts.get(&pid).copied().unwrap_or(0);
        zombies.sort_by_key(|seed| (Reverse(count(seed.parent_pid)), seed.parent_pid, seed.process));
        let mut parents: Vec<_> = counts.iter().map(|(&pid, &zombies)| (Reverse(zombies), pid)).collect();
        parents.sort_unstable();
        let find = |pid: u32| by_pid.get(&pid).map(|seed| observation.record(seed));
        let all = observation.first.iter().filter(|seed| seed.is_zombie).count();
        Self {
            schema: SCHEMA,
            time: observation.time.clone(),
            host: escape::text(observation.host.as_bytes()).into_owned(),
            kernel: observation.kernel.clone(),
            transient: all.saturating_sub(zombies.len() + observation.unsure) as u64,
            zombies: zombies
                .iter()
                .map(|seed| ZombieRecord {
                    process: observation.record(seed),
                    parent: find(seed.parent_pid),
                    exit: seed.status.map(ExitRecord::from),
                    state_since: None,
                    process_age_ns: observation.now.saturating_sub(seed.process.start_ns),
                    tracer: seed.tracer.filter(|&tracer| tracer != seed.parent_pid).and_then(find),
                    live_threads: live_threads(observation, seed),
                    held_threads: dead_threads(observation, seed)
                        .filter_map(|task| Some(HeldThread { tid: task.tid, tracer: find(task.tracer?) }))
                        .collect(),
                })
                .collect(),
            parents: parents
                .iter()
                .map(|&(Reverse(zombies), pid)| ParentRecord { process: find(pid), zombies })
                .collect(),
            inits: inits::records(observation),
            limits: limits::records(observation),
        }
    }

    /// Whether there is something to fix.
    #[must_use]
    pub fn has_findings(&self) -> bool {
        !self.zombies.is_empty() || self.inits.iter().any(|init| init.finding)
    }
}

/// The threads of a zombie that are dead but not gone, without its main thread.
fn dead_threads<'a>(observation: &'a Observation, zombie: &'a Seed) -> impl Iterator<Item = &'a Task> {
    let threads = observation.threads.get(&zombie.process).into_iter().flatten();
    threads.filter(|task| task.tid != zombie.process.pid && matches!(task.state, 'Z' | 'X'))
}

/// The kernel also counts dead threads until they are gone.
fn live_threads(observation: &Observation, zombie: &Seed) -> u32 {
    let dead = dead_threads(observation, zombie).count();
    zombie.threads.saturating_sub(1).saturating_sub(dead.try_into().unwrap_or(u32::MAX))
}
