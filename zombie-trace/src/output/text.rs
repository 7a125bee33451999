//! Text for people: a line for what happens, a summary sorted by what hurts most, names before numbers.

mod harm;

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::{Output, Palette, style::paint};

use crate::{
    container::Container,
    report::{Notice, ParentRecord, ProcessRecord, Report, Severity, ZombieRecord},
    text::duration,
};

/// So many zombies of one parent are told one by one; after that they are counted.
const TOLD_SINGLY: u64 = 3;
/// So many children whose status is discarded are told one by one, per parent.
const DISCARDS_TOLD_SINGLY: u64 = 1;
/// So many drops of one signal by one init are told one by one.
const DROPS_TOLD_SINGLY: u64 = 3;

/// What was told of one subject, and what was held back since.
#[derive(Debug, Default)]
struct Told {
    singly: u64,
    held_back: u64,
    words: String,
}

/// The text output.
#[derive(Debug)]
pub struct Text<W> {
    out: W,
    palette: Palette,
    told: BTreeMap<(&'static str, u32, u64, u32), Told>,
}

impl<W: Write> Text<W> {
    /// Writes to `out` in these styles.
    pub fn new(out: W, palette: Palette) -> Self {
        Self { out, palette, told: BTreeMap::new() }
    }

    fn line(&mut self, time: &str, head: String, words: &str) -> io::Result<()> {
        // The time of day of an RFC 3339 time, to the millisecond.
        let clock = time.get(11..23).unwrap_or(time);
        writeln!(self.out, "{}  {head}  {words}", paint(self.palette.dim, clock))
    }

    /// Whether this is one to be told; if not it is counted, and told later as `words`.
    fn is_told(&mut self, key: (&'static str, u32, u64, u32), limit: u64, words: impl FnOnce() -> String) -> bool {
        let told = self.told.entry(key).or_default();
        if told.singly < limit {
            told.singly += 1;
            return true;
        }
        told.held_back += 1;
        if told.words.is_empty() {
            told.words = words();
        }
        false
    }

    fn zombie(&mut self, zombie: &ZombieRecord) -> io::Result<()> {
        let parent = zombie.parent.as_ref();
        let (pid, start) = parent.map_or((0, 0), |parent| (parent.pid, parent.start_ns));
        let palette = self.palette;
        let parent_name = parent.map_or_else(|| "its parent".to_owned(), |parent| name(palette, parent));
        if !self.is_told(("zombie", pid, start, 0), TOLD_SINGLY, || format!("zombies of {parent_name}")) {
            return Ok(());
        }
        let age = match zombie.preexisting {
            true => format!("for more than {}", duration(zombie.age_ns)),
            false => format!("for {}", duration(zombie.age_ns)),
        };
        let exit = zombie.exit.as_ref().map(|exit| format!(" ({exit})")).unwrap_or_default();
        self.line(
            &zombie.time,
            paint(palette.bad, "zombie "),
            &format!("{}{exit} waits {age} for {parent_name}: {}", name(palette, &zombie.process), zombie.cause),
        )?;
        self.evidence(&zombie.evidence)
    }

    fn evidence(&mut self, evidence: &[String]) -> io::Result<()> {
        for evidence in evidence {
            writeln!(self.out, "{:23}{}", "", paint(self.palette.dim, evidence))?;
        }
        Ok(())
    }

    fn parents(&mut self, report: &Report) -> io::Result<()> {
        if report.parents.is_empty() {
            return Ok(());
        }
        let palette = self.palette;
        writeln!(self.out, "\n{}", paint(palette.heading, "Parents that let zombies wait"))?;
        for parent in &report.parents {
            writeln!(self.out, "\n  {}  {}", name(palette, &parent.process), zombies_in_words(palette, parent))?;
            let cause = if parent.cause == "unknown" { palette.doubtful } else { palette.bad };
            writeln!(self.out, "    cause     {}", paint(cause, parent.cause))?;
            for (index, evidence) in parent.evidence.iter().enumerate() {
                writeln!(self.out, "    {:8}  {evidence}", if index == 0 { "evidence" } else { "" })?;
            }
            if !parent.contributing.is_empty() {
                writeln!(self.out, "    also      {}", parent.contributing.join(", "))?;
            }
            if let Some(damage) = parent.damage.as_ref().and_then(|damage| damage.summary.as_deref()) {
                writeln!(self.out, "    damage    {}", paint(palette.bad, damage))?;
            }
            writeln!(self.out, "    advice    {}", parent.advice)?;
        }
        Ok(())
    }

    fn drops(&mut self, report: &Report) -> io::Result<()> {
        if report.dropped_signals.is_empty() {
            return Ok(());
        }
        let palette = self.palette;
        writeln!(self.out, "\n{}", paint(palette.heading, "Signals that PID 1 did not get"))?;
        let mut last = None;
        for drop in &report.dropped_signals {
            let target = (drop.target.pid, drop.target.start_ns);
            if last != Some(target) {
                writeln!(self.out, "\n  {}", name(palette, &drop.target))?;
                last = Some(target);
            }
            let senders: Vec<String> = drop
                .senders
                .iter()
                .map(|sender| match &sender.process {
                    Some(process) => {
                        format!("{} ({}, {}){}", process.comm, process.pid, sender.relation, run_by(process))
                    }
                    None => "the kernel".to_owned(),
                })
                .collect();
            let then = match (drop.then, drop.then_after_ns) {
                ("killed", Some(after)) => format!("; killed {} later", duration(after)),
                ("exited", Some(after)) => format!("; exited {} later", duration(after)),
                _ => String::new(),
            };
            writeln!(
                self.out,
                "    {}  {:21}  {:>4}×  from {}{then}",
                // Padded first: a terminal does not show the codes of a colour, but they have a width here.
                paint(palette.bad, format_args!("{:10}", drop.signal)),
                drop.reason,
                drop.count,
                senders.join(", ")
            )?;
        }
        Ok(())
    }

    fn stuck(&mut self, report: &Report) -> io::Result<()> {
        if report.stuck.is_empty() {
            return Ok(());
        }
        let palette = self.palette;
        writeln!(self.out, "\n{}", paint(palette.heading, "Processes that could not end"))?;
        for stuck in &report.stuck {
            writeln!(self.out, "\n  {}", name(palette, &stuck.process))?;
            writeln!(self.out, "    cause     {}", paint(palette.doubtful, stuck.cause))?;
            for (index, evidence) in stuck.evidence.iter().enumerate() {
                writeln!(self.out, "    {:8}  {evidence}", if index == 0 { "evidence" } else { "" })?;
            }
            writeln!(self.out, "    advice    {}", stuck.advice)?;
        }
        Ok(())
    }

    fn notes(&mut self, report: &Report) -> io::Result<()> {
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
        writeln!(self.out, "\n{}", paint(self.palette.heading, "Good to know"))?;
        for finding in notes {
            writeln!(self.out, "\n  {}\n    {}", finding.title, finding.detail)?;
        }
        Ok(())
    }

    fn totals(&mut self, report: &Report) -> io::Result<()> {
        let totals = report.totals;
        let palette = self.palette;
        let findings = report.findings.iter().filter(|finding| finding.severity != Severity::Note).count();
        let verdict = match findings {
            0 => paint(palette.good, "nothing found"),
            1 => paint(palette.bad, "1 finding"),
            many => paint(palette.bad, format!("{many} findings")),
        };
        writeln!(
            self.out,
            "\n{verdict}; {} exits, {} zombies, {} reaped, {} auto-reaped, {} zombies now",
            totals.exits, totals.zombies, totals.reaped, totals.auto_reaped, totals.zombies_now
        )?;
        if let (Some(median), Some(p99), Some(max)) =
            (report.latency.p50_ns, report.latency.p99_ns, report.latency.max_ns)
        {
            writeln!(
                self.out,
                "time to reap: half within {}, 99 % within {}, longest {}",
                duration(median),
                duration(p99),
                duration(max)
            )?;
        }
        if let Some(command) = &report.command {
            let end = command.exit.as_ref().map_or_else(|| "still runs".to_owned(), ToString::to_string);
            writeln!(self.out, "the command: {end}")?;
        }
        if report.loss.events + report.loss.evicted > 0 {
            writeln!(
                self.out,
                "{}",
                paint(
                    palette.doubtful,
                    format!(
                        "{} events were lost and {} processes did not fit: what is not said here may have happened",
                        report.loss.events, report.loss.evicted
                    )
                )
            )?;
        }
        Ok(())
    }
}

impl<W: Write> Output for Text<W> {
    fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        let palette = self.palette;
        match notice {
            Notice::Zombie(zombie) => self.zombie(zombie),
            Notice::Reaped { time, process, zombie_ns, precision, parent, reaper, .. } => {
                let by = reaper.as_ref().or(parent.as_ref());
                let (pid, start) = by.map_or((0, 0), |by| (by.pid, by.start_ns));
                let reaper = reaper.as_ref().map_or_else(String::new, |it| format!(" by {}", name(palette, it)));
                let words = || format!("zombies were reaped{reaper}");
                if !self.is_told(("reaped", pid, start, 0), TOLD_SINGLY, words) {
                    return Ok(());
                }
                let about = match *precision {
                    "exact" => "after",
                    "upper-bound" => "after at most",
                    _ => "after at least",
                };
                let words = format!("{} {about} {}{reaper}", name(palette, process), duration(*zombie_ns));
                self.line(time, paint(palette.good, "reaped "), &words)
            }
            Notice::AutoReaped { time, process, parent, .. } => {
                let (pid, start) = parent.as_ref().map_or((0, 0), |parent| (parent.pid, parent.start_ns));
                let parent = parent.as_ref().map_or_else(|| "its parent".to_owned(), |parent| name(palette, parent));
                let words = || format!("statuses were discarded by {parent}");
                if !self.is_told(("auto", pid, start, 0), DISCARDS_TOLD_SINGLY, words) {
                    return Ok(());
                }
                let words = format!(
                    "{} left no zombie: {parent} ignores SIGCHLD, its exit status is lost",
                    name(palette, process)
                );
                self.line(time, paint(palette.dim, "discard"), &words)
            }
            Notice::StatusStolen { time, process, parent, evidence } => {
                let (pid, start) = parent.as_ref().map_or((0, 0), |parent| (parent.pid, parent.start_ns));
                let parent = parent.as_ref().map_or_else(|| "its parent".to_owned(), |parent| name(palette, parent));
                let words = || format!("statuses were taken from one thread of {parent} by another");
                if !self.is_told(("stolen", pid, start, 0), TOLD_SINGLY, words) {
                    return Ok(());
                }
                let words = format!("the status of {} was lost to {parent}", name(palette, process));
                self.line(time, paint(palette.bad, "stolen "), &words)?;
                self.evidence(evidence)
            }
            Notice::Stuck(stuck) => {
                let words = format!(
                    "{} cannot end for {}: {}",
                    name(palette, &stuck.process),
                    duration(stuck.age_ns),
                    stuck.cause
                );
                self.line(&stuck.time, paint(palette.bad, "stuck  "), &words)?;
                self.evidence(&stuck.evidence)
            }
            Notice::SignalDropped { time, signal, number, target, reason, sender, relation } => {
                let words = || format!("more {signal} were dropped by {}", name(palette, target));
                if !self.is_told(("signal", target.pid, target.start_ns, *number), DROPS_TOLD_SINGLY, words) {
                    return Ok(());
                }
                let sender = sender.as_ref().map_or_else(
                    || "the kernel".to_owned(),
                    |sender| format!("{}, from {relation}{}", name(palette, sender), run_by(sender)),
                );
                let words = format!("{signal} for PID 1 {} ({reason}), sent by {sender}", name(palette, target));
                self.line(time, paint(palette.bad, "dropped"), &words)
            }
            Notice::StopFailed { time, .. } => {
                let words = harm::failed_stop(palette, notice);
                self.line(time, paint(palette.bad, "killed "), &words)
            }
            Notice::ForkFailed { time, process, limit, .. } => {
                let words = || format!("processes could not fork ({limit})");
                if !self.is_told(("fork", 0, 0, 0), TOLD_SINGLY, words) {
                    return Ok(());
                }
                let words = harm::failed_fork(name(palette, process), notice);
                self.line(time, paint(palette.bad, "no fork"), &words)
            }
            Notice::Loss { time, events } => {
                let words = format!("{events} events; the state is being repaired from /proc");
                self.line(time, paint(palette.doubtful, "lost   "), &words)
            }
        }
    }

    fn settle(&mut self) -> io::Result<()> {
        for told in self.told.values_mut().filter(|told| told.held_back > 0) {
            writeln!(self.out, "{:14}{} {} more {}", "", paint(self.palette.dim, "…"), told.held_back, told.words)?;
            told.held_back = 0;
            told.words.clear();
        }
        self.out.flush()
    }

    fn summary(&mut self, report: &Report) -> io::Result<()> {
        let palette = self.palette;
        self.settle()?;
        self.parents(report)?;
        self.stuck(report)?;
        self.drops(report)?;
        harm::stops(&mut self.out, palette, report)?;
        harm::forks(&mut self.out, palette, report)?;
        self.notes(report)?;
        self.totals(report)?;
        self.out.flush()
    }
}

/// `python3 (1234, pid 1 in docker 3f2a91c04b7e)`.
pub(super) fn name(palette: Palette, process: &ProcessRecord) -> String {
    let mut details = vec![process.pid.to_string()];
    match (&process.container, process.ns_pid) {
        (Some(container), Some(ns_pid)) if ns_pid != process.pid => {
            details.push(format!("pid {ns_pid} in {}", container_name(container)));
        }
        (Some(container), _) => details.push(format!("in {}", container_name(container))),
        (None, Some(ns_pid)) if ns_pid != process.pid => details.push(format!("pid {ns_pid} in its namespace")),
        (None, _) => {}
    }
    format!("{} ({})", paint(palette.name, &process.comm), details.join(", "))
}

/// Who ran a sender of signals, where that is known.
fn run_by(sender: &ProcessRecord) -> String {
    sender.parent.as_ref().map_or_else(String::new, |parent| format!(", run by {} ({})", parent.comm, parent.pid))
}

/// What a person calls a container.
pub(super) fn container_name(container: &Container) -> String {
    if let Some(pod) = &container.pod {
        let namespace = container.namespace.as_deref().map(|it| format!("{it}/")).unwrap_or_default();
        return format!("pod {namespace}{pod}");
    }
    if let Some(name) = &container.name {
        return format!("{} {name}", container.runtime);
    }
    let short: String = container.id.chars().take(12).collect();
    format!("{} {short}", container.runtime)
}

fn zombies_in_words(palette: Palette, parent: &ParentRecord) -> String {
    match (parent.zombies_now, parent.oldest_ns) {
        (0, _) if parent.zombies_total == 1 => "1 zombie, gone".to_owned(),
        (0, _) => format!("{} zombies, all gone", parent.zombies_total),
        (now, Some(oldest)) => paint(palette.bad, format!("{now} zombies now, the oldest for {}", duration(oldest))),
        (now, None) => format!("{now} zombies now"),
    }
}
