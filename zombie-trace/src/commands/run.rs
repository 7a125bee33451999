//! Tracing, whatever is made of it: the source, a command and what ends the run, the session, an output, and a
//! recorder if there is to be one.
//!
//! The recorder is given everything that the session is given, in the same order, and nothing else. So a report from
//! the recording is the report of this run.

use std::{
    ffi::OsString,
    io,
    os::unix::{ffi::OsStrExt, process::ExitStatusExt},
    path::Path,
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use caps::Capability;
use log::{trace, warn};

use super::{
    ends::{End, Ends},
    say,
    target::Target,
};
use crate::{
    commands::Exit,
    decode,
    event::{self, Event, What},
    model::Config,
    output::Reporter,
    probe,
    recording::{Ended, Header, Recorder, ScopeText, Stop},
    report::{Clock, Command, Report, Scope, Session, Severity},
    source::{
        asker::Scan,
        live::{Batch, Live},
        proc::{boot_clock_now, boot_id},
    },
    text::escape,
};

/// The start of a process read from `/proc` is rounded down to a clock tick, which is at most this long, ns.
pub(super) const TICK_NS: u64 = 10_000_000;

/// After this time containers and cgroups of what existed at the start have been looked up.
const LOOKED_UP: Duration = Duration::from_secs(1);
/// At most this long the end of what exited is waited for after the command's end.
const MAX_SETTLE: Duration = Duration::from_secs(3);

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
    /// Whether to attach the probes that only make answers more exact.
    pub extras: bool,
    /// A command to run and to trace; empty for none.
    pub command: Vec<OsString>,
    /// How long to go on after the command has ended, while something that it started still runs.
    pub wait_for_daemons: Duration,
    /// Files get their names after tracing, in folders that may be somebody else's.
    pub names_files: bool,
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
    let load_options = probe::Options {
        follow: target.is_some() || options.root.is_some(),
        ring_bytes: options.ring_bytes,
        map_entries: options.map_entries,
        extras: options.extras,
        ..probe::Options::default()
    };
    let mut live = Live::start(load_options)?;
    // Files are made and taken away in folders that may be somebody else's.
    let names_files = options.names_files || recorder.as_ref().is_some_and(Recorder::rotates);
    let kept = if names_files { &[Capability::CAP_DAC_OVERRIDE][..] } else { &[] };
    if let Err(error) = probe::drop_privileges(kept) {
        warn!("privileges that are no longer needed could not be given up: {error}");
    }
    if let Some(root) = options.root.or(target.as_ref().map(Target::pid)) {
        live.follow_tree(root).with_context(|| format!("process {root} cannot be followed"))?;
    }
    let config = Config {
        min_age_ns: u64::try_from(options.min_age.as_nanos()).unwrap_or(u64::MAX),
        started: live.started(),
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
    let mut run = Run {
        live,
        session: Session::new(config, options.scope.clone(), clock),
        output,
        recorder,
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
        warn!("no seccomp filter for this process: {error}");
    }
    let mut ends = Ends::new(options.limit)?;
    say(&"tracing");
    if let Some(target) = &mut target {
        target.release().context("the command is gone before it began")?;
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
        scope: ScopeText::from(&options.scope),
        min_age_ns: config.min_age_ns,
        ..Header::of_this_version()
    }
}

/// Host and kernel.
fn names() -> (String, String) {
    let names = rustix::system::uname();
    (names.nodename().to_string_lossy().into_owned(), names.release().to_string_lossy().into_owned())
}

/// Why a run cannot go on.
enum Halt {
    Output(io::Error),
    Recording(Stop),
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        Self::Recording(stop)
    }
}

/// At most so many batches are read before it is looked for what else there is to do.
const BATCHES: usize = 16;
/// At most so many bytes wait for a scan to be over; if there are more, it is given up.
const MAX_HELD: usize = 64 << 20;
/// So long answers are waited for at the end.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

struct Run<'a> {
    live: Live,
    session: Session,
    output: &'a mut dyn Reporter,
    recorder: Option<Recorder>,
    /// What was drained while a scan was under way, to be applied after it: a process that the scan found and that is gone
    /// by now must not come back.
    held: Vec<Batch>,
    held_bytes: usize,
    /// A file of the recording was begun after another, and is to be told what is known once it has what exists.
    is_file_new: bool,
}

impl Run<'_> {
    /// Looks at what exists, and goes on draining meanwhile.
    fn begin(&mut self) -> anyhow::Result<()> {
        self.live.begin_scan()?;
        while self.live.is_scanning() {
            self.live.wait(Duration::from_millis(20));
            self.read();
            if let Some(scan) = self.live.take_scan(false) {
                if let Some(shortfall) = scan.shortfall() {
                    say(&format_args!("zombie-trace: {shortfall}"));
                }
                self.scanned(scan);
            }
        }
        Ok(())
    }

    /// Takes out what has gathered, then what has been answered, and tells what there is to tell.
    fn step(&mut self) -> Result<(), Halt> {
        let is_empty = self.read();
        self.ask();
        for event in self.live.answers() {
            self.context(&event);
        }
        self.ask();
        if let Some(scan) = self.live.take_scan(false) {
            if let Some(shortfall) = scan.shortfall() {
                warn!("{shortfall}");
            }
            self.scanned(scan);
        } else if is_empty && !self.live.is_scanning() {
            self.live.rescan_if_due();
        }
        self.settle()?;
        while let Some(notice) = self.session.next_notice() {
            self.output.notice(&notice)?;
        }
        if let Some(recorder) = &self.recorder {
            self.output.recorded(recorder.status())?;
        }
        Ok(self.output.flush_suppressed()?)
    }

    /// Drains the ring; says whether it is empty now.
    fn read(&mut self) -> bool {
        for _ in 0..BATCHES {
            let batch = self.live.drain();
            let more = batch.more;
            if self.live.is_scanning() {
                self.held_bytes += batch.bytes.len();
                self.held.push(batch);
                if self.held_bytes > MAX_HELD
                    && let Some(scan) = self.live.take_scan(true)
                {
                    self.scanned(scan);
                }
            } else {
                self.apply(&batch);
            }
            if !more {
                return true;
            }
        }
        false
    }

    fn apply(&mut self, batch: &Batch) {
        self.wire(&batch.bytes);
        if batch.lost > 0 {
            // What still waits in the ring is older than the batch's end.
            let time = if batch.more { self.session.model().now() } else { batch.time };
            self.context(&Event { time, what: What::Loss { events: batch.lost } });
        }
        for &(map, refused) in &batch.full {
            // As with a loss.
            let time = if batch.more { self.session.model().now() } else { batch.time };
            self.context(&Event { time, what: What::Full { map, refused } });
        }
        if !batch.more {
            self.context(&Event { time: batch.time, what: What::Tick });
        }
    }

    /// A scan is over: first what it found, then what happened meanwhile.
    fn scanned(&mut self, scan: Scan) {
        for event in scan.into_events() {
            self.context(&event);
        }
        if std::mem::take(&mut self.is_file_new) {
            // What was found is no news here, but in the file it is all there is.
            let time = self.session.model().now();
            for fact in self.session.model().snapshot() {
                self.context(&Event { time, what: fact.into() });
            }
            self.session.inquire_all();
        }
        self.held_bytes = 0;
        for batch in std::mem::take(&mut self.held) {
            self.apply(&batch);
        }
        self.ask();
    }

    /// Goes on after the command has ended, until what it did before is sure to be known.
    ///
    /// What a parent discards is told only when the kernel frees it, and that takes a grace period of RCU. Zombies that
    /// stay are looked at for the same time, so it is bounded.
    async fn outlast_command(&mut self, ends: &mut Ends, wait_for_daemons: Duration) -> Result<(), Halt> {
        let began = tokio::time::Instant::now();
        loop {
            self.step()?;
            let elapsed = began.elapsed();
            let is_settling = elapsed < MAX_SETTLE && self.session.is_settling(boot_clock_now());
            let is_awaited = elapsed < wait_for_daemons && self.session.has_running();
            if !is_settling && !is_awaited {
                return Ok(());
            }
            tokio::select! {
                biased;
                _ = ends.next(None, false) => return Ok(()),
                () = self.live.ready() => {}
            }
        }
    }

    /// Says so if nothing has matched the filters; `{}` in the words stands for them.
    fn say_whether_anything_matches(&self, words: &str) {
        if !self.session.has_matched() && !self.session.scope().is_unlimited() {
            say(&format_args!("zombie-trace: {}", words.replace("{}", &self.session.scope().shown())));
        }
    }

    fn wire(&mut self, bytes: &[u8]) {
        if let Some(recorder) = &mut self.recorder {
            recorder.wire(bytes);
        }
        let mut count = 0;
        for event in decode::events(bytes) {
            match event {
                Ok(event) => {
                    trace!("{event:?}");
                    self.session.apply(&event);
                    count += 1;
                }
                // The programs and the decoder are of one build.
                Err(error) => warn!("{error}"),
            }
        }
        self.output.events(count);
    }

    fn context(&mut self, event: &Event) {
        if let Some(recorder) = &mut self.recorder {
            recorder.context(event);
        }
        self.session.apply(event);
    }

    /// Passes on what the model asks.
    fn ask(&mut self) {
        while let Some(inquiry) = self.session.next_inquiry() {
            self.live.ask(inquiry);
        }
    }

    fn settle(&mut self) -> Result<(), Stop> {
        let is_answered = self.live.is_idle();
        let Some(recorder) = &mut self.recorder else { return Ok(()) };
        if is_answered {
            recorder.settle()?;
        } else {
            recorder.flush_if_due()?;
        }
        // A scan belongs into one file, with what was held for it.
        if !recorder.is_full() || self.live.is_scanning() {
            return Ok(());
        }
        recorder.rotate(self.session.model().now())?;
        // So that the new file can be read alone. The session hears it, too: both are to know the same.
        if let Err(error) = self.live.begin_scan() {
            warn!("{error}");
        }
        self.is_file_new = true;
        Ok(())
    }

    /// Waits for the answers to what was asked, but not for long: they may never come.
    fn hear_out(&mut self) {
        let deadline = Instant::now() + LAST_ANSWERS;
        self.ask();
        while !self.live.is_idle() && Instant::now() < deadline {
            self.live.wait(Duration::from_millis(10));
            self.read();
            for event in self.live.answers() {
                self.context(&event);
            }
            if let Some(scan) = self.live.take_scan(false) {
                self.scanned(scan);
            }
            self.ask();
        }
        if let Some(scan) = self.live.take_scan(true) {
            self.scanned(scan);
        }
    }

    fn finish(
        mut self,
        argv: &[OsString],
        end: Option<ExitStatus>,
        mut stopped: Option<Stop>,
    ) -> anyhow::Result<(Report, Option<Stop>)> {
        // A scan that is under way holds back what has happened.
        self.hear_out();
        match self.step() {
            Ok(()) => {}
            Err(Halt::Recording(stop)) => stopped = Some(stop),
            Err(Halt::Output(error)) => return Err(error).context("the output cannot be written"),
        }
        self.session.inquire_all();
        self.hear_out();
        self.say_whether_anything_matches("no process matched {}");
        let argv = argv.iter().map(|it| escape::text(it.as_os_str().as_bytes()).into_owned()).collect();
        let ended = Ended { argv, status: end.map(|status| status.into_raw().cast_unsigned()) };
        if let Some(recorder) = self.recorder.take() {
            match recorder.finish(ended.clone()) {
                Ok(status) => self.output.recorded(status).context("the output cannot be written")?,
                Err(stop) => stopped = stopped.or(Some(stop)),
            }
        }
        let (host, kernel) = names();
        let mut report = self.session.report(&host, &kernel);
        report.command = command(ended);
        let printed = self.output.report(&report, self.session.model().latency()).and_then(|()| self.output.finish());
        match printed {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(error).context("the output cannot be written")
            }
            _ => Ok((report, stopped)),
        }
    }
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
