//! What was there before: only what is new or worse fails.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Violation, refusal::without_values};

const SCHEMA: &str = "zombie-trace.baseline/2";
/// Of version 0.1: its ids name the interpreter where those of today name the script.
const FORMER_SCHEMA: &str = "zombie-trace.baseline/1";

/// The most violations that a baseline may know, and the longest id and title, bytes.
const MAX_ENTRIES: usize = 10_000;
const MAX_TEXT: usize = 4096;

/// A file that is no baseline. Nothing of its content is quoted.
#[derive(Debug, Error)]
pub enum BaselineError {
    /// It cannot be parsed.
    #[error("line {line}, column {column}: {what}")]
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong, without values.
        what: String,
    },
    /// It is something else, or of a version that is not known.
    #[error("`schema` is not {SCHEMA:?}")]
    Schema,
    /// It is larger than any that this program writes.
    #[error("it has more than {MAX_ENTRIES} entries, or one longer than {MAX_TEXT} bytes")]
    TooLarge,
}

impl From<serde_json::Error> for BaselineError {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let message = error.to_string();
        let message = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
        Self::Json { line, column, what: without_values(message) }
    }
}

/// The violations of an earlier run, by id.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    schema: String,
    /// By the id of the violation.
    pub known: BTreeMap<String, Known>,
}

/// A violation that was there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// How many.
    pub amount: u64,
    /// For who reads the file.
    pub title: String,
}

impl Baseline {
    /// What is there now. The command's own failure is never part of it.
    pub fn of<'a>(violations: impl IntoIterator<Item = &'a Violation>) -> Self {
        let mut known = BTreeMap::<String, Known>::new();
        for violation in violations.into_iter().filter(|it| it.rule != super::Rule::CommandFailed) {
            let entry =
                known.entry(key(violation)).or_insert_with(|| Known { amount: 0, title: violation.title.clone() });
            entry.amount = entry.amount.max(violation.amount);
        }
        Self { schema: SCHEMA.to_owned(), known }
    }

    /// Reads a baseline.
    ///
    /// # Errors
    /// The text is none.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        let baseline: Self = serde_json::from_str(text)?;
        if baseline.schema != SCHEMA && baseline.schema != FORMER_SCHEMA {
            return Err(BaselineError::Schema);
        }
        let is_long = |(id, known): (&String, &Known)| id.len() > MAX_TEXT || known.title.len() > MAX_TEXT;
        if baseline.known.len() > MAX_ENTRIES || baseline.known.iter().any(is_long) {
            return Err(BaselineError::TooLarge);
        }
        Ok(baseline)
    }

    /// The text that [`Self::parse`] reads; sorted, so that it makes small differences under version control.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings and numbers only: nothing that could fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// What of these it knows.
    pub fn compare<'a>(&'a self, violations: impl IntoIterator<Item = &'a Violation>) -> Comparison<'a> {
        let mut former = BTreeMap::<String, Former>::new();
        if self.schema == FORMER_SCHEMA {
            for violation in violations {
                let entry = former.entry(former_key(violation)).or_default();
                entry.amount += violation.amount;
                entry.programs.extend(violation.process.as_ref().map(|process| process.program.clone()));
            }
        }
        Comparison { baseline: self, former }
    }
}

/// Violations of today that had one id in version 0.1.
#[derive(Debug, Default)]
struct Former {
    amount: u64,
    programs: BTreeSet<String>,
}

/// A baseline beside the violations of a run.
#[derive(Debug)]
pub struct Comparison<'a> {
    baseline: &'a Baseline,
    former: BTreeMap<String, Former>,
}

impl Comparison<'_> {
    /// How many there were of this, if there are not more now.
    ///
    /// A baseline of version 0.1 knows all programs of an interpreter as one: all of them together must not be more.
    #[must_use]
    pub fn covers(&self, violation: &Violation) -> Option<u64> {
        let (key, amount) = if self.baseline.schema == FORMER_SCHEMA {
            let key = former_key(violation);
            let amount = self.former.get(&key).map_or(violation.amount, |former| former.amount);
            (key, amount)
        } else {
            (key(violation), violation.amount)
        };
        let known = self.baseline.known.get(&key)?;
        (amount <= known.amount).then_some(known.amount)
    }

    /// What the baseline cannot tell apart.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let known = self.former.iter().filter(|(key, _)| self.baseline.known.contains_key(*key));
        let ambiguous = known.filter(|(key, former)| former.programs.iter().any(|program| !key.ends_with(program)));
        ambiguous
            .map(|(key, former)| {
                let programs: Vec<&str> = former.programs.iter().map(String::as_str).collect();
                format!(
                    "the baseline is from version 0.1, in which `{key}` means any program of that name (now: {}); \
                     save the baseline again",
                    programs.join(", ")
                )
            })
            .collect()
    }
}

/// The same finding may violate two rules.
fn key(violation: &Violation) -> String {
    format!("{}:{}", violation.rule.id(), violation.id)
}

fn former_key(violation: &Violation) -> String {
    format!("{}:{}", violation.rule.id(), former_id(violation))
}

/// The id that version 0.1 gave: it ended in the kernel's name for the process.
pub(super) fn former_id(violation: &Violation) -> String {
    let process = violation.process.as_ref().filter(|process| !process.program.is_empty());
    process
        .and_then(|process| Some(format!("{}{}", violation.id.strip_suffix(&process.program)?, process.comm)))
        .unwrap_or_else(|| violation.id.clone())
}
