//! What a CI job lets pass: a policy, a baseline, and the verdict on a report.
//!
//! Pure: a report, a policy, a baseline and today's date go in, a [`Verdict`] comes out. Reading files is the command's
//! business, and how a verdict is printed is `output::check`'s.

mod baseline;
mod file;
#[cfg(test)]
mod file_tests;
mod judge;
mod refusal;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
mod values;
mod verdict;

pub use baseline::{Baseline, BaselineError, Comparison, Known};
pub use file::Policy;
pub use judge::{Input, judge};
pub use refusal::PolicyError;
pub use values::{Age, AllowEntry, CAUSES, CommandFailure, STOP_CAUSES};
pub use verdict::{Exempted, Exemption, Expired, Rule, Verdict, Violation};
