//! How the grades of `init-check` are printed.

mod changes;
mod github;
mod sarif;

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use serde::{Serialize, Serializer};

use super::{Reporter, document::Plain, explain::explain_command, style::paint};
use crate::{
    remedy::{Fix, lines::Kind},
    report::{Grade, Graded},
};

pub use github::Annotations;
pub use sarif::Sarif;

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

/// An image as it was run. All of it is escaped.
#[derive(Debug, Serialize)]
pub struct ImageRecord {
    /// Where it came from.
    pub origin: String,
    /// The user and group, as numbers.
    pub user: String,
    /// The working directory.
    pub workdir: String,
    /// The stop signal.
    pub stop_signal: String,
}

/// The grades of a command.
#[derive(Debug)]
pub struct Grades {
    /// The command, escaped.
    pub command: String,
    /// The image that it is of.
    pub image: Option<ImageRecord>,
    /// The user's file, escaped, if one is pointed at.
    pub file: Option<(String, Kind)>,
    /// What would help.
    pub fixes: Vec<Fix>,
    /// Each check.
    pub checks: Vec<Graded>,
}

impl<W: Write> Reporter<Grades> for Plain<W> {
    fn report(&mut self, grades: &Grades) -> io::Result<()> {
        let Grades { command, image, checks, .. } = grades;
        let Self { out, palette } = self;
        writeln!(out, "As PID 1: {command}")?;
        if let Some(ImageRecord { origin, user, workdir, stop_signal }) = image {
            writeln!(out, "Image:    {origin}, user {user}, working directory {workdir}, stop signal {stop_signal}")?;
        }
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
                for line in reasons(it) {
                    writeln!(out, "        {line}")?;
                }
            }
        }
        changes::text(grades, *palette, out)?;
        writeln!(out, "\n{}", summary(checks))?;
        let failed = checks.iter().filter(|it| it.grade == Grade::Fail);
        match explain_command(failed.map(|it| it.cause.unwrap_or(it.id))) {
            Some(command) => writeln!(out, "{}", paint(palette.dim, format_args!("how to correct them: {command}"))),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Why a check came out so, and what to do about it, a line each.
fn reasons(graded: &Graded) -> impl Iterator<Item = String> {
    let cause = graded.cause.map(|cause| format!("cause: {cause}"));
    let advice = graded.advice.as_ref().map(|advice| format!("advice: {advice}"));
    graded.evidence.iter().cloned().chain(cause).chain(advice)
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
            "image": self.image,
            "fixes": self.fixes,
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
    fn report(&mut self, Grades { command, image, checks, .. }: &Grades) -> io::Result<()> {
        let mut suite = TestSuite::new("zombie-trace init-check");
        suite.add_property(("command", command.as_str()));
        if let Some(image) = image {
            suite.add_property(("image", image.origin.as_str()));
        }
        for it in checks {
            let reasons = reasons(it).collect::<Vec<_>>().join("\n");
            let mut status = match it.grade {
                Grade::Pass => TestCaseStatus::success(),
                Grade::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
                Grade::NotApplicable => TestCaseStatus::skipped(),
            };
            if it.grade == Grade::Fail {
                status.set_type(if it.required { "required" } else { "recommended" }).set_message(it.demand);
                status.set_description(reasons);
            } else {
                status.set_message(reasons);
            }
            let mut case = TestCase::new(it.id, status);
            case.set_classname("zombie-trace.init-check");
            if let Some(cause) = it.cause {
                case.add_property(("cause", cause));
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Palette;

    fn grades() -> Grades {
        let check = |id, grade, cause, advice: Option<&str>| Graded {
            id,
            required: true,
            demand: "it does",
            grade,
            evidence: vec![format!("evidence on {id}")],
            cause,
            advice: advice.map(ToOwned::to_owned),
        };
        let checks = vec![
            check("explained", Grade::Fail, Some("trap-deferred"), Some("Use `wait`.")),
            check("bare", Grade::Fail, None, None),
            check("passed", Grade::Pass, None, None),
        ];
        Grades { command: "sh".to_owned(), image: None, file: None, fixes: Vec::new(), checks }
    }

    #[test]
    fn a_failed_check_says_its_cause_and_what_to_do_in_every_format() {
        let (mut text, mut junit) = (Vec::new(), Vec::new());
        Plain::new(&mut text, Palette::of_stdout(false)).report(&grades()).unwrap();
        Junit(&mut junit).report(&grades()).unwrap();
        let (text, junit) = (String::from_utf8(text).unwrap(), String::from_utf8(junit).unwrap());
        let reasons = "evidence on explained\ncause: trap-deferred\nadvice: Use `wait`.";
        assert!(text.contains(&reasons.replace('\n', "\n        ")), "{text}");
        assert!(junit.contains(reasons), "{junit}");
        assert!(junit.contains("<property name=\"cause\" value=\"trap-deferred\"/>"), "{junit}");
        let json = serde_json::to_value(grades()).unwrap();
        assert_eq!(
            (&json["checks"][0]["cause"], &json["checks"][0]["advice"]),
            (&"trap-deferred".into(), &"Use `wait`.".into())
        );
        assert!(json["checks"][1]["cause"].is_null() && json["checks"][1]["advice"].is_null(), "{json}");
        assert_eq!(text.matches("cause: ").count() + junit.matches("cause: ").count(), 2, "only where one is known");
    }
}
