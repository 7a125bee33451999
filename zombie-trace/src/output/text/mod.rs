//! Text for people: a line for what happens, a summary sorted by what hurts most, names before numbers.

mod consequences;
mod ended;
mod limits;
mod summary;

use std::io::{self, Write};

use self::limits::{Label, LineLimits, Subject};
use super::{
    Palette, Reporter,
    names::{command, name, pid_1, sender},
    style::paint,
    time::time_of_day,
};
use crate::{
    model::{Precision, Relation},
    report::{Moment, Notice, ProcessRecord, Report, ZombieRecord},
    text::duration,
};

/// Zombies printed individually per parent, and reaps per reaper; further ones are only counted.
const MAX_ZOMBIE_LINES: u64 = 3;
/// Children whose status is discarded printed individually per parent.
const MAX_DISCARD_LINES: u64 = 1;
/// Drops of one signal printed individually per PID 1.
const MAX_DROP_LINES: u64 = 3;
/// Ends of processes printed individually, good and other ones.
const MAX_END_LINES: u64 = 20;
/// Failed forks printed individually.
const MAX_FORK_LINES: u64 = 3;

/// Columns in front of what is said about a line.
const EVIDENCE: usize = 23;

/// The text output.
#[derive(Debug)]
pub struct Text<W> {
    out: W,
    palette: Palette,
    limits: LineLimits,
}

impl<W: Write> Text<W> {
    /// Writes to `out` in these styles.
    pub fn new(out: W, palette: Palette) -> Self {
        Self { out, palette, limits: LineLimits::default() }
    }

    fn line(&mut self, time: Moment, head: String, words: &str) -> io::Result<()> {
        writeln!(self.out, "{}  {head}  {words}", paint(self.palette.dim, time_of_day(time)))
    }

    fn evidence(&mut self, evidence: &[String]) -> io::Result<()> {
        for evidence in evidence {
            writeln!(self.out, "{:EVIDENCE$}{}", "", paint(self.palette.dim, evidence))?;
        }
        Ok(())
    }

    fn zombie(&mut self, zombie: &ZombieRecord) -> io::Result<()> {
        let palette = self.palette;
        let parent = zombie.parent.as_ref();
        let label = || Label::new("zombie", "zombies", &format!(" of {}", name_or_parent(palette, parent)));
        if !self.limits.should_print(subject("zombie", parent), MAX_ZOMBIE_LINES, label) {
            return Ok(());
        }
        let exit = zombie.exit.as_ref().map(|exit| format!(", {exit}")).unwrap_or_default();
        let age = format!("{}{}", if zombie.preexisting { "at least " } else { "" }, duration(zombie.age_ns));
        const RUNS: &str = "parent runs ";
        let command = parent.and_then(|parent| command(palette, parent, EVIDENCE + RUNS.len()));
        let command = command.map(|command| format!("{RUNS}{command}"));
        let parent = parent.map_or_else(|| "unknown".to_owned(), |parent| name(palette, parent));
        let words = format!(
            "{}{exit}, unreaped for {age}; parent {parent}: {}",
            name(palette, &zombie.process),
            zombie.cause.id()
        );
        self.line(zombie.time, paint(palette.bad, "zombie "), &words)?;
        self.evidence(command.as_slice())?;
        self.evidence(&zombie.evidence)
    }
}

/// What is limited for this process.
fn subject(kind: &'static str, process: Option<&ProcessRecord>) -> Subject {
    let (pid, start) = process.map_or((0, 0), |process| (process.pid, process.start_ns));
    (kind, pid, start, 0)
}

fn name_or_parent(palette: Palette, parent: Option<&ProcessRecord>) -> String {
    parent.map_or_else(|| "its parent".to_owned(), |parent| name(palette, parent))
}

impl<W: Write> Reporter for Text<W> {
    fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        let palette = self.palette;
        match notice {
            Notice::Zombie(zombie) => self.zombie(zombie),
            Notice::Reaped { time, process, zombie_ns, precision, parent, reaper, .. } => {
                let subject = subject("reaped", reaper.as_ref().or(parent.as_ref()));
                let by = reaper.as_ref().map(|it| name(palette, it));
                let label = || {
                    let by = by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
                    Label::new("zombie", "zombies", &format!(" reaped{by}"))
                };
                if !self.limits.should_print(subject, MAX_ZOMBIE_LINES, label) {
                    return Ok(());
                }
                let bound = match *precision {
                    Precision::Exact => "",
                    Precision::UpperBound => "at most ",
                    Precision::LowerBound => "at least ",
                };
                let by = by.map_or_else(String::new, |by| format!(", by {by}"));
                let words = format!("{}, a zombie for {bound}{}{by}", name(palette, process), duration(*zombie_ns));
                self.line(*time, paint(palette.good, "reaped "), &words)
            }
            Notice::AutoReaped { time, process, parent, .. } => {
                let parent = parent.as_ref();
                let label = || {
                    let by = format!(" discarded by {}", name_or_parent(palette, parent));
                    Label::new("exit status", "exit statuses", &by)
                };
                if !self.limits.should_print(subject("auto", parent), MAX_DISCARD_LINES, label) {
                    return Ok(());
                }
                let words = format!(
                    "{} left no zombie: {} discards exit statuses (SIG_IGN or SA_NOCLDWAIT)",
                    name(palette, process),
                    name_or_parent(palette, parent)
                );
                self.line(*time, paint(palette.dim, "discard"), &words)
            }
            Notice::StatusStolen { time, process, parent, evidence, taken_by, missed_by } => {
                let parent = parent.as_ref();
                let taker = if taken_by == missed_by { "a signal handler" } else { "another thread" };
                let to = format!(" went to {taker} of {}", name_or_parent(palette, parent));
                let label = || Label::new("exit status", "exit statuses", &to);
                if !self.limits.should_print(subject("stolen", parent), MAX_ZOMBIE_LINES, label) {
                    return Ok(());
                }
                let words = format!("exit status of {}{to}", name(palette, process));
                self.line(*time, paint(palette.bad, "stolen "), &words)?;
                self.evidence(evidence)
            }
            Notice::Stuck(stuck) => {
                let words = format!(
                    "{} has been stuck exiting for {}: {}",
                    name(palette, &stuck.process),
                    duration(stuck.age_ns),
                    stuck.cause.id()
                );
                self.line(stuck.time, paint(palette.bad, "stuck  "), &words)?;
                self.evidence(&stuck.evidence)
            }
            Notice::SignalDropped { time, signal, number, target, reason, sender: from, relation } => {
                let to = format!(" to {}", pid_1(palette, target));
                let label = || Label::new(signal, signal, &to);
                let subject = ("signal", target.pid, target.start_ns, *number);
                if !self.limits.should_print(subject, MAX_DROP_LINES, label) {
                    return Ok(());
                }
                let place = match *relation {
                    Relation::Kernel => "",
                    Relation::Inside => " from inside the namespace",
                    Relation::Outside => " from outside the namespace",
                };
                let words = format!("{signal}{to}: {}; sent by {}{place}", reason.id(), sender(palette, from.as_ref()));
                self.line(*time, paint(palette.bad, "dropped"), &words)
            }
            Notice::StopFailed { time, evidence, .. } => {
                let words = consequences::failed_stop(palette, notice);
                self.line(*time, paint(palette.bad, "killed "), &words)?;
                self.evidence(evidence)
            }
            Notice::Ended(ended) => {
                let subject = ("end", 0, 0, u32::from(ended.exit_status == 0));
                if !self.limits.should_print(subject, MAX_END_LINES, || Label::new("end", "ends", "")) {
                    return Ok(());
                }
                let style = if ended.exit_status == 0 { palette.dim } else { palette.doubtful };
                self.line(ended.time, paint(style, "ended  "), &ended::words(palette, ended))
            }
            Notice::ForkFailed { time, process, limit, .. } => {
                let label = || Label::new("failed fork", "failed forks", &format!(" ({})", limit.id()));
                if !self.limits.should_print(("fork", 0, 0, 0), MAX_FORK_LINES, label) {
                    return Ok(());
                }
                let words = consequences::failed_fork(name(palette, process), notice);
                self.line(*time, paint(palette.bad, "no fork"), &words)
            }
            Notice::Loss { time, events } => {
                let words = format!("{events} events; rebuilding state from /proc");
                self.line(*time, paint(palette.doubtful, "lost   "), &words)
            }
        }
    }

    fn flush_suppressed(&mut self) -> io::Result<()> {
        for suppressed in self.limits.take_suppressed() {
            writeln!(self.out, "{:14}{} {suppressed}, not shown", "", paint(self.palette.dim, "…"))?;
        }
        self.out.flush()
    }

    fn report(&mut self, report: &Report) -> io::Result<()> {
        let palette = self.palette;
        self.flush_suppressed()?;
        let out = &mut self.out;
        summary::parents(out, palette, report)?;
        summary::stuck(out, palette, report)?;
        summary::drops(out, palette, report)?;
        consequences::stops(out, palette, report)?;
        ended::ends(out, palette, report)?;
        consequences::forks(out, palette, report)?;
        summary::notes(out, palette, report)?;
        summary::totals(out, palette, report)?;
        summary::pointer(out, palette, report)?;
        out.flush()
    }
}
