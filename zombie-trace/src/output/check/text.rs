//! For people, in the log of a CI job.

use std::io::{self, Write};

use super::{Outcome, containers, expired, headline, waiver};
use crate::{
    output::{Palette, Reporter, document::Plain, explain::explain_command, names::container_name, style::paint},
    policy::Violation,
    report::ProcessRecord,
    text::{duration, plural},
};

/// No line begins with a name from a traced process: what reads the log for commands finds none.
impl<W: Write> Reporter<Outcome<'_>> for Plain<W> {
    fn report(&mut self, outcome: &Outcome<'_>) -> io::Result<()> {
        write(&mut self.out, outcome, self.palette)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn write(out: &mut dyn Write, outcome: &Outcome<'_>, palette: Palette) -> io::Result<()> {
    let verdict = outcome.verdict;
    let (style, word) = match verdict.word() {
        "pass" => (palette.good, "passed"),
        "fail" => (palette.bad, "failed"),
        _ => (palette.doubtful, "could not measure"),
    };
    writeln!(out, "\nzombie-trace check {}: {}", paint(style, word), headline(outcome))?;
    for violation in &verdict.violations {
        writeln!(out)?;
        one(violation, palette, out)?;
    }
    if let Some(command) = explain_command(verdict.violations.iter().map(|violation| violation.explain)) {
        writeln!(out, "\n  {}", paint(palette.dim, format_args!("how to correct them: {command}")))?;
    }
    for waived in &verdict.waived {
        writeln!(out, "\n  {}  {}", paint(palette.dim, "allowed"), waived.violation.title)?;
        writeln!(out, "    {}", waived.violation.id)?;
        writeln!(out, "    {}", waiver(&waived.by))?;
    }
    if !(verdict.expired.is_empty() && verdict.unused.is_empty() && verdict.notes.is_empty()) {
        writeln!(out)?;
    }
    for entry in &verdict.expired {
        writeln!(out, "  {}  policy entry {}", paint(palette.doubtful, "expired"), expired(entry))?;
    }
    for entry in &verdict.unused {
        writeln!(out, "  {}  nothing matches policy entry `{entry}`", paint(palette.dim, "note"))?;
    }
    for note in &verdict.notes {
        writeln!(out, "  {}  {note}", paint(palette.dim, "note"))?;
    }
    if let Some(report) = outcome.report {
        containers::text(report, palette, out)?;
        writeln!(out)?;
        let totals = report.totals;
        writeln!(out, "  command       {}", outcome.command)?;
        if let Some(exit) = report.command.as_ref().and_then(|command| command.exit.as_ref()) {
            writeln!(out, "  exit status   {exit}")?;
        }
        writeln!(
            out,
            "  seen          {}, {}, {} reaped",
            plural(totals.exits, "exit", "exits"),
            plural(totals.zombies, "zombie", "zombies"),
            totals.reaped
        )?;
        if let (Some(p99), Some(max)) = (report.latency.p99_ns, report.latency.max_ns) {
            writeln!(out, "  time to reap  p99 {}, max {}", duration(p99), duration(max))?;
        }
        if report.loss.events > 0 {
            writeln!(out, "  lost          {} events", report.loss.events)?;
        }
    }
    Ok(())
}

fn one(violation: &Violation, palette: Palette, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  {}  {}", paint(palette.bad, violation.rule.id()), paint(palette.name, &violation.title))?;
    writeln!(out, "    id       {}", violation.id)?;
    if let Some(process) = &violation.process {
        let more = match violation.processes {
            0 | 1 => String::new(),
            many => format!(", the worst of {many}"),
        };
        writeln!(out, "    process  {}{more}", who(process))?;
    }
    if violation.processes > 1 || violation.limit > 0 {
        writeln!(out, "    count    {}, {} allowed", violation.amount, violation.limit)?;
    }
    writeln!(out, "    why      {}", violation.detail.replace('\n', " "))
}

/// A process in a few words.
pub(super) fn who(process: &ProcessRecord) -> String {
    let inner = process.ns_pid.filter(|&ns_pid| ns_pid != process.pid);
    let inner = inner.map_or_else(String::new, |ns_pid| format!(", pid {ns_pid} in its namespace"));
    let arguments = process.cmdline.as_ref().map_or_else(String::new, |cmdline| format!(": {cmdline}"));
    let container = process.container.as_ref().map_or_else(String::new, |it| format!(", in {}", container_name(it)));
    format!("{} ({}{inner}{container}){arguments}", process.comm, process.pid)
}
