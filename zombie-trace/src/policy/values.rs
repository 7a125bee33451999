//! The values of a policy, and how they are written.
//!
//! Errors name no value: the text may come from a file that is no policy and that its reader could not see otherwise.

use std::{fmt, time::Duration};

use globset::{GlobBuilder, GlobMatcher};
use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    diagnosis::{Cause, StopCause},
    text::escape,
};

/// The ids of all of these causes.
macro_rules! ids {
    ($kind:ty) => {{
        let mut ids = [""; <$kind>::ALL.len()];
        let mut index = 0;
        while index < ids.len() {
            ids[index] = <$kind>::ALL[index].id();
            index += 1;
        }
        ids
    }};
}

/// The causes of zombies that a policy may name.
pub const CAUSES: [&str; Cause::ALL.len()] = ids!(Cause);
/// The causes of failed stops that a policy may name.
pub const STOP_CAUSES: [&str; StopCause::ALL.len()] = ids!(StopCause);

/// The longest pattern and the longest reason, bytes.
const MAX_TEXT: usize = 1024;

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
            .ok_or_else(|| de::Error::custom("not a duration; write it like \"500ms\", \"1s\" or \"2m\""))
    }
}

/// The id of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CauseId(pub &'static str);

impl<'de> Deserialize<'de> for CauseId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_of(&CAUSES, deserializer).map(Self)
    }
}

/// The id of a cause of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct StopCauseId(pub &'static str);

impl<'de> Deserialize<'de> for StopCauseId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_of(&STOP_CAUSES, deserializer).map(Self)
    }
}

fn one_of<'de, D: Deserializer<'de>>(ids: &[&'static str], deserializer: D) -> Result<&'static str, D::Error> {
    let text = String::deserialize(deserializer)?;
    let known = ids.iter().find(|id| **id == text).copied();
    known.ok_or_else(|| de::Error::custom(format!("not a known cause; known causes: {}", ids.join(", "))))
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

/// A finding that is allowed for a time.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AllowEntry {
    /// Its id, or a pattern for ids.
    pub finding: Pattern,
    /// Why it is allowed.
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

    /// The pattern, made safe to show.
    #[must_use]
    pub fn shown(&self) -> String {
        escape::text(self.text.as_bytes()).into_owned()
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = bounded(deserializer)?;
        // A slash separates the parts of an id, and names of processes may hold slashes, too: a star stands for both.
        let glob = GlobBuilder::new(&text)
            .literal_separator(false)
            .build()
            .map_err(|_| de::Error::custom("not a valid pattern"))?;
        Ok(Self { glob: glob.compile_matcher(), text })
    }
}

/// Why something is allowed: some words, not none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Reason(String);

impl Reason {
    /// The reason in one line, made safe to show.
    #[must_use]
    pub fn shown(&self) -> String {
        let words: Vec<&str> = self.0.split_whitespace().collect();
        escape::text(words.join(" ").as_bytes()).into_owned()
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = bounded(deserializer)?;
        if text.trim().is_empty() {
            return Err(de::Error::custom("`reason` must not be empty"));
        }
        Ok(Self(text))
    }
}

fn bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() > MAX_TEXT {
        return Err(de::Error::custom(format!("longer than {MAX_TEXT} bytes")));
    }
    Ok(text)
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
            _ => return Err(de::Error::custom("not a date without time, like 2030-01-31")),
        };
        let (year, month, day) = (i16::try_from(date.year), i8::try_from(date.month), i8::try_from(date.day));
        match (year, month, day) {
            (Ok(year), Ok(month), Ok(day)) => {
                Date::new(year, month, day).map(Self).map_err(|_| de::Error::custom("not a valid date"))
            }
            _ => Err(de::Error::custom("not a valid date")),
        }
    }
}
