//! What a run did not see.

use serde::Serialize;

use crate::{container::Container, model::Overflows};

/// The workload that caused most events when events were lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BusyWorkload {
    /// Path of its cgroup, escaped.
    pub cgroup: String,
    /// The container with this cgroup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// Events that were lost while this workload caused most of the events that were seen.
    pub events: u64,
}

/// What was lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Events that did not fit into the ring buffer.
    pub events: u64,
    /// Processes and other items that did not fit into a table.
    pub evicted: u64,
    /// How many of these for each table.
    #[serde(rename = "evicted_by_table", skip_serializing_if = "is_empty", serialize_with = "by_table")]
    pub overflows: Overflows,
    /// Processes that were not followed because the kernel's map of them was full.
    #[serde(skip_serializing_if = "is_zero")]
    pub unfollowed: u64,
    /// Wait calls that were not counted because the kernel's map of the counters was full; causes may be `unknown`.
    #[serde(skip_serializing_if = "is_zero")]
    pub uncounted_waits: u64,
    /// Wait calls whose arguments are not known because the kernel's map of the calls was full: likewise. Only in
    /// recordings of older versions.
    #[serde(skip_serializing_if = "is_zero")]
    pub unknown_waits: u64,
    /// The workload that filled the ring buffer, if one stands out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filled_by: Option<BusyWorkload>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_empty(overflows: &Overflows) -> bool {
    overflows.total() == 0
}

fn by_table<S: serde::Serializer>(overflows: &Overflows, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(overflows.iter().map(|(table, count)| (table.name(), count)))
}

impl Loss {
    /// Which tables were full, and how much did not fit, a phrase each.
    pub fn full_tables(&self) -> impl Iterator<Item = String> {
        let overflows = self.overflows;
        overflows
            .iter()
            .map(|(table, count)| format!("{count} did not fit in the table of {}", table.title()))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Whose events filled the ring buffer, in a sentence.
    #[must_use]
    pub fn filled_by(&self) -> Option<String> {
        let BusyWorkload { cgroup, container, events } = self.filled_by.as_ref()?;
        let who = match container {
            Some(container) => format!("{} {}", container.runtime, container.name.as_ref().unwrap_or(&container.id)),
            None => format!("the cgroup {cgroup}"),
        };
        Some(format!("{events} of them while {who} caused most events"))
    }

    /// Whether a map of the kernel side was full.
    #[must_use]
    pub fn has_full_maps(&self) -> bool {
        self.unfollowed + self.uncounted_waits + self.unknown_waits > 0
    }

    /// Which maps of the kernel side were full and what that means, one sentence each.
    pub fn full_maps(&self) -> impl Iterator<Item = String> {
        let sentence = |count: u64, what: &str| (count > 0).then(|| format!("{count} {what}"));
        [
            sentence(self.unfollowed, "processes were not followed: the kernel's map of followed processes was full"),
            sentence(self.uncounted_waits, "wait calls were not counted: the kernel's map of wait counters was full"),
            sentence(
                self.unknown_waits,
                "wait calls were seen without arguments: the kernel's map of wait calls was full",
            ),
        ]
        .into_iter()
        .flatten()
    }
}
