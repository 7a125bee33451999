//! The one JSON object that a verdict is.

use serde::{Serialize, Serializer};

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

/// `report` is null if nothing could be measured.
impl Serialize for Outcome<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let document = Document {
            schema: "zombie-trace.check/1",
            verdict: self.verdict.word(),
            source: self.source,
            details: self.verdict,
            policy: self.policy,
            report: self.report,
        };
        document.serialize(serializer)
    }
}
