//! The command line: exit codes, help, what goes where, colour. Nothing here traces.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use zombie_trace_tests::binaries::{self, PublicCopy};

const ESCAPE: u8 = 0x1b;

fn zombie_trace(arguments: &[&str]) -> Command {
    let mut command = Command::new(binaries::zombie_trace());
    command.args(arguments).stdin(Stdio::null()).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

fn run(arguments: &[&str]) -> Output {
    zombie_trace(arguments).output().expect("the tool can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn is_wrong_usage(arguments: &[&str]) {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
    assert!(output.stdout.is_empty(), "{arguments:?}: {}", text(&output.stdout));
    assert!(!output.stderr.is_empty(), "{arguments:?} failed without a word");
}

#[test]
fn wrong_usage_exits_with_2() {
    is_wrong_usage(&[]);
    is_wrong_usage(&["no-such-command"]);
    is_wrong_usage(&["live", "--no-such-option"]);
    is_wrong_usage(&["live", "--format", "no-such-format"]);
    is_wrong_usage(&["live", "--min-age", "no-such-age"]);
    is_wrong_usage(&["live", "--for", "-1s"]);
    is_wrong_usage(&["live", "--pid", "0"]);
    is_wrong_usage(&["live", "--pid", "one"]);
    is_wrong_usage(&["check"]);
    is_wrong_usage(&["check", "--policy", "/no/such/file", "--", "true"]);
    is_wrong_usage(&["check", "--baseline", "/no/such/file", "--", "true"]);
    is_wrong_usage(&["check", "--junit", "/no/such/folder/file", "--", "true"]);
    is_wrong_usage(&["check", "--source", "proc", "--interval", "0", "--", "true"]);
    is_wrong_usage(&["check", "--recording", "/no/such/file"]);
    is_wrong_usage(&["check", "--recording", "/no/such/file", "--source", "proc"]);
    is_wrong_usage(&["init-check"]);
    is_wrong_usage(&["init-check", "--only", "no-such-check", "--", "true"]);
    is_wrong_usage(&["init-check", "--stop-signal", "NONE", "--", "true"]);
}

#[test]
fn a_wrong_policy_is_refused_with_line_and_key() {
    let file = std::env::temp_dir().join(format!("zombie-trace-policy-{}", std::process::id()));
    std::fs::write(&file, "max-zombies-left = 0\nmax-zombie-aeg = \"1s\"\n")
        .expect("the temporary folder can be written");
    let output = run(&["check", "--policy", &file.to_string_lossy(), "--", "true"]);
    let said = text(&output.stderr);
    let _ = std::fs::remove_file(&file);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("line 2") && said.contains("max-zombie-aeg"), "{said}");
}

#[test]
fn the_policy_in_force_is_printed_as_a_file() {
    let output = run(&["check", "--print-policy", "--min-age", "3s"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("max-zombie-age = \"3s\""), "{}", text(&output.stdout));
}

/// The commands of the examples, up to what they run, with something that ends them before they would.
#[test]
fn the_commands_in_the_ci_examples_are_understood() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../zombie-trace/ci");
    let mut seen = 0;
    for name in ["github-actions.yml", "gitlab-ci.yml"] {
        let file = std::fs::read_to_string(folder.join(name)).expect("the example is there");
        let plain: Vec<&str> = file.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        let plain = plain.join(" ").replace('"', "").replace("$(command -v zombie-trace)", "zombie-trace");
        let words: Vec<&str> = plain.split_whitespace().collect();
        for start in (1..words.len()).filter(|&at| words[at - 1] == "zombie-trace") {
            let Some(end) = words[start..].iter().position(|word| *word == "--") else { continue };
            let early = match words[start] {
                "check" => "--print-policy",
                "init-check" => "--list",
                _ => continue,
            };
            let arguments = [&words[start..start + end], &[early]].concat();
            let output = run(&arguments);
            assert_eq!(output.status.code(), Some(0), "{name}: {arguments:?}: {}", text(&output.stderr));
            seen += 1;
        }
    }
    assert_eq!(seen, 5, "every command of the examples");
}

#[test]
fn a_mistyped_option_is_named() {
    let output = run(&["live", "--min-ago", "1s"]);
    assert!(text(&output.stderr).contains("--min-ago"), "{}", text(&output.stderr));
}

#[test]
fn help_is_data_with_examples() {
    for arguments in [&["--help"][..], &["live", "--help"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let help = text(&output.stdout);
        let (_, examples) =
            help.split_once("Examples:").unwrap_or_else(|| panic!("{arguments:?} has no examples: {help}"));
        assert!(examples.contains("zombie-trace live"), "{arguments:?}: {examples}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn the_help_says_what_the_exit_codes_mean() {
    let help = text(&run(&["--help"]).stdout);
    let (_, codes) = help.split_once("Exit codes:").unwrap_or_else(|| panic!("no exit codes: {help}"));
    for code in ["0", "1", "2", "3"] {
        assert!(codes.contains(code), "{code} is missing: {codes}");
    }
}

#[test]
fn the_version_is_the_packages() {
    let output = run(&["--version"]);
    assert_eq!(text(&output.stdout).trim(), concat!("zombie-trace ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn without_privilege_live_exits_with_3_and_says_what_to_do() {
    let output = unprivileged(&["live", "--for", "1s"]);
    let advice = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{advice}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    assert!(advice.contains("root") || advice.contains("sudo") || advice.contains("CAP_BPF"), "{advice}");
}

#[test]
fn without_privilege_check_exits_with_3_unless_told_to_look_at_proc() {
    let output = unprivileged(&["check", "--", "true"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("--source proc"), "{}", text(&output.stdout));
    assert!(!text(&output.stdout).contains("looked at /proc"), "it fell back: {}", text(&output.stdout));
    let output = unprivileged(&["check", "--source", "proc", "--", "true"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    for unseen in ["shorter", "dropped signals", "failed stops", "fork failures", "wait calls"] {
        assert!(text(&output.stdout).contains(unseen), "{unseen}: {}", text(&output.stdout));
    }
    // What leaks is seen by anybody.
    let leak = "sh -c true & exec sleep 2";
    let output = unprivileged(&["check", "--source", "proc", "--min-age", "300ms", "--", "sh", "-c", leak]);
    assert_eq!(output.status.code(), Some(1), "{}{}", text(&output.stdout), text(&output.stderr));
}

fn unprivileged(arguments: &[&str]) -> Output {
    const NOBODY: u32 = 65_534;
    let copy = PublicCopy::of(binaries::zombie_trace());
    let mut command = Command::new(copy.path());
    command.args(arguments).stdin(Stdio::null());
    // Who is not root already lacks the privilege.
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.output().expect("anybody may run the copy")
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
    drop(reader);
    let output = zombie_trace(&["--help"]).stdout(writer).output().expect("the tool can be started");
    assert_eq!(output.status.code(), Some(0), "{}: {}", output.status, text(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}

/// What wrong usage prints on a terminal.
fn on_a_terminal(change: impl FnOnce(&mut Command)) -> Vec<u8> {
    let pty = nix::pty::openpty(None, None).expect("a pseudo-terminal");
    let mut command = zombie_trace(&["live", "--no-such-option"]);
    command.env("TERM", "xterm-256color").stderr(pty.slave);
    change(&mut command);
    let status = command.status().expect("the tool can be started");
    assert_eq!(status.code(), Some(2));
    // The command holds this side's copy of the terminal; without it, reading ends.
    drop(command);
    read_terminal(pty.master)
}

/// Reads until the other side is closed, which a pseudo-terminal reports as an error.
fn read_terminal(master: OwnedFd) -> Vec<u8> {
    let (mut file, mut seen, mut some) = (File::from(master), Vec::new(), [0; 1024]);
    while let Ok(count @ 1..) = file.read(&mut some) {
        seen.extend_from_slice(&some[..count]);
    }
    seen
}

#[test]
fn colour_is_for_terminals_and_not_under_no_color() {
    let coloured = on_a_terminal(|_| ());
    assert!(coloured.contains(&ESCAPE), "{}", text(&coloured));
    let plain = on_a_terminal(|command| {
        command.env("NO_COLOR", "1");
    });
    assert!(!plain.is_empty() && !plain.contains(&ESCAPE), "{}", text(&plain));
    let piped = run(&["live", "--no-such-option"]).stderr;
    assert!(!piped.is_empty() && !piped.contains(&ESCAPE), "{}", text(&piped));
}
