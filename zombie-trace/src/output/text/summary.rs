//! The summary at the end, for people: what hurts most first.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use crate::{
    diagnosis::Cause,
    output::{
        Palette,
        explain::explain_command,
        names::{command, name, pid_1, sender},
        style::paint,
    },
    report::{Drop, ParentRecord, PassedOn, Report, Severity},
    text::{duration, plural},
};

pub(super) fn parents(out: &mut impl Write, palette: Palette, report: &Report) -> io::Result<()> {
    if report.parents.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint(palette.heading, "Zombies by parent"))?;
    for (parent, alike) in by_program(&report.parents) {
        writeln!(out, "\n  {}  {}", name(palette, &parent.process), describe_zombies(palette, parent))?;
        if let Some(command) = command(palette, &parent.process, FIELD) {
            field(out, "command", paint(palette.dim, command))?;
        }
        if !alike.is_empty() {
            field(out, "alike", describe_alike(parent, &alike))?;
        }
        let style = if parent.cause == Cause::Unknown { palette.doubtful } else { palette.bad };
        field(out, "cause", paint(style, parent.cause.id()))?;
        evidence(out, &parent.evidence)?;
        if !parent.contributing.is_empty() {
            field(out, "also fits", parent.contributing.iter().map(|cause| cause.id()).collect::<Vec<_>>().join(", "))?;
        }
        if let Some(damage) = parent.damage.as_ref().and_then(|damage| damage.summary.as_deref()) {
            field(out, "impact", paint(palette.bad, damage))?;
        }
        field(out, "advice", &parent.advice)?;
    }
    Ok(())
}

/// Parents of one program in one workload with one cause, as the first of them and the others: twelve workers with the same
/// fault are one thing to be mended.
fn by_program(parents: &[ParentRecord]) -> Vec<(&ParentRecord, Vec<&ParentRecord>)> {
    let mut groups: Vec<(&ParentRecord, Vec<&ParentRecord>)> = Vec::new();
    let mut places = BTreeMap::new();
    for parent in parents {
        let container = parent.process.container.as_ref().map(|container| &container.id);
        let place = *places.entry((&parent.process.program, container, parent.cause)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, alike)) => alike.push(parent),
            None => groups.push((parent, Vec::new())),
        }
    }
    groups
}

/// `11 more of python3 -m celery: 34 zombies, pids 7, 8, 9, …`.
fn describe_alike(first: &ParentRecord, alike: &[&ParentRecord]) -> String {
    const PIDS: usize = 6;
    let pids: Vec<String> = alike.iter().take(PIDS).map(|parent| parent.process.pid.to_string()).collect();
    let more = if alike.len() > PIDS { ", …" } else { "" };
    let zombies = alike.iter().map(|parent| parent.zombies_total.max(parent.zombies_now)).sum();
    format!(
        "{} more of {}: {}, {} {}{more}",
        alike.len(),
        first.process.program,
        plural(zombies, "zombie", "zombies"),
        if alike.len() == 1 { "pid" } else { "pids" },
        pids.join(", ")
    )
}

pub(super) fn stuck(out: &mut impl Write, palette: Palette, report: &Report) -> io::Result<()> {
    if report.stuck.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint(palette.heading, "Processes stuck while exiting"))?;
    for stuck in &report.stuck {
        writeln!(out, "\n  {}", name(palette, &stuck.process))?;
        field(out, "cause", paint(palette.doubtful, stuck.cause.id()))?;
        evidence(out, &stuck.evidence)?;
        field(out, "advice", &stuck.advice)?;
    }
    Ok(())
}

/// Columns in front of a field.
const FIELD: usize = 15;

pub(super) fn field(out: &mut impl Write, label: &str, text: impl std::fmt::Display) -> io::Result<()> {
    writeln!(out, "    {label:9}  {text}")
}

pub(super) fn evidence(out: &mut impl Write, evidence: &[String]) -> io::Result<()> {
    evidence
        .iter()
        .enumerate()
        .try_for_each(|(index, evidence)| field(out, if index == 0 { "evidence" } else { "" }, evidence))
}

/// `passed on to tini (1)`
fn passed_on(parent: &ParentRecord, PassedOn { count, to }: &PassedOn) -> String {
    let count = if *count == parent.zombies_total { String::new() } else { format!("{count} ") };
    let to = to.as_ref().map_or_else(|| "another process".to_owned(), |it| format!("{} ({})", it.comm, it.pid));
    format!("{count}passed on to {to}")
}

fn describe_zombies(palette: Palette, parent: &ParentRecord) -> String {
    match (parent.zombies_now, parent.oldest_ns) {
        (0, _) => {
            let left = parent.passed_on.as_ref().map_or_else(|| "none left".to_owned(), |it| passed_on(parent, it));
            format!("{}, {left}", plural(parent.zombies_total, "zombie", "zombies"))
        }
        (now, oldest) => {
            let oldest = oldest.map_or_else(String::new, |oldest| format!(", oldest {}", duration(oldest)));
            paint(palette.bad, format!("{}{oldest}", plural(now, "zombie", "zombies")))
        }
    }
}

pub(super) fn drops(out: &mut impl Write, palette: Palette, report: &Report) -> io::Result<()> {
    if report.dropped_signals.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint(palette.heading, "Signals that did not reach PID 1"))?;
    let mut last = None;
    for drop in &report.dropped_signals {
        let target = (drop.target.pid, drop.target.start_ns);
        if last != Some(target) {
            writeln!(out, "\n  {}", pid_1(palette, &drop.target))?;
            last = Some(target);
        }
        writeln!(
            out,
            "    {}  {:21}  {:>4}×{}",
            // Padded first: a terminal does not show the codes of a colour, but they have a width here.
            paint(palette.bad, format_args!("{:10}", drop.signal)),
            drop.reason.id(),
            drop.count,
            describe_senders(drop),
        )?;
        // What its stop says is not said twice.
        let is_said =
            report.stops.iter().any(|stop| (stop.target.pid, stop.target.start_ns) == target && stop.advice.is_some());
        if let Some(advice) = drop.advice.as_ref().filter(|_| !is_said) {
            field(out, "advice", advice)?;
        }
    }
    Ok(())
}

/// `  from app (7395, parent zombie-trace 7393), outside; PID 1 was killed 2.0 s later`.
fn describe_senders(drop: &Drop) -> String {
    let senders: Vec<String> = drop
        .senders
        .iter()
        .map(|it| match &it.process {
            Some(process) => format!("{}, {}", sender(Palette::default(), Some(process)), it.relation.id()),
            None => sender(Palette::default(), None),
        })
        .collect();
    let from = if senders.is_empty() { String::new() } else { format!("  from {}", senders.join("; ")) };
    let then = match (drop.then, drop.then_after_ns) {
        ("killed", Some(after)) => format!("; PID 1 was killed {} later", duration(after)),
        ("exited", Some(after)) => format!("; PID 1 exited {} later", duration(after)),
        _ => String::new(),
    };
    format!("{from}{then}")
}

pub(super) fn notes(out: &mut impl Write, palette: Palette, report: &Report) -> io::Result<()> {
    let notes: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| {
            finding.severity == Severity::Note && finding.id.starts_with("zombies/")
                || finding.id.starts_with("zombies/status-stolen/")
        })
        .collect();
    if notes.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint(palette.heading, "Notes"))?;
    for finding in notes {
        writeln!(out, "\n  {}\n    {}", finding.title, finding.detail)?;
    }
    Ok(())
}

pub(super) fn totals(out: &mut impl Write, palette: Palette, report: &Report) -> io::Result<()> {
    let totals = report.totals;
    let findings = report.findings.iter().filter(|finding| finding.severity != Severity::Note).count();
    let verdict = match findings {
        0 => paint(palette.good, "no findings"),
        1 => paint(palette.bad, "1 finding"),
        many => paint(palette.bad, format!("{many} findings")),
    };
    writeln!(
        out,
        "\n{verdict}; {}, {}, {} reaped, {} auto-reaped, {} still {}",
        plural(totals.exits, "exit", "exits"),
        plural(totals.zombies, "zombie", "zombies"),
        totals.reaped,
        totals.auto_reaped,
        totals.zombies_now,
        if totals.zombies_now == 1 { "a zombie" } else { "zombies" }
    )?;
    if let (Some(median), Some(p99), Some(max)) = (report.latency.p50_ns, report.latency.p99_ns, report.latency.max_ns)
    {
        writeln!(out, "time to reap: median {}, p99 {}, max {}", duration(median), duration(p99), duration(max))?;
    }
    if let Some(command) = &report.command {
        let end = command.exit.as_ref().map_or_else(|| "still running".to_owned(), ToString::to_string);
        writeln!(out, "command: {end}")?;
    }
    let lost = (report.loss.events > 0).then(|| plural(report.loss.events, "event was lost", "events were lost"));
    let missing: Vec<String> = lost.into_iter().chain(report.loss.full_tables()).collect();
    if !missing.is_empty() {
        let words = format!("{}; this report may be incomplete", missing.join(" and "));
        writeln!(out, "{}", paint(palette.doubtful, words))?;
        if let Some(sentence) = report.loss.filled_by() {
            writeln!(out, "{}", paint(palette.doubtful, sentence))?;
        }
    }
    for sentence in report.loss.full_maps() {
        writeln!(out, "{}", paint(palette.doubtful, sentence))?;
    }
    Ok(())
}

/// Where more is said about the findings.
pub(super) fn pointer(out: &mut impl Write, palette: Palette, report: &Report) -> io::Result<()> {
    let findings = report.findings.iter().filter(|finding| finding.severity != Severity::Note);
    match explain_command(findings.map(|finding| finding.kind.explained_by())) {
        Some(command) => writeln!(out, "{}", paint(palette.dim, format_args!("how to correct them: {command}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        container::{Container, Runtime},
        policy::sample::{process, report, with_zombies},
        report::ProcessRecord,
    };

    #[test]
    fn parents_of_one_program_with_one_cause_in_one_place_are_one_entry() {
        let of = |pid, program: &str, cause| {
            let process = ProcessRecord { program: program.to_owned(), ..process(pid, 1, "python3") };
            with_zombies(report(), process, cause, 2).parents.remove(0)
        };
        let mut elsewhere = of(5, "celery", "never-waits");
        elsewhere.process.container = Some(Container {
            runtime: Runtime::Docker,
            id: "x".to_owned(),
            name: None,
            pod: None,
            namespace: None,
            pod_uid: None,
            image: None,
            compose: None,
            inner: None,
        });
        let parents = [
            of(1, "celery", "never-waits"),
            of(2, "celery", "lazy-reaper"),
            of(3, "celery", "never-waits"),
            of(4, "app.py", "never-waits"),
            elsewhere,
        ];
        let pids = |group: &(&ParentRecord, Vec<&ParentRecord>)| {
            [group.0].iter().chain(&group.1).map(|parent| parent.process.pid).collect::<Vec<_>>()
        };
        assert_eq!(by_program(&parents).iter().map(pids).collect::<Vec<_>>(), [vec![1, 3], vec![2], vec![4], vec![5]]);
        let (first, alike) = &by_program(&parents)[0];
        let words = describe_alike(first, alike);
        assert!(words.starts_with("1 more of celery: ") && words.ends_with("zombies, pid 3"), "{words}");
    }
}
