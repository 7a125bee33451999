//! Tests that failed are run once more, in a machine of their own.
//!
//! Emulated processors share real ones with each other and with whatever else runs: now and then a parent of a test is
//! not let run for longer than the test allows, and nobody is to blame. A fault fails twice. What passes the second time
//! is told apart in the table and named below it, so that it can be looked after.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};

use super::{
    ALONE,
    machine::{Boot, Report, Setting},
    results::Outcome,
};

/// More failures of one machine than this are no accident.
const MOST: usize = 3;

/// Runs again what failed in machines that but few tests failed in, one machine at a time.
pub(super) fn run(boots: &[Boot<'_>], reports: &mut [Report], folder: &Path) -> Result<()> {
    for (boot, report) in boots.iter().zip(reports) {
        let failed = failed(report);
        if failed.is_empty() {
            continue;
        }
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let setting = only(boot.setting, &failed);
        println!("again    {}: {}", boot.name(), failed.join(", "));
        let second = Boot { setting: &setting, folder, ..*boot }.run()?;
        forgive(report, &second);
    }
    Ok(())
}

/// The tests to run again.
fn failed(report: &Report) -> Vec<String> {
    let failed: Vec<_> =
        report.tests.iter().filter(|(_, outcome)| outcome.is_failure()).map(|(name, _)| name.clone()).collect();
    // Those that change the machine run by themselves anyway.
    let is_accident =
        report.trouble.is_none() && failed.len() <= MOST && !failed.iter().any(|name| name.starts_with(ALONE));
    if is_accident { failed } else { Vec::new() }
}

/// The same machine, for these tests alone.
fn only(setting: &Setting, tests: &[String]) -> Setting {
    let is_choice = |word: &String| word.starts_with("zt.filter=") || word.starts_with("zt.alone=");
    let mut parameters = setting.parameters.clone();
    parameters.retain(|word| !is_choice(word));
    parameters.extend(tests.iter().map(|test| format!("zt.filter={test}")));
    Setting { parameters, ..setting.clone() }
}

fn forgive(report: &mut Report, second: &Report) {
    let again: BTreeMap<_, _> = second.tests.iter().map(|(name, outcome)| (name, outcome)).collect();
    for (name, outcome) in &mut report.tests {
        if let (Outcome::Failed(took, reason), Some(Outcome::Passed(_))) = (&*outcome, again.get(name)) {
            *outcome = Outcome::Flaky(*took, reason.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use super::*;

    fn report(tests: &[(&str, bool)], trouble: Option<&str>) -> Report {
        let outcome = |passed: bool| {
            if passed { Outcome::Passed(Duration::ZERO) } else { Outcome::Failed(Duration::ZERO, "why".to_owned()) }
        };
        Report {
            tests: tests.iter().map(|(name, passed)| ((*name).to_owned(), outcome(*passed))).collect(),
            trouble: trouble.map(ToOwned::to_owned),
            took: Duration::ZERO,
            console: PathBuf::new(),
        }
    }

    #[test]
    fn a_few_failures_are_tried_again_and_many_or_a_crash_are_not() {
        assert_eq!(failed(&report(&[("a::b", false), ("c::d", true)], None)), ["a::b"]);
        let none: [&str; 0] = [];
        assert_eq!(failed(&report(&[("a::b", true)], None)), none);
        assert_eq!(failed(&report(&[("a::b", false)], Some("it hung"))), none);
        let many = ["a", "b", "c", "d"].map(|name| (name, false));
        assert_eq!(failed(&report(&many, None)), none);
        assert_eq!(failed(&report(&[("machine::sleeps", false)], None)), none);
    }

    #[test]
    fn the_second_machine_runs_what_failed_and_nothing_else() {
        let words = ["zt.cgroup=v2", "zt.filter=damage::", "zt.alone=machine::", "zt.skip=slow"];
        let parameters = words.map(ToOwned::to_owned).to_vec();
        let second = only(&Setting { name: "", parameters, foreign: false }, &["a::b".to_owned()]);
        assert_eq!(second.parameters, ["zt.cgroup=v2", "zt.skip=slow", "zt.filter=a::b"]);
    }

    #[test]
    fn only_what_passes_the_second_time_is_forgiven() {
        let mut first = report(&[("a", false), ("b", false), ("c", false), ("d", true)], None);
        forgive(&mut first, &report(&[("a", true), ("b", false)], None));
        let failures: Vec<_> = first.tests.iter().filter(|(_, it)| it.is_failure()).map(|(name, _)| name).collect();
        assert_eq!(failures, ["b", "c"]);
        assert_eq!(first.tests[0].1, Outcome::Flaky(Duration::ZERO, "why".to_owned()));
    }
}
