//! The grades of `init-check`.

use serde::Serialize;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// As it should be.
    Pass,
    /// Not so.
    Fail,
    /// There was nothing to see.
    NotApplicable,
}

/// A graded check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Graded {
    /// Its stable id.
    pub id: &'static str,
    /// Whether it decides the exit code.
    pub required: bool,
    /// What is asked for.
    pub demand: &'static str,
    /// How it came out.
    pub grade: Grade,
    /// What that rests on.
    pub evidence: Vec<String>,
    /// The id of why it failed: of a stop, or of zombies; null if it has not, or no rule knows why.
    pub cause: Option<&'static str>,
    /// What to do; null if there is nothing to do.
    pub advice: Option<String>,
}
