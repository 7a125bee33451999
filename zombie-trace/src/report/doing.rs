//! What the threads of a parent did instead of waiting, as records.

use serde::Serialize;

use crate::diagnosis::Activity;

/// One thread when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DoingRecord {
    /// The thread.
    pub thread: u32,
    /// State letter, as `/proc` has it.
    pub state: char,
    /// The system call that it was in; null if it was in none, or that could not be read.
    pub syscall: Option<String>,
    /// What it waited for there, in words; null if that is not known.
    pub object: Option<String>,
    /// For how long at the least it had been there, as far as two looks tell; null after one.
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
