//! `cargo xtask grade-inits`: the table of how real programs behave as PID 1, from real runs.
//!
//! [`check`] is for the lint: the document must be what this version of the tool would write, except for the grades.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use serde_json::Value;

use crate::{
    setup::{self, Wants},
    system,
};

/// The document with the table.
const DOCUMENT: &str = "zombie-trace/docs/inits.md";
/// Where the checks are listed.
const CHECKS: &str = "zombie-trace/src/init_check/table.rs";

/// Grade inits, and programs that are none, as PID 1
///
/// Runs `zombie-trace init-check` over each and writes the table to zombie-trace/docs/inits.md. Takes some minutes, and
/// needs root. Sets up what is missing first.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask grade-inits
  cargo xtask grade-inits tini runit      only these, printed instead of written")]
pub(crate) struct Options {
    /// Only these, by their names in the table
    names: Vec<String>,
}

/// Number of programs graded at a time.
const AT_ONCE: usize = 3;
/// How long PID 1 has to exit; long for these programs, which have nothing to finish.
const GRACE: &str = "4s";

/// One column of the table.
struct Subject {
    name: &'static str,
    /// Further options, such as a stop signal.
    options: &'static [&'static str],
    /// The command; `DIR` in it is the folder that `prepare` has filled.
    command: &'static [&'static str],
    prepare: Option<fn(&Path) -> Result<()>>,
    /// A note for readers.
    note: &'static str,
}

const SUBJECTS: &[Subject] = &[
    plain("tini", &["tini", "--", "sleep", "1000"]),
    plain("dumb-init", &["dumb-init", "sleep", "1000"]),
    plain("catatonit", &["catatonit", "--", "sleep", "1000"]),
    Subject { prepare: Some(service), ..plain("s6-svscan", &["s6-svscan", "DIR"]) },
    Subject {
        options: &["--stop-signal", "PWR", "--rootfs", "DIR"],
        prepare: Some(runit_root),
        note: "is Debian's, and is stopped by SIGPWR",
        ..plain("runit", &["runit"])
    },
    plain("bash -c", &["bash", "-c", "{workload}; exit $?"]),
    plain("dash -c", &["dash", "-c", "{workload}; exit $?"]),
    Subject {
        options: &["--rootfs", "DIR"],
        prepare: Some(busybox_root),
        ..plain("busybox init", &["busybox", "init"])
    },
    plain("sleep", &["sleep", "1000"]),
    plain("node", &["node", "-e", "require('http').createServer().listen(0)"]),
    plain("python3 -m http.server", &["python3", "-m", "http.server", "0"]),
];

const fn plain(name: &'static str, command: &'static [&'static str]) -> Subject {
    Subject { name, options: &[], command, prepare: None, note: "" }
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    let known = |name: &&String| SUBJECTS.iter().any(|subject| subject.name == **name);
    if let Some(name) = options.names.iter().find(|name| !known(name)) {
        bail!("there is no {name} in the table; there are {}", names().join(", "));
    }
    setup::ensure(Wants { tracefs: true, tests: true, ..Wants::default() })?;
    let mut build = system::cargo();
    system::run(build.args(["build", "--quiet", "--package", "zombie-trace", "--bin", "zombie-trace"]))?;
    let tool = std::env::current_exe().context("the path of xtask")?.with_file_name("zombie-trace");
    let folder = std::env::temp_dir().join(format!("zombie-trace-inits-{}", std::process::id()));
    let wanted: Vec<(usize, &'static Subject)> = SUBJECTS
        .iter()
        .enumerate()
        .filter(|(_, subject)| options.names.is_empty() || options.names.iter().any(|it| it == subject.name))
        .collect();
    let mut graded = Vec::new();
    // Most of the time is spent waiting.
    for some in wanted.chunks(AT_ONCE) {
        let all: Vec<Result<Vec<Value>>> = thread::scope(|scope| {
            let start = |(index, subject): &(usize, &'static Subject)| {
                println!("grade    {}", subject.name);
                let (tool, subject, folder) = (&tool, *subject, folder.join(index.to_string()));
                scope.spawn(move || grade(tool, subject, &folder))
            };
            let running: Vec<_> = some.iter().map(start).collect();
            let failed = |_| Err(anyhow!("the grading panicked"));
            running.into_iter().map(|thread| thread.join().unwrap_or_else(failed)).collect()
        });
        for ((_, subject), grades) in some.iter().zip(all) {
            graded.push((*subject, grades.with_context(|| subject.name.to_owned())?));
        }
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    let text = document(&graded);
    if options.names.is_empty() {
        fs::write(system::workspace().join(DOCUMENT), text).context(DOCUMENT)?;
        println!("wrote    {DOCUMENT}");
    } else {
        print!("{text}");
    }
    Ok(ExitCode::SUCCESS)
}

fn names() -> Vec<&'static str> {
    SUBJECTS.iter().map(|subject| subject.name).collect()
}

/// The checks with their grades, as the tool prints them.
fn grade(tool: &Path, subject: &Subject, folder: &Path) -> Result<Vec<Value>> {
    if let Some(prepare) = subject.prepare {
        fs::create_dir_all(folder)?;
        prepare(folder)?;
    }
    let directory = folder.to_string_lossy();
    let fill = |word: &&str| word.replace("DIR", &directory);
    let mut command = system::as_root("env")?;
    // The distribution's programs, without local wrappers.
    command.arg("PATH=/usr/sbin:/usr/bin:/sbin:/bin").arg(tool);
    command.args(["init-check", "--format", "json", "--grace", GRACE]).args(subject.options.iter().map(fill)).arg("--");
    command.args(subject.command.iter().map(fill));
    let output = command.stdin(std::process::Stdio::null()).output().context("the tool could not be started")?;
    let parsed: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    match parsed.as_ref().and_then(|it| it["checks"].as_array()) {
        Some(checks) => Ok(checks.clone()),
        None => bail!("`{}`: {}", system::display(&command), String::from_utf8_lossy(&output.stderr).trim_end()),
    }
}

/// A folder with one service, for a supervisor.
fn service(folder: &Path) -> Result<()> {
    script(&folder.join("app/run"), "exec sleep 1000")
}

fn script(path: &Path, line: &str) -> Result<()> {
    fs::create_dir_all(path.parent().context("a script lies in a folder")?)?;
    fs::write(path, format!("#!/bin/sh\n{line}\n"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// A root with busybox as its shell, because full inits start and stop whole systems.
fn small_root(root: &Path) -> Result<()> {
    for folder in ["bin", "dev", "etc", "proc", "tmp"] {
        fs::create_dir_all(root.join(folder))?;
    }
    let busybox = system::find_program("busybox").context("there is no busybox")?;
    fs::copy(busybox, root.join("bin/busybox"))?;
    for name in ["sh", "sleep"] {
        symlink("busybox", root.join("bin").join(name))?;
    }
    Ok(())
}

fn busybox_root(root: &Path) -> Result<()> {
    small_root(root)?;
    // Without its own table it would unmount all file systems at the end.
    fs::write(root.join("etc/inittab"), "::respawn:/bin/sleep 1000\n")?;
    Ok(())
}

fn runit_root(root: &Path) -> Result<()> {
    small_root(root)?;
    fs::create_dir_all(root.join("run"))?;
    for name in ["runit", "runsvdir", "runsv"] {
        let program = system::find_program(name).with_context(|| format!("there is no {name}"))?;
        fs::copy(&program, root.join("bin").join(name))?;
        for library in libraries(&program)? {
            let copy = root.join(library.strip_prefix("/").unwrap_or(&library));
            fs::create_dir_all(copy.parent().context("a library lies in a folder")?)?;
            fs::copy(&library, copy)?;
        }
    }
    script(&root.join("etc/runit/1"), "exit 0")?;
    script(&root.join("etc/runit/2"), "PATH=/bin exec runsvdir /service")?;
    script(&root.join("etc/runit/3"), "exit 0")?;
    script(&root.join("service/app/run"), "exec sleep 1000")
}

/// The libraries of a program, including the loader.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("ldd could not be started")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

const HEAD: &str = "# How programs do as PID 1

<!-- Written by `cargo xtask grade-inits` from real runs; not to be edited. -->

Each column is a command that `zombie-trace init-check` ran as PID 1 of a fresh pid namespace, each row a check
(`zombie-trace init-check --list` says what they ask for). The first three rows are required and decide the exit code;
the rest are recommendations. ✓ is a pass, ✗ a failure, · not applicable: a program without children has none that could
end with it, for example.
";

fn document(graded: &[(&Subject, Vec<Value>)]) -> String {
    let mut text = HEAD.to_owned();
    let columns = graded.iter().fold(String::new(), |line, (subject, _)| format!("{line} {} |", subject.name));
    let _ = write!(text, "\n| check |{columns}\n| --- |{}\n", " :-: |".repeat(graded.len()));
    let Some((_, first)) = graded.first() else { return text };
    for (index, check) in first.iter().enumerate() {
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
    text.push_str("\n## What was run, and what failed\n");
    for (subject, checks) in graded {
        let _ = write!(text, "\n### {}\n\n    {}\n\n", subject.name, subject.command.join(" "));
        if !subject.note.is_empty() {
            let _ = write!(text, "It {}.\n\n", subject.note);
        }
        let failed: Vec<&Value> = checks.iter().filter(|check| word(check, "grade") == "fail").collect();
        if failed.is_empty() {
            text.push_str("Nothing failed.\n");
        }
        for check in failed {
            let kind = if check["required"] == true { ", required" } else { "" };
            let evidence = check["evidence"].as_array().and_then(|it| it.first()).and_then(Value::as_str);
            let _ = writeln!(text, "- `{}`{kind}: {}", word(check, "id"), evidence.unwrap_or_default());
        }
    }
    text
}

fn word<'a>(check: &'a Value, key: &str) -> &'a str {
    check[key].as_str().unwrap_or_default()
}

/// Checks that the document has the head, the columns and the rows of this version.
pub(crate) fn check() -> Result<()> {
    let read = |path: &str| fs::read_to_string(system::workspace().join(path)).with_context(|| path.to_owned());
    let wrong = mismatches(&read(DOCUMENT)?, &check_ids(&read(CHECKS)?));
    if !wrong.is_empty() {
        bail!("{DOCUMENT} is not what `cargo xtask grade-inits` writes now: {}", wrong.join("; "));
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
    let mut table = document.lines().filter(|line| line.starts_with('|'));
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    let columns = table.next().map(cells).unwrap_or_default();
    if columns.get(1..).unwrap_or_default() != names().as_slice() {
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
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> String {
        let checks = |grade: &str| {
            vec![serde_json::json!({ "id": "reaps", "grade": grade, "required": true, "evidence": ["it did not"] })]
        };
        let graded: Vec<_> = SUBJECTS
            .iter()
            .zip(["pass", "fail", "not-applicable"].into_iter().cycle())
            .map(|(subject, grade)| (subject, checks(grade)))
            .collect();
        document(&graded)
    }

    #[test]
    fn what_is_written_is_what_the_lint_asks_for() {
        let text = sample();
        assert_eq!(mismatches(&text, &["reaps"]), Vec::<String>::new(), "{text}");
        assert!(text.contains("- `reaps`, required: it did not"), "{text}");
    }

    #[test]
    fn a_document_of_another_version_is_found_out() {
        let text = sample();
        assert_eq!(mismatches(&text, &["reaps", "stops"]).len(), 1);
        assert_eq!(mismatches(&text.replace("| tini |", "| tiny |"), &["reaps"]).len(), 1);
        assert_eq!(mismatches(&text.replace("| ✗ |", "| ? |"), &["reaps"]).len(), 1);
        assert!(!mismatches("", &["reaps"]).is_empty());
    }

    #[test]
    fn ids_are_read_from_the_source() {
        let source = "    required(\"a\", Plan::Stop,\n    forwards(\"b\", 1,\n    // recommended(\"c\"\n";
        assert_eq!(check_ids(source), ["a", "b"]);
    }
}
