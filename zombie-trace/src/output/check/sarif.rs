//! SARIF 2.1.0, as code scanning reads it.
//!
//! Only what a verdict has is written, so the few objects are here instead of a crate with all of the standard's. What
//! a verdict does not have is a place in a file: results carry the process as a logical location.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Outcome, text::who, waiver};
use crate::{
    policy::{Rule, Violation, Waiver},
    report::Severity,
};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Prints the verdict.
///
/// # Errors
/// It could not be written.
pub fn sarif(outcome: &Outcome<'_>, out: &mut dyn Write) -> io::Result<()> {
    let verdict = outcome.verdict;
    let rules: Vec<Value> = Rule::ALL
        .iter()
        .map(|rule| json!({ "id": rule.id(), "shortDescription": { "text": rule.demand() } }))
        .collect();
    let failing = verdict.violations.iter().map(|violation| result(violation, None));
    let waived = verdict.waived.iter().map(|waived| result(&waived.violation, Some(&waived.by)));
    let notifications: Vec<Value> = verdict
        .unmeasured
        .iter()
        .map(|why| json!({ "level": "error", "message": { "text": format!("could not measure: {why}") } }))
        .chain(verdict.notes.iter().map(|note| json!({ "level": "note", "message": { "text": note } })))
        .collect();
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "zombie-trace", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "invocations": [{
                "commandLine": outcome.command,
                "executionSuccessful": verdict.unmeasured.is_none(),
                "toolExecutionNotifications": notifications,
            }],
            "results": failing.chain(waived).collect::<Vec<Value>>(),
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}

fn result(violation: &Violation, waived: Option<&Waiver>) -> Value {
    let level = match violation.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let index = Rule::ALL.iter().position(|rule| *rule == violation.rule);
    let mut result = json!({
        "ruleId": violation.rule.id(),
        "ruleIndex": index,
        "level": level,
        "message": { "text": format!("{}. {}", violation.title, violation.detail) },
        "partialFingerprints": { "finding/v1": violation.id },
        "properties": { "amount": violation.amount, "limit": violation.limit },
    });
    if let Some(process) = &violation.process {
        let place = json!({ "name": process.comm, "fullyQualifiedName": who(process), "kind": "process" });
        result["locations"] = json!([{ "logicalLocations": [place] }]);
    }
    if let Some(by) = waived {
        let kind = if matches!(by, Waiver::Baseline { .. }) { "unchanged" } else { "new" };
        result["baselineState"] = kind.into();
        result["suppressions"] = json!([{ "kind": "external", "justification": waiver(by) }]);
    }
    result
}
