//! How the grades of `init-check` are printed.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use serde::{Serialize, Serializer};

use super::{Reporter, document::Plain, style::paint};
use crate::report::{Grade, Graded};

/// Lists checks: the id of each, whether it is required, and what it asks for.
///
/// # Errors
/// It could not be written.
pub fn list<'a>(checks: impl IntoIterator<Item = (&'a str, bool, &'a str)>, out: &mut dyn Write) -> io::Result<()> {
    for (id, required, demand) in checks {
        let kind = if required { "required" } else { "recommended" };
        writeln!(out, "{id:26}  {kind:11}  {demand}")?;
    }
    out.flush()
}

/// The grades of a command.
#[derive(Debug)]
pub struct Grades {
    /// The command, escaped.
    pub command: String,
    /// Each check.
    pub checks: Vec<Graded>,
}

impl<W: Write> Reporter<Grades> for Plain<W> {
    fn report(&mut self, Grades { command, checks }: &Grades) -> io::Result<()> {
        let Self { out, palette } = self;
        writeln!(out, "As PID 1: {command}")?;
        for (required, title) in [(true, "Required"), (false, "Recommended")] {
            if !checks.iter().any(|it| it.required == required) {
                continue;
            }
            writeln!(out, "\n{}\n", paint(palette.heading, title))?;
            for it in checks.iter().filter(|it| it.required == required) {
                let (style, word) = match it.grade {
                    Grade::Pass => (palette.good, "pass"),
                    Grade::Fail => (palette.bad, "FAIL"),
                    Grade::NotApplicable => (palette.dim, "n/a "),
                };
                writeln!(out, "  {}  {}: {}", paint(style, word), paint(palette.name, it.id), it.demand)?;
                for evidence in &it.evidence {
                    writeln!(out, "        {evidence}")?;
                }
            }
        }
        writeln!(out, "\n{}", summary(checks))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The counts in one line: who reads a log looks at its end.
fn summary(graded: &[Graded]) -> String {
    let count = |grade: Grade, required: bool| {
        graded.iter().filter(|it| it.grade == grade && (it.required || !required)).count()
    };
    let failed = match count(Grade::Fail, false) {
        0 => "none failed".to_owned(),
        failed => match count(Grade::Fail, true) {
            0 => format!("{failed} failed, none of them required"),
            required => format!("{failed} failed, {required} of them required"),
        },
    };
    let passed = count(Grade::Pass, false);
    format!("{} checks: {passed} passed, {failed}, {} not applicable", graded.len(), count(Grade::NotApplicable, false))
}

impl Serialize for Grades {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let failed = self.checks.iter().any(|it| it.required && it.grade == Grade::Fail);
        let document = serde_json::json!({
            "schema": "zombie-trace.init-check/1",
            "command": self.command,
            "required_passed": !failed,
            "checks": self.checks,
        });
        document.serialize(serializer)
    }
}

/// JUnit XML.
#[derive(Debug)]
pub struct Junit<W>(pub W);

impl<W: Write> Reporter<Grades> for Junit<W> {
    fn report(&mut self, Grades { command, checks }: &Grades) -> io::Result<()> {
        let mut suite = TestSuite::new("zombie-trace init-check");
        suite.add_property(("command", command.as_str()));
        for it in checks {
            let evidence = it.evidence.join("\n");
            let mut status = match it.grade {
                Grade::Pass => TestCaseStatus::success(),
                Grade::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
                Grade::NotApplicable => TestCaseStatus::skipped(),
            };
            if it.grade == Grade::Fail {
                status.set_type(if it.required { "required" } else { "recommended" }).set_message(it.demand);
                status.set_description(evidence);
            } else {
                status.set_message(evidence);
            }
            let mut case = TestCase::new(it.id, status);
            case.set_classname("zombie-trace.init-check");
            suite.add_test_case(case);
        }
        let mut report = Report::new("zombie-trace init-check");
        report.add_test_suite(suite);
        report.serialize(&mut self.0).map_err(io::Error::other)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
