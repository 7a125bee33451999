//! `zombie-trace scan`: what there is now. Reads `/proc` twice and needs no BPF.

use std::{
    collections::HashMap,
    io::{self, Write},
    path::PathBuf,
    thread,
    time::Duration,
};

use thiserror::Error;

use crate::{
    container::{self, Container},
    event::{Event, ProcessKey, Seed, What},
    output,
    report::Clock,
    scan::{Init, Observation, Report},
    source::proc::{PidsUsage, ProcError, ProcReader, boot_clock_now, wall_clock_offset},
};

/// Between the two looks: what is reaped within is no zombie to speak of.
const BETWEEN_LOOKS: Duration = Duration::from_millis(120);

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object, schema [`crate::scan::SCHEMA`].
    Json,
}

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

/// What a scan came to, for the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing found: 0.
    Clean,
    /// Zombies that were seen twice, or a container's PID 1 that drops SIGTERM: 1.
    Findings,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ScanError {
    /// Could not measure: 3.
    #[error(transparent)]
    Proc(#[from] ProcError),
    /// The report could not be written. That the reader has gone (`BrokenPipe`) is for the caller to call success.
    #[error("cannot write the report")]
    Output(#[from] io::Error),
}

/// Looks twice, prints what was found.
///
/// # Errors
///
/// If the processes cannot be listed, or the report cannot be written.
pub fn run(options: ScanOptions<'_>) -> Result<Outcome, ScanError> {
    let observation = observe(&ProcReader::new(options.proc))?;
    for note in notes(&observation) {
        writeln!(options.notes, "{note}")?;
    }
    let report = Report::new(&observation);
    match options.format {
        Format::Text => output::scan::write(options.out, &report, options.color)?,
        Format::Json => {
            serde_json::to_writer(&mut *options.out, &report).map_err(io::Error::from)?;
            writeln!(options.out)?;
        }
    }
    options.out.flush()?;
    Ok(if report.has_findings() { Outcome::Findings } else { Outcome::Clean })
}

/// What of the answer is missing for want of permission.
fn notes(observation: &Observation) -> Vec<String> {
    let mut notes = Vec::new();
    let hidden = observation.first.iter().filter(|seed| !seed.is_zombie && seed.exe.is_none()).count();
    if hidden > 0 {
        notes.push(format!(
            "of {hidden} of {} processes the executable could not be read: run as root to see it",
            observation.first.len()
        ));
    }
    let statuses = observation.second.iter().filter(|seed| seed.status.is_none()).count();
    if statuses > 0 {
        notes.push(format!("of {statuses} zombies the exit status could not be read: run as root to see it"));
    }
    let masked = observation.inits.iter().filter(|init| init.takers.main_thread.is_none()).count();
    if masked > 0 {
        notes.push(format!(
            "of {masked} inits it could not be seen whether they wait for signals with sigwait or signalfd: run as root \
             to see it"
        ));
    }
    notes
}

/// Reads the machine.
fn observe(reader: &ProcReader) -> Result<Observation, ScanError> {
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
        time: Clock { offset_ns: wall_clock_offset() }.rfc3339(now),
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
    let seed = |event: Event| if let What::Seed(seed) = event.what { Some(*seed) } else { None };
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
    let mut surroundings = Surroundings { reader, lines: HashMap::new(), usages: HashMap::new() };
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
        observation.containers.extend(container_of(&lines).map(|container| (process, container)));
        observation.cgroups.insert(process, surroundings.usage(&lines));
    }
}

/// Remembers, as many processes share their cgroup.
struct Surroundings<'a> {
    reader: &'a ProcReader,
    lines: HashMap<ProcessKey, Vec<u8>>,
    usages: HashMap<Vec<u8>, Vec<PidsUsage>>,
}

impl Surroundings<'_> {
    fn lines(&mut self, process: ProcessKey) -> Vec<u8> {
        let reader = self.reader;
        self.lines.entry(process).or_insert_with(|| reader.cgroup_lines(process).unwrap_or_default()).clone()
    }

    fn container(&mut self, process: ProcessKey) -> Option<Container> {
        container_of(&self.lines(process))
    }

    fn usage(&mut self, lines: &[u8]) -> Vec<PidsUsage> {
        let reader = self.reader;
        self.usages.entry(lines.to_vec()).or_insert_with(|| reader.pids_usage(lines)).clone()
    }
}

fn container_of(lines: &[u8]) -> Option<Container> {
    container::container(container::from_proc_cgroup(&String::from_utf8_lossy(lines))?)
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
