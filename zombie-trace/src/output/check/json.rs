//! One JSON object, in one line.

use std::io::{self, Write};

use serde::Serialize;

use super::Outcome;
use crate::{
    policy::{Policy, Verdict},
    report::Report,
};

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    verdict: &'static str,
    source: &'static str,
    #[serde(flatten)]
    details: &'a Verdict,
    policy: &'a Policy,
    report: Option<&'a Report>,
}

/// Prints the verdict; `report` is null if nothing could be measured.
///
/// # Errors
/// It could not be written.
pub fn json(outcome: &Outcome<'_>, out: &mut dyn Write) -> io::Result<()> {
    let document = Document {
        schema: "zombie-trace.check/1",
        verdict: outcome.verdict.word(),
        source: outcome.source,
        details: outcome.verdict,
        policy: outcome.policy,
        report: outcome.report,
    };
    serde_json::to_writer(&mut *out, &document)?;
    out.write_all(b"\n")?;
    out.flush()
}
