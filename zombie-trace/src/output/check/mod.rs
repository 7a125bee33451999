//! How the verdict of `check` is printed: one file per format, by the one interface.
//!
//! The texts in a verdict come from a report, where names of processes are escaped already; here they are escaped for
//! the format.

mod containers;
pub(super) mod github;
mod json;
mod junit;
pub(super) mod sarif;
#[cfg(test)]
mod tests;
mod text;

pub use github::{Annotations, Summary};
pub use junit::Junit;
pub use sarif::Sarif;

use std::collections::BTreeMap;

use crate::{
    policy::{Exemption, Policy, Verdict, Violation},
    report::Report,
};

/// What is printed.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// The verdict.
    pub verdict: &'a Verdict,
    /// What it rests on; `None` if nothing could be measured.
    pub report: Option<&'a Report>,
    /// The policy in force.
    pub policy: &'a Policy,
    /// What was run.
    pub command: &'a str,
    /// Where events came from: `bpf`, `proc` or `recording`.
    pub source: &'static str,
    /// Where programs lie.
    pub places: &'a Places,
}

/// Paths of programs, relative to the working directory, where they lie in it.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// By pid and start.
    pub processes: BTreeMap<(u32, u64), String>,
    /// Of the command.
    pub command: Option<String>,
}

impl Places {
    fn of(&self, violation: &Violation) -> Option<&str> {
        let process = violation.process.as_ref();
        let own = process.and_then(|it| self.processes.get(&(it.pid, it.start_ns)));
        own.or(self.command.as_ref()).map(String::as_str)
    }
}

/// Why a violation is allowed, in words.
fn waiver(by: &Exemption) -> String {
    match by {
        Exemption::AllowEntry { reason, expires, .. } => format!("allowed until {expires}: {reason}"),
        Exemption::Baseline { amount } => format!("in the baseline (count {amount})"),
    }
}

/// An expired entry of the policy, in words.
fn expired(entry: &crate::policy::Expired) -> String {
    let effect = match entry.violations {
        0 => "nothing matches it any more; remove it".to_owned(),
        1 => "it no longer allows 1 violation".to_owned(),
        many => format!("it no longer allows {many} violations"),
    };
    format!("`{}` ({}) expired on {}; {effect}", entry.finding, entry.reason, entry.expires)
}

/// The verdict in one line.
fn headline(outcome: &Outcome<'_>) -> String {
    let verdict = outcome.verdict;
    let mut parts = Vec::new();
    match (verdict.violations.len(), &verdict.unmeasured) {
        // That nothing was found says nothing then.
        (0, Some(_)) => {}
        (0, None) => parts.push("no violations".to_owned()),
        (1, _) => parts.push("1 violation".to_owned()),
        (many, _) => parts.push(format!("{many} violations")),
    }
    if !verdict.waived.is_empty() {
        parts.push(format!("{} allowed", verdict.waived.len()));
    }
    if !verdict.expired.is_empty() {
        parts.push(crate::text::plural(verdict.expired.len() as u64, "policy entry expired", "policy entries expired"));
    }
    if let Some(why) = &verdict.unmeasured {
        parts.push(why.clone());
    }
    parts.join(", ")
}
