//! How a scan is printed. All names in a report are escaped already.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use crate::{
    scan::{InitRecord, LimitKind, LimitRecord, Reason, Report, Verdict, ZombieRecord},
    text::duration,
};

use super::{
    Palette, Reporter,
    document::Plain,
    names::{container_name, with_command},
    style::paint,
};

/// Kinds of zombies shown for each parent, and pids for each kind.
const KINDS: usize = 8;
const PIDS: usize = 6;

impl<W: Write> Reporter<Report> for Plain<W> {
    fn report(&mut self, report: &Report) -> io::Result<()> {
        write(&mut self.out, report, self.palette)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn write(out: &mut (impl Write + ?Sized), report: &Report, palette: Palette) -> io::Result<()> {
    write_zombies(out, report, palette)?;
    write_inits(out, &report.inits, palette)?;
    write_limits(out, &report.limits, palette)
}

fn write_zombies(out: &mut (impl Write + ?Sized), report: &Report, palette: Palette) -> io::Result<()> {
    if report.zombies.is_empty() {
        write!(out, "{}", paint(palette.good, "No zombies"))?;
    } else {
        let title = format!("{} of {}", plural(report.zombies.len(), "zombie"), plural(report.parents.len(), "parent"));
        write!(out, "{}", paint(palette.heading, title))?;
    }
    match report.transient {
        0 => writeln!(out)?,
        count => writeln!(out, "; {count} more disappeared during the scan")?,
    }
    let mut start = 0;
    while let Some(first) = report.zombies.get(start) {
        // They come sorted by parent.
        let length = report.zombies[start..].iter().take_while(|zombie| same_parent(zombie, first)).count();
        write_parent(out, &report.zombies[start..start + length], palette)?;
        start += length;
    }
    if !report.zombies.is_empty() {
        let hint = "To see how long zombies stay and why, trace them: zombie-trace live";
        writeln!(out, "\n{}", paint(palette.dim, hint))?;
    }
    Ok(())
}

fn same_parent(one: &ZombieRecord, other: &ZombieRecord) -> bool {
    let key = |zombie: &ZombieRecord| zombie.parent.as_ref().map(|parent| (parent.pid, parent.start_ns));
    key(one) == key(other)
}

fn write_parent(out: &mut (impl Write + ?Sized), zombies: &[ZombieRecord], palette: Palette) -> io::Result<()> {
    writeln!(out)?;
    match &zombies[0].parent {
        Some(parent) => writeln!(out, "  {}", with_command(palette, parent))?,
        None => writeln!(out, "  parent is outside this pid namespace")?,
    }

    let mut kinds: BTreeMap<(&str, String), Vec<&ZombieRecord>> = BTreeMap::new();
    for zombie in zombies {
        kinds.entry((zombie.process.comm.as_str(), fate(zombie))).or_default().push(zombie);
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, zombies)| std::cmp::Reverse(zombies.len()));
    let shown = &kinds[..kinds.len().min(KINDS)];
    let name_width = width(shown.iter().map(|((name, _), _)| (*name).to_owned()));
    let fate_width = width(shown.iter().map(|((_, fate), _)| fate.clone()));
    let count_width = width(shown.iter().map(|(_, zombies)| zombies.len().to_string()));
    for ((name, fate), zombies) in shown {
        let oldest = zombies.iter().map(|zombie| zombie.process_age_ns).max().unwrap_or(0);
        let which = if zombies.len() == 1 { "started" } else { "oldest started" };
        writeln!(
            out,
            "    {name:name_width$}  {fate:fate_width$}  {:>count_width$}×  {which} {} ago, {}",
            zombies.len(),
            duration(oldest),
            pids(zombies),
        )?;
    }
    if kinds.len() > shown.len() {
        let rest: usize = kinds[shown.len()..].iter().map(|(_, zombies)| zombies.len()).sum();
        writeln!(out, "    and {rest} more")?;
    }
    Ok(())
}

/// How it ended and what holds it.
fn fate(zombie: &ZombieRecord) -> String {
    let mut fate = zombie.exit.as_ref().map_or_else(|| "exit status unknown".to_owned(), ToString::to_string);
    if zombie.live_threads > 0 {
        fate = format!("main thread exited, {} still running", plural(zombie.live_threads as usize, "thread"));
    }
    if let Some(held) = zombie.held_threads.first() {
        let by = held.tracer.as_ref().map_or_else(
            || "a tracer outside this pid namespace".to_owned(),
            |tracer| format!("tracer {} ({})", tracer.comm, tracer.pid),
        );
        fate.push_str(&format!(", held by {by}, which has not waited for thread {}", held.tid));
    }
    if let Some(tracer) = &zombie.tracer {
        fate.push_str(&format!(", held by tracer {} ({})", tracer.comm, tracer.pid));
    }
    fate
}

fn pids(zombies: &[&ZombieRecord]) -> String {
    let list: Vec<_> = zombies.iter().take(PIDS).map(|zombie| zombie.process.pid.to_string()).collect();
    let more = if zombies.len() > PIDS { ", …" } else { "" };
    format!("{} {}{more}", if zombies.len() == 1 { "pid" } else { "pids" }, list.join(", "))
}

fn write_inits(out: &mut (impl Write + ?Sized), inits: &[InitRecord], palette: Palette) -> io::Result<()> {
    if inits.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint(palette.heading, "What PID 1 of each pid namespace does with signals"))?;
    for init in inits {
        writeln!(out)?;
        let whose = if init.is_host { "  host init" } else { "" };
        writeln!(out, "  {}{whose}", with_command(palette, &init.process))?;
        let mut groups: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for record in &init.signals {
            let name = record.signal.strip_prefix("SIG").unwrap_or(&record.signal);
            groups.entry((record.verdict, record.reason, record.fetched_by)).or_default().push(name);
        }
        for ((verdict, reason, way), names) in groups {
            let (word, role, explanation) = match (verdict, reason) {
                (Verdict::Dropped, Some(Reason::Ignored)) => ("ignored", palette.dim, "disposition SIG_IGN"),
                (Verdict::Dropped, _) => ("dropped", palette.bad, "no handler, so the kernel drops it"),
                (Verdict::Blocked, _) => ("blocked", palette.dim, "blocked; stays pending unless PID 1 uses sigwait"),
                (Verdict::Unknown, _) => ("unknown", palette.dim, "no handler; cannot tell whether PID 1 uses sigwait"),
                (Verdict::Handled, _) => ("handled", palette.good, "by a handler"),
                (Verdict::Fetched, _) => ("fetched", palette.good, way.unwrap_or_default()),
            };
            let role = if init.is_host { palette.dim } else { role };
            writeln!(out, "    {}  {:31}  {explanation}", paint(role, word), names.join(" "))?;
        }
    }
    Ok(())
}

fn write_limits(out: &mut (impl Write + ?Sized), limits: &[LimitRecord], palette: Palette) -> io::Result<()> {
    if limits.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}\n", paint(palette.heading, "Pid limits"))?;
    let rows: Vec<[String; 4]> = limits.iter().map(row).collect();
    let widths: [usize; 4] = std::array::from_fn(|column| width(rows.iter().map(|row| row[column].clone())));
    for (limit, [what, used, allowed, zombies]) in limits.iter().zip(&rows) {
        let percent = format!("{:3}%", limit.per_mille() / 10);
        let role = if limit.per_mille() >= 800 { palette.bad } else { palette.dim };
        writeln!(
            out,
            "    {what:w0$}  {used:>w1$} of {allowed:>w2$}  {}  {zombies:>w3$}",
            paint(role, percent),
            w0 = widths[0],
            w1 = widths[1],
            w2 = widths[2],
            w3 = widths[3],
        )?;
    }
    Ok(())
}

fn row(limit: &LimitRecord) -> [String; 4] {
    let what = match limit.limit {
        LimitKind::Cgroup => match &limit.container {
            Some(container) => format!("pids.max of {}", container_name(container)),
            None => format!("pids.max of {}", limit.cgroup.as_deref().unwrap_or_default()),
        },
        LimitKind::User => format!("RLIMIT_NPROC of user {}", limit.uid.unwrap_or_default()),
        LimitKind::Machine => "kernel.pid_max".to_owned(),
    };
    [what, limit.used.to_string(), limit.allowed.to_string(), plural(limit.zombies as usize, "zombie")]
}

/// Name, pid, container, and what was started.
fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn width(texts: impl Iterator<Item = String>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::tests::a_bit_of_everything;

    #[test]
    fn text() {
        let report = Report::new(&a_bit_of_everything());
        let mut out = Vec::new();
        write(&mut out, &report, Palette::new(false)).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
    }

    #[test]
    fn nothing_found() {
        let mut out = Vec::new();
        write(&mut out, &Report::new(&crate::scan::Observation::default()), Palette::new(false)).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "No zombies\n");
    }

    #[test]
    fn json() {
        let report = Report::new(&a_bit_of_everything());
        insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap());
    }
}
