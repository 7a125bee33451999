//! What a CI job lets pass: a policy, a baseline, and the verdict on a report.
//!
//! Pure: a report, a policy, a baseline and today's date go in, a [`Verdict`] comes out. Reading files is the command's
//! business, and how a verdict is printed is `output::check`'s.

mod baseline;
mod file;
mod judge;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
mod verdict;

pub use baseline::{Baseline, BaselineError, Known};
pub use file::{Age, Allowance, CAUSES, CommandFailure, Policy, PolicyError};
pub use judge::{Input, judge};
pub use verdict::{Expired, Rule, Verdict, Violation, Waived, Waiver};
