//! What the threads of a parent did instead of waiting, as records.

use serde::Serialize;

use crate::diagnosis::Activity;

/// What one thread was doing when sampled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DoingRecord {
    /// The thread.
    pub thread: u32,
    /// State letter, as in `/proc/PID/stat`.
    pub state: char,
    /// The system call that it was in; null if it was in none, or if that could not be read.
    pub syscall: Option<String>,
    /// What it was waiting for in that call, in words; null if unknown.
    pub object: Option<String>,
    /// How long it had been there at least, as far as two samples show; null after one sample.
    pub since_ns: Option<u64>,
}

impl From<&Activity> for DoingRecord {
    fn from(activity: &Activity) -> Self {
        Self {
            thread: activity.thread,
            state: activity.state,
            syscall: activity.syscall.clone(),
            object: activity.object.clone(),
            since_ns: activity.since_ns,
        }
    }
}

/// One for each.
pub(super) fn records(activities: &[Activity]) -> Vec<DoingRecord> {
    activities.iter().map(Into::into).collect()
}
