//! Failed stops and failed forks, for people.

use std::io::{self, Write};

use super::{name, run_by};
use crate::{
    output::{Palette, style::paint},
    report::{ForkStory, Notice, Report, StopRecord, unasked_in_words, why_no_fork},
    text::duration,
};

/// So many stops and failures are listed.
const LISTED: usize = 20;

/// `PID 1 app (…) by docker (…), 10 s after SIGTERM, which it did not get (no-handler)`.
pub(super) fn failed_stop(palette: Palette, notice: &Notice) -> String {
    let Notice::StopFailed {
        target,
        signal,
        reason,
        killed_after_ns,
        killed_by,
        killed_without_term,
        more_killed_without_term,
        ..
    } = notice
    else {
        return String::new();
    };
    let by = killed_by
        .as_ref()
        .map_or_else(String::new, |killer| format!(" by {}{}", name(palette, killer), run_by(killer)));
    let which = match reason {
        Some(reason) => format!("which it did not get ({reason})"),
        None => "which it got".to_owned(),
    };
    let unasked = unasked_in_words(killed_without_term, *more_killed_without_term, signal);
    let unasked = if unasked.is_empty() { unasked } else { format!(";{}", unasked.trim_end_matches('.')) };
    format!("PID 1 {}{by}, {} after {signal}, {which}{unasked}", name(palette, target), duration(*killed_after_ns))
}

pub(super) fn failed_fork(process: String, notice: &Notice) -> String {
    let Notice::ForkFailed {
        process: record, errno, limit, path, used, allowed, zombies, parent, parent_zombies, ..
    } = notice
    else {
        return String::new();
    };
    let why = why_no_fork(&ForkStory {
        limit,
        path: path.as_deref(),
        in_container: record.container.is_some(),
        used: *used,
        allowed: *allowed,
        zombies: *zombies,
        parent: parent.as_ref(),
        parent_zombies: *parent_zombies,
    });
    format!("{process} got {errno}: {why}")
}

/// Stops that went wrong.
pub(super) fn stops(out: &mut impl Write, palette: Palette, report: &Report) -> io::Result<()> {
    let has_victims = |stop: &StopRecord| !stop.killed_without_term.is_empty();
    let wrong: Vec<_> = report.stops.iter().filter(|stop| stop.outcome != "clean" || has_victims(stop)).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint(palette.heading, "Stops that went wrong"))?;
    for stop in wrong.iter().take(LISTED) {
        let style = if stop.outcome == "failed" { palette.bad } else { palette.doubtful };
        let end = match &stop.killed_by {
            Some(killer) => format!("killed by {} ({}){}", killer.comm, killer.pid, run_by(killer)),
            None => stop.exit.to_string(),
        };
        let reason = stop.reason.map_or_else(String::new, |reason| format!(", {reason}"));
        writeln!(
            out,
            "\n  {}\n    {}  {}{reason}: {end} after {}",
            name(palette, &stop.target),
            paint(style, stop.outcome),
            stop.signal,
            duration(stop.took_ns)
        )?;
        let unasked = unasked_in_words(&stop.killed_without_term, stop.more_killed_without_term, &stop.signal);
        if !unasked.is_empty() {
            writeln!(out, "   {unasked}")?;
        }
    }
    rest(out, wrong.len())
}

/// Forks that failed.
pub(super) fn forks(out: &mut impl Write, palette: Palette, report: &Report) -> io::Result<()> {
    if report.fork_failures.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint(palette.heading, "Processes that could not fork"))?;
    for failure in report.fork_failures.iter().take(LISTED) {
        let why = why_no_fork(&ForkStory {
            limit: failure.limit,
            path: failure.path.as_deref(),
            in_container: failure.process.container.is_some(),
            used: failure.used,
            allowed: failure.allowed,
            zombies: failure.zombies,
            parent: failure.parent.as_ref(),
            parent_zombies: failure.parent_zombies,
        });
        let (who, errno) = (name(palette, &failure.process), paint(palette.bad, failure.errno));
        writeln!(out, "\n  {who}\n    {errno}  {}×  {why}", failure.count)?;
    }
    rest(out, report.fork_failures.len())
}

fn rest(out: &mut impl Write, count: usize) -> io::Result<()> {
    match count.saturating_sub(LISTED) {
        0 => Ok(()),
        more => writeln!(out, "\n  … {more} more"),
    }
}
