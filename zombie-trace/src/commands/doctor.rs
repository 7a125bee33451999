//! `doctor`: what this kernel allows, what is missing, what to do.
//!
//! The checks are those that `live` makes before it loads; beyond them every probe is really attached, one by one, and
//! detached again, because only the kernel knows what it refuses.

use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};

use anstyle::Style;
use serde::Serialize;

use super::Format;
use crate::{
    kernel::{
        Resolved,
        differences::Differences,
        facts::{Facts, TypeInfo},
        preflight::{self, Check, Status},
    },
    output::Palette,
    probe::{self, LoadError, Need, PROBES, Probe, Trial},
    source::explain::explain_load,
    text::escape,
};

const SCHEMA: &str = "zombie-trace.doctor/1";
/// Columns of the text: the mark, the name, and what was seen.
const NAME_COLUMN: usize = 6;
const DETAIL_COLUMN: usize = 22;
const WIDTH: usize = 110;

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum ProbeStatus {
    Attached,
    Missing,
    NotTried,
}

/// A probe in the machine output.
#[derive(Debug, Serialize)]
struct ProbeRecord {
    program: &'static str,
    hook: String,
    required: bool,
    /// It only makes answers more exact: nothing is lost without it.
    extra: bool,
    status: ProbeStatus,
    /// What is lost, or less exact, without it, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The machine output.
#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    kernel: Option<String>,
    checks: Vec<Check>,
    probes: Vec<ProbeRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_up_ns: Option<u64>,
    verdict: Status,
    summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// Looks at everything, prints it, and says whether this machine can be traced: [`Status::Failed`] means that it cannot.
///
/// # Errors
/// It could not be written.
pub fn run(format: Format, color: bool, out: &mut dyn Write) -> io::Result<Status> {
    let root = Path::new("/");
    let (types, resolved) = TypeInfo::read(root);
    let types_took = match &types {
        TypeInfo::Resolved(fields) => fields.took.unwrap_or_default(),
        _ => Duration::ZERO,
    };
    let facts = Facts::gather(root, types, &probe::required_tracepoints());
    let trial = resolved.filter(|_| preflight::may_trace(&facts)).map(|resolved| attempt(&resolved));
    let report = examine(&facts, types_took, trial);
    match format {
        Format::Json => {
            serde_json::to_writer(&mut *out, &report)?;
            writeln!(out)?;
        }
        Format::Text => write_text(&report, color, out)?,
    }
    Ok(report.verdict)
}

fn attempt(resolved: &Resolved) -> Result<Trial, LoadError> {
    // Nothing is followed, so the probes send nothing: the trial disturbs nobody.
    probe::try_all(resolved, probe::Options { follow: true, ..probe::Options::default() })
}

/// From what was seen and tried to what is told.
fn examine(facts: &Facts, types_took: Duration, trial: Option<Result<Trial, LoadError>>) -> Report {
    let mut checks = preflight::checks(facts);
    let mut start_up = None;
    let kernel = match &facts.types {
        TypeInfo::Resolved(fields) => fields.differences,
        _ => Differences::default(),
    };
    let probes = match trial {
        None => untried(kernel),
        Some(Err(error)) => {
            let explanation = explain_load(&error);
            checks.push(Check::failed("eBPF object", explanation.message, &explanation.advice));
            untried(kernel)
        }
        Some(Ok(trial)) => {
            let failed = trial.probes.iter().find_map(|(probe, result)| match (probe.need, result) {
                (Need::Required, Err(error)) => Some(explain_load(error)),
                _ => None,
            });
            if let Some(explanation) = failed {
                // What was found before is the cause, and the probes only its effect.
                if preflight::blocking(&checks).is_none() {
                    checks.push(Check::failed("probes", explanation.message, &explanation.advice));
                }
            } else {
                let took = types_took + trial.took;
                checks.push(Check::ok("start-up", format!("{} (probes {})", ms(took), ms(trial.took))));
                start_up = Some(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
            }
            trial.probes.into_iter().map(|(probe, result)| record(probe, trial.differences, Some(result))).collect()
        }
    };
    let degraded = checks.iter().any(|check| check.status == Status::Degraded)
        || probes.iter().any(|probe| probe.status == ProbeStatus::Missing && !probe.extra);
    let (verdict, summary, advice) = match preflight::blocking(&checks) {
        Some(check) => {
            (Status::Failed, format!("zombie-trace cannot trace on this machine: {}", check.name), check.advice.clone())
        }
        None if degraded => {
            (Status::Degraded, "zombie-trace can trace on this machine, with the limitations above".to_owned(), None)
        }
        None => (Status::Ok, "zombie-trace can trace on this machine".to_owned(), None),
    };
    let (schema, kernel) = (SCHEMA, facts.release.clone());
    Report { schema, kernel, checks, probes, start_up_ns: start_up, verdict, summary, advice }
}

fn ms(duration: Duration) -> String {
    preflight::milliseconds(duration)
}

fn untried(kernel: Differences) -> Vec<ProbeRecord> {
    PROBES.iter().map(|probe| record(probe, kernel, None)).collect()
}

fn record(probe: &Probe, kernel: Differences, result: Option<Result<(), LoadError>>) -> ProbeRecord {
    let error = match &result {
        Some(Err(error)) => {
            let message = explain_load(error).message;
            // The line is about this probe already.
            let reason = message.split_once(&format!("{error}: ")).map_or(message.as_str(), |(_, reason)| reason);
            Some(escape::text(reason.as_bytes()).into_owned())
        }
        _ => None,
    };
    let status = match &result {
        None => ProbeStatus::NotTried,
        Some(Ok(())) => ProbeStatus::Attached,
        Some(Err(_)) => ProbeStatus::Missing,
    };
    let lost = match probe.need {
        Need::Optional(lost) | Need::Precision(lost) if status == ProbeStatus::Missing => Some(lost),
        _ => None,
    };
    let programs = probe.on(kernel);
    let (program, hook) = (programs.primary, programs.hook.name());
    let (required, extra) = (probe.need == Need::Required, probe.improves_precision_only());
    ProbeRecord { program, hook, required, extra, status, lost, error }
}

fn write_text(report: &Report, color: bool, out: &mut dyn Write) -> io::Result<()> {
    let palette = Palette::of_stdout(color);
    for check in &report.checks {
        write_line(out, palette, check.status, check.name, &check.detail)?;
        // What blocks is told at the end, where it is seen.
        let advice = check.advice.as_deref().filter(|advice| report.advice.as_deref() != Some(*advice));
        for line in advice.into_iter().flat_map(str::lines) {
            writeln!(out, "{:DETAIL_COLUMN$}{line}", "")?;
        }
    }
    writeln!(out)?;
    if report.probes.iter().all(|probe| probe.status == ProbeStatus::NotTried) {
        writeln!(out, "Probes: not tested, because a check above failed.")?;
    } else {
        let width = report.probes.iter().map(|probe| probe.hook.len()).max().unwrap_or(0);
        let attached = report.probes.iter().filter(|probe| probe.status == ProbeStatus::Attached).count();
        writeln!(out, "Probes: tested {attached} of {} successfully.", report.probes.len())?;
        for (probe, row) in report.probes.iter().zip(PROBES) {
            let mark = match probe.status {
                ProbeStatus::Attached => mark(Status::Ok, palette),
                _ if probe.required => mark(Status::Failed, palette),
                _ if probe.extra => "--  ".to_owned(),
                _ => mark(Status::Degraded, palette),
            };
            let told = match probe.status {
                ProbeStatus::Attached => row.purpose,
                _ if probe.extra => "not available (optional)",
                _ => "missing",
            };
            writeln!(out, "{mark}  {:width$}  {told}", probe.hook)?;
            let why = probe.error.as_deref().into_iter().chain(probe.lost);
            for line in why.flat_map(|text| wrap(text, WIDTH - NAME_COLUMN - 2)) {
                writeln!(out, "{:1$}{line}", "", NAME_COLUMN + 2)?;
            }
        }
    }
    writeln!(out)?;
    let style = style(report.verdict, palette);
    writeln!(out, "{style}{}{style:#}", report.summary)?;
    for line in report.advice.as_deref().into_iter().flat_map(str::lines) {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

fn write_line(out: &mut dyn Write, palette: Palette, status: Status, name: &str, detail: &str) -> io::Result<()> {
    let detail = escape::text(detail.as_bytes());
    let mut lines = wrap(&detail, WIDTH - DETAIL_COLUMN).into_iter();
    let first = lines.next().unwrap_or_default();
    let width = DETAIL_COLUMN - NAME_COLUMN;
    writeln!(out, "{}  {name:width$}{first}", mark(status, palette))?;
    for line in lines {
        writeln!(out, "{:DETAIL_COLUMN$}{line}", "")?;
    }
    Ok(())
}

/// The mark of a status, four characters wide.
fn mark(status: Status, palette: Palette) -> String {
    let text = match status {
        Status::Ok => "ok",
        Status::Degraded => "warn",
        Status::Failed => "FAIL",
    };
    let style = style(status, palette);
    format!("{style}{text:4}{style:#}")
}

fn style(status: Status, palette: Palette) -> Style {
    match status {
        Status::Ok => palette.good,
        Status::Degraded => palette.doubtful,
        Status::Failed => palette.bad,
    }
}

/// Breaks a text between words into lines of at most this many characters; a longer word has its own line.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
