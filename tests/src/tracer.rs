//! A running `zombie-trace live` and its output.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::clock::OUT_OF_TIME;
use crate::{Actor, Event, Namespace, binaries, clock, process};

/// Whether this line of stderr says that the probes are attached, after which nothing is missed.
fn says_ready(line: &str) -> bool {
    line.starts_with("tracing")
}

/// A tracer to start.
#[derive(Debug)]
pub struct Builder {
    arguments: Vec<OsString>,
}

/// A running tracer, ended on drop.
#[derive(Debug)]
pub struct Tracer {
    child: Child,
    /// Kept open for a command that the tracer runs: actors exit when it is closed.
    stdin: Option<ChildStdin>,
    output: Arc<Output>,
}

/// All output of a tracer.
#[derive(Debug)]
pub struct Finished {
    /// All events except the summary.
    pub events: Vec<Event>,
    /// The last line.
    pub summary: Event,
    /// How the tracer ended.
    pub status: ExitStatus,
    /// Lines of stdout that are not events: a command's own output.
    pub foreign: Vec<String>,
    /// The lines of stderr.
    pub stderr: Vec<String>,
}

#[derive(Debug, Default)]
struct Output {
    said: Mutex<Said>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Said {
    events: Vec<Event>,
    foreign: Vec<String>,
    stderr: Vec<String>,
    stdout_closed: bool,
    stderr_closed: bool,
}

impl Builder {
    /// Starts the tracer and returns when its probes are attached.
    ///
    /// # Panics
    /// If it cannot trace, which the tests have checked before.
    pub fn start(self) -> Tracer {
        let mut command = Command::new(binaries::zombie_trace());
        // Its own group: if a test stops it, the kernel must not send SIGHUP to the tests (`kernel/exit.c`,
        // `kill_orphaned_pgrp`).
        command.process_group(0);
        // Shows which program was skipped if events are lost.
        command.env("RUST_LOG", "warn,zombie_trace::probe::misses=debug");
        command.args(["live", "--format", "json"]).args(&self.arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = Arc::new(Output::default());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        read_lines(stdout.expect("stdout is a pipe"), Arc::clone(&output), Said::take_stdout);
        read_lines(stderr.expect("stderr is a pipe"), Arc::clone(&output), Said::take_stderr);
        let stdin = child.stdin.take();
        let tracer = Tracer { child, stdin, output };
        let ready = |said: &Said| said.stderr.iter().any(|line| says_ready(line));
        let ready = tracer.wait_until(clock::deadline(), ready).is_some();
        assert!(ready, "{}{command:?} did not get ready\n{}", tracer.out_of_time(), tracer.transcript());
        tracer
    }
}

impl Tracer {
    /// `zombie-trace live --format json` with these further arguments.
    pub fn live<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Builder {
        Builder { arguments: arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect() }
    }

    /// The tracer's own pid.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("pids are positive")
    }

    /// Waits for an event for which this is true, including earlier ones.
    ///
    /// # Panics
    /// If none comes in time, with everything that did come.
    pub fn expect(&self, what: &str, limit: Duration, matches: impl Fn(&Event) -> bool) -> Event {
        self.expect_many(what, 1, limit, matches).swap_remove(0)
    }

    /// Like [`Self::expect_many`] for events of that many processes. Of each the first one counts: a zombie is told
    /// again when more is known of it.
    ///
    /// # Panics
    /// If they do not all come in time.
    pub fn expect_each(
        &self,
        what: &str,
        processes: usize,
        limit: Duration,
        matches: impl Fn(&Event) -> bool,
    ) -> Vec<Event> {
        let seen = RefCell::new(BTreeSet::new());
        let is_first = |event: &Event| matches(event) && seen.borrow_mut().insert(event.pid());
        self.expect_many(what, processes, limit, is_first)
    }

    /// Waits for `count` events for which this is true, and returns them all.
    ///
    /// # Panics
    /// If they do not all come in time.
    pub fn expect_many(
        &self,
        what: &str,
        count: usize,
        limit: Duration,
        matches: impl Fn(&Event) -> bool,
    ) -> Vec<Event> {
        // Each event is checked only once.
        let (mut asked, mut found) = (0, Vec::new());
        let enough = |said: &Said| {
            found.extend(said.events[asked..].iter().filter(|event| matches(event)).cloned());
            asked = said.events.len();
            found.len() >= count
        };
        let enough = self.wait_until(limit, enough).is_some();
        assert!(
            enough,
            "{}{what}: {} of {count} came within {:?}\n{}",
            self.out_of_time(),
            found.len(),
            clock::scaled(limit),
            self.transcript()
        );
        found
    }

    /// Returns when everything that became a zombie before the call has been reported, if it is ever going to be.
    ///
    /// It makes a zombie and waits for its report, which comes after older ones. Only for a tracer of the whole
    /// machine.
    ///
    /// # Panics
    /// If that zombie is not reported.
    pub fn fence(&self) {
        let mut actor = Actor::spawn(["never-waits"]);
        let child = actor.line("child").pid();
        self.expect("the fence's zombie", clock::deadline(), |event| event.is("zombie") && event.pid() == Some(child));
    }

    /// The lines of stderr so far.
    pub fn stderr(&self) -> Vec<String> {
        self.output.lock().stderr.clone()
    }

    /// Waits for a line of stderr, where an actor run as the tracer's command prints.
    ///
    /// # Panics
    /// If none comes in time.
    pub fn expect_stderr(&self, what: &str, limit: Duration, matches: impl Fn(&str) -> bool) -> String {
        let found = self
            .wait_until(limit, |said| said.stderr.iter().any(|line| matches(line)))
            .and_then(|said| said.stderr.iter().find(|line| matches(line)).cloned());
        found.unwrap_or_else(|| {
            panic!("{}{what}: no such line on stderr within {limit:?}\n{}", self.out_of_time(), self.transcript())
        })
    }

    /// Writes a line to the stdin of the tracer and its command.
    ///
    /// # Panics
    /// If the stdin is closed.
    pub fn order(&mut self, order: &str) {
        let stdin = self.stdin.as_mut().expect("stdin has not been closed");
        writeln!(stdin, "{order}").unwrap_or_else(|error| panic!("{order:?}: {error}\n{}", self.transcript()));
    }

    /// Closes the stdin of the tracer and its command.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Ends the tracer with SIGINT, as Ctrl-C does.
    ///
    /// # Panics
    /// If it does not end with a summary.
    pub fn stop(self) -> Finished {
        kill(Pid::from_raw(self.pid()), Signal::SIGINT).expect("the tracer runs and is ours");
        self.finish(clock::deadline())
    }

    /// Waits for a tracer that ends by itself.
    ///
    /// # Panics
    /// If it does not end in time, or not with a summary.
    pub fn finish(mut self, limit: Duration) -> Finished {
        let closed = self.wait_until(limit, |said| said.stdout_closed && said.stderr_closed).is_some();
        assert!(closed, "{}the tracer did not end within {limit:?}\n{}", self.out_of_time(), self.transcript());
        let status = self.child.wait().expect("the tracer is our child");
        let transcript = self.transcript();
        let said = std::mem::take(&mut *self.output.lock());
        let mut events = said.events;
        let summary = events.pop().filter(|last| last.is("summary"));
        let summary = summary.unwrap_or_else(|| panic!("the last line is no summary ({status})\n{transcript}"));
        Finished { events, summary, status, foreign: said.foreign, stderr: said.stderr }
    }

    /// Waits until this is true of the output, and returns that; `None` when the time is over or nothing more can come.
    fn wait_until(&self, limit: Duration, mut so: impl FnMut(&Said) -> bool) -> Option<MutexGuard<'_, Said>> {
        let end = Instant::now() + clock::scaled(limit);
        let mut said = self.output.lock();
        loop {
            if so(&said) {
                return Some(said);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || said.stdout_closed && said.stderr_closed {
                return None;
            }
            said = self.output.more.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Start of the message that something is missing; not about time if the tracer has ended.
    fn out_of_time(&self) -> &'static str {
        let said = self.output.lock();
        if said.stdout_closed && said.stderr_closed { "" } else { OUT_OF_TIME }
    }

    fn transcript(&self) -> String {
        transcript(&self.output.lock())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.stdin = None;
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGINT);
        let child = &mut self.child;
        if !process::eventually(Duration::from_secs(2), || !matches!(child.try_wait(), Ok(None))) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Finished {
    /// Asserts that no event is like this.
    ///
    /// # Panics
    /// If one is.
    pub fn never(&self, what: &str, matches: impl Fn(&Event) -> bool) {
        let found: Vec<String> = self.having(matches).map(ToString::to_string).collect();
        assert!(found.is_empty(), "{what} must not be reported, but was:\n  {}", found.join("\n  "));
    }

    /// The events for which this is true.
    pub fn having(&self, matches: impl Fn(&Event) -> bool) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| matches(event))
    }

    /// How many events were lost.
    ///
    /// # Panics
    /// If the summary does not say.
    pub fn lost(&self) -> i64 {
        self.summary.number("/loss/events").expect("the summary says how many events were lost")
    }

    /// Nothing was lost.
    ///
    /// # Panics
    /// If something was.
    pub fn has_lost_nothing(&self) {
        assert_eq!(self.lost(), 0, "{:#?}\n{}", self.stderr, self.summary);
    }

    /// The entry of the summary's `parents` for this process, if there is one.
    pub fn accusation(&self, pid: i32) -> Option<&serde_json::Value> {
        self.list("/parents").find(|parent| parent.pointer("/process/pid") == Some(&pid.into()))
    }

    /// The finding about this process whose id begins so.
    pub fn finding(&self, id: &str, pid: i32) -> Option<&serde_json::Value> {
        self.list("/findings").find(|finding| {
            finding.pointer("/process/pid") == Some(&pid.into())
                && finding["id"].as_str().is_some_and(|it| it.starts_with(id))
        })
    }

    /// The summary's `dropped_signals` of targets in this pid namespace.
    pub fn dropped_in<'a>(&'a self, namespace: &'a Namespace) -> impl Iterator<Item = &'a serde_json::Value> {
        self.list("/dropped_signals").filter(|drop| namespace.has(&drop["target"]))
    }

    /// The entries of a list of the summary, at a JSON pointer.
    ///
    /// # Panics
    /// If there is no such list.
    pub fn list(&self, pointer: &str) -> impl Iterator<Item = &serde_json::Value> {
        let list = self.summary.at(pointer).and_then(serde_json::Value::as_array);
        list.unwrap_or_else(|| panic!("the summary has no list at {pointer}: {}", self.summary)).iter()
    }
}

impl Output {
    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    fn take_stdout(&mut self, line: Option<String>) {
        match line.map(|line| Event::parse(&line).ok_or(line)) {
            Some(Ok(event)) => self.events.push(event),
            Some(Err(foreign)) => self.foreign.push(foreign),
            None => self.stdout_closed = true,
        }
    }

    fn take_stderr(&mut self, line: Option<String>) {
        match line {
            Some(line) => self.stderr.push(line),
            None => self.stderr_closed = true,
        }
    }
}

/// Reads a stream line by line; `None` marks the end.
fn read_lines(stream: impl Read + Send + 'static, output: Arc<Output>, take: fn(&mut Said, Option<String>)) {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stream).split(b'\n').map_while(Result::ok);
        loop {
            // A line that is not UTF-8 is kept with replacement characters, and fails as an event.
            let line = lines.next().map(|line| String::from_utf8_lossy(&line).into_owned());
            let last = line.is_none();
            take(&mut output.lock(), line);
            output.more.notify_all();
            if last {
                return;
            }
        }
    });
}

/// How much of a stream a failure shows.
const SHOWN: usize = 60;

fn transcript(said: &Said) -> String {
    let events: Vec<String> = said.events.iter().map(ToString::to_string).collect();
    let mut text = String::new();
    for (name, lines) in [("events", &events), ("other lines of stdout", &said.foreign), ("stderr", &said.stderr)] {
        text.push_str(&format!("{name}: {}\n", lines.len()));
        let hidden = lines.len().saturating_sub(SHOWN);
        if hidden > 0 {
            text.push_str(&format!("  (the first {hidden} left out)\n"));
        }
        lines[hidden..].iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(stdout: &str) -> Said {
        let mut said = Said::default();
        stdout.lines().for_each(|line| said.take_stdout(Some(line.to_owned())));
        said
    }

    fn finished(stdout: &str) -> Finished {
        let Said { mut events, foreign, .. } = said(stdout);
        let summary = events.pop().unwrap();
        Finished { events, summary, status: ExitStatus::default(), foreign, stderr: Vec::new() }
    }

    const STREAM: &str = r#"{"type":"zombie","process":{"pid":5},"parent":{"pid":4}}
a command's own line
{"type":"summary","loss":{"events":2},"parents":[{"process":{"pid":4},"cause":"never-waits"}],"dropped_signals":[]}"#;

    #[test]
    fn events_and_other_lines_are_told_apart() {
        let said = said(STREAM);
        assert_eq!((said.events.len(), said.foreign), (2, vec!["a command's own line".to_owned()]));
    }

    #[test]
    fn a_failure_shows_everything_seen() {
        let text = transcript(&said(STREAM));
        assert!(text.contains("events: 2") && text.contains(r#""pid":5"#) && text.contains("a command's own line"));
    }

    #[test]
    fn a_summary_is_asked_for_losses_and_accusations() {
        let finished = finished(STREAM);
        assert_eq!(finished.lost(), 2);
        assert_eq!(finished.accusation(4).unwrap()["cause"], "never-waits");
        assert!(finished.accusation(5).is_none());
    }

    #[test]
    fn never_passes_when_there_is_no_such_event() {
        finished(STREAM).never("a zombie of 9", |event| event.pid_of("parent") == Some(9));
    }

    #[test]
    #[should_panic(expected = "a zombie of 4 must not be reported")]
    fn never_fails_when_there_is_one() {
        finished(STREAM).never("a zombie of 4", |event| event.pid_of("parent") == Some(4));
    }
}
