//! Runs tests that ran out of time once more, in a separate machine.
//!
//! Emulated CPUs share real ones with each other and with other load, so sometimes a process of a test does not run for
//! longer than the test allows. Tests that pass the second time are marked in the table and named below it. A test that
//! failed for its content (a wrong cause, a false zombie, a lost event) has failed and is not repeated.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};

use super::{
    ALONE,
    machine::{Boot, Report, Setting},
    results::Outcome,
};

/// Maximum number of late tests of one machine that may be accidental.
const MOST: usize = 3;

/// Repeats the late tests of machines with only a few, one machine at a time.
pub(super) fn run(boots: &[Boot<'_>], reports: &mut [Report], folder: &Path) -> Result<()> {
    for (boot, report) in boots.iter().zip(reports) {
        let late = late(report);
        if late.is_empty() {
            continue;
        }
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let setting = only(boot.setting, &late);
        println!("again    {}: {}", boot.name(), late.join(", "));
        let second = Boot { setting: &setting, folder, ..*boot }.run()?;
        merge(report, &second);
    }
    Ok(())
}

/// The tests to run again.
fn late(report: &Report) -> Vec<String> {
    let is_late = |outcome: &Outcome| matches!(outcome, Outcome::Late(..));
    let late: Vec<_> =
        report.tests.iter().filter(|(_, outcome)| is_late(outcome)).map(|(name, _)| name.clone()).collect();
    // Tests that change the machine run alone anyway.
    let is_accident =
        report.trouble.is_none() && late.len() <= MOST && !late.iter().any(|name| name.starts_with(ALONE));
    if is_accident { late } else { Vec::new() }
}

/// The same machine, for only these tests.
fn only(setting: &Setting, tests: &[String]) -> Setting {
    let is_choice = |word: &String| word.starts_with("zt.filter=") || word.starts_with("zt.alone=");
    let mut parameters = setting.parameters.clone();
    parameters.retain(|word| !is_choice(word));
    parameters.extend(tests.iter().map(|test| format!("zt.filter={test}")));
    Setting { parameters, ..setting.clone() }
}

/// Tests that passed the second time were only late the first time.
fn merge(report: &mut Report, second: &Report) {
    let again: BTreeMap<_, _> = second.tests.iter().map(|(name, outcome)| (name, outcome)).collect();
    for (name, outcome) in &mut report.tests {
        if let (Outcome::Late(took, reason), Some(Outcome::Passed(_))) = (&*outcome, again.get(name)) {
            *outcome = Outcome::Flaky(*took, reason.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use super::*;

    const OK: Outcome = Outcome::Passed(Duration::ZERO);

    fn too_late() -> Outcome {
        Outcome::Late(Duration::ZERO, "why".to_owned())
    }

    fn wrong() -> Outcome {
        Outcome::Failed(Duration::ZERO, "why".to_owned())
    }

    fn report(tests: &[(&str, Outcome)], trouble: Option<&str>) -> Report {
        Report {
            tests: tests.iter().map(|(name, outcome)| ((*name).to_owned(), outcome.clone())).collect(),
            trouble: trouble.map(ToOwned::to_owned),
            took: Duration::ZERO,
            console: PathBuf::new(),
        }
    }

    #[test]
    fn a_few_late_tests_are_tried_again_and_many_or_a_crash_are_not() {
        assert_eq!(late(&report(&[("a::b", too_late()), ("c::d", OK)], None)), ["a::b"]);
        let none: [&str; 0] = [];
        assert_eq!(late(&report(&[("a::b", OK)], None)), none);
        assert_eq!(late(&report(&[("a::b", too_late())], Some("it hung"))), none);
        let many = ["a", "b", "c", "d"].map(|name| (name, too_late()));
        assert_eq!(late(&report(&many, None)), none);
        assert_eq!(late(&report(&[("machine::sleeps", too_late())], None)), none);
    }

    #[test]
    fn a_wrong_answer_is_not_tried_again() {
        assert_eq!(late(&report(&[("a::b", wrong()), ("c::d", too_late())], None)), ["c::d"]);
        let mut first = report(&[("a::b", wrong())], None);
        merge(&mut first, &report(&[("a::b", OK)], None));
        assert!(first.tests[0].1.is_failure());
    }

    #[test]
    fn the_second_machine_runs_what_failed_and_nothing_else() {
        let words = ["zt.cgroup=v2", "zt.filter=damage::", "zt.alone=machine::", "zt.skip=slow"];
        let parameters = words.map(ToOwned::to_owned).to_vec();
        let second = only(&Setting { parameters, ..Setting::default() }, &["a::b".to_owned()]);
        assert_eq!(second.parameters, ["zt.cgroup=v2", "zt.skip=slow", "zt.filter=a::b"]);
    }

    #[test]
    fn only_what_passes_the_second_time_was_late() {
        let mut first = report(&[("a", too_late()), ("b", too_late()), ("c", too_late()), ("d", OK)], None);
        merge(&mut first, &report(&[("a", OK), ("b", too_late())], None));
        let failures: Vec<_> = first.tests.iter().filter(|(_, it)| it.is_failure()).map(|(name, _)| name).collect();
        assert_eq!(failures, ["b", "c"]);
        assert_eq!(first.tests[0].1, Outcome::Flaky(Duration::ZERO, "why".to_owned()));
    }
}
