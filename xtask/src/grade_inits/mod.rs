//! `cargo xtask grade-inits`: the tables of how real programs behave as PID 1, from real runs.
//!
//! [`check`] is for the lint: the document must be what this version of the tool would write, except for the grades.

mod document;
mod prepare;
mod subjects;

use std::{
    fs,
    path::Path,
    process::{ExitCode, Stdio},
    sync::Mutex,
    thread,
};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use serde_json::Value;

use crate::{
    setup::{self, Wants},
    system,
};
pub(crate) use document::check;
use subjects::{Group, SUBJECTS, Subject};

/// Grade inits, shells and applications as PID 1
///
/// Runs `zombie-trace init-check` over each and writes the tables to zombie-trace/docs/inits.md. Takes about ten
/// minutes, and needs root. Sets up what is missing first.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask grade-inits
  cargo xtask grade-inits tini runit      only these, printed instead of written")]
pub(crate) struct Options {
    /// Only these, by their names in the tables
    names: Vec<String>,
}

/// Number of programs graded at a time: most of the time is spent waiting.
const AT_ONCE: usize = 3;

/// The distribution's programs, without local wrappers, and its JavaScript modules for a node of another origin. The
/// other folders can be written by every user, also on a root that cannot, and are empty in every run.
const ENVIRONMENT: [&str; 4] =
    ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "NODE_PATH=/usr/share/nodejs", "HOME=/dev/shm", "TMPDIR=/dev/shm"];

/// A program with its checks, as the tool prints them.
type Graded = (&'static Subject, Vec<Value>);

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    let known = |name: &&String| SUBJECTS.iter().any(|subject| subject.name == **name);
    if let Some(name) = options.names.iter().find(|name| !known(name)) {
        let names: Vec<_> = SUBJECTS.iter().map(|subject| subject.name).collect();
        bail!("there is no {name} in the tables; there are {}", names.join(", "));
    }
    setup::ensure(Wants { tracefs: true, tests: true, grading: true, ..Wants::default() })?;
    let mut build = system::cargo();
    system::run(build.args(["build", "--quiet", "--package", "zombie-trace", "--bin", "zombie-trace"]))?;
    let tool = std::env::current_exe().context("the path of xtask")?.with_file_name("zombie-trace");
    let folder = std::env::temp_dir().join(format!("zombie-trace-inits-{}", std::process::id()));
    let is_wanted = |name| options.names.is_empty() || options.names.iter().any(|wanted| wanted == name);
    let wanted = SUBJECTS.iter().filter(|subject| is_wanted(subject.name)).collect();
    let graded = grade_all(&tool, wanted, &folder)?;
    // Some of it belongs to other users.
    system::run(system::as_root("rm")?.arg("-r").arg(&folder))?;
    let text = document::write(&graded);
    if options.names.is_empty() {
        fs::write(system::workspace().join(document::PATH), text).context(document::PATH)?;
        println!("wrote    {}", document::PATH);
    } else {
        print!("{text}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Grades some at a time; the result is in the order of the subjects.
fn grade_all(tool: &Path, wanted: Vec<&'static Subject>, folder: &Path) -> Result<Vec<Graded>> {
    let queue = Mutex::new(wanted.into_iter().enumerate());
    let next = || queue.lock().ok()?.next();
    let work = || -> Result<Vec<(usize, Graded)>> {
        let mut done = Vec::new();
        while let Some((index, subject)) = next() {
            println!("grade    {}", subject.name);
            let checks = grade(tool, subject, &folder.join(index.to_string())).context(subject.name)?;
            done.push((index, (subject, checks)));
        }
        Ok(done)
    };
    let done: Vec<Result<_>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let failed = |_| Err(anyhow!("the grading panicked"));
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(failed)).collect()
    });
    let mut graded = done.into_iter().collect::<Result<Vec<_>>>()?.concat();
    graded.sort_by_key(|(index, _)| *index);
    Ok(graded.into_iter().map(|(_, graded)| graded).collect())
}

/// The checks with their grades, as the tool prints them.
fn grade(tool: &Path, subject: &Subject, folder: &Path) -> Result<Vec<Value>> {
    fs::create_dir_all(folder)?;
    if let Some(prepare) = subject.prepare {
        prepare(folder)?;
    }
    let directory = folder.to_string_lossy();
    let fill = |word: &&str| word.replace("DIR", &directory);
    let mut command = system::as_root("env")?;
    // The folder of the caller may be closed to other users, and is no place for what a program writes when it crashes.
    command.current_dir(folder).args(ENVIRONMENT).arg(tool);
    command.args(["init-check", "--format", "json"]).args(subject.options.iter().map(fill)).arg("--");
    command.args(subject.command.iter().map(fill));
    let output = command.stdin(Stdio::null()).output().context("the tool could not be started")?;
    let parsed: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    let Some(checks) = parsed.as_ref().and_then(|it| it["checks"].as_array()) else {
        bail!("`{}`: {}", system::display(&command), String::from_utf8_lossy(&output.stderr).trim_end());
    };
    let starts = checks.iter().any(|check| ["pass", "fail"].contains(&document::word(check, "grade")));
    if starts == (subject.group == Group::NotStarting) {
        bail!("`{}` {}", system::display(&command), if starts { "starts now" } else { "does not start" });
    }
    Ok(checks.clone())
}
