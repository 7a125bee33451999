//! The commands in the documentation. Each of the tool's is read by the tool's own definition of its command line; those
//! that trace nothing are run.

use std::path::Path;
use std::process::{Command, Stdio};

use clap::{CommandFactory, Parser};
use zombie_trace::cli::Cli;
use zombie_trace_tests::{TestResult, binaries, runner::Test, tests};

use crate::{markdown, pages, top};

pub(crate) fn all() -> Vec<Test> {
    tests![
        every_command_is_understood,
        commands_that_trace_nothing_run,
        every_subcommand_is_shown,
        examples_of_help_are_understood
    ]
}

/// A command of the documentation.
struct Shown {
    /// Its words, the tool's name first.
    words: Vec<String>,
    place: String,
}

/// The tool's commands in a text: without `sudo`, and up to a pipe, a redirection or a comment.
fn commands(text: &str, place: &str) -> Vec<Shown> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().enumerate().filter_map(|(index, line)| {
        let line = line.trim().trim_start_matches("$ ");
        let line = line.strip_prefix("sudo ").unwrap_or(line);
        if !line.starts_with("zombie-trace ") {
            return None;
        }
        let place = format!("{place}+{index}: {line}");
        let words = shlex::split(line).unwrap_or_else(|| panic!("{place}: a quote is not closed"));
        let words =
            words.into_iter().take_while(|word| !["|", ">", ">>", "&&", ";", "&", "2>"].contains(&word.as_str()));
        Some(Shown { words: words.collect(), place })
    });
    lines.collect()
}

fn shown() -> Vec<Shown> {
    let blocks = pages().into_iter().flat_map(|page| markdown::blocks(&page));
    let blocks = blocks.filter(|block| ["sh", "console"].contains(&block.language.as_str()));
    let shown: Vec<Shown> = blocks.flat_map(|block| commands(&block.text, &block.place)).collect();
    assert!(shown.len() > 40, "only {} commands were found", shown.len());
    shown
}

fn every_command_is_understood() -> TestResult {
    let shown = shown();
    let wrong: Vec<String> = shown
        .iter()
        .filter_map(|it| Some(format!("{}\n{}", it.place, Cli::try_parse_from(&it.words).err()?)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// As they are printed by `--help`: the command ends where a wide gap begins what is said about it.
fn examples_of_help_are_understood() -> TestResult {
    let mut command = Cli::command();
    let own = command.get_after_help().map(ToString::to_string);
    let subcommands = command.get_subcommands_mut().filter_map(|it| it.get_after_help().map(ToString::to_string));
    let texts: Vec<String> = own.into_iter().chain(subcommands).collect();
    let mut read = 0;
    for text in &texts {
        let text: String =
            text.lines().map(|line| line.trim().split("   ").next().unwrap_or_default().to_owned() + "\n").collect();
        for Shown { words, place } in commands(&text, "--help") {
            Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{place}\n{error}"));
            read += 1;
        }
    }
    assert!(read > 25, "only {read} examples were found");
    Ok(())
}

/// What a command needs of the files that it names.
fn prepare(folder: &Path) {
    let recordings = top().join("tests/fixtures/recordings");
    for (from, to) in [("format-1.zt", "trace.zt"), ("format-1.zt", "node1.zt"), ("format-1-node2.zt", "node2.zt")] {
        std::fs::copy(recordings.join(from), folder.join(to)).expect("the recording is kept");
    }
}

/// Whether a command needs neither the kernel's events nor anything that is not there.
fn traces_nothing(words: &[String]) -> bool {
    let has = |option: &str| words.iter().any(|word| word == option);
    match words[1].as_str() {
        "explain" | "scan" | "completions" | "report" | "export" => true,
        "init-check" => has("--list"),
        "check" => has("--print-policy") || has("--recording"),
        _ => false,
    }
}

fn commands_that_trace_nothing_run() -> TestResult {
    let mut run = 0;
    for Shown { words, place } in shown().into_iter().filter(|it| traces_nothing(&it.words)) {
        let folder = tempfile::TempDir::new().expect("the temporary folder can be written");
        prepare(folder.path());
        let mut command = Command::new(binaries::zombie_trace());
        command.args(&words[1..]).current_dir(folder.path()).env("TZ", "UTC").stdin(Stdio::null());
        let output = command.output().expect("the tool can be started");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{place}: {} {stderr}", output.status);
        let writes = words.iter().any(|word| word == "-o");
        assert!(writes || !output.stdout.is_empty(), "{place} printed nothing: {stderr}");
        run += 1;
    }
    assert!(run > 15, "only {run} commands were run");
    Ok(())
}

fn every_subcommand_is_shown() -> TestResult {
    let shown = shown();
    for subcommand in Cli::command().get_subcommands().filter(|it| !it.is_hide_set()) {
        let name = subcommand.get_name();
        assert!(shown.iter().any(|it| it.words[1] == name), "no page shows `zombie-trace {name}`");
    }
    Ok(())
}
