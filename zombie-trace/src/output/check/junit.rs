//! JUnit XML as Jenkins, GitLab and others read it: a test case for each rule that holds, and one for each violation.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Outcome, containers, text::who, waiver};
use crate::{
    output::{Palette, Reporter, names::container_name},
    policy::{Rule, Violation},
};

const SUITE: &str = "zombie-trace check";
const CLASS: &str = "zombie-trace.check";

/// A file of JUnit XML.
#[derive(Debug)]
pub struct Junit<W>(pub W);

impl<W: Write> Reporter<Outcome<'_>> for Junit<W> {
    fn report(&mut self, outcome: &Outcome<'_>) -> io::Result<()> {
        write(&mut self.0, outcome)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn write(out: &mut dyn Write, outcome: &Outcome<'_>) -> io::Result<()> {
    let verdict = outcome.verdict;
    let mut suite = TestSuite::new(SUITE);
    suite.add_property(("command", outcome.command));
    suite.add_property(("source", outcome.source));
    let mut add = |name: String, status: TestCaseStatus| {
        let mut case = TestCase::new(name, status);
        case.set_classname(CLASS);
        suite.add_test_case(case);
    };
    if let Some(why) = &verdict.unmeasured {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(format!("could not measure: {why}")).set_type("unmeasured");
        add("it can be measured".to_owned(), status);
    }
    for violation in &verdict.violations {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status
            .set_message(violation.title.as_str())
            .set_type(violation.rule.id())
            .set_description(description(violation));
        add(name(violation), status);
    }
    for waived in &verdict.waived {
        let mut status = TestCaseStatus::skipped();
        status.set_message(format!("{}; {}", waived.violation.title, waiver(&waived.by)));
        add(name(&waived.violation), status);
    }
    // A rule that nothing violates holds only if that could be seen.
    if verdict.unmeasured.is_none() {
        let told: Vec<Rule> = verdict
            .violations
            .iter()
            .map(|it| it.rule)
            .chain(verdict.waived.iter().map(|it| it.violation.rule))
            .collect();
        for rule in Rule::ALL.into_iter().filter(|rule| !told.contains(rule)) {
            let mut status = TestCaseStatus::success();
            if verdict.unseen.contains(&rule) {
                status = TestCaseStatus::skipped();
                status.set_message(format!("--source {} does not see it", outcome.source));
            }
            add(format!("{}: {}", rule.id(), rule.demand()), status);
        }
    }
    // As in the text: a section for each container.
    let mut sections = Vec::new();
    if let Some(report) = outcome.report {
        containers::text(report, Palette::default(), &mut sections)?;
    }
    if !sections.is_empty() {
        suite.set_system_out(String::from_utf8_lossy(&sections).trim_start_matches('\n'));
    }
    let mut report = Report::new(SUITE);
    report.add_test_suite(suite);
    report.serialize(out).map_err(io::Error::other)
}

fn name(violation: &Violation) -> String {
    format!("{}: {}", violation.rule.id(), violation.id)
}

fn description(violation: &Violation) -> String {
    let mut text = format!("{}\n", violation.detail);
    if let Some(process) = &violation.process {
        text.push_str(&format!("process: {}\n", who(process)));
        if let Some(container) = &process.container {
            text.push_str(&format!("container: {}\n", container_name(container)));
        }
    }
    text.push_str(&format!("count: {}, allowed: {}\n", violation.amount, violation.limit));
    text
}
