//! SARIF 2.1.0, as code scanning reads it.
//!
//! Only what a verdict has is written, so the few objects are here instead of a crate with all of the standard's.
//!
//! Code scanning shows only results with a place in a file, which a verdict does not have: it knows processes. So the
//! place is the program or script where that lies in the working directory, else the command's, else a path that is
//! none but stays the same from run to run, as scanners of images do it. The process itself is the logical location.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Outcome, text::who, waiver};
use crate::{
    output::{Reporter, names::container_name},
    policy::{Exemption, Rule, Violation},
    report::Severity,
};

pub(in crate::output) const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// A file of SARIF.
#[derive(Debug)]
pub struct Sarif<W>(pub W);

impl<W: Write> Reporter<Outcome<'_>> for Sarif<W> {
    fn report(&mut self, outcome: &Outcome<'_>) -> io::Result<()> {
        write(&mut self.0, outcome)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn write(out: &mut dyn Write, outcome: &Outcome<'_>) -> io::Result<()> {
    let verdict = outcome.verdict;
    let rules: Vec<Value> = Rule::ALL
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id(),
                "name": rule.id(),
                "shortDescription": { "text": rule.demand() },
                "fullDescription": { "text": rule.demand() },
                "help": { "text": "`zombie-trace explain ID` says what a rule, cause or reason means and how to correct it." },
            })
        })
        .collect();
    let failing = verdict.violations.iter().map(|violation| result(outcome, violation, None));
    let waived = verdict.waived.iter().map(|waived| result(outcome, &waived.violation, Some(&waived.by)));
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
            // As in the JSON of `check`.
            "properties": { "containers": outcome.report.map_or(&[][..], |report| &report.containers) },
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}

fn result(outcome: &Outcome<'_>, violation: &Violation, waived: Option<&Exemption>) -> Value {
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
        "properties": { "amount": violation.amount, "limit": violation.limit, "explain": violation.explain },
    });
    let mut location = json!({ "physicalLocation": {
        "artifactLocation": artifact(outcome, violation),
        // The whole file is meant, and a line is asked for.
        "region": { "startLine": 1 },
    } });
    if let Some(process) = &violation.process {
        let place = json!({ "name": process.comm, "fullyQualifiedName": who(process), "kind": "process" });
        let container = process.container.as_ref().map(|container| {
            let name = container_name(container);
            json!({ "name": name, "fullyQualifiedName": name, "kind": "container" })
        });
        location["logicalLocations"] = [place].into_iter().chain(container).collect();
    }
    result["locations"] = json!([location]);
    if let Some(by) = waived {
        let kind = if matches!(by, Exemption::Baseline { .. }) { "unchanged" } else { "new" };
        result["baselineState"] = kind.into();
        result["suppressions"] = json!([{ "kind": "external", "justification": waiver(by) }]);
    }
    result
}

/// The base is left undefined: who reads it knows where the sources lie.
fn artifact(outcome: &Outcome<'_>, violation: &Violation) -> Value {
    match outcome.places.of(violation) {
        Some(path) => json!({ "uri": uri(path), "uriBaseId": "%SRCROOT%" }),
        None => {
            let name = violation.process.as_ref().map_or("command", |process| &process.comm);
            json!({ "uri": format!("process/{}", segment(name)) })
        }
    }
}

/// A relative path as a URI reference.
pub(in crate::output) fn uri(path: &str) -> String {
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// One part of a path: all but the unreserved characters of RFC 3986 is written as percent and hexadecimal digits.
fn segment(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut safe, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => safe.push(char::from(byte)),
            _ => safe.push_str(&format!("%{byte:02X}")),
        }
        safe
    })
}
