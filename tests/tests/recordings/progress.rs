//! What a person sees while it lasts, and a log does not.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use tempfile::TempDir;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{TestResult, require, tests};

use super::{Said, command, fixture};

pub(crate) fn all() -> Vec<Test> {
    tests![
        report_shows_a_bar_on_a_terminal_and_only_there,
        record_shows_events_losses_and_size_on_a_terminal_and_only_there,
    ]
}

/// Reads until the other side is closed, which a pseudo-terminal reports as an error.
fn read_terminal(master: OwnedFd) -> String {
    let (mut file, mut seen, mut some) = (File::from(master), Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = file.read(&mut some) {
        seen.extend_from_slice(&some[..count]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

/// What the command shows on standard error, which is a terminal.
fn on_a_terminal(arguments: &[&str], files: &[&std::path::Path]) -> (Option<i32>, String) {
    let size = nix::pty::Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = nix::pty::openpty(Some(&size), None).expect("a pseudo-terminal");
    let mut command = command(arguments, files);
    command.env("TERM", "xterm-256color").stdout(Stdio::null()).stderr(pty.slave);
    let mut child = command.spawn().expect("the tool can be started");
    // The command holds this side's copy of the terminal; without it, reading ends.
    drop(command);
    let seen = read_terminal(pty.master);
    (child.wait().expect("it is our child").code(), seen)
}

fn report_shows_a_bar_on_a_terminal_and_only_there() -> TestResult {
    let folder = TempDir::new().expect("there is room for a folder");
    let path = folder.path().join("long.zt");
    let mut file = File::create(&path).expect("the folder is ours");
    // Long input, most of which is passed over: a hole in the file.
    file.write_all(&fs::read(fixture()).expect("the fixture is there")).expect("there is room");
    file.set_len(600 << 20).expect("a hole takes no room");
    let (code, seen) = on_a_terminal(&["report"], &[&path]);
    assert_eq!(code, Some(1), "{seen}");
    assert!(seen.contains("of 600.00 MiB") && seen.contains("to go"), "{seen:?}");
    let said: Said = command(&["report"], &[&path]).output().expect("the tool can be started").into();
    assert!(!said.stderr.contains("to go") && !said.stderr.contains('\u{1b}'), "{:?}", said.stderr);
    Ok(())
}

fn record_shows_events_losses_and_size_on_a_terminal_and_only_there() -> TestResult {
    require::tracing()?;
    let folder = TempDir::new().expect("there is room for a folder");
    let path = folder.path().join("trace.zt").to_string_lossy().into_owned();
    let arguments = ["record", "-o", &path, "--overwrite", "--min-free", "0", "--for", "2s"];
    let (code, seen) = on_a_terminal(&arguments, &[]);
    assert_eq!(code, Some(0), "{seen}");
    // While it lasts, with a spinner and the time, and at the end.
    assert!(seen.contains(" events, 0 lost, ") && seen.contains("00:00:01"), "{seen:?}");
    assert!(seen.contains("recorded "), "{seen:?}");
    let said: Said = command(&arguments, &[]).output().expect("the tool can be started").into();
    let lines: Vec<&str> = said.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0] == "tracing" && lines[1].starts_with("recorded "), "{lines:?}");
    assert!(!said.stderr.contains('\u{1b}'), "{:?}", said.stderr);
    Ok(())
}
