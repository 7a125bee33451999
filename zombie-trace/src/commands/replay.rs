//! Reading recordings from the first to the last and telling an output of them: what `report`, `export` and `check` do
//! with them.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use thiserror::Error;

use super::{
    run::{command, verdict},
    say,
};
use crate::{
    commands::Exit,
    event::BootNs,
    model::Config,
    output::Reporter,
    recording::{Batch, Chunk, Ended, Header, Reader},
    report::{Bounds, Clock, Replay, ReportWindow, Scope},
    text::escape,
};

/// Which recordings, and what of them.
#[derive(Debug)]
pub struct Selection {
    /// The recordings.
    pub files: Vec<PathBuf>,
    /// Zombies of this age are reported.
    pub min_age: Duration,
    /// What was over before is not told.
    pub since: Option<Timestamp>,
    /// What happened after is not looked at.
    pub until: Option<Timestamp>,
    /// Only the process that had this pid, and its descendants.
    pub root: Option<u32>,
    /// What to look at; `None` for what the recorder was told to look at.
    pub scope: Option<Scope>,
}

impl Selection {
    /// The age of zombies that are reported, ns.
    #[must_use]
    pub fn min_age_ns(&self) -> u64 {
        u64::try_from(self.min_age.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Shorter input is read before a bar could be.
const BAR_FROM: u64 = 32 << 20;

/// What came of reading recordings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// The exit code for the reports.
    pub(super) reports: Exit,
    /// Files that could not be read at all.
    pub(super) unreadable: u64,
    /// Parts of files that were damaged and skipped.
    pub(super) damaged: u64,
    /// Events that are missing, in those parts and between files.
    pub(super) missing: u64,
}

/// Reads the recordings and tells an output of them.
///
/// # Errors
/// A file could not be read on, or the output not be written.
pub(super) fn replay(selection: &Selection, output: &mut dyn Reporter) -> Result<Outcome, Failure> {
    let (inputs, unreadable) = open(&selection.files);
    let outcome = Outcome { reports: Exit::Clean, unreadable, damaged: 0, missing: 0 };
    if inputs.is_empty() {
        return Ok(outcome);
    }
    let bounds = Bounds::of(inputs.iter().map(|input| input.length).sum(), Config::default().max_processes);
    let mut reports = Reports { selection, output, current: None, bar: bar(&inputs), bounds, outcome };
    inputs.iter().try_for_each(|input| reports.read(input))?;
    reports.finish()?;
    reports.output.finish()?;
    Ok(reports.outcome)
}

/// Findings count whatever else could not be read.
pub(super) fn worse(one: Exit, other: Exit) -> Exit {
    match (one, other) {
        (Exit::Findings, _) | (_, Exit::Findings) => Exit::Findings,
        (Exit::Unmeasured, _) | (_, Exit::Unmeasured) => Exit::Unmeasured,
        _ => Exit::Clean,
    }
}

/// A name on a command line may have been somebody else's choice.
pub(super) fn shown(path: &Path) -> String {
    escape::text(path.as_os_str().as_encoded_bytes()).into_owned()
}

fn complain(path: &Path, what: &dyn std::fmt::Display) {
    say(&format_args!("zombie-trace: {}: {what}", shown(path)));
}

/// A file that can be read.
struct Input {
    path: PathBuf,
    header: Header,
    length: u64,
}

/// The files in the order in which they were written, run by run; each is opened again when its turn comes, since a
/// set may have more files than a process may open. And how many cannot be read.
fn open(paths: &[PathBuf]) -> (Vec<Input>, u64) {
    let mut unreadable = 0;
    let mut inputs: Vec<Input> = Vec::new();
    for path in paths {
        match Reader::open(path) {
            Ok(reader) => {
                inputs.push(Input { path: path.clone(), header: reader.header().clone(), length: reader.length() });
            }
            Err(error) => {
                complain(path, &error);
                unreadable += 1;
            }
        }
    }
    inputs.sort_by(|a, b| order(&a.header).cmp(&order(&b.header)));
    inputs.dedup_by(|b, a| {
        let same = order(&a.header) == order(&b.header);
        if same {
            complain(&b.path, &format!("is the same part of the same recording as {}", shown(&a.path)));
        }
        same
    });
    (inputs, unreadable)
}

fn order(header: &Header) -> (&str, &str, BootNs, u64) {
    (&header.host, &header.boot_id, header.started, header.part)
}

fn bar(inputs: &[Input]) -> ProgressBar {
    let length = inputs.iter().map(|input| input.length).sum();
    if length < BAR_FROM {
        return ProgressBar::hidden();
    }
    // Drawn on standard error, and only on a terminal.
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} to go") {
        bar.set_style(style);
    }
    bar
}

/// Why reading could not go on.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The output does not take more.
    #[error(transparent)]
    Output(#[from] io::Error),
    /// A recording gives no more.
    #[error("{} cannot be read: {source}", shown(.path))]
    Input {
        /// The recording.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A report in the making, of one boot.
struct Current {
    header: Header,
    replay: Replay,
    ended: Ended,
    /// Wire events of the run so far, missing ones included.
    events: Option<u64>,
}

struct Reports<'a> {
    selection: &'a Selection,
    output: &'a mut dyn Reporter,
    current: Option<Current>,
    bar: ProgressBar,
    bounds: Bounds,
    outcome: Outcome,
}

impl Reports<'_> {
    fn read(&mut self, input: &Input) -> Result<(), Failure> {
        let failure = |source| Failure::Input { path: input.path.clone(), source };
        let mut reader = match Reader::open(&input.path) {
            Ok(reader) => reader,
            Err(error) => {
                complain(&input.path, &error);
                self.outcome.unreadable += 1;
                return Ok(());
            }
        };
        let mut current = self.continue_with(&input.header, &mut reader)?;
        let (mut batch, mut unknown, mut whole) = (Batch::default(), 0, 0_u64);
        while let Some(chunk) = reader.next(&mut batch).map_err(failure)? {
            match chunk {
                Chunk::Batch { lost } => {
                    if lost > 0 {
                        self.record_gap(input, &mut current, lost);
                    }
                    current.replay.apply(&batch);
                    self.tell(&mut current)?;
                    unknown += batch.unknown;
                    whole += 1;
                }
                Chunk::Damage(damage) => {
                    self.bar.suspend(|| complain(&input.path, &damage));
                    self.outcome.damaged += 1;
                }
                Chunk::Lost { events } => {
                    self.record_gap(input, &mut current, events);
                    self.tell(&mut current)?;
                }
                Chunk::Ended(ended) => current.ended = ended,
            }
            self.bar.set_position(self.bar.position().max(reader.offset()));
        }
        if unknown > 0 {
            complain(&input.path, &format!("{unknown} records have a type unknown to this version"));
        }
        if whole == 0 {
            complain(&input.path, &"contains no readable events");
            self.outcome.unreadable += 1;
        }
        current.events = reader.events();
        self.current = Some(current);
        Ok(())
    }

    fn record_gap(&mut self, input: &Input, current: &mut Current, events: u64) {
        self.outcome.missing = self.outcome.missing.saturating_add(events);
        self.bar.suspend(|| complain(&input.path, &format!("{events} events are missing")));
        current.replay.record_gap(events);
    }

    /// What goes on with this file: the run it belongs to, a later run of the same boot, or a new report.
    fn continue_with(&mut self, header: &Header, reader: &mut Reader) -> Result<Current, Failure> {
        if let Some(mut current) = self.current.take() {
            let before = &current.header;
            let same_boot =
                before.host == header.host && before.boot_id == header.boot_id && !header.boot_id.is_empty();
            if same_boot && before.started == header.started {
                if let Some(events) = current.events {
                    reader.continue_from(events);
                }
                current.header = header.clone();
                return Ok(current);
            }
            if same_boot && current.replay.now() <= header.started {
                // Nobody looked between the two; what there is now is told at the start of the new one.
                current.replay.record_gap(0);
                self.tell(&mut current)?;
                current.header = header.clone();
                current.ended = Ended::default();
                return Ok(current);
            }
            if same_boot {
                complain(reader.path(), &"overlaps another recording of the same boot; reported separately");
            }
            self.current = Some(current);
            self.finish()?;
        }
        let offset_ns = header.clock_offset_ns;
        // What is before the boot is at its beginning.
        let boot_time = |time: Timestamp| {
            BootNs::try_from((time.as_nanosecond() - i128::from(offset_ns)).max(0)).unwrap_or(BootNs::MAX)
        };
        // Of what was before this file the recorder has told what it knew.
        let config = Config {
            min_age_ns: self.selection.min_age_ns(),
            started: header.started,
            ends: header.ends,
            ..Config::default()
        };
        let scope = match &self.selection.scope {
            Some(scope) => scope.clone(),
            None => Scope::try_from(&header.scope).unwrap_or_else(|error| {
                complain(reader.path(), &format!("the filter it was recorded with is not understood: {error}"));
                Scope::default()
            }),
        };
        for probe in &header.missing_probes {
            let probe = escape::text(probe.as_bytes());
            complain(reader.path(), &format!("was recorded without probe {probe}"));
        }
        let opened = (header.part > 0).then_some(header.opened);
        let window = ReportWindow {
            since: self.selection.since.map(boot_time).max(opened),
            until: self.selection.until.map(boot_time),
        };
        let mut replay = Replay::new(config, scope, Clock { offset_ns }, window, self.bounds);
        if let Some(root) = self.selection.root {
            replay.follow(root);
        }
        self.bar.suspend(|| self.output.begin(header))?;
        Ok(Current { header: header.clone(), replay, ended: Ended::default(), events: None })
    }

    /// Tells what has happened.
    fn tell(&mut self, current: &mut Current) -> Result<(), Failure> {
        while let Some(notice) = current.replay.next_notice() {
            self.output.notice(&notice)?;
        }
        Ok(())
    }

    /// Prints the report that was in the making.
    fn finish(&mut self) -> Result<(), Failure> {
        let Some(mut current) = self.current.take() else { return Ok(()) };
        if current.replay.refused() > 0 {
            say(&format_args!("zombie-trace: {} malformed events were skipped", current.replay.refused()));
        }
        let host = escape::text(current.header.host.as_bytes()).into_owned();
        let kernel = escape::text(current.header.kernel.as_bytes()).into_owned();
        current.replay.conclude();
        self.tell(&mut current)?;
        let mut report = current.replay.report(&host, &kernel);
        report.command = command(current.ended);
        self.outcome.reports = worse(self.outcome.reports, verdict(&report));
        self.bar.suspend(|| self.output.report(&report))?;
        Ok(())
    }
}
