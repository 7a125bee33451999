//! The policy and its file.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    refusal::PolicyError,
    values::{Age, AllowEntry, CAUSES, CauseId, CommandFailure, STOP_CAUSES, StopCauseId},
};

/// The most entries that are allowed for a time.
const MAX_ENTRIES: usize = 1000;

/// Limits for a check. The keys of the file are these names with hyphens.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Policy {
    /// Longest time a zombie may stay unreaped.
    pub max_zombie_age: Age,
    /// Maximum number of zombies of one parent that stayed longer.
    pub max_zombies_per_parent: u64,
    /// Maximum number of these that remain at the end, over all parents.
    pub max_zombies_left: u64,
    /// Causes that are ignored.
    pub allowed_causes: Vec<CauseId>,
    /// Causes that fail the check however few zombies there are.
    pub denied_causes: Vec<CauseId>,
    /// Causes of stops that are ignored.
    pub allowed_stop_causes: Vec<StopCauseId>,
    /// Causes of stops that fail the check however few such stops there are.
    pub denied_stop_causes: Vec<StopCauseId>,
    /// Maximum number of dropped signals for each PID 1 and signal.
    pub max_dropped_signals: u64,
    /// Maximum number of failed stops.
    pub max_failed_stops: u64,
    /// Maximum number of failed forks.
    pub max_fork_failures: u64,
    /// Maximum number of processes whose threads reap each other's children.
    pub max_lost_statuses: u64,
    /// Maximum number of processes that are stuck while exiting.
    pub max_stuck_processes: u64,
    /// Maximum number of lost events with which the check still decides.
    pub max_lost_events: u64,
    /// What the command's own failure means.
    pub command_failure: CommandFailure,
    /// Findings that are allowed for a time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<AllowEntry>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_zombie_age: Age(Duration::from_secs(1)),
            max_zombies_per_parent: 0,
            max_zombies_left: 0,
            allowed_causes: Vec::new(),
            denied_causes: Vec::new(),
            allowed_stop_causes: Vec::new(),
            denied_stop_causes: Vec::new(),
            max_dropped_signals: 0,
            max_failed_stops: 0,
            max_fork_failures: 0,
            max_lost_statuses: 0,
            max_stuck_processes: 0,
            max_lost_events: 0,
            command_failure: CommandFailure::Fail,
            allow: Vec::new(),
        }
    }
}

impl Policy {
    /// Reads a policy from the text of its file; keys that are not there have their defaults.
    ///
    /// # Errors
    /// The text is no policy; the error names line and key.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let policy: Self = toml::from_str(text).map_err(|error| PolicyError::of(text, &error))?;
        if policy.allow.len() > MAX_ENTRIES {
            return Err(PolicyError::whole("allow", format!("more than {MAX_ENTRIES} entries")));
        }
        // Each cause once is enough, so there is no use in more.
        for (key, count, most) in [
            ("allowed-causes", policy.allowed_causes.len(), CAUSES.len()),
            ("denied-causes", policy.denied_causes.len(), CAUSES.len()),
            ("allowed-stop-causes", policy.allowed_stop_causes.len(), STOP_CAUSES.len()),
            ("denied-stop-causes", policy.denied_stop_causes.len(), STOP_CAUSES.len()),
        ] {
            if count > most {
                return Err(PolicyError::whole(key, format!("more than {most} causes")));
            }
        }
        Ok(policy)
    }

    /// The policy as a file that [`Self::parse`] reads, with what each key means.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let body = toml::to_string(self).unwrap_or_default();
        let mut text = String::from("# Limits for `zombie-trace check`. Keys that are left out have these defaults.\n");
        for line in body.lines() {
            let key = line.split_once(" = ").map_or("", |(key, _)| key);
            if let Some((_, meaning)) = MEANINGS.iter().find(|(name, _)| *name == key) {
                text.push_str(&format!("\n# {meaning}\n"));
            }
            text.push_str(line);
            text.push('\n');
        }
        if self.allow.is_empty() {
            text.push_str(ALLOW_EXAMPLE);
        }
        text
    }
}

const MEANINGS: [(&str, &str); 14] = [
    ("max-zombie-age", "Longest time a zombie may stay unreaped."),
    ("max-zombies-per-parent", "Zombies older than that allowed per parent."),
    ("max-zombies-left", "Such zombies allowed to remain at the end, in total."),
    ("allowed-causes", "Causes that are ignored, for example [\"held-by-tracer\"]."),
    ("denied-causes", "Causes that fail the check however few zombies there are, for example [\"auto-reaped\"]."),
    (
        "allowed-stop-causes",
        "Causes of unclean stops that are ignored, for example [\"wrong-stop-signal\"]; `zombie-trace explain` lists them.",
    ),
    (
        "denied-stop-causes",
        "Causes of stops that fail the check however few there are, for example [\"ended-before-children\"].",
    ),
    ("max-dropped-signals", "Dropped signals allowed per PID 1 and signal."),
    ("max-failed-stops", "Failed stops (SIGTERM, then SIGKILL) allowed."),
    ("max-fork-failures", "Failed forks allowed."),
    ("max-lost-statuses", "Processes allowed in which threads reap each other's children."),
    ("max-stuck-processes", "Processes allowed to be stuck while exiting."),
    ("max-lost-events", "With more lost events the check cannot decide: exit code 3."),
    ("command-failure", "When the command itself fails: \"fail\" (exit code 1) or \"ignore\"."),
];

const ALLOW_EXAMPLE: &str = "
# Findings that are allowed up to and including a day:
# [[allow]]
# finding = \"zombies/never-waits/python*\"
# reason = \"the test runner forks without waiting; ticket 123\"
# expires = 2030-01-31
";
