//! `live`: the source, the session and an output, wired together.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Write},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    time::Duration,
};

use anyhow::Context;
use log::{trace, warn};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep_until},
};

use super::{Format, target::Target};
use crate::{
    cli::Exit,
    decode,
    event::{Event, ExitStatus, What},
    model::Config,
    output::{JsonLines, Output, Palette, Text, escape},
    probe,
    report::{Clock, Command, Report, Scope, Session, Severity},
    source::live::Live,
};

/// What to do.
#[derive(Debug)]
pub struct Options {
    /// Zombies of this age are reported.
    pub min_age: Duration,
    /// How long to trace; `None` for until it is ended.
    pub limit: Option<Duration>,
    /// How to print.
    pub format: Format,
    /// With colour.
    pub color: bool,
    /// Where to; `None` for standard output.
    pub output: Option<PathBuf>,
    /// Only this process and its descendants.
    pub root: Option<u32>,
    /// What else to look at.
    pub scope: Scope,
    /// Size of the ring buffer, bytes.
    pub ring_bytes: u32,
    /// A command to run and to trace; empty for none.
    pub command: Vec<OsString>,
}

/// Traces until the time is over, the command has ended, or a signal asks for the end.
///
/// # Errors
/// Tracing could not begin, or the output could not be written.
pub fn run(options: Options) -> anyhow::Result<Exit> {
    let mut output = open_output(&options)?;
    let report = run_session(options, output.as_mut())?;
    Ok(report.as_ref().map_or(Exit::Clean, verdict))
}

/// Traces as [`run`] does and returns the report, telling `output` on the way; `None` when who reads that has gone.
/// How to print is not looked at.
///
/// # Errors
/// Tracing could not begin, or the output could not be written.
pub(super) fn run_session(options: Options, output: &mut dyn Output) -> anyhow::Result<Option<Report>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(trace(options, output))
}

async fn trace(options: Options, output: &mut dyn Output) -> anyhow::Result<Option<Report>> {
    let mut target = match options.command.as_slice() {
        [] => None,
        argv => Some(Target::prepare(argv).context("the command cannot be started")?),
    };
    let load_options = probe::Options {
        follow: target.is_some() || options.root.is_some(),
        ring_bytes: options.ring_bytes,
        ..probe::Options::default()
    };
    let mut live = Live::start(load_options)?;
    if let Some(root) = options.root.or(target.as_ref().map(Target::pid)) {
        live.follow_tree(root).with_context(|| format!("process {root} cannot be followed"))?;
    }
    let config = Config {
        min_age_ns: u64::try_from(options.min_age.as_nanos()).unwrap_or(u64::MAX),
        started: live.started(),
        ..Config::default()
    };
    let clock = Clock { offset_ns: live.wall_clock_offset() };
    let mut session = Session::new(config, options.scope, clock);
    for event in live.seed()? {
        session.apply(&event);
    }
    if let Err(error) = probe::drop_privileges() {
        warn!("privileges that are no longer needed could not be given up: {error}");
    }
    let mut ends = Ends::new(options.limit)?;
    eprintln!("tracing");
    if let Some(target) = &mut target {
        target.release().context("the command is gone before it began")?;
    }

    let mut command_end = None;
    let written = loop {
        let end = tokio::select! {
            biased;
            end = ends.next(target.as_mut(), command_end.is_none()) => Some(end),
            () = live.ready() => None,
        };
        if let Err(error) = step(&mut live, &mut session, output) {
            break Err(error);
        }
        match end {
            None => {}
            Some(End::Command(status)) => {
                command_end = Some(status.context("the command cannot be started")?);
                break Ok(());
            }
            Some(End::Asked | End::Limit) => break Ok(()),
        }
    };
    // Who reads has gone: that is how `| head` ends a stream, and no failure.
    if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return Ok(None);
    }
    written.context("the output cannot be written")?;

    finish(&mut live, &mut session, output, &options.command, command_end).map(Some)
}

fn open_output(options: &Options) -> anyhow::Result<Box<dyn Output>> {
    let out: Box<dyn Write> = match &options.output {
        Some(path) => Box::new(File::create(path).with_context(|| format!("{} cannot be written", path.display()))?),
        None => Box::new(io::stdout()),
    };
    let out = io::BufWriter::new(out);
    Ok(match options.format {
        Format::Text => Box::new(Text::new(out, Palette::new(options.color))),
        Format::Json => Box::new(JsonLines::new(out)),
    })
}

/// Why the run ends.
enum End {
    Command(io::Result<std::process::ExitStatus>),
    Asked,
    Limit,
}

/// Everything that may end a run.
struct Ends {
    interrupt: Signal,
    terminate: Signal,
    limit: Option<Instant>,
    interrupts: u32,
}

impl Ends {
    fn new(limit: Option<Duration>) -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("no handler for SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("no handler for SIGTERM")?,
            limit: limit.and_then(|limit| Instant::now().checked_add(limit)),
            interrupts: 0,
        })
    }

    async fn next(&mut self, target: Option<&mut Target>, command_runs: bool) -> End {
        let pid = target.as_ref().map(|target| target.pid());
        let limit = self.limit;
        let mut target = target.filter(|_| command_runs);
        loop {
            tokio::select! {
                status = ended(&mut target) => return End::Command(status),
                () = at(limit) => return End::Limit,
                _ = self.interrupt.recv() => {
                    self.interrupts += 1;
                    // The terminal sent it to the command, too; how that takes it is part of the story. Who presses
                    // it again wants to be rid of both.
                    if pid.is_none() || self.interrupts > 1 {
                        return End::Asked;
                    }
                }
                _ = self.terminate.recv() => match pid.and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed())) {
                    None => return End::Asked,
                    Some(pid) => {
                        // Gone already is fine: then its end is the next thing to be seen.
                        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
                    }
                }
            }
        }
    }
}

async fn ended(target: &mut Option<&mut Target>) -> io::Result<std::process::ExitStatus> {
    match target {
        Some(target) => target.ended().await,
        None => std::future::pending().await,
    }
}

async fn at(limit: Option<Instant>) {
    match limit {
        Some(limit) => sleep_until(limit).await,
        None => std::future::pending().await,
    }
}

/// Takes out what has gathered, answers what the model asks, and tells what there is to tell.
fn step(live: &mut Live, session: &mut Session, output: &mut dyn Output) -> io::Result<()> {
    loop {
        let batch = live.drain();
        for event in decode::events(&batch.bytes) {
            match event {
                Ok(event) => {
                    trace!("{event:?}");
                    session.apply(&event);
                }
                // The programs and the decoder are of one build.
                Err(error) => warn!("{error}"),
            }
        }
        if batch.lost > 0 {
            session.apply(&Event { time: batch.time, what: What::Loss { events: batch.lost } });
        }
        if !batch.more {
            session.apply(&Event { time: batch.time, what: What::Tick });
        }
        answer(live, session);
        while let Some(notice) = session.next_notice() {
            output.notice(&notice)?;
        }
        if !batch.more {
            return output.settle();
        }
    }
}

fn answer(live: &mut Live, session: &mut Session) {
    while let Some(inquiry) = session.next_inquiry() {
        for event in live.answer(inquiry) {
            session.apply(&event);
        }
    }
}

fn finish(
    live: &mut Live,
    session: &mut Session,
    output: &mut dyn Output,
    argv: &[OsString],
    end: Option<std::process::ExitStatus>,
) -> anyhow::Result<Report> {
    step(live, session, output).context("the output cannot be written")?;
    session.inquire_all();
    answer(live, session);
    let names = rustix::system::uname();
    let host = names.nodename().to_string_lossy();
    let kernel = names.release().to_string_lossy();
    let mut report = session.report(&host, &kernel);
    if !argv.is_empty() {
        report.command = Some(Command {
            argv: argv
                .iter()
                .map(|it| escape::text(std::os::unix::ffi::OsStrExt::as_bytes(it.as_os_str())).into_owned())
                .collect(),
            exit: end.map(|status| ExitStatus::from_raw(status.into_raw().cast_unsigned()).into()),
        });
    }
    match output.summary(&report) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(report),
        result => result.map(|()| report).context("the output cannot be written"),
    }
}

/// Findings count whatever was lost; without findings, losses mean that nothing can be said.
fn verdict(report: &Report) -> Exit {
    if report.findings.iter().any(|finding| finding.severity != Severity::Note) {
        Exit::Findings
    } else if report.loss.events > 0 {
        Exit::Unmeasured
    } else {
        Exit::Clean
    }
}
