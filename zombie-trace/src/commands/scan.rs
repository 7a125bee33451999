//! `zombie-trace scan`: what there is now. Reads `/proc` twice and needs no BPF.

use std::{
    collections::HashMap,
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::Context;

use super::Format;
use crate::{
    commands::Exit,
    container::{self, Container, Lookup},
    event::{Event, Fact, ProcessKey, Seed, What},
    output::{self, Palette},
    report::Clock,
    scan::{Init, Observation, Report},
    source::proc::{PidsUsage, ProcReader, boot_clock_now, wall_clock_offset},
};

/// Between the two looks: what is reaped within is no zombie to speak of.
const BETWEEN_LOOKS: Duration = Duration::from_millis(120);

/// What to do.
pub struct ScanOptions<'a> {
    /// Where processes are: `/proc`.
    pub proc: PathBuf,
    /// How to print.
    pub format: Format,
    /// Whether text may be coloured.
    pub color: bool,
    /// Where the report goes: stdout.
    pub out: &'a mut dyn Write,
    /// Where goes what could not be seen: stderr.
    pub notes: &'a mut dyn Write,
}

/// Looks twice, prints what was found.
///
/// # Errors
///
/// The processes cannot be listed, or the report cannot be written.
pub fn run(options: ScanOptions<'_>) -> anyhow::Result<Exit> {
    let observation = observe(&ProcReader::new(options.proc))?;
    for note in notes(&observation, rustix::process::geteuid().is_root()) {
        writeln!(options.notes, "{note}")?;
    }
    let report = Report::new(&observation);
    match print(&report, options.format, options.color, options.out) {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        result => result.context("cannot write the report")?,
    }
    Ok(if report.has_findings() { Exit::Findings } else { Exit::Clean })
}

fn print(report: &Report, format: Format, color: bool, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Text => output::scan::write(out, report, Palette::new(color))?,
        Format::Json => {
            serde_json::to_writer(&mut *out, report).map_err(io::Error::from)?;
            writeln!(out)?;
        }
    }
    out.flush()
}

/// What of the answer is missing for want of permission.
fn notes(observation: &Observation, is_root: bool) -> Vec<String> {
    let first = &observation.first;
    let executables = first.iter().filter(|seed| !seed.is_zombie && seed.exe.is_none()).count();
    let statuses = observation.second.iter().filter(|seed| seed.status.is_none()).count();
    let waits = observation.inits.iter().filter(|init| init.takers.main_thread.is_none()).count();
    let zombies = observation.second.len();
    let inits = observation.inits.len();
    // Some programs are closed even to root.
    let hint = if is_root { "" } else { "; run as root to see it" };
    [
        (executables, format!("the executables of {executables} of {} processes", first.len())),
        (statuses, format!("the exit status of {statuses} of {zombies} zombies")),
        (waits, format!("whether {waits} of {inits} inits wait for signals with sigwait")),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(_, what)| format!("zombie-trace: not to be seen: {what}{hint}"))
    .collect()
}

/// Reads the machine.
fn observe(reader: &ProcReader) -> anyhow::Result<Observation> {
    let first = seeds(reader.seed_all()?);
    let candidates: Vec<&Seed> = first.iter().filter(|seed| seed.is_zombie).collect();
    if !candidates.is_empty() {
        thread::sleep(BETWEEN_LOOKS);
    }
    let again =
        candidates.iter().filter_map(|seed| reader.seed(seed.process.pid).filter(|s| s.process == seed.process));
    let second: Vec<Seed> = again.filter(|seed| seed.is_zombie).collect();
    let now = boot_clock_now();
    let mut observation = Observation {
        time: output::rfc3339(Clock { offset_ns: wall_clock_offset() }.moment(now)),
        host: text_file(reader, "sys/kernel/hostname").unwrap_or_default(),
        kernel: text_file(reader, "sys/kernel/osrelease").unwrap_or_default(),
        now,
        inits: inits(reader, &first),
        tasks: tasks(reader),
        first,
        second,
        ..Observation::default()
    };
    look_up_surroundings(reader, &mut observation);
    Ok(observation)
}

fn seeds(events: Vec<Event>) -> Vec<Seed> {
    let seed = |event: Event| if let What::Fact(Fact::Seed(seed)) = event.what { Some(*seed) } else { None };
    events.into_iter().filter_map(seed).collect()
}

fn inits(reader: &ProcReader, seeds: &[Seed]) -> Vec<Init> {
    let inits = seeds.iter().filter(|seed| !seed.is_zombie && seed.ns_pids.last() == Some(&1));
    inits
        .filter_map(|seed| {
            let process = seed.process;
            let facts = reader.facts(process.pid, process.start_ns)?;
            Some(Init { process, facts, takers: reader.signal_takers(process)? })
        })
        .collect()
}

/// Containers, cgroups and limits of those that the report will name.
fn look_up_surroundings(reader: &ProcReader, observation: &mut Observation) {
    let parents: HashMap<u32, ProcessKey> =
        observation.first.iter().map(|seed| (seed.process.pid, seed.process)).collect();
    let mut surroundings = Surroundings {
        reader,
        now: Duration::from_nanos(observation.now),
        lookup: Lookup::new(Path::new("/")),
        lines: HashMap::new(),
        usages: HashMap::new(),
        containers: HashMap::new(),
    };
    let named: Vec<(ProcessKey, Option<ProcessKey>)> = observation
        .second
        .iter()
        .map(|zombie| (zombie.process, parents.get(&zombie.parent_pid).copied()))
        .chain(observation.inits.iter().map(|init| (init.process, None)))
        .collect();
    for (process, parent) in named {
        if let Some(parent) = parent
            && !observation.containers.contains_key(&parent)
        {
            observation.containers.extend(surroundings.container(parent).map(|container| (parent, container)));
            observation.process_limits.extend(process_limit(reader, parent).map(|limit| (parent, limit)));
        }
        let mut lines = surroundings.lines(process);
        // A zombie's v1 lines all read `/`: then it is charged where its parent is, as far as can be told.
        if is_all_root(&lines)
            && let Some(parent) = parent
        {
            lines = surroundings.lines(parent);
        }
        observation.containers.extend(surroundings.container_of(&lines).map(|container| (process, container)));
        observation.cgroups.insert(process, surroundings.usage(&lines));
    }
}

/// Remembers, as many processes share their cgroup.
struct Surroundings<'a> {
    reader: &'a ProcReader,
    now: Duration,
    lookup: Lookup,
    lines: HashMap<ProcessKey, Vec<u8>>,
    usages: HashMap<Vec<u8>, Vec<PidsUsage>>,
    containers: HashMap<String, Option<Container>>,
}

impl Surroundings<'_> {
    fn lines(&mut self, process: ProcessKey) -> Vec<u8> {
        let reader = self.reader;
        self.lines.entry(process).or_insert_with(|| reader.cgroup_lines(process).unwrap_or_default()).clone()
    }

    fn container(&mut self, process: ProcessKey) -> Option<Container> {
        let lines = self.lines(process);
        self.container_of(&lines)
    }

    fn container_of(&mut self, lines: &[u8]) -> Option<Container> {
        let lines = String::from_utf8_lossy(lines);
        let path = container::from_proc_cgroup(&lines)?;
        if let Some(known) = self.containers.get(path) {
            return known.clone();
        }
        let container = self.lookup.container(path, self.now);
        self.containers.insert(path.to_owned(), container.clone());
        container
    }

    fn usage(&mut self, lines: &[u8]) -> Vec<PidsUsage> {
        let reader = self.reader;
        self.usages.entry(lines.to_vec()).or_insert_with(|| reader.pids_usage(lines)).clone()
    }
}

fn is_all_root(lines: &[u8]) -> bool {
    container::from_proc_cgroup(&String::from_utf8_lossy(lines)).is_none_or(|path| path == "/")
}

/// The soft limit of "Max processes"; `None` if there is none.
fn process_limit(reader: &ProcReader, process: ProcessKey) -> Option<u64> {
    let limits = reader.file(process, "limits")?;
    let limits = String::from_utf8_lossy(&limits);
    let line = limits.lines().find_map(|line| line.strip_prefix("Max processes"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Tasks that there are ("running/total" in `loadavg`, zombies and kernel threads included), and `pid_max`.
fn tasks(reader: &ProcReader) -> Option<(u64, u64)> {
    let load = text_file(reader, "loadavg")?;
    let tasks = load.split_ascii_whitespace().nth(3)?.split_once('/')?.1.parse().ok()?;
    Some((tasks, text_file(reader, "sys/kernel/pid_max")?.parse().ok()?))
}

fn text_file(reader: &ProcReader, path: &str) -> Option<String> {
    let text = std::fs::read(reader.root().join(path)).ok()?;
    Some(String::from_utf8_lossy(text.trim_ascii()).into_owned())
}

#[cfg(test)]
mod tests {
    use std::{process::Command, time::Instant};

    use super::*;

    fn scan(out: &mut dyn Write) -> anyhow::Result<Exit> {
        let mut notes = Vec::new();
        run(ScanOptions { proc: "/proc".into(), format: Format::Json, color: false, out, notes: &mut notes })
    }

    #[test]
    fn a_child_that_nobody_waits_for_is_found_with_its_parent() {
        let mut child = Command::new("/bin/sh").args(["-c", "exit 7"]).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let reader = ProcReader::new("/proc".into());
        while !reader.seed(child.id()).unwrap().is_zombie {
            assert!(Instant::now() < deadline);
            thread::yield_now();
        }
        let mut out = Vec::new();
        assert_eq!(scan(&mut out).unwrap(), Exit::Findings);
        child.wait().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let zombies = report["zombies"].as_array().unwrap();
        let zombie = zombies.iter().find(|zombie| zombie["process"]["pid"] == child.id()).unwrap();
        assert_eq!(zombie["exit"]["code"], 7);
        assert_eq!(zombie["parent"]["pid"], std::process::id());
        assert!(zombie["state_since"].is_null());
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        scan(&mut Gone).unwrap();
    }

    #[test]
    fn what_could_not_be_seen_is_said() {
        let mut seed = ProcReader::new("/proc".into()).seed(std::process::id()).unwrap();
        seed.exe = None;
        let observation = Observation { first: vec![seed], ..Observation::default() };
        assert_eq!(
            notes(&observation, false),
            ["zombie-trace: not to be seen: the executables of 1 of 1 processes; run as root to see it"]
        );
    }
}
