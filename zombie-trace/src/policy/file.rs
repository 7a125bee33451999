//! The policy and its file.

use std::{fmt, time::Duration};

use globset::{GlobBuilder, GlobMatcher};
use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// The causes of zombies that a policy may name.
pub const CAUSES: [&str; 21] = [
    "never-waits",
    "init-does-not-reap",
    "init-bypassed",
    "init-not-pid-1",
    "subreaper-does-not-reap",
    "waits-for-others",
    "one-wait-per-sigchld",
    "sigchld-blocked",
    "handler-ignores-children",
    "handler-stuck",
    "handler-reset",
    "lazy-reaper",
    "needs-wclone",
    "parent-cannot-run",
    "held-by-tracer",
    "leader-zombie-with-live-threads",
    "namespace-teardown-stuck",
    "shim-or-runtime",
    "status-stolen",
    "auto-reaped",
    "unknown",
];

/// A policy that cannot be used. The parser names line and key.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct PolicyError(String);

/// What is let pass. The keys of the file are these names with hyphens.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Policy {
    /// A zombie may wait this long.
    pub max_zombie_age: Age,
    /// A parent may have so many zombies that waited longer.
    pub max_zombies_per_parent: u64,
    /// So many of these may be there at the end, over all parents.
    pub max_zombies_left: u64,
    /// Causes that do not matter.
    pub allowed_causes: Vec<CauseId>,
    /// Causes that fail the check however few zombies there are.
    pub denied_causes: Vec<CauseId>,
    /// A PID 1 may drop so many signals of one kind.
    pub max_dropped_signals: u64,
    /// So many stops may fail.
    pub max_failed_stops: u64,
    /// So many forks may fail.
    pub max_fork_failures: u64,
    /// In so many processes one thread may take the status that another waits for.
    pub max_lost_statuses: u64,
    /// So many processes that began to die may be unable to go.
    pub max_stuck_processes: u64,
    /// So many events may be lost before nothing can be said.
    pub max_lost_events: u64,
    /// What the command's own failure means.
    pub command_failure: CommandFailure,
    /// Findings that are let pass for a time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Allowance>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_zombie_age: Age(Duration::from_secs(1)),
            max_zombies_per_parent: 0,
            max_zombies_left: 0,
            allowed_causes: Vec::new(),
            denied_causes: Vec::new(),
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
        toml::from_str(text).map_err(|error| PolicyError(error.to_string().trim_end().to_owned()))
    }

    /// The policy as a file that [`Self::parse`] reads, with what each key means.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let body = toml::to_string(self).unwrap_or_default();
        let mut text =
            String::from("# What `zombie-trace check` lets pass. Keys that are left out have these defaults.\n");
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

const MEANINGS: [(&str, &str); 12] = [
    ("max-zombie-age", "A zombie may wait this long to be reaped."),
    ("max-zombies-per-parent", "A parent may have so many zombies that waited longer."),
    ("max-zombies-left", "So many of these may be left at the end, over all parents."),
    ("allowed-causes", "Causes that do not matter, for example [\"held-by-tracer\"]."),
    ("denied-causes", "Causes that fail the check however few zombies there are, for example [\"auto-reaped\"]."),
    ("max-dropped-signals", "A PID 1 may drop so many signals of one kind."),
    ("max-failed-stops", "So many stops (a TERM, and a KILL after it) may fail."),
    ("max-fork-failures", "So many forks may fail."),
    ("max-lost-statuses", "In so many processes one thread may take the status that another waits for."),
    ("max-stuck-processes", "So many processes that began to die may be unable to go."),
    ("max-lost-events", "With more lost events nothing can be said: exit code 3."),
    ("command-failure", "When the command itself fails: \"fail\" (exit code 1) or \"ignore\"."),
];

const ALLOW_EXAMPLE: &str = "
# Findings that are let pass, up to and including a day:
# [[allow]]
# finding = \"zombies/never-waits/python*\"
# reason = \"the test runner forks without waiting; ticket 123\"
# expires = 2030-01-31
";

/// A duration as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age(pub Duration);

impl fmt::Display for Age {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::SignedDuration::try_from(self.0) {
            Ok(duration) => write!(formatter, "{duration:#}"),
            Err(_) => write!(formatter, "{:?}", self.0),
        }
    }
}

impl Serialize for Age {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        text.parse::<jiff::SignedDuration>()
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok())
            .map(Self)
            .ok_or_else(|| {
                de::Error::custom(format!("`{text}` is no duration; write it like \"500ms\", \"1s\" or \"2m\""))
            })
    }
}

/// The id of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CauseId(pub &'static str);

impl<'de> Deserialize<'de> for CauseId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known = CAUSES.iter().find(|cause| **cause == text);
        known
            .map(|cause| Self(cause))
            .ok_or_else(|| de::Error::custom(format!("`{text}` is no cause; there are {}", CAUSES.join(", "))))
    }
}

/// What the command's own failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommandFailure {
    /// The check fails.
    Fail,
    /// Nothing.
    Ignore,
}

/// A finding that is let pass for a time.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Allowance {
    /// Its id, or a pattern for ids.
    pub finding: Pattern,
    /// Why it is let pass.
    pub reason: Reason,
    /// The last day on which it is.
    pub expires: Day,
}

/// A pattern for the ids of findings.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    glob: GlobMatcher,
}

impl Pattern {
    /// Whether an id matches.
    #[must_use]
    pub fn matches(&self, id: &str) -> bool {
        self.text == id || self.glob.is_match(id)
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // A slash separates the parts of an id, and names of processes may hold slashes, too: a star stands for both.
        let glob = GlobBuilder::new(&text)
            .literal_separator(false)
            .build()
            .map_err(|error| de::Error::custom(format!("`{text}` is no pattern: {}", error.kind())))?;
        Ok(Self { glob: glob.compile_matcher(), text })
    }
}

/// Why something is let pass: some words, not none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Reason(pub String);

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().is_empty() {
            return Err(de::Error::custom("a reason must say something"));
        }
        Ok(Self(text))
    }
}

/// A date without time: `2030-01-31`, without quotation marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day(pub Date);

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let date = toml::value::Date {
            year: self.0.year().unsigned_abs(),
            month: self.0.month().unsigned_abs(),
            day: self.0.day().unsigned_abs(),
        };
        toml::value::Datetime::from(date).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let moment = toml::value::Datetime::deserialize(deserializer)?;
        let date = match moment {
            toml::value::Datetime { date: Some(date), time: None, offset: None } => date,
            _ => return Err(de::Error::custom("a date without time is expected, like 2030-01-31")),
        };
        let (year, month, day) = (i16::try_from(date.year), i8::try_from(date.month), i8::try_from(date.day));
        match (year, month, day) {
            (Ok(year), Ok(month), Ok(day)) => Date::new(year, month, day).map(Self).map_err(de::Error::custom),
            _ => Err(de::Error::custom("there is no such date")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, line: &str, said: &str) {
        let error = Policy::parse(text).unwrap_err().to_string();
        assert!(error.contains(line) && error.contains(said), "{error}");
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(Policy::parse("").unwrap().to_toml(), Policy::default().to_toml());
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let text = Policy::default().to_toml();
        assert_eq!(Policy::parse(&text).unwrap().to_toml(), text);
        let full = "max-zombie-age = \"2m\"\nallowed-causes = [\"held-by-tracer\"]\ncommand-failure = \"ignore\"\n\
            [[allow]]\nfinding = \"zombies/*\"\nreason = \"known\"\nexpires = 2030-01-31\n";
        let policy = Policy::parse(full).unwrap();
        assert_eq!(policy.max_zombie_age.0, Duration::from_secs(120));
        assert_eq!(policy.command_failure, CommandFailure::Ignore);
        assert_eq!(policy.allow[0].expires.0.to_string(), "2030-01-31");
        assert_eq!(Policy::parse(&policy.to_toml()).unwrap().to_toml(), policy.to_toml());
    }

    #[test]
    fn the_printed_policy() {
        insta::assert_snapshot!(Policy::default().to_toml());
    }

    #[test]
    fn errors_name_line_and_key() {
        refused("\nmax-zombie = 1", "line 2", "max-zombie");
        refused("max-zombies-left = \"none\"", "line 1", "max-zombies-left");
        refused("max-zombies-left = -1", "line 1", "max-zombies-left");
        refused("max-zombie-age = \"soon\"", "line 1", "max-zombie-age");
        refused("max-zombie-age = 5", "line 1", "max-zombie-age");
        refused("allowed-causes = [\"laziness\"]", "line 1", "laziness");
        refused("command-failure = \"maybe\"", "line 1", "command-failure");
        refused("[[allow]]\nfinding = \"zombies/*\"\nreason = \" \"\nexpires = 2030-01-31", "line 3", "reason");
        refused("[[allow]]\nfinding = \"zombies/*\"\nreason = \"x\"", "line 1", "expires");
        refused("[[allow]]\nfinding = \"zombies/[\"\nreason = \"x\"\nexpires = 2030-01-31", "line 2", "finding");
        refused("[[allow]]\nfinding = \"a\"\nreason = \"x\"\nexpires = 2030-02-31", "line 4", "expires");
        refused("[[allow]]\nfinding = \"a\"\nreason = \"x\"\nexpires = \"tomorrow\"", "line 4", "expires");
        refused("[[allow]]\nfinding = \"a\"\nreason = \"x\"\nexpires = 2030-01-01T00:00:00Z", "line 4", "expires");
        refused("[[allow]]\nfindings = \"a\"\n", "line 2", "findings");
    }

    #[test]
    fn a_pattern_matches_over_slashes() {
        let policy =
            Policy::parse("[[allow]]\nfinding = \"zombies/*/py*\"\nreason = \"x\"\nexpires = 2030-01-31").unwrap();
        let pattern = &policy.allow[0].finding;
        assert!(pattern.matches("zombies/never-waits/python3"));
        assert!(!pattern.matches("signals/no-handler/SIGTERM/python3"));
    }
}
