//! `report`: what a recording tells, in the words in which `live` would have ended.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;

use super::{
    Format,
    live::printer,
    run::{command, verdict},
    say,
};
use crate::{
    cli::Exit,
    event::BootNs,
    model::Config,
    output::{Output, escape},
    recording::{Batch, Chunk, Ended, Header, Reader},
    report::{Clock, Replay, ReportWindow, Scope},
};

/// What to do.
#[derive(Debug)]
pub struct Options {
    /// The recordings.
    pub files: Vec<PathBuf>,
    /// Zombies of this age are reported.
    pub min_age: Duration,
    /// How to print.
    pub format: Format,
    /// With colour.
    pub color: bool,
    /// What was over before is not told.
    pub since: Option<Timestamp>,
    /// What happened after is not looked at.
    pub until: Option<Timestamp>,
    /// What to look at; `None` for what the recorder was told to look at.
    pub scope: Option<Scope>,
}

/// Shorter input is read before a bar could be.
const BAR_FROM: u64 = 32 << 20;

/// Reads the recordings and prints a report for every boot of every host.
///
/// # Errors
/// A file could not be read on, or the output not be written.
pub fn run(options: &Options) -> anyhow::Result<Exit> {
    let mut output = printer(Box::new(io::stdout()), options.format, options.color);
    Ok(replay(options, output.as_mut())?.map_or(Exit::Clean, |replayed| {
        let files = if replayed.unreadable > 0 { Exit::Unmeasured } else { Exit::Clean };
        worse(files, replayed.reports)
    }))
}

/// What came of reading recordings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replayed {
    /// The exit code for the reports.
    pub(super) reports: Exit,
    /// Files that could not be read at all.
    pub(super) unreadable: u64,
    /// Parts of files that were damaged and skipped.
    pub(super) damaged: u64,
}

/// Reads the recordings and gives each report to an output; `None` when who reads the output has gone.
///
/// # Errors
/// A file could not be read on, or the output not be written.
pub(super) fn replay(options: &Options, output: &mut dyn Output) -> anyhow::Result<Option<Replayed>> {
    let (inputs, unreadable) = open(&options.files);
    let replayed = Replayed { reports: Exit::Clean, unreadable, damaged: 0 };
    if inputs.is_empty() {
        return Ok(Some(replayed));
    }
    let mut reports = Reports { options, output, current: None, bar: bar(&inputs), replayed };
    let read = inputs.iter().try_for_each(|input| reports.read(input)).and_then(|()| reports.finish());
    match read {
        Ok(()) => Ok(Some(reports.replayed)),
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(None),
        Err(Failure::Output(error)) => Err(error).context("the output cannot be written"),
        Err(Failure::Input(path, error)) => Err(error).with_context(|| format!("{} cannot be read", shown(&path))),
    }
}

/// Findings count whatever else could not be read.
fn worse(one: Exit, other: Exit) -> Exit {
    match (one, other) {
        (Exit::Findings, _) | (_, Exit::Findings) => Exit::Findings,
        (Exit::Unmeasured, _) | (_, Exit::Unmeasured) => Exit::Unmeasured,
        _ => Exit::Clean,
    }
}

/// A name on a command line may have been somebody else's choice.
fn shown(path: &Path) -> String {
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
/// set may have more files than a process may open.
/// And how many cannot be read.
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
            complain(&b.path, &format!("it is the same part of the same recording as {}", shown(&a.path)));
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

enum Failure {
    Output(io::Error),
    Input(PathBuf, io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
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
    options: &'a Options,
    output: &'a mut dyn Output,
    current: Option<Current>,
    bar: ProgressBar,
    replayed: Replayed,
}

impl Reports<'_> {
    fn read(&mut self, input: &Input) -> Result<(), Failure> {
        let failure = |error| Failure::Input(input.path.clone(), error);
        let mut reader = match Reader::open(&input.path) {
            Ok(reader) => reader,
            Err(error) => {
                complain(&input.path, &error);
                self.replayed.unreadable += 1;
                return Ok(());
            }
        };
        let mut current = self.continue_with(&input.header, &mut reader)?;
        let (mut batch, mut unknown, mut whole) = (Batch::default(), 0, 0_u64);
        while let Some(chunk) = reader.next(&mut batch).map_err(failure)? {
            match chunk {
                Chunk::Batch { lost } => {
                    if lost > 0 {
                        self.bar.suspend(|| complain(&input.path, &format!("{lost} events are missing")));
                        current.replay.lost(lost);
                    }
                    current.replay.apply(&batch);
                    unknown += batch.unknown;
                    whole += 1;
                }
                Chunk::Damage(damage) => {
                    self.bar.suspend(|| complain(&input.path, &damage));
                    self.replayed.damaged += 1;
                }
                Chunk::Ended(ended) => current.ended = ended,
            }
            self.bar.set_position(self.bar.position().max(reader.offset()));
        }
        if unknown > 0 {
            complain(&input.path, &format!("{unknown} records are of a kind that this version does not know"));
        }
        if whole == 0 {
            complain(&input.path, &"no events in it can be read");
            self.replayed.unreadable += 1;
        }
        current.events = reader.events();
        self.current = Some(current);
        Ok(())
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
                current.replay.lost(0);
                current.header = header.clone();
                current.ended = Ended::default();
                return Ok(current);
            }
            if same_boot {
                complain(reader.path(), &"it overlaps another recording of this boot, so it is reported for itself");
            }
            self.current = Some(current);
            self.finish()?;
        }
        let offset_ns = header.clock_offset_ns;
        let boot_time =
            |time: Timestamp| {
                BootNs::try_from(time.as_nanosecond() - i128::from(offset_ns))
                    .unwrap_or(if time < Timestamp::UNIX_EPOCH { 0 } else { BootNs::MAX })
            };
        let config = Config {
            min_age_ns: u64::try_from(self.options.min_age.as_nanos()).unwrap_or(u64::MAX),
            started: header.opened,
            ..Config::default()
        };
        let scope = match &self.options.scope {
            Some(scope) => scope.clone(),
            None => header.scope.scope().unwrap_or_else(|error| {
                complain(reader.path(), &format!("the filter it was made with is not understood: {error}"));
                Scope::default()
            }),
        };
        for probe in &header.missing_probes {
            let probe = escape::text(probe.as_bytes());
            complain(reader.path(), &format!("it was made without the probe {probe}"));
        }
        let window =
            ReportWindow { since: self.options.since.map(boot_time), until: self.options.until.map(boot_time) };
        let replay = Replay::new(config, scope, Clock { offset_ns }, window);
        Ok(Current { header: header.clone(), replay, ended: Ended::default(), events: None })
    }

    /// Prints the report that was in the making.
    fn finish(&mut self) -> Result<(), Failure> {
        let Some(mut current) = self.current.take() else { return Ok(()) };
        if current.replay.refused() > 0 {
            say(&format_args!("zombie-trace: {} events made no sense", current.replay.refused()));
        }
        let host = escape::text(current.header.host.as_bytes()).into_owned();
        let kernel = escape::text(current.header.kernel.as_bytes()).into_owned();
        let mut report = current.replay.report(&host, &kernel);
        report.command = command(current.ended);
        self.replayed.reports = worse(self.replayed.reports, verdict(&report));
        self.bar.suspend(|| self.output.summary(&report))?;
        Ok(())
    }
}
