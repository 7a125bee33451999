//! What was there before: only what is new or worse fails.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Violation;

const SCHEMA: &str = "zombie-trace.baseline/1";

/// A file that is no baseline.
#[derive(Debug, Error)]
pub enum BaselineError {
    /// It cannot be parsed; the parser names line and column.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// It is something else, or of a version that is not known.
    #[error("schema is {0:?}, expected {SCHEMA:?}")]
    Schema(String),
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
        if baseline.schema == SCHEMA { Ok(baseline) } else { Err(BaselineError::Schema(baseline.schema)) }
    }

    /// The text that [`Self::parse`] reads; sorted, so that it makes small differences under version control.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings and numbers only: nothing that could fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// How many there were of this, if it is not worse now.
    #[must_use]
    pub fn covers(&self, violation: &Violation) -> Option<u64> {
        let known = self.known.get(&key(violation))?;
        (violation.amount <= known.amount).then_some(known.amount)
    }
}

/// The same finding may violate two rules.
fn key(violation: &Violation) -> String {
    format!("{}:{}", violation.rule.id(), violation.id)
}
