//! `zombie-trace scan`: what there is now. Reads `/proc` twice and needs no BPF.

use std::{
    collections::{BTreeSet, HashMap},
    io::{self, Write},
    thread,
    time::Duration,
};

use anyhow::Context;

use super::Format;
use crate::{
    commands::Exit,
    container::{self, Container},
    event::{Event, Fact, ProcessKey, Seed, Task, What},
    output::{self, Palette, Reporter},
    report::Clock,
    scan::{Init, Observation, Report},
    source::{
        asker::{Asker, Question, Reply, named},
        proc::{PidsUsage, ProcReader, boot_clock_now, wall_clock_offset},
    },
};

/// Between the two looks: what is reaped within is no zombie to speak of.
const BETWEEN_LOOKS: Duration = Duration::from_millis(120);

/// What to do.
pub struct ScanOptions<'a> {
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
    let (observation, shortfall) = observe(&mut Asker::new(), &ProcReader::new("/proc".into()))?;
    if let Some(shortfall) = shortfall {
        writeln!(options.notes, "zombie-trace: {shortfall}")?;
    }
    for note in notes(&observation, rustix::process::geteuid().is_root()) {
        writeln!(options.notes, "{note}")?;
    }
    let report = Report::new(&observation);
    let mut output: Box<dyn Reporter<Report> + '_> = match options.format {
        Format::Text => Box::new(output::document::Plain::new(options.out, Palette::of_stdout(options.color))),
        Format::Json => Box::new(output::document::Json(options.out)),
    };
    match output.report(&report).and_then(|()| output.finish()) {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        result => result.context("cannot write the report")?,
    }
    Ok(if report.has_findings() { Exit::Findings } else { Exit::Clean })
}

/// What of the answer is missing for want of permission.
fn notes(observation: &Observation, is_root: bool) -> Vec<String> {
    let first = &observation.first;
    let executables = first.iter().filter(|seed| !seed.is_zombie && seed.exe.is_none()).count();
    let statuses = observation.second.iter().filter(|seed| seed.status.is_none()).count();
    let waits: Vec<u32> = observation
        .inits
        .iter()
        .filter(|init| init.takers.main_thread.is_none())
        .map(|init| init.process.pid)
        .collect();
    let zombies = observation.second.len();
    let inits = observation.inits.len();
    // Some programs are closed even to root.
    let hint = if is_root { "" } else { "; run as root" };
    [
        (executables, format!("read the executable path of {executables} of {} processes", first.len())),
        (statuses, format!("read the exit status of {statuses} of {zombies} zombies")),
        (
            waits.len(),
            format!("tell whether {} of {inits} PID 1 processes use sigwait (pid {})", waits.len(), named(&waits)),
        ),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(_, what)| format!("zombie-trace: could not {what}{hint}"))
    .collect()
}

/// Reads the machine.
fn observe(asker: &mut Asker, reader: &ProcReader) -> anyhow::Result<(Observation, Option<String>)> {
    let mut scan = asker.scan()?;
    let first = seeds(std::mem::take(&mut scan.seeds));
    let candidates: Vec<&Seed> = first.iter().filter(|seed| seed.is_zombie).collect();
    if !candidates.is_empty() {
        thread::sleep(BETWEEN_LOOKS);
    }
    let again = asker.ask_all(candidates.iter().map(|seed| Question::Seed(seed.process.pid)).collect());
    let mut second = Vec::new();
    let mut partly = Vec::new();
    for (first, again) in candidates.iter().zip(again) {
        match again {
            Ok(Reply::Seed(_, Some(seed), _)) if seed.process == first.process && seed.is_zombie => second.push(*seed),
            Ok(_) => {}
            Err(_) => partly.push(first.process.pid),
        }
    }
    let unsure = partly.len();
    let now = boot_clock_now();
    let mut observation = Observation {
        time: output::rfc3339(Clock { offset_ns: wall_clock_offset() }.moment(now)),
        host: text_file(reader, "sys/kernel/hostname").unwrap_or_default(),
        kernel: text_file(reader, "sys/kernel/osrelease").unwrap_or_default(),
        now,
        inits: inits(asker, &first, &mut partly),
        threads: threads(asker, &second, &mut partly),
        unsure,
        tasks: tasks(reader),
        first,
        second,
        ..Observation::default()
    };
    look_up_surroundings(asker, &mut observation, &mut partly);
    scan.brief.extend(partly);
    scan.brief.sort_unstable();
    scan.brief.dedup();
    Ok((observation, scan.shortfall()))
}

fn seeds(events: Vec<Event>) -> Vec<Seed> {
    let seed = |event: Event| if let What::Fact(Fact::Seed(seed)) = event.what { Some(*seed) } else { None };
    events.into_iter().filter_map(seed).collect()
}

/// Who is not answered about is added to `partly`.
fn inits(asker: &mut Asker, seeds: &[Seed], partly: &mut Vec<u32>) -> Vec<Init> {
    let inits: Vec<ProcessKey> = seeds
        .iter()
        .filter(|seed| !seed.is_zombie && seed.ns_pids.last() == Some(&1))
        .map(|seed| seed.process)
        .collect();
    let answers = asker.ask_all(inits.iter().copied().map(Question::Init).collect());
    inits
        .into_iter()
        .zip(answers)
        .filter_map(|(process, answer)| match answer {
            Ok(Reply::Init(Some(found))) => {
                let (facts, takers) = *found;
                Some(Init { process, facts, takers })
            }
            Ok(_) => None,
            Err(_) => {
                partly.push(process.pid);
                None
            }
        })
        .collect()
}

/// The threads of zombies that have more than the main one.
fn threads(asker: &mut Asker, zombies: &[Seed], partly: &mut Vec<u32>) -> HashMap<ProcessKey, Vec<Task>> {
    let processes: Vec<ProcessKey> =
        zombies.iter().filter(|zombie| zombie.threads > 1).map(|zombie| zombie.process).collect();
    let answers = asker.ask_all(processes.iter().copied().map(Question::Process).collect());
    let mut threads = HashMap::new();
    for (process, answer) in processes.into_iter().zip(answers) {
        match answer {
            Ok(Reply::Process(looked)) => threads.extend(looked.proc.map(|facts| (process, facts.tasks))),
            Ok(_) => {}
            Err(_) => partly.push(process.pid),
        }
    }
    threads
}

/// Containers, cgroups and limits of those that the report will name.
fn look_up_surroundings(asker: &mut Asker, observation: &mut Observation, partly: &mut Vec<u32>) {
    let parents: HashMap<u32, ProcessKey> =
        observation.first.iter().map(|seed| (seed.process.pid, seed.process)).collect();
    let named: Vec<(ProcessKey, Option<ProcessKey>)> = observation
        .second
        .iter()
        .map(|zombie| (zombie.process, parents.get(&zombie.parent_pid).copied()))
        .chain(observation.inits.iter().map(|init| (init.process, None)))
        .collect();
    let processes: BTreeSet<ProcessKey> =
        named.iter().flat_map(|&(process, parent)| [Some(process), parent]).flatten().collect();
    let answers = asker.ask_all(processes.iter().copied().map(Question::Environment).collect());
    let mut lines = HashMap::new();
    for (&process, answer) in processes.iter().zip(answers) {
        let Ok(Reply::Environment(of_cgroups, limit)) = answer else {
            partly.push(process.pid);
            continue;
        };
        lines.insert(process, of_cgroups.unwrap_or_default());
        if named.iter().any(|(_, parent)| *parent == Some(process)) {
            observation.process_limits.extend(limit.map(|limit| (process, limit)));
        }
    }
    // A zombie's v1 lines all read `/`: then it is charged where its parent is, as far as can be told.
    for &(process, parent) in &named {
        if let Some(of_parent) = parent.and_then(|parent| lines.get(&parent).cloned())
            && lines.get(&process).is_none_or(|lines| is_all_root(lines))
        {
            lines.insert(process, of_parent);
        }
    }
    // Many processes share their cgroup.
    let texts: Vec<Vec<u8>> = lines.values().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let usages = asker.ask_all(texts.iter().cloned().map(Question::Usage).collect());
    let usages: HashMap<&[u8], Vec<PidsUsage>> = texts
        .iter()
        .zip(usages)
        .filter_map(|(text, answer)| match answer {
            Ok(Reply::Usage(usage)) => Some((text.as_slice(), usage)),
            _ => None,
        })
        .collect();
    let path = |text: &[u8]| container::from_proc_cgroup(&String::from_utf8_lossy(text)).map(str::to_owned);
    let paths: Vec<String> = texts.iter().filter_map(|text| path(text)).collect();
    let containers = asker.ask_all(paths.iter().map(|path| Question::Containers(vec![path.clone()])).collect());
    let containers: HashMap<&str, Container> = paths
        .iter()
        .zip(containers)
        .filter_map(|(path, answer)| match answer {
            Ok(Reply::Containers(Ok(mut found))) => Some((path.as_str(), found.pop()??)),
            _ => None,
        })
        .collect();
    for &process in &processes {
        let Some(text) = lines.get(&process) else { continue };
        let container = path(text).and_then(|path| containers.get(path.as_str()).cloned());
        observation.containers.extend(container.map(|container| (process, container)));
    }
    for (process, _) in named {
        let usage = lines.get(&process).and_then(|text| usages.get(text.as_slice())).cloned();
        observation.cgroups.insert(process, usage.unwrap_or_default());
    }
}

fn is_all_root(lines: &[u8]) -> bool {
    container::from_proc_cgroup(&String::from_utf8_lossy(lines)).is_none_or(|path| path == "/")
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
        run(ScanOptions { format: Format::Json, color: false, out, notes: &mut notes })
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
            ["zombie-trace: could not read the executable path of 1 of 1 processes; run as root"]
        );
    }
}
