//! The results of the tests in the VMs, and their table.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

/// The outcome of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed(Duration),
    Failed(Duration, String),
    /// Failed only because a deadline ran out.
    Late(Duration, String),
    Skipped(String),
    /// Was late for this reason, and passed when repeated.
    Flaky(Duration, String),
}

impl Outcome {
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(..) | Self::Late(..))
    }

    fn cell(&self) -> String {
        match self {
            Self::Passed(took) => format!("{:.1} s", took.as_secs_f64()),
            Self::Failed(..) => "FAILED".to_owned(),
            Self::Late(..) => "LATE".to_owned(),
            Self::Skipped(_) => "skipped".to_owned(),
            Self::Flaky(..) => "flaky".to_owned(),
        }
    }
}

/// Reads the lines of the results' serial line: the tests, and the verdict of the VM's init.
pub(crate) fn parse(text: &str) -> (Vec<(String, Outcome)>, Option<String>) {
    let (mut tests, mut verdict) = (Vec::new(), None);
    for line in text.lines() {
        let fields: Vec<_> = line.trim_end_matches('\r').splitn(4, '\t').collect();
        match fields[..] {
            ["verdict", words] => verdict = Some(words.to_owned()),
            [outcome, took, name, reason] => {
                let took = Duration::from_millis(took.parse().unwrap_or(0));
                let outcome = match outcome {
                    "ok" => Outcome::Passed(took),
                    "skipped" => Outcome::Skipped(reason.to_owned()),
                    "late" => Outcome::Late(took, reason.to_owned()),
                    // An unknown word must not pass.
                    _ => Outcome::Failed(took, reason.to_owned()),
                };
                tests.push((name.to_owned(), outcome));
            }
            _ => {}
        }
    }
    (tests, verdict)
}

/// The results of one machine, as a column of the table.
pub(crate) struct Column<'a> {
    /// The kernel and how it was booted.
    pub(crate) heads: [&'a str; 2],
    pub(crate) tests: &'a [(String, Outcome)],
}

/// One row per test, one column per machine; a dash for a test that a machine did not have to run.
pub(crate) fn table(columns: &[Column<'_>]) -> String {
    let mut rows: BTreeMap<&str, Vec<Option<&Outcome>>> = BTreeMap::new();
    for (index, column) in columns.iter().enumerate() {
        for (name, outcome) in column.tests {
            rows.entry(name).or_insert_with(|| vec![None; columns.len()])[index] = Some(outcome);
        }
    }
    let width = rows.keys().map(|name| name.len()).max().unwrap_or(0);
    let widths: Vec<_> =
        columns.iter().map(|column| column.heads.iter().map(|head| head.len()).max().unwrap_or(0).max(7)).collect();
    let mut text = String::new();
    let mut row = |name: &str, cells: Vec<String>| {
        let mut line = format!("{name:width$}");
        cells.iter().zip(&widths).for_each(|(cell, width)| {
            let _ = write!(line, "  {cell:>width$}");
        });
        text += line.trim_end();
        text.push('\n');
    };
    for (head, name) in ["test", ""].iter().enumerate() {
        if columns.iter().any(|column| !column.heads[head].is_empty()) {
            row(name, columns.iter().map(|column| column.heads[head].to_owned()).collect());
        }
    }
    for (name, outcomes) in rows {
        row(name, outcomes.iter().map(|outcome| outcome.map_or_else(|| "-".to_owned(), Outcome::cell)).collect());
    }
    text
}

/// Why tests were skipped, with the machines where they were, each reason once.
pub(crate) fn skips(columns: &[Column<'_>]) -> Vec<String> {
    let mut reasons: BTreeMap<&str, BTreeMap<&str, Vec<String>>> = BTreeMap::new();
    for column in columns {
        for (name, outcome) in column.tests {
            if let Outcome::Skipped(reason) = outcome {
                let machine = column.heads.join(" ").trim().to_owned();
                reasons.entry(reason).or_default().entry(name).or_default().push(machine);
            }
        }
    }
    let line = |(reason, tests): (&str, BTreeMap<&str, Vec<String>>)| {
        let count: usize = tests.values().map(Vec::len).sum();
        let machines: std::collections::BTreeSet<_> = tests.into_values().flatten().collect();
        format!("skipped {count}: {reason} ({})", machines.into_iter().collect::<Vec<_>>().join(", "))
    };
    reasons.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "ok\t1234\tgroup::works\t\r\nskipped\t0\tgroup::cannot\tjava is not installed\r\n\
                        failed\t20\tgroup::fails\ta wrong cause\r\nlate\t9\tgroup::waits\tnothing came\r\n\
                        verdict\texit 101\r\n";

    #[test]
    fn results_are_read_from_a_serial_line() {
        let (tests, verdict) = parse(SAID);
        assert_eq!(verdict.as_deref(), Some("exit 101"));
        let outcomes: Vec<_> = tests.into_iter().map(|(_, outcome)| outcome).collect();
        assert_eq!(
            outcomes,
            [
                Outcome::Passed(Duration::from_millis(1234)),
                Outcome::Skipped("java is not installed".to_owned()),
                Outcome::Failed(Duration::from_millis(20), "a wrong cause".to_owned()),
                Outcome::Late(Duration::from_millis(9), "nothing came".to_owned()),
            ]
        );
    }

    #[test]
    fn a_torn_line_is_no_result_and_an_unknown_outcome_no_success() {
        assert_eq!(parse("ok\t12\tgroup::wo"), (Vec::new(), None));
        let (tests, _) = parse("good\t12\tgroup::works\t\n");
        assert!(tests[0].1.is_failure());
    }

    #[test]
    fn the_table_has_a_dash_where_a_test_was_not_asked_for() {
        let (all, _) = parse(SAID);
        let one = &all[..1];
        let columns =
            [Column { heads: ["5.10.223", ""], tests: &all }, Column { heads: ["7.2.13", "cgroup v1"], tests: one }];
        let expected = "\
test           5.10.223     7.2.13
                         cgroup v1
group::cannot   skipped          -
group::fails     FAILED          -
group::waits       LATE          -
group::works      1.2 s      1.2 s
";
        assert_eq!(table(&columns), expected);
        assert_eq!(skips(&columns), ["skipped 1: java is not installed (5.10.223)"]);
    }
}
