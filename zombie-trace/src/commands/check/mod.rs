//! `check`: runs a command under the tracer and judges the report by a policy.

mod places;
mod recorded;
mod sampling;

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow};

use super::{Format, run, say};
use crate::{
    commands::Exit,
    event::BootNs,
    output::{
        LastReport, Palette,
        check::{self as render, Places},
    },
    policy::{Age, Baseline, Input, Policy, Rule, Verdict, judge},
    report::{Report, Scope},
    source::{explain::explain, live::LiveError, proc::boot_clock_now},
    text::escape,
};
use recorded::Recording;

/// What to do.
#[derive(Debug)]
pub struct Options {
    /// The policy's file.
    pub policy: Option<PathBuf>,
    /// Only print the policy.
    pub print_policy: bool,
    /// How long a zombie may wait, whatever the policy says.
    pub min_age: Option<Duration>,
    /// What was there before.
    pub baseline: Option<PathBuf>,
    /// Where to write what is there now.
    pub save_baseline: Option<PathBuf>,
    /// How to print.
    pub format: Format,
    /// With colour.
    pub color: bool,
    /// Where to; `None` for standard output.
    pub output: Option<PathBuf>,
    /// Where to write JUnit XML.
    pub junit: Option<PathBuf>,
    /// Where to write SARIF.
    pub sarif: Option<PathBuf>,
    /// Speak to GitHub Actions.
    pub github: bool,
    /// Where to learn of zombies from.
    pub source: Source,
    /// Size of the ring buffer, where there is one.
    pub ring_bytes: u32,
    /// Entries of each of the kernel's maps; `None` for what the machine may need.
    pub map_entries: Option<u32>,
    /// Whether to attach the probes that only make answers more exact.
    pub extras: bool,
    /// What else to look at.
    pub scope: Scope,
    /// The command.
    pub command: Vec<OsString>,
}

/// Where to learn of zombies from. One never stands in for the other without being asked to.
#[derive(Clone, Debug)]
pub enum Source {
    /// The kernel's events.
    Bpf,
    /// Samples of `/proc`.
    Proc {
        /// How often.
        interval: Duration,
    },
    /// What `record` wrote.
    Recording {
        /// The files of one run.
        files: Vec<PathBuf>,
    },
}

/// Runs the command and judges.
///
/// # Errors
/// The verdict could not be written.
pub fn run(options: Options) -> anyhow::Result<Exit> {
    let prepared = prepare(&options);
    let (policy, baseline, recording, mut files) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            say(&format_args!("zombie-trace: {error:#}"));
            return Ok(Exit::Usage);
        }
    };
    if options.print_policy {
        return match io::stdout().write_all(policy.to_toml().as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(Exit::Clean),
        };
    }
    let (report, verdict) = match measure(&options, &policy, recording.as_ref()) {
        Ok(measured) => {
            let verdict = judged(&options, &policy, baseline.as_ref(), &measured)?;
            (Some(measured.report), verdict)
        }
        Err(error) => (None, Verdict { unmeasured: Some(in_words(&error)), ..Verdict::default() }),
    };
    let command = match (&recording, report.as_ref().and_then(|report| report.command.as_ref())) {
        (None, _) => escaped(&options.command).join(" "),
        (Some(_), Some(command)) => command.argv.join(" "),
        (Some(recording), None) => recording.place(),
    };
    let outcome = render::Outcome {
        verdict: &verdict,
        report: report.as_ref(),
        policy: &policy,
        command: &command,
        source: options.source.name(),
        places: &Places::find(&options.command, &verdict),
    };
    match files.write(&options, &outcome) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(error).context("the verdict cannot be written");
        }
        _ => {}
    }
    Ok(match verdict.word() {
        "pass" => Exit::Clean,
        "fail" => Exit::Findings,
        _ => Exit::Unmeasured,
    })
}

/// The verdict on what was measured; saves the baseline if that was asked for.
fn judged(
    options: &Options,
    policy: &Policy,
    baseline: Option<&Baseline>,
    measured: &Measured,
) -> anyhow::Result<Verdict> {
    let input = Input {
        report: &measured.report,
        began_ns: measured.began_ns,
        policy,
        baseline,
        unseen: measured.unseen,
        today: jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date(),
    };
    let mut verdict = judge(&input);
    let unmeasured = measured.unmeasured.clone().or(verdict.unmeasured.take());
    if let Some(path) = &options.save_baseline {
        if unmeasured.is_some() {
            verdict.notes.push(format!("{} is left as it was: not everything could be seen", path.display()));
        } else {
            let baseline = Baseline::of(&verdict.violations);
            fs::write(path, baseline.to_json()).with_context(|| format!("{} cannot be written", path.display()))?;
            verdict = judge(&Input { baseline: Some(&baseline), ..input });
        }
    }
    verdict.unmeasured = unmeasured;
    verdict.notes.extend(measured.notes.iter().cloned());
    Ok(verdict)
}

impl Source {
    fn name(&self) -> &'static str {
        match self {
            Self::Bpf => "bpf",
            Self::Proc { .. } => "proc",
            Self::Recording { .. } => "recording",
        }
    }
}

/// Everything that can be wrong with the command line is found out before the command runs.
fn prepare(options: &Options) -> anyhow::Result<(Policy, Option<Baseline>, Option<Recording>, Files)> {
    let mut policy = match &options.policy {
        Some(path) => Policy::parse(&read(path)?).with_context(|| path.display().to_string())?,
        None => Policy::default(),
    };
    if let Some(age) = options.min_age {
        policy.max_zombie_age = Age(age);
    }
    let baseline = match &options.baseline {
        Some(path) => Some(Baseline::parse(&read(path)?).with_context(|| path.display().to_string())?),
        None => None,
    };
    let recording = match &options.source {
        Source::Recording { files } if !options.print_policy => Some(Recording::open(files)?),
        _ => None,
    };
    let files = if options.print_policy { Files::default() } else { Files::open(options)? };
    Ok((policy, baseline, recording, files))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// What the verdict rests on.
struct Measured {
    report: Report,
    /// See [`Input::began_ns`].
    began_ns: BootNs,
    /// Rules that the source sees nothing of.
    unseen: &'static [Rule],
    notes: Vec<String>,
    unmeasured: Option<String>,
}

fn measure(options: &Options, policy: &Policy, recording: Option<&Recording>) -> anyhow::Result<Measured> {
    let min_age = policy.max_zombie_age.0;
    let began_ns = boot_clock_now().saturating_sub(run::TICK_NS);
    if let Some(recording) = recording {
        let recorded::Recorded { report, began_ns, notes, unmeasured } = recording.read(min_age, &options.scope)?;
        return Ok(Measured { report, began_ns, unseen: &[], notes, unmeasured });
    }
    if let Source::Proc { interval } = options.source {
        let report = sampling::run(&options.command, interval, min_age, options.scope.clone())?;
        let notes = vec![sampling::caveat(interval)];
        return Ok(Measured { report, began_ns, unseen: &sampling::BLIND, notes, unmeasured: None });
    }
    let live = run::Options {
        min_age,
        limit: None,
        root: None,
        scope: options.scope.clone(),
        ring_bytes: options.ring_bytes,
        map_entries: options.map_entries,
        extras: options.extras,
        command: options.command.clone(),
    };
    let report = run::report(&live, &mut LastReport::default())?.ok_or_else(|| anyhow!("tracing ended early"))?;
    Ok(Measured { report, began_ns, unseen: &[], notes: Vec::new(), unmeasured: None })
}

/// Why nothing could be measured, with what to do about it.
fn in_words(error: &anyhow::Error) -> String {
    match error.downcast_ref::<LiveError>().map(explain) {
        Some(told) => {
            let advice = told.advice.replace('\n', "; ");
            format!(
                "{}; {advice}; `zombie-trace doctor` says more, and `--source proc` needs no privilege but sees less",
                told.message
            )
        }
        None => format!("{error:#}"),
    }
}

/// The command's words, made safe to show.
pub(super) fn escaped(command: &[OsString]) -> Vec<String> {
    command.iter().map(|word| escape::text(word.as_bytes()).into_owned()).collect()
}

/// What is written to, opened before the command runs: a wrong path costs no test run.
#[derive(Default)]
struct Files {
    output: Option<File>,
    junit: Option<File>,
    sarif: Option<File>,
    summary: Option<File>,
}

impl Files {
    fn open(options: &Options) -> anyhow::Result<Self> {
        let create = |path: &Option<PathBuf>| match path {
            Some(path) => File::create(path).map(Some).with_context(|| format!("{} cannot be written", path.display())),
            None => Ok(None),
        };
        let summary = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| options.github && !path.is_empty());
        let summary =
            match summary {
                Some(path) => Some(OpenOptions::new().append(true).create(true).open(&path).with_context(|| {
                    format!("GITHUB_STEP_SUMMARY, {}, cannot be written", Path::new(&path).display())
                })?),
                None => None,
            };
        Ok(Self {
            output: create(&options.output)?,
            junit: create(&options.junit)?,
            sarif: create(&options.sarif)?,
            summary,
        })
    }

    fn write(&mut self, options: &Options, outcome: &render::Outcome<'_>) -> io::Result<()> {
        if let Some(file) = &mut self.junit {
            render::junit(outcome, file)?;
        }
        if let Some(file) = &mut self.sarif {
            let mut buffered = io::BufWriter::new(file);
            render::sarif(outcome, &mut buffered)?;
            buffered.flush()?;
        }
        if let Some(file) = &mut self.summary {
            file.write_all(render::summary(outcome).as_bytes())?;
        }
        let mut out: Box<dyn Write> = match &mut self.output {
            Some(file) => Box::new(io::BufWriter::new(file)),
            None => Box::new(io::stdout().lock()),
        };
        match options.format {
            Format::Text => render::text(outcome, Palette::new(options.color), &mut out)?,
            Format::Json => render::json(outcome, &mut out)?,
        }
        drop(out);
        // JSON alone is on standard output; the runner reads standard error as well.
        match (options.github, options.format) {
            (false, _) => Ok(()),
            (true, Format::Text) => render::annotations(outcome, &mut io::stdout().lock()),
            (true, Format::Json) => render::annotations(outcome, &mut io::stderr().lock()),
        }
    }
}
