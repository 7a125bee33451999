//! A running actor: its output and its orders.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::clock::OUT_OF_TIME;
use crate::{Skip, binaries, clock, process};

/// One line of an actor: a word and `key=value` pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line(String);

impl Line {
    /// A line as it was printed.
    pub fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }

    /// The first word.
    pub fn word(&self) -> &str {
        self.0.split_whitespace().next().unwrap_or_default()
    }

    /// The value of a key, if the line has it.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.split_whitespace().filter_map(|pair| pair.split_once('=')).find(|&(name, _)| name == key).map(|(_, v)| v)
    }

    /// The number of a key.
    ///
    /// # Panics
    /// If there is none.
    pub fn number(&self, key: &str) -> u64 {
        self.get(key)
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("the actor's line {:?} has no number {key}", self.0))
    }

    /// `pid=`.
    pub fn pid(&self) -> i32 {
        self.small("pid")
    }

    /// A number that is a pid, a signal or an exit code.
    pub fn small(&self, key: &str) -> i32 {
        i32::try_from(self.number(key)).expect("pids, signals and exit codes are small")
    }
}

/// An actor, ended on drop.
#[derive(Debug)]
pub struct Actor {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Line>,
    /// All its lines read so far, for failure messages.
    said: Vec<Line>,
    /// Lines that nobody has asked for yet.
    unasked: Vec<Line>,
}

impl Actor {
    /// Starts `zt-actor` with these arguments.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn spawn<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        Self::run(binaries::actor(), arguments)
    }

    /// Starts another program that speaks like an actor: a script in a language whose runtime is tested.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run<S: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = S>) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::start(command)
    }

    /// Starts a program that runs an actor, such as a container runtime, and passes lines and orders on.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // Its own group: if a test stops it, the kernel must not send SIGHUP to the tests (`kernel/exit.c`,
        // `kill_orphaned_pgrp`).
        command.process_group(0);
        // A panic of an actor is one line among the test's own output.
        command.env("RUST_BACKTRACE", "0");
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(Line(line)).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, lines, said: Vec::new(), unasked: Vec::new() }
    }

    /// The actor's own pid.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("pids are positive")
    }

    /// The next line that begins with this word. Processes of an actor write at any time, so earlier lines stay
    /// available.
    ///
    /// # Panics
    /// If none comes in time.
    pub fn line(&mut self, word: &str) -> Line {
        self.line_within(word, clock::deadline())
    }

    /// The same with the caller's deadline, for slow actors.
    ///
    /// # Panics
    /// If none comes in time.
    pub fn line_within(&mut self, word: &str, limit: Duration) -> Line {
        self.line_of(&[word], limit)
    }

    /// The next line that begins with one of these words.
    fn line_of(&mut self, words: &[&str], limit: Duration) -> Line {
        if let Some(index) = self.unasked.iter().position(|line| words.contains(&line.word())) {
            return self.unasked.remove(index);
        }
        let end = Instant::now() + clock::scaled(limit);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if words.contains(&line.word()) {
                        return line;
                    }
                    self.unasked.push(line);
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{OUT_OF_TIME}the actor did not say {words:?} in {limit:?}; {self}")
                }
                Err(RecvTimeoutError::Disconnected) => panic!("the actor ended and did not say {words:?}; {self}"),
            }
        }
    }

    /// A line of an actor whose situation not every kernel supports.
    ///
    /// # Errors
    /// The skip, if the actor says `unsupported`.
    ///
    /// # Panics
    /// If it says neither that nor this word in time.
    pub fn supported_line(&mut self, word: &str, what: &str) -> Result<Line, Skip> {
        let line = self.line_of(&[word, "unsupported"], clock::deadline());
        if line.word() == "unsupported" { Err(Skip::new(format!("the kernel has no {what}"))) } else { Ok(line) }
    }

    /// `count` lines with this word.
    pub fn lines(&mut self, word: &str, count: usize) -> Vec<Line> {
        (0..count).map(|_| self.line(word)).collect()
    }

    /// Gives an order.
    ///
    /// # Panics
    /// If the actor takes none.
    pub fn order(&mut self, order: &str) {
        let stdin = self.stdin.as_mut().expect("no order after the end");
        if let Err(error) = writeln!(stdin, "{order}") {
            panic!("the actor did not take the order {order:?}: {error}; {self}");
        }
    }

    /// Closes the actor's stdin and waits for it to end.
    ///
    /// # Panics
    /// If it does not.
    pub fn end(&mut self) -> ExitStatus {
        self.stdin = None;
        let mut status = None;
        process::eventually(clock::deadline(), || {
            status = self.child.try_wait().expect("the child is ours");
            status.is_some()
        });
        status.unwrap_or_else(|| panic!("{OUT_OF_TIME}the actor did not end when its stdin was closed; {self}"))
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "it had said:")?;
        self.said.iter().try_for_each(|line| write!(formatter, "\n  {}", line.0))
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // First without force: an actor that exits by itself reaps its children.
        self.stdin = None;
        let child = &mut self.child;
        if !process::eventually(clock::deadline(), || !matches!(child.try_wait(), Ok(None))) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_word_and_pairs() {
        let line = Line::new("reaped pid=12 before=1891026303273 after=1891026313919");
        assert_eq!(line.word(), "reaped");
        assert_eq!((line.pid(), line.number("before")), (12, 1_891_026_303_273));
        assert_eq!(line.get("pi"), None);
    }

    #[test]
    #[should_panic(expected = "has no number exit")]
    fn a_missing_number_names_the_line() {
        Line::new("child pid=3").number("exit");
    }
}
