//! The tool's own workload, in place of what the command starts.
//!
//! Whether a signal or an exit code is passed on shows only with a child that follows orders. The user marks the child
//! in the command with [`MARK`]; otherwise it is found by the arguments of the child that PID 1 started.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    os::{
        fd::AsRawFd,
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::Path,
};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};

use crate::programs::INITS;

/// Placeholder for the workload in a command.
pub const MARK: &str = "{workload}";
pub(super) const IDLE: &str = "exec sleep 86400";
/// Exit code of a workload that received the signal it waited for.
pub(super) const GOT_IT: u8 = 46;
/// Exit code of its own child if that had time to exit.
pub(super) const CHILD_GOT_IT: u8 = 47;

/// The place of the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// At the mark in a word.
    Marked,
    /// From this word to the end.
    From(usize),
}

/// What a script does until a signal comes. A shell runs traps between commands; one that comes just before a `wait`
/// may be missed.
const IDLING: &str = "while :; do sleep 0.05; done";

/// A script that waits for a signal. No script has single quotes: see [`quoted`].
pub(super) fn waits_for(signal: i32) -> String {
    format!("trap \"exit {GOT_IT}\" {signal}; {IDLING}")
}

/// A script with its own child, which needs a moment to exit.
pub(super) fn family(stop_signal: i32) -> String {
    let signals = if stop_signal == libc::SIGTERM { "15".to_owned() } else { format!("15 {stop_signal}") };
    format!(
        "trap \"exit {GOT_IT}\" {signals}; (trap \"sleep 0.2; exit {CHILD_GOT_IT}\" {signals}; {IDLING}) & {IDLING}"
    )
}

pub(super) fn exits_with(code: u8) -> String {
    format!("exit {code}")
}

impl Slot {
    /// The place that the user marked.
    pub(super) fn marked(command: &[OsString]) -> Option<Self> {
        command.iter().any(|word| find(word.as_bytes()).is_some()).then_some(Self::Marked)
    }

    /// The place according to the arguments of PID 1's child. A script's arguments follow those of its interpreter.
    pub(super) fn seen(command: &[OsString], child: &[String], root: Option<&Path>) -> Option<Self> {
        let same =
            command.iter().rev().zip(child.iter().rev()).take_while(|(word, argument)| *word == argument.as_str());
        let length = same.count();
        // The whole command is PID 1 itself.
        if length == 0 || length >= command.len() {
            return None;
        }
        let from = command.len() - length;
        let whole = length == child.len() || is_script(&command[from], root);
        whole.then_some(Self::From(from))
    }

    /// The place according to these inits' manuals: after two dashes. Their child's arguments are gone when it has
    /// called exec.
    pub(super) fn behind_dashes(command: &[OsString]) -> Option<Self> {
        let name = Path::new(command.first()?).file_name()?.to_str()?;
        let dashes = command.iter().position(|word| word == "--")?;
        (INITS.contains(&name) && dashes + 1 < command.len()).then_some(Self::From(dashes + 1))
    }

    /// The command with this script in the slot.
    pub(super) fn fill(self, command: &[OsString], script: &str) -> Vec<OsString> {
        let words = || ["sh", "-c", script].map(OsString::from);
        match self {
            Self::From(index) => command[..index].iter().cloned().chain(words()).collect(),
            Self::Marked => command
                .iter()
                .flat_map(|word| if word == MARK { words().to_vec() } else { vec![fill_marks(word, &quoted(script))] })
                .collect(),
        }
    }
}

/// The workload as part of a line that a shell reads.
fn quoted(script: &str) -> String {
    format!("sh -c '{script}'")
}

fn find(word: &[u8]) -> Option<usize> {
    word.windows(MARK.len()).position(|part| part == MARK.as_bytes())
}

fn fill_marks(word: &OsStr, with: &str) -> OsString {
    let (mut rest, mut filled) = (word.as_bytes(), Vec::new());
    while let Some(at) = find(rest) {
        filled.extend_from_slice(&rest[..at]);
        filled.extend_from_slice(with.as_bytes());
        rest = &rest[at + MARK.len()..];
    }
    filled.extend_from_slice(rest);
    OsString::from_vec(filled)
}

/// Whether a file begins with `#!`. Only a name with a slash is a file; others are looked up in PATH.
fn is_script(word: &OsStr, root: Option<&Path>) -> bool {
    word.as_bytes().contains(&b'/') && first_two(Path::new(word), root).is_ok_and(|start| start == *b"#!")
}

/// The first bytes of a file. The root may be hostile: links are followed only within it, and only regular files are
/// opened.
fn first_two(path: &Path, root: Option<&Path>) -> io::Result<[u8; 2]> {
    let (root, how) = match root {
        Some(root) => (open(root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?, ResolveFlags::IN_ROOT),
        None => (open(".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?, ResolveFlags::empty()),
    };
    let how = how | ResolveFlags::NO_MAGICLINKS;
    let place = openat2(&root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), how)?;
    if !FileType::from_raw_mode(fstat(&place)?.st_mode).is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut start = [0; 2];
    File::open(format!("/proc/self/fd/{}", place.as_raw_fd()))?.read_exact(&mut start)?;
    Ok(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &[&str]) -> Vec<OsString> {
        text.iter().map(OsString::from).collect()
    }

    fn child(text: &[&str]) -> Vec<String> {
        text.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_workload_takes_the_place_of_what_pid_1_started() {
        let command = words(&["tini", "--", "sleep", "9"]);
        let slot = Slot::seen(&command, &child(&["sleep", "9"]), None).unwrap();
        assert_eq!(slot.fill(&command, "exit 3"), words(&["tini", "--", "sh", "-c", "exit 3"]));
    }

    #[test]
    fn arguments_that_only_look_alike_are_no_place() {
        // The child is `worker 9`, and only its last word is from the command.
        let command = words(&["sh", "-c", "worker $1", "x", "9"]);
        assert_eq!(Slot::seen(&command, &child(&["worker", "9"]), None), None);
        assert_eq!(Slot::seen(&command, &child(&["other"]), None), None);
        assert_eq!(Slot::seen(&command, &child(&["sh", "-c", "worker $1", "x", "9"]), None), None, "PID 1 itself");
    }

    #[test]
    fn a_script_is_run_by_its_interpreter() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("serve");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        let path = script.to_str().unwrap();
        let command = words(&["tini", path, "-x"]);
        assert_eq!(Slot::seen(&command, &child(&["/bin/sh", path, "-x"]), None), Some(Slot::From(1)));
        assert_eq!(Slot::seen(&words(&["tini", "-x"]), &child(&["/bin/sh", "-x"]), None), None);
    }

    #[test]
    fn a_link_of_a_foreign_root_leads_nowhere_else_and_a_pipe_holds_nobody_up() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let script = outside.path().join("script");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        std::os::unix::fs::symlink(&script, root.path().join("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, root.path().join("pipe"), Mode::RUSR).unwrap();
        assert!(is_script(script.as_os_str(), None));
        assert!(!is_script(OsStr::new("/link"), Some(root.path())), "it leads out");
        assert!(!is_script(OsStr::new("/pipe"), Some(root.path())));
        std::fs::write(root.path().join("entry"), "#!/bin/sh\n").unwrap();
        std::os::unix::fs::symlink("/entry", root.path().join("inside")).unwrap();
        assert!(is_script(OsStr::new("/inside"), Some(root.path())));
    }

    #[test]
    fn behind_the_dashes_of_an_init_is_its_child() {
        assert_eq!(Slot::behind_dashes(&words(&["/sbin/tini", "-g", "--", "/entry", "--"])), Some(Slot::From(3)));
        assert_eq!(Slot::behind_dashes(&words(&["tini", "/entry"])), None);
        assert_eq!(Slot::behind_dashes(&words(&["tini", "--"])), None);
        assert_eq!(Slot::behind_dashes(&words(&["bash", "--", "script"])), None, "who runs it itself");
    }

    #[test]
    fn a_mark_is_a_word_or_a_part_of_a_line() {
        assert_eq!(Slot::marked(&words(&["tini", "--"])), None);
        let command = words(&["init", "{workload}", "-c", "{workload} & wait; {workload}; {}"]);
        let slot = Slot::marked(&command).unwrap();
        let filled = slot.fill(&command, "exit 3");
        assert_eq!(filled, words(&["init", "sh", "-c", "exit 3", "-c", "sh -c 'exit 3' & wait; sh -c 'exit 3'; {}"]));
    }

    #[test]
    fn no_script_has_a_quotation_mark_that_would_end_its_own() {
        for script in [waits_for(10), family(3), family(15), exits_with(3), IDLE.to_owned()] {
            assert!(!script.contains('\''), "{script}");
        }
    }
}
