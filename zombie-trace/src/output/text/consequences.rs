//! Failed stops and failed forks, for people.

use std::io::{self, Write};

use super::summary::{evidence, field};
use crate::{
    model::StopOutcome,
    output::{
        Palette,
        names::{name, pid_1},
        style::paint,
    },
    report::{
        ForkFailureContext, Notice, Report, StopRecord, describe_fork, describe_killed_without_term,
        explain_fork_failure,
    },
    text::duration,
};

/// Maximum number of stops and of failed forks listed.
const MAX_LISTED: usize = 20;
/// Maximum number of processes of a stop that are listed, and how deep their tree is drawn.
const MAX_PATH: usize = 12;
const MAX_DEPTH: u32 = 12;

/// `PID 1 app (…) 10 s after SIGTERM, which did not reach it (no-handler); SIGKILL from docker (…)`.
pub(super) fn failed_stop(palette: Palette, notice: &Notice) -> String {
    let Notice::StopFailed {
        target,
        signal,
        reason,
        received,
        killed_after_ns,
        killed_by,
        killed_without_term,
        more_killed_without_term,
        cause,
        ..
    } = notice
    else {
        return String::new();
    };
    // Of a signal that did not reach it, the reason is the cause, as a rule.
    let cause = cause.filter(|_| reason.is_none()).map_or_else(String::new, |cause| format!(": {}", cause.id()));
    let by = killed_by.as_ref().map_or_else(String::new, |killer| format!("; SIGKILL from {}", name(palette, killer)));
    let which = match (reason, received) {
        (Some(reason), _) => format!("which did not reach it ({})", reason.id()),
        (None, Some(true)) => "which it received".to_owned(),
        (None, _) => "which may not have reached it".to_owned(),
    };
    let unasked = describe_killed_without_term(killed_without_term, *more_killed_without_term, signal);
    let unasked = if unasked.is_empty() { unasked } else { format!(";{}", unasked.trim_end_matches('.')) };
    format!("{} {} after {signal}, {which}{cause}{by}{unasked}", pid_1(palette, target), duration(*killed_after_ns))
}

pub(super) fn failed_fork(process: String, notice: &Notice) -> String {
    let Notice::ForkFailed {
        process: record,
        errno,
        limit,
        path,
        used,
        allowed,
        zombies,
        parent,
        parent_zombies,
        shortage,
        ..
    } = notice
    else {
        return String::new();
    };
    let why = explain_fork_failure(&ForkFailureContext {
        errno,
        limit: *limit,
        path: path.as_deref(),
        in_container: record.container.is_some(),
        used: *used,
        allowed: *allowed,
        zombies: *zombies,
        parent: parent.as_ref(),
        parent_zombies: *parent_zombies,
        shortage,
    });
    format!("{process}: fork failed with {errno}; {why}")
}

/// Stops that failed, took long, or killed processes that had got no stop signal.
pub(super) fn stops(out: &mut impl Write, palette: Palette, report: &Report) -> io::Result<()> {
    let is_wrong = |stop: &&StopRecord| {
        stop.outcome != StopOutcome::Clean || !stop.killed_without_term.is_empty() || stop.cause.is_some()
    };
    let wrong: Vec<_> = report.stops.iter().filter(is_wrong).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint(palette.heading, "Unclean stops"))?;
    for stop in wrong.iter().take(MAX_LISTED) {
        let style = if stop.outcome == StopOutcome::Failed { palette.bad } else { palette.doubtful };
        let end = match &stop.killed_by {
            Some(killer) => {
                format!("killed after {} by {}", duration(stop.took_ns), name(Palette::default(), killer))
            }
            None => format!("{} after {}", stop.exit, duration(stop.took_ns)),
        };
        let reason = stop.reason.map_or_else(String::new, |reason| format!(" did not reach it ({})", reason.id()));
        writeln!(
            out,
            "\n  {}\n    {}  {}{reason}; {end}",
            pid_1(palette, &stop.target),
            paint(style, stop.outcome.id()),
            stop.signal,
        )?;
        let unasked =
            describe_killed_without_term(&stop.killed_without_term, stop.more_killed_without_term, &stop.signal);
        if !unasked.is_empty() {
            writeln!(out, "   {unasked}")?;
        }
        if let Some(cause) = stop.cause {
            field(out, "cause", paint(style, cause.id()))?;
        }
        path(out, stop)?;
        evidence(out, &stop.evidence)?;
        if let Some(advice) = &stop.advice {
            field(out, "advice", advice)?;
        }
    }
    rest(out, wrong.len())
}

/// The processes of a stop as a tree, each with what it was sent, did and became; nothing if there was PID 1 alone, of
/// which the evidence tells.
fn path(out: &mut impl Write, stop: &StopRecord) -> io::Result<()> {
    if stop.path.len() < 2 {
        return Ok(());
    }
    for (index, part) in stop.path.iter().take(MAX_PATH).enumerate() {
        let label = if index == 0 { "path" } else { "" };
        let branch = match part.depth {
            0 => String::new(),
            depth => format!("{}└─ ", "   ".repeat((depth - 1).min(MAX_DEPTH) as usize)),
        };
        field(out, label, format!("{branch}{} ({})  {}", part.process.comm, part.process.pid, part.summary))?;
    }
    let more = stop.path.len().saturating_sub(MAX_PATH) as u64 + stop.more_in_path;
    if more > 0 {
        field(out, "", format!("… {more} more"))?;
    }
    Ok(())
}

/// Forks that failed.
pub(super) fn forks(out: &mut impl Write, palette: Palette, report: &Report) -> io::Result<()> {
    if report.fork_failures.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint(palette.heading, "Failed forks"))?;
    for failure in report.fork_failures.iter().take(MAX_LISTED) {
        let why = describe_fork(failure);
        let (who, errno) = (name(palette, &failure.process), paint(palette.bad, failure.errno));
        writeln!(out, "\n  {who}\n    {errno}  {}×  {why}", failure.count)?;
    }
    rest(out, report.fork_failures.len())
}

pub(super) fn rest(out: &mut impl Write, count: usize) -> io::Result<()> {
    match count.saturating_sub(MAX_LISTED) {
        0 => Ok(()),
        more => writeln!(out, "\n  … {more} more"),
    }
}
