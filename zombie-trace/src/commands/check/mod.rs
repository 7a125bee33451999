//! `check`: runs a command under the tracer and judges the report by a policy.

mod containers;
mod files;
mod gaps;
mod places;
mod recorded;
mod sampling;

use std::{
    ffi::OsString,
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, anyhow};

use super::{Format, run, say};
use crate::{
    commands::Exit,
    event::BootNs,
    files::shown,
    output::{
        LastReport,
        check::{self as render, Places},
    },
    policy::{Age, Baseline, Input, Policy, Rule, Verdict, judge},
    report::{Report, Scope},
    source::{explain::explain, live::LiveError, proc::boot_clock_now},
    text::escape,
};
pub use containers::Containers;
use files::Files;
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
    /// Pass also where nothing, or nothing but clients of daemons, was seen.
    pub allow_empty: bool,
    /// Containers that are followed with the command.
    pub containers: Containers,
    /// How long to go on after the command has ended, while something that it started still runs.
    pub wait_for_daemons: Duration,
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
            let verdict = judged(&options, &policy, baseline.as_ref(), &measured, &mut files)?;
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
    files.write(&options, &outcome)?;
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
    files: &mut Files,
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
            verdict.notes.push(format!("{} was not updated because coverage was incomplete", shown(path)));
        } else {
            let baseline = Baseline::of(&verdict.violations);
            files.save_baseline(&baseline.to_json())?;
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
        Some(path) => Policy::parse(&files::settings(path)?).with_context(|| shown(path))?,
        None => Policy::default(),
    };
    if let Some(age) = options.min_age {
        policy.max_zombie_age = Age(age);
    }
    let baseline = match &options.baseline {
        Some(path) => Some(Baseline::parse(&files::settings(path)?).with_context(|| shown(path))?),
        None => None,
    };
    let recording = match &options.source {
        Source::Recording { files } if !options.print_policy => Some(Recording::open(files)?),
        _ => None,
    };
    let files = if options.print_policy { Files::default() } else { Files::begin(options)? };
    Ok((policy, baseline, recording, files))
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
        let gaps = gaps::of_recording(&report, options, min_age);
        let notes = [notes, gaps.notes].concat();
        return Ok(Measured { report, began_ns, unseen: &[], notes, unmeasured: unmeasured.or(gaps.unmeasured) });
    }
    if let Source::Proc { interval } = options.source {
        let report = sampling::run(&options.command, interval, min_age, options.scope.clone())?;
        let gaps = gaps::of_samples(&report, options);
        let notes = [vec![sampling::caveat(interval)], gaps.notes].concat();
        return Ok(Measured { report, began_ns, unseen: &sampling::BLIND, notes, unmeasured: gaps.unmeasured });
    }
    let live = run::Options {
        min_age,
        limit: None,
        root: None,
        scope: options.scope.clone(),
        ring_bytes: options.ring_bytes,
        map_entries: options.map_entries,
        extras: options.extras,
        ends: false,
        command: options.command.clone(),
        wait_for_daemons: options.wait_for_daemons,
        names_files: Files::are_asked_for(options),
        containers: Some(options.containers.to_trace()),
    };
    let report = run::report(&live, &mut LastReport::default())?.ok_or_else(|| anyhow!("tracing ended early"))?;
    let gaps = gaps::of_run(&report, options, min_age);
    Ok(Measured { report, began_ns, unseen: &[], notes: gaps.notes, unmeasured: gaps.unmeasured })
}

/// Why nothing could be measured, with what to do about it.
fn in_words(error: &anyhow::Error) -> String {
    match error.downcast_ref::<LiveError>().map(explain) {
        Some(told) => {
            let advice = told.advice.replace('\n', "; ");
            format!(
                "{}; {advice}; `zombie-trace doctor` says more, and `--source proc` needs no privileges but covers less",
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
