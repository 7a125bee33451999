//! `report`: what a recording tells, in the words in which `live` would have ended.

use std::{
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;

use super::{
    Format,
    live::printer,
    replace::Replacement,
    run::{command, verdict},
    say,
};
use crate::{
    cli::Exit,
    event::BootNs,
    model::Config,
    output::{Html, Perfetto, Replayed, Summaries, escape},
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
    pub format: ReportFormat,
    /// With colour.
    pub color: bool,
    /// Where to; `None` for standard output.
    pub output: Option<PathBuf>,
    /// What was over before is not told.
    pub since: Option<Timestamp>,
    /// What happened after is not looked at.
    pub until: Option<Timestamp>,
    /// What to look at; `None` for what the recorder was told to look at.
    pub scope: Option<Scope>,
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
    /// As a live run ends.
    Summary(Format),
    /// A page to look at.
    Html,
    /// A trace for Perfetto.
    Perfetto,
}

/// Shorter input is read before a bar could be.
const BAR_FROM: u64 = 32 << 20;

/// Reads the recordings and prints a report for every boot of every host.
///
/// # Errors
/// A file could not be read on, or the output not be written.
pub fn run(options: &Options) -> anyhow::Result<Exit> {
    let for_terminals = matches!(options.format, ReportFormat::Summary(_));
    if options.output.is_none() && !for_terminals && io::stdout().is_terminal() {
        say(&"zombie-trace: this format is not for a terminal; give a file with --output, or redirect the output");
        return Ok(Exit::Usage);
    }
    let (inputs, exit) = open(&options.files);
    if inputs.is_empty() {
        return Ok(Exit::Unmeasured);
    }
    let Some(path) = &options.output else { return report(options, &inputs, exit, Box::new(io::stdout())) };
    let file = Replacement::begin(path)?;
    let exit = report(options, &inputs, exit, Box::new(file.writer()?))?;
    file.complete().with_context(|| format!("{} cannot be written", shown(path)))?;
    Ok(exit)
}

fn renderer(options: &Options, out: Box<dyn Write>) -> Box<dyn Replayed> {
    match options.format {
        ReportFormat::Summary(format) => Box::new(Summaries(printer(out, format, options.color))),
        ReportFormat::Html => Box::new(Html::new(BufWriter::new(out), min_age_ns(options))),
        ReportFormat::Perfetto => Box::new(Perfetto::new(BufWriter::new(out))),
    }
}

fn min_age_ns(options: &Options) -> u64 {
    u64::try_from(options.min_age.as_nanos()).unwrap_or(u64::MAX)
}

fn report(options: &Options, inputs: &[Input], mut exit: Exit, out: Box<dyn Write>) -> anyhow::Result<Exit> {
    let mut output = renderer(options, out);
    let mut reports = Reports { options, output: output.as_mut(), current: None, bar: bar(inputs), exit: Exit::Clean };
    let read = inputs
        .iter()
        .try_for_each(|input| reports.read(input))
        .and_then(|()| reports.finish())
        .and_then(|()| Ok(reports.output.finish()?));
    match read {
        Ok(()) => {}
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Clean),
        Err(Failure::Output(error)) => return Err(error).context("the output cannot be written"),
        Err(Failure::Input(path, error)) => {
            return Err(error).with_context(|| format!("{} cannot be read", shown(&path)));
        }
    }
    exit = worse(exit, reports.exit);
    Ok(exit)
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

fn shown_text(text: &str) -> String {
    escape::text(text.as_bytes()).into_owned()
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
fn open(paths: &[PathBuf]) -> (Vec<Input>, Exit) {
    let mut exit = Exit::Clean;
    let mut inputs: Vec<Input> = Vec::new();
    for path in paths {
        match Reader::open(path) {
            Ok(reader) => {
                inputs.push(Input { path: path.clone(), header: reader.header().clone(), length: reader.length() });
            }
            Err(error) => {
                complain(path, &error);
                exit = Exit::Unmeasured;
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
    (inputs, exit)
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
    output: &'a mut dyn Replayed,
    current: Option<Current>,
    bar: ProgressBar,
    exit: Exit,
}

impl Reports<'_> {
    fn read(&mut self, input: &Input) -> Result<(), Failure> {
        let failure = |error| Failure::Input(input.path.clone(), error);
        let mut reader = match Reader::open(&input.path) {
            Ok(reader) => reader,
            Err(error) => {
                complain(&input.path, &error);
                self.exit = worse(self.exit, Exit::Unmeasured);
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
                    self.tell(&mut current)?;
                    unknown += batch.unknown;
                    whole += 1;
                }
                Chunk::Damage(damage) => self.bar.suspend(|| complain(&input.path, &damage)),
                Chunk::Ended(ended) => current.ended = ended,
            }
            self.bar.set_position(self.bar.position().max(reader.offset()));
        }
        if unknown > 0 {
            complain(&input.path, &format!("{unknown} records are of a kind that this version does not know"));
        }
        if whole == 0 {
            complain(&input.path, &"no events in it can be read");
            self.exit = worse(self.exit, Exit::Unmeasured);
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
                self.tell(&mut current)?;
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
        let config = Config { min_age_ns: min_age_ns(self.options), started: header.opened, ..Config::default() };
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
        let (host, kernel) = (shown_text(&header.host), shown_text(&header.kernel));
        self.bar.suspend(|| self.output.begin(&host, &kernel))?;
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
            say(&format_args!("zombie-trace: {} events made no sense", current.replay.refused()));
        }
        let (host, kernel) = (shown_text(&current.header.host), shown_text(&current.header.kernel));
        let mut report = current.replay.report(&host, &kernel);
        report.command = command(current.ended);
        self.exit = worse(self.exit, verdict(&report));
        self.bar.suspend(|| self.output.report(&report, current.replay.latency()))?;
        Ok(())
    }
}
