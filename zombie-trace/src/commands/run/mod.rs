//! Tracing, whatever is made of it: the source, a command and what ends the run, the session, an output, and a
//! recorder if there is to be one.
//!
//! The recorder is given everything that the session is given, in the same order, and nothing else. So a report from
//! the recording is the report of this run.

mod answers;
mod steps;

use std::{ffi::OsString, io, path::Path, time::Duration};

use anyhow::{Context, bail};
use caps::Capability;
use log::warn;

use answers::Answers;
use steps::{Halt, Run};

use super::{
    ends::{End, Ends},
    say,
    target::Target,
};
use crate::{
    commands::Exit,
    event::{self},
    model::Config,
    output::Reporter,
    probe,
    recording::{Ended, Header, Recorder, ScopeText},
    report::{Chosen, Clock, Command, Following, Report, Scope, Session, Severity},
    source::{
        live::Live,
        proc::{boot_clock_now, boot_id},
    },
};

/// The start of a process read from `/proc` is rounded down to a clock tick, which is at most this long, ns.
pub(super) const TICK_NS: u64 = 10_000_000;

/// After this time containers and cgroups of what existed at the start have been looked up.
const LOOKED_UP: Duration = Duration::from_secs(1);

/// What to trace.
#[derive(Debug)]
pub struct Options {
    /// Zombies of this age are reported.
    pub min_age: Duration,
    /// How long to trace; `None` for until it is ended.
    pub limit: Option<Duration>,
    /// Only this process and its descendants.
    pub root: Option<u32>,
    /// What else to look at.
    pub scope: Scope,
    /// Size of the ring buffer, bytes.
    pub ring_bytes: u32,
    /// Entries of each of the kernel's maps; `None` for what the machine may need.
    pub map_entries: Option<u32>,
    /// Whether to tell of every process that a signal ends.
    pub ends: bool,
    /// Whether to attach the probes that only make answers more exact.
    pub extras: bool,
    /// A command to run and to trace; empty for none.
    pub command: Vec<OsString>,
    /// How long to go on after the command has ended, while something that it started still runs.
    pub wait_for_daemons: Duration,
    /// Files get their names after tracing, in folders that may be somebody else's.
    pub names_files: bool,
    /// Whether the report is to tell of the command's containers.
    pub containers: Option<Containers>,
}

impl Options {
    /// A command and what descends from it, until it ends.
    pub(super) fn of_command(min_age: Duration, command: Vec<OsString>) -> Self {
        Self {
            min_age,
            limit: None,
            root: None,
            scope: Scope::default(),
            ring_bytes: 8 << 20,
            map_entries: None,
            ends: false,
            extras: true,
            command,
            wait_for_daemons: Duration::ZERO,
            names_files: false,
            containers: None,
        }
    }
}

/// Which containers belong to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Containers {
    /// Those that descend from it.
    Descendants,
    /// Also these, which daemons start: the whole machine is traced.
    Also(Chosen),
}

/// Traces until the time is over, the command has ended, a signal asks for the end, or the recording has to stop.
///
/// # Errors
/// Tracing could not begin, or the output could not be written.
pub(super) fn run(options: &Options, output: &mut dyn Reporter, recorder: Option<Recorder>) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    Ok(match runtime.block_on(trace(options, output, recorder))? {
        Traced::Done(report) => verdict(&report),
        Traced::ReaderGone => Exit::Clean,
        Traced::RecordingStopped => Exit::Unmeasured,
    })
}

/// Traces as [`run`] does, and hands the report over; `None` when who reads the output has gone.
///
/// # Errors
/// Tracing could not begin, or the output could not be written.
pub(super) fn report(options: &Options, output: &mut dyn Reporter) -> anyhow::Result<Option<Report>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    Ok(match runtime.block_on(trace(options, output, None))? {
        Traced::Done(report) => Some(*report),
        Traced::ReaderGone | Traced::RecordingStopped => None,
    })
}

/// How a run ended.
enum Traced {
    Done(Box<Report>),
    /// Who reads the output has gone: that is how `| head` ends a stream, and no failure.
    ReaderGone,
    RecordingStopped,
}

async fn trace(options: &Options, output: &mut dyn Reporter, recorder: Option<Recorder>) -> anyhow::Result<Traced> {
    let began = boot_clock_now().saturating_sub(TICK_NS);
    let mut target = match options.command.as_slice() {
        [] => None,
        argv => Some(Target::prepare(argv).context("the command cannot be started")?),
    };
    if let Some(root) = options.root
        && !Path::new("/proc").join(root.to_string()).exists()
    {
        bail!("there is no process {root}");
    }
    // What belongs to the command is decided afterwards: a daemon starts the processes of its containers.
    let containers = options.containers.clone().filter(|_| target.is_some());
    let is_amid_machine = matches!(containers, Some(Containers::Also(_)));
    let load_options = probe::Options {
        follow: !is_amid_machine && (target.is_some() || options.root.is_some()),
        ring_bytes: options.ring_bytes,
        map_entries: options.map_entries,
        extras: options.extras,
        ends: options.ends,
        ..probe::Options::default()
    };
    let mut live = Live::start(load_options)?;
    // Files are made and taken away in folders that may be somebody else's.
    let names_files = options.names_files || recorder.as_ref().is_some_and(Recorder::rotates);
    let kept = if names_files { &[Capability::CAP_DAC_OVERRIDE][..] } else { &[] };
    if let Err(error) = probe::drop_privileges(kept) {
        warn!("could not drop privileges that are no longer needed: {error}");
    }
    if let Some(root) = options.root.or(target.as_ref().map(Target::pid)).filter(|_| load_options.follow) {
        live.follow_tree(root).with_context(|| format!("process {root} cannot be followed"))?;
    }
    let config = Config {
        min_age_ns: u64::try_from(options.min_age.as_nanos()).unwrap_or(u64::MAX),
        started: live.started(),
        ends: options.ends,
        command: target.as_ref().map(Target::pid).filter(|_| containers.is_some()),
        ..Config::default()
    };
    let clock = Clock { offset_ns: live.wall_clock_offset() };
    let header = Header {
        command_began: if target.is_some() { began } else { 0 },
        ..header(&live, options, &config, clock, load_options.follow)
    };
    match output.begin(&header) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(error).context("the output cannot be written");
        }
        _ => {}
    }
    let session = Session::new(config, options.scope.clone(), clock);
    let session = match containers {
        Some(Containers::Also(chosen)) => {
            live.hurry();
            session.following(Following::amid_machine(chosen, began, compose_project()))
        }
        Some(Containers::Descendants) => session.following(Following::of_descendants(began)),
        None => session,
    };
    let mut run = Run {
        live,
        session,
        output,
        recorder,
        answers: Answers::default(),
        held: Vec::new(),
        held_bytes: 0,
        is_file_new: false,
    };
    if let Some(recorder) = &mut run.recorder {
        recorder.begin(header)?;
    }
    run.begin()?;
    // The scan has begun the readers, which cannot be begun any more.
    if let Err(error) = probe::confine() {
        warn!("could not install the seccomp filter: {error}");
    }
    let mut ends = Ends::new(options.limit)?;
    say(&"tracing");
    if let Some(target) = &mut target {
        target.release().context("the command disappeared before it started")?;
    }

    let mut command_end = None;
    let mut unmatched_until = Some(tokio::time::Instant::now() + LOOKED_UP);
    let outcome = loop {
        let end = tokio::select! {
            biased;
            end = ends.next(target.as_mut(), command_end.is_none()) => Some(end),
            () = run.live.ready() => None,
        };
        if let Err(halt) = run.step() {
            break Err(halt);
        }
        if unmatched_until.take_if(|until| tokio::time::Instant::now() >= *until).is_some() {
            run.say_whether_anything_matches("no process matches {} yet; waiting for one");
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
    let outcome = match outcome {
        Ok(()) if command_end.is_some() => run.outlast_command(&mut ends, options.wait_for_daemons).await,
        other => other,
    };
    let stopped = match outcome {
        Ok(()) => None,
        Err(Halt::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Traced::ReaderGone),
        Err(Halt::Output(error)) => return Err(error).context("the output cannot be written"),
        Err(Halt::Recording(stop)) => Some(stop),
    };
    let (report, stopped) = run.finish(&options.command, command_end, stopped)?;
    if let Some(stop) = stopped {
        say(&format_args!("zombie-trace: {stop}"));
        return Ok(Traced::RecordingStopped);
    }
    Ok(Traced::Done(Box::new(report)))
}

fn header(live: &Live, options: &Options, config: &Config, clock: Clock, follows: bool) -> Header {
    let (host, kernel) = names();
    Header {
        host,
        kernel,
        boot_id: boot_id().unwrap_or_default(),
        started: config.started,
        opened: config.started,
        clock_offset_ns: clock.offset_ns,
        missing_probes: live.missing().map(|probe| probe.hook.name()).collect(),
        follows,
        ends: options.ends,
        scope: ScopeText::from(&options.scope),
        min_age_ns: config.min_age_ns,
        ..Header::of_this_version()
    }
}

/// The name that Compose gives to the project in the working directory.
fn compose_project() -> Option<String> {
    if let Some(name) = std::env::var_os("COMPOSE_PROJECT_NAME").filter(|name| !name.is_empty()) {
        return name.into_string().ok();
    }
    let directory = std::env::current_dir().ok()?;
    let name = directory.file_name()?.to_str()?.to_lowercase();
    // As compose-go's `NormalizeProjectName` does.
    let kept: String = name.chars().filter(|it| it.is_ascii_alphanumeric() || matches!(it, '-' | '_')).collect();
    Some(kept.trim_start_matches(['-', '_']).to_owned()).filter(|name| !name.is_empty())
}

/// Host and kernel.
fn names() -> (String, String) {
    let names = rustix::system::uname();
    (names.nodename().to_string_lossy().into_owned(), names.release().to_string_lossy().into_owned())
}

/// The command of a run, if it had one.
pub(super) fn command(ended: Ended) -> Option<Command> {
    (!ended.argv.is_empty()).then(|| Command {
        argv: ended.argv,
        exit: ended.status.map(|status| event::ExitStatus::from_raw(status).into()),
    })
}

/// Findings count whatever was lost; without findings, losses mean that nothing can be said.
pub(super) fn verdict(report: &Report) -> Exit {
    if report.findings.iter().any(|finding| finding.severity != Severity::Note) {
        Exit::Findings
    } else if report.loss.events > 0 || report.loss.has_full_maps() {
        Exit::Unmeasured
    } else {
        Exit::Clean
    }
}
