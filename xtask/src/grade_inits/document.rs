//! The document: what is written, and what the lint asks for.

use std::{fmt::Write as _, fs};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{
    Graded,
    subjects::{Group, SUBJECTS, Subject, names},
};
use crate::system;

/// Its place.
pub(super) const PATH: &str = "zombie-trace/docs/inits.md";
/// Maximum number of signals of which one check is told.
const MAX_LISTED: usize = 8;
/// Where the checks are listed.
const CHECKS: &str = "zombie-trace/src/init_check/table.rs";

const HEAD: &str = "# How well programs work as PID 1

<!-- Written by `cargo xtask grade-inits` from real runs; not to be edited. -->

Each column is a command that `zombie-trace init-check` ran as PID 1 of a new pid namespace. Each row is a check;
`zombie-trace init-check --list` says what it requires. The first three checks are required and decide the exit code; the
others are recommended. ✓ means passed, ✗ failed, and · not applicable: a program without children cannot pass on a
signal, for example.

The programs are those of a Debian machine. The stop signal is SIGTERM unless a note names another one. Below the tables
are the commands: `DIR` is a folder with what the program needs, and `{workload}` marks the place of a child. After each
command come the failed checks, grouped by [cause](causes.md) where one is known, with the evidence of the first check
of each group.
";

const STARTERS: &str = "
## Inits, supervisors, shells and script runners

These programs start other programs: here `sleep`, or what a check needs in its place.

";

const APPLICATIONS: &str = "
## Applications

These programs are PID 1 themselves.

";

/// The whole document, or that of some programs.
pub(super) fn write(graded: &[Graded]) -> String {
    let mut text = HEAD.to_owned();
    for (group, head) in [(Group::Starter, STARTERS), (Group::Application, APPLICATIONS)] {
        let of_group: Vec<_> = graded.iter().filter(|(subject, _)| subject.group == group).collect();
        if let Some((_, checks)) = of_group.first() {
            text.push_str(head);
            table(&mut text, &of_group, checks);
        }
    }
    text.push_str("\n## What was run, and what failed\n");
    for (subject, checks) in graded {
        text.push_str(&introduction(subject));
        failures(&mut text, subject, checks);
    }
    text
}

/// A column for each program, a row for each of the checks.
fn table(text: &mut String, graded: &[&Graded], checks: &[Value]) {
    let columns: String = graded.iter().map(|(subject, _)| format!(" {} |", subject.name)).collect();
    let _ = write!(text, "| check |{columns}\n| --- |{}\n", " :-: |".repeat(graded.len()));
    for (index, check) in checks.iter().enumerate() {
        let _ = write!(text, "| `{}` |", word(check, "id"));
        for (_, checks) in graded {
            let sign = match checks.get(index).map(|check| word(check, "grade")) {
                Some("pass") => "✓",
                Some("fail") => "✗",
                _ => "·",
            };
            let _ = write!(text, " {sign} |");
        }
        text.push('\n');
    }
}

/// What was run.
fn introduction(subject: &Subject) -> String {
    let words: Vec<_> = subject.command.iter().map(|word| quoted(word)).collect();
    let mut text = format!("\n### {}\n\n    {}\n\n", subject.name, words.join(" "));
    if !subject.note.is_empty() {
        let _ = write!(text, "{}\n\n", subject.note);
    }
    text
}

/// What failed: with a cause the checks that have it, with what the first of them saw; else each by itself.
fn failures(text: &mut String, subject: &Subject, checks: &[Value]) {
    if subject.group == Group::NotStarting {
        let why = checks.first().map(first_evidence).unwrap_or_default();
        let _ = writeln!(text, "It has no column: {why}.");
        return;
    }
    let failed: Vec<&Value> = checks.iter().filter(|check| word(check, "grade") == "fail").collect();
    if failed.is_empty() {
        text.push_str("Nothing failed.\n");
    }
    let named = |check: &Value| {
        let kind = if check["required"] == true { " (required)" } else { "" };
        format!("`{}`{kind}", word(check, "id"))
    };
    let mut causes: Vec<&str> = Vec::new();
    for check in &failed {
        let cause = word(check, "cause");
        if cause.is_empty() {
            let _ = writeln!(text, "- {}: {}", named(check), first_evidence(check));
        } else if !causes.contains(&cause) {
            causes.push(cause);
            let same: Vec<_> = failed.iter().filter(|it| word(it, "cause") == cause).map(|it| named(it)).collect();
            let _ = writeln!(text, "- **{cause}** in {}: {}", same.join(", "), first_evidence(check));
        }
    }
}

/// What it rests on, without the rest of a long list.
fn first_evidence(check: &Value) -> String {
    let text = check["evidence"].as_array().and_then(|it| it.first()).and_then(Value::as_str).unwrap_or_default();
    let commas = text.match_indices(", ").map(|(at, _)| at);
    match commas.skip(MAX_LISTED - 1).min() {
        Some(at) => format!("{}, …", &text[..at]),
        None => text.to_owned(),
    }
}

/// A word of a command as a user would type it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:={}".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{word}'") }
}

/// A text of a check.
pub(super) fn word<'a>(check: &'a Value, key: &str) -> &'a str {
    check[key].as_str().unwrap_or_default()
}

/// Checks that the document has the text, the columns and the rows of this version.
///
/// # Errors
/// It has others, or cannot be read.
pub(crate) fn check() -> Result<()> {
    let read = |path: &str| fs::read_to_string(system::workspace().join(path)).with_context(|| path.to_owned());
    let wrong = mismatches(&read(PATH)?, &check_ids(&read(CHECKS)?));
    if !wrong.is_empty() {
        bail!("{PATH} is not what `cargo xtask grade-inits` writes now: {}", wrong.join("; "));
    }
    Ok(())
}

/// The ids of the checks, as the tool's source lists them.
fn check_ids(source: &str) -> Vec<&str> {
    let kinds = ["required(\"", "recommended(\"", "forwards(\""];
    let id = |line: &'_ str| -> Option<(usize, usize)> {
        let start = kinds.iter().find_map(|kind| line.starts_with(kind).then_some(kind.len()))?;
        Some((start, start + line[start..].find('"')?))
    };
    source.lines().map(str::trim_start).filter_map(|line| id(line).map(|(start, end)| &line[start..end])).collect()
}

fn mismatches(document: &str, ids: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    if !document.starts_with(HEAD) {
        wrong.push("another head".to_owned());
    }
    for (group, head) in [(Group::Starter, STARTERS), (Group::Application, APPLICATIONS)] {
        match document.split_once(head) {
            Some((_, rest)) => mismatches_of_table(rest, &names(group), ids, &mut wrong),
            None => wrong.push(format!("nothing is headed \"{}\"", head.lines().nth(1).unwrap_or_default())),
        }
    }
    for subject in SUBJECTS.iter().filter(|subject| !document.contains(&introduction(subject))) {
        wrong.push(format!("another command or note of {}", subject.name));
    }
    wrong
}

/// The table at the beginning of a text.
fn mismatches_of_table(text: &str, names: &[&str], ids: &[&str], wrong: &mut Vec<String>) {
    let mut table = text.lines().take_while(|line| line.starts_with('|'));
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    let columns = table.next().map(cells).unwrap_or_default();
    if columns.get(1..).unwrap_or_default() != names {
        wrong.push(format!("the columns are {}", columns.join(", ")));
    }
    let rows: Vec<Vec<String>> = table.skip(1).map(cells).collect();
    if !rows.iter().map(|row| row[0].as_str()).eq(ids.iter().copied()) {
        wrong.push("the rows are not the checks that there are".to_owned());
    }
    for row in &rows {
        if row.len() != columns.len() || row[1..].iter().any(|cell| !["✓", "✗", "·"].contains(&cell.as_str())) {
            wrong.push(format!("the row of {} has other cells", row[0]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> String {
        let checks = |grade: &str| {
            let check = |id: &str, required: bool, cause: Option<&str>| {
                serde_json::json!({
                    "id": id, "grade": grade, "required": required, "cause": cause, "evidence": [format!("no {id}")],
                })
            };
            vec![check("reaps", true, Some("lazy")), check("waits", false, Some("lazy")), check("masks", false, None)]
        };
        let grades = ["pass", "fail", "not-applicable"].into_iter().cycle();
        let graded: Vec<_> = SUBJECTS.iter().zip(grades).map(|(subject, grade)| (subject, checks(grade))).collect();
        write(&graded)
    }

    const IDS: [&str; 3] = ["reaps", "waits", "masks"];

    #[test]
    fn what_is_written_is_what_the_lint_asks_for() {
        let text = sample();
        assert_eq!(mismatches(&text, &IDS), Vec::<String>::new(), "{text}");
    }

    #[test]
    fn checks_that_failed_for_one_reason_are_told_together() {
        let text = sample();
        let told = "- **lazy** in `reaps` (required), `waits`: no reaps\n- `masks`: no masks\n";
        assert!(text.contains(told), "{text}");
        assert!(text.contains("It has no column: no reaps."), "{text}");
    }

    #[test]
    fn a_command_is_shown_as_it_is_typed() {
        let text = sample();
        assert!(text.contains("\n    bash -c '{workload}; exit $?'\n"), "{text}");
        assert!(text.contains("\n    tini -- sleep 1000\n"), "{text}");
    }

    #[test]
    fn a_long_list_is_cut() {
        let told = |names: &[&str]| first_evidence(&serde_json::json!({ "evidence": [names.join(", ")] }));
        assert_eq!(told(&["a", "b"]), "a, b");
        assert_eq!(told(&["a"; MAX_LISTED]), ["a"; MAX_LISTED].join(", "));
        assert_eq!(told(&["a"; 40]), format!("{}, …", ["a"; MAX_LISTED].join(", ")));
    }

    #[test]
    fn a_document_of_another_version_is_found_out() {
        let text = sample();
        let count = |text: &str| mismatches(text, &IDS).len();
        assert_eq!(mismatches(&text, &["reaps", "waits"]).len(), 2, "one for each table");
        assert_eq!(count(&text.replace("| tini |", "| tiny |")), 1);
        assert_eq!(count(&text.replacen("| ✗ |", "| ? |", 1)), 1);
        assert_eq!(count(&text.replace("    nginx -c", "    nginx -d")), 1);
        assert_eq!(count(&text.replace("## Applications", "## Programs")), 1);
        assert!(count("") > 0);
    }

    #[test]
    fn ids_are_read_from_the_source() {
        let source = "    required(\"a\", Plan::Stop,\n    forwards(\"b\", 1,\n    // recommended(\"c\"\n";
        assert_eq!(check_ids(source), ["a", "b"]);
    }
}
