//! How near the limits on pids are, and how much of that is zombies.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::{
    container::{self, Container},
    text::escape,
};

use super::Observation;

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum LimitKind {
    /// Of a cgroup.
    #[serde(rename = "pids.max")]
    Cgroup,
    /// `RLIMIT_NPROC`, of a user.
    #[serde(rename = "rlimit")]
    User,
    /// Of the machine.
    #[serde(rename = "pid_max")]
    Machine,
}

/// A limit and what is used of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimitRecord {
    /// Which.
    pub limit: LimitKind,
    /// The cgroup's path, escaped, for `pids.max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// The container whose cgroup it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// The user, for `rlimit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Pids in use, zombies and threads included.
    pub used: u64,
    /// Pids allowed.
    pub allowed: u64,
    /// How many of those in use are zombies.
    pub zombies: u64,
}

impl LimitRecord {
    /// Per mille of what is allowed.
    #[must_use]
    pub fn per_mille(&self) -> u64 {
        self.used.saturating_mul(1000) / self.allowed.max(1)
    }
}

/// The limits that zombies count against, the most exhausted first.
pub(super) fn records(observation: &Observation) -> Vec<LimitRecord> {
    let mut records: Vec<_> = cgroups(observation).chain(users(observation)).chain(machine(observation)).collect();
    records.sort_by_key(|record| (std::cmp::Reverse(record.per_mille()), record.limit, record.cgroup.clone()));
    records
}

fn cgroups(observation: &Observation) -> impl Iterator<Item = LimitRecord> {
    let mut found: BTreeMap<&str, LimitRecord> = BTreeMap::new();
    for zombie in observation.persistent() {
        for usage in observation.cgroups.get(&zombie.process).into_iter().flatten() {
            let Some(allowed) = usage.max else { continue };
            let record = found.entry(&usage.path).or_insert_with(|| LimitRecord {
                limit: LimitKind::Cgroup,
                cgroup: Some(escape::text(usage.path.as_bytes()).into_owned()),
                container: container::container(&usage.path).map(super::escaped),
                uid: None,
                used: usage.current,
                allowed,
                zombies: 0,
            });
            record.zombies += 1;
        }
    }
    found.into_values()
}

/// The limit belongs to a process, its usage to the user.
fn users(observation: &Observation) -> impl Iterator<Item = LimitRecord> {
    let by_pid = observation.by_pid();
    let mut zombies: HashMap<u32, u64> = HashMap::new();
    let mut limits: BTreeMap<u32, u64> = BTreeMap::new();
    for zombie in observation.persistent() {
        *zombies.entry(zombie.uid).or_default() += 1;
        let Some(parent) = by_pid.get(&zombie.parent_pid) else { continue };
        // It does not apply to root.
        if let Some(&limit) = observation.process_limits.get(&parent.process).filter(|_| parent.uid != 0) {
            let lowest = limits.entry(parent.uid).or_insert(limit);
            *lowest = limit.min(*lowest);
        }
    }
    limits.into_iter().map(move |(uid, allowed)| LimitRecord {
        limit: LimitKind::User,
        cgroup: None,
        container: None,
        uid: Some(uid),
        used: observation.first.iter().filter(|seed| seed.uid == uid).map(|seed| u64::from(seed.threads.max(1))).sum(),
        allowed,
        zombies: zombies.get(&uid).copied().unwrap_or(0),
    })
}

fn machine(observation: &Observation) -> Option<LimitRecord> {
    let (used, allowed) = observation.tasks?;
    Some(LimitRecord {
        limit: LimitKind::Machine,
        cgroup: None,
        container: None,
        uid: None,
        used,
        allowed,
        zombies: observation.persistent().count() as u64,
    })
}
