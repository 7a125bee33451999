//! `cargo xtask bench`: the cost of tracing, compared with no tracer and with other tools on this machine.
//!
//! All contestants run in turn, round by round, so that other load affects all of them; a figure is compared with that
//! of the same round without a tracer. No test depends on this.

mod check;
mod programs;
mod signals;
mod table;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use self::{
    programs::{Spent, Statistics},
    table::Table,
};
use crate::{
    setup::{self, Wants},
    system::{self, Root},
};

/// Measure what tracing costs: processes that start and end, signals, and a check, with and without a tracer
///
/// Builds with optimisations. Needs root. Peers are measured where they are installed: exitsnoop, forkstat.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask bench
  cargo xtask bench --rounds 9 --cycles 100000
  cargo xtask bench --check
  cargo xtask bench --write")]
pub(crate) struct Options {
    /// Rounds; the figures are their medians
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Processes to start, end and reap in a round
    #[arg(long, default_value_t = 40_000, value_parser = clap::value_parser!(u32).range(1000..))]
    cycles: u32,
    /// Only what `check` costs over the plain command
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Also write the figures to zombie-trace/docs/cost.md
    #[arg(long)]
    write: bool,
}

/// How long a tracer may take until it traces.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Start time allowed for one that does not report readiness.
const SILENT_START: Duration = Duration::from_secs(2);
/// The first contestants: no tracer, and two ways of ours.
const OF_SIGNALS: usize = 3;
/// The unit of the times in `/proc/PID/stat`, µs: USER_HZ is 100 on every architecture that Linux has BPF on.
const TICK_US: u64 = 10_000;

/// One line of the table of contestants.
struct Contestant {
    name: &'static str,
    /// The program and its arguments; `None` for no tracer.
    command: Option<Vec<String>>,
    /// Start of the stderr line that says that it traces.
    ready: Option<&'static str>,
    /// Whether the last line of stdout is a summary that says what was lost.
    tells_losses: bool,
}

/// The figures of one contestant in one round.
#[derive(Clone, Copy, Debug)]
struct Figures {
    cycle_us: f64,
    /// Its own CPU time.
    own_us: f64,
    start_ms: f64,
    lost: Option<u64>,
    /// By its programs in the kernel, if it is one whose descriptors are known.
    kernel: Option<Spent>,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    setup::ensure(Wants { tracefs: true, ..Wants::default() })?;
    if system::root() != Root::Already {
        bail!("a benchmark measures what it starts itself, without sudo between: run this as root");
    }
    let mut cargo = system::cargo();
    cargo.args(["build", "--release", "--workspace", "--bins"]);
    system::run(&mut cargo)?;
    let release = target_folder()?.join("release");
    let tool = release.join("zombie-trace");
    let cores = thread::available_parallelism().map_or(1, usize::from);
    if options.check {
        print!("{}", check::run(&tool, options.rounds, cores)?);
        return Ok(ExitCode::SUCCESS);
    }
    let recording = release.join("bench.ztr");
    let contestants = contestants(&release, &recording);
    println!("{} cycles of fork, exit and wait on {cores} cores, {} rounds", options.cycles, options.rounds);

    let mut figures: Vec<Vec<Figures>> = contestants.iter().map(|_| Vec::new()).collect();
    for round in 0..options.rounds {
        for (contestant, figures) in contestants.iter().zip(&mut figures) {
            eprint!("\rround {} of {}: {:<30}", round + 1, options.rounds, contestant.name);
            figures.push(measure(contestant, &release.join("zt-actor"), options.cycles, cores)?);
        }
    }
    eprintln!("\r{:<60}", "");
    let _ = fs::remove_file(&recording);
    let storm = table(&contestants, &figures);
    println!("{storm}");
    let signals = signals::run(&contestants[..OF_SIGNALS], &release.join("zt-actor"), options.rounds)?;
    println!("{signals}");
    let check = check::run(&tool, options.rounds, cores)?;
    print!("{check}");
    if options.write {
        let path = system::workspace().join("zombie-trace/docs/cost.md");
        fs::write(&path, document(options, cores, [&storm, &signals, &check]))
            .with_context(|| path.display().to_string())?;
        println!("written to {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn target_folder() -> Result<PathBuf> {
    // xtask itself is in target/debug.
    let own = std::env::current_exe().context("this program has a path")?;
    own.ancestors().nth(2).map(Path::to_owned).context("this program lies in the target folder")
}

fn contestants(release: &Path, recording: &Path) -> Vec<Contestant> {
    let own = release.join("zombie-trace").display().to_string();
    let words = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect());
    let mut all = vec![
        Contestant { name: "no tracer", command: None, ready: None, tells_losses: false },
        Contestant {
            name: "zombie-trace live",
            command: words(&[&own, "live", "--format", "json"]),
            ready: Some("tracing"),
            tells_losses: true,
        },
        Contestant {
            name: "zombie-trace live --ends",
            command: words(&[&own, "live", "--ends", "--format", "json"]),
            ready: Some("tracing"),
            tells_losses: true,
        },
        Contestant {
            name: "zombie-trace record",
            command: words(&[&own, "record", "--overwrite", "-o", &recording.display().to_string()]),
            ready: Some("tracing"),
            tells_losses: false,
        },
    ];
    for (name, arguments) in [("exitsnoop", &[][..]), ("forkstat", &["-e", "all"])] {
        if let Some(program) = system::find_program(name) {
            let program = program.display().to_string();
            let command = [&[program.as_str()], arguments].concat();
            all.push(Contestant { name, command: words(&command), ready: None, tells_losses: false });
        }
    }
    all
}

struct Tracer {
    child: Child,
    lines: Receiver<String>,
    start_ms: f64,
}

impl Tracer {
    fn start(command: &[String], ready: Option<&str>) -> Result<Self> {
        let began = Instant::now();
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} could not be started", command[0]))?;
        let (says, said) = channel();
        let (line_out, lines) = channel();
        let (stdout, stderr) = (child.stdout.take().context("a pipe")?, child.stderr.take().context("a pipe")?);
        thread::spawn(move || BufReader::new(stderr).lines().map_while(Result::ok).for_each(|it| drop(says.send(it))));
        // Only the last line is needed, but a full pipe would stop the tracer.
        thread::spawn(move || {
            let last = BufReader::new(stdout).lines().map_while(Result::ok).last();
            drop(line_out.send(last.unwrap_or_default()));
        });
        match ready {
            None => thread::sleep(SILENT_START),
            Some(word) => {
                let left = || START_LIMIT.saturating_sub(began.elapsed());
                while !said.recv_timeout(left()).context("it does not get ready")?.starts_with(word) {}
            }
        }
        Ok(Self { child, lines, start_ms: began.elapsed().as_secs_f64() * 1e3 })
    }

    /// CPU time used so far, µs.
    fn used_us(&self) -> Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).context("the tracer has ended")?;
        let fields: Vec<&str> = stat.rsplit_once(')').context("no stat")?.1.split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3).and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
        Ok((ticks(14) + ticks(15)) * TICK_US)
    }

    /// Stops it as Ctrl-C does, and returns the last line that it printed.
    fn stop(mut self) -> Result<String> {
        let pid = self.child.id().to_string();
        system::run(Command::new("kill").args(["-INT", &pid]))?;
        self.child.wait()?;
        Ok(self.lines.recv().unwrap_or_default())
    }
}

fn measure(contestant: &Contestant, actor: &Path, cycles: u32, cores: usize) -> Result<Figures> {
    let Some(command) = &contestant.command else {
        let cycle_us = storm(actor, cycles, cores)?;
        return Ok(Figures { cycle_us, own_us: 0.0, start_ms: 0.0, lost: None, kernel: None });
    };
    let tracer = Tracer::start(command, contestant.ready).with_context(|| contestant.name.to_owned())?;
    let (start_ms, before) = (tracer.start_ms, tracer.used_us()?);
    let cycle_us = storm(actor, cycles, cores)?;
    let own_us = (tracer.used_us()? - before) as f64 / f64::from(cycles);
    // Apart, because the kernel's statistics cost time themselves.
    let statistics = Statistics::begin()?;
    let before = Spent::by(&tracer.child)?;
    storm(actor, cycles, cores)?;
    let spent = Spent::by(&tracer.child)?.since(before, cycles);
    drop(statistics);
    let last = tracer.stop()?;
    let lost = contestant.tells_losses.then(|| losses(&last)).flatten();
    Ok(Figures { cycle_us, own_us, start_ms, lost, kernel: (spent.runs > 0.0).then_some(spent) })
}

/// Wall-clock time of a cycle, µs, as the storm itself measures it: `done cycles=N elapsed_ns=N`.
fn storm(actor: &Path, cycles: u32, cores: usize) -> Result<f64> {
    let mut command = Command::new(actor);
    command.args(["storm", "--cycles", &cycles.to_string(), "--jobs", &cores.to_string()]);
    Ok(elapsed_ns(&mut command)? as f64 / 1e3 / f64::from(cycles))
}

/// How long a storm took, ns, as it says itself at its end.
fn elapsed_ns(storm: &mut Command) -> Result<u64> {
    let output = storm.output().with_context(|| format!("{:?} could not be started", storm.get_program()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let elapsed = text.split("elapsed_ns=").nth(1).and_then(|rest| rest.trim().parse::<u64>().ok());
    elapsed.with_context(|| format!("the storm says {text:?}"))
}

/// `"loss":{"events":N}` of a summary.
fn losses(summary: &str) -> Option<u64> {
    let rest = summary.split(r#""loss":{"events":"#).nth(1)?;
    rest.split(|byte: char| !byte.is_ascii_digit()).next()?.parse().ok()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn table(contestants: &[Contestant], figures: &[Vec<Figures>]) -> Table {
    let mut table = Table::new(&["", "a cycle", "throughput", "own CPU", "in the kernel", "runs", "start-up", "lost"]);
    let untraced = &figures[0];
    for (contestant, figures) in contestants.iter().zip(figures) {
        let cycle = median(figures.iter().map(|it| it.cycle_us));
        let ratio = median(figures.iter().zip(untraced).map(|(traced, untraced)| untraced.cycle_us / traced.cycle_us));
        let told = |is_told: bool, text: String| if is_told { text } else { String::new() };
        let traces = contestant.command.is_some();
        let own = told(traces, format!("{:.1} µs", median(figures.iter().map(|it| it.own_us))));
        let start = median(figures.iter().map(|it| it.start_ms));
        let start = told(traces && contestant.ready.is_some(), format!("{start:.0} ms"));
        let lost = figures.iter().filter_map(|it| it.lost).max();
        let of_kernel = |part: fn(&Spent) -> f64| median(figures.iter().filter_map(|it| it.kernel.as_ref()).map(part));
        let is_known = figures.iter().any(|it| it.kernel.is_some());
        table.push([
            contestant.name.to_owned(),
            format!("{cycle:.1} µs"),
            format!("{ratio:.2}"),
            own,
            told(is_known, format!("{:.1} µs", of_kernel(|it| it.ns) / 1e3)),
            told(is_known, format!("{:.1}", of_kernel(|it| it.runs))),
            start,
            lost.map_or_else(String::new, |lost| lost.to_string()),
        ]);
    }
    table
}

/// The page of the documentation.
fn document(options: &Options, cores: usize, [storm, signals, check]: [&Table; 3]) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "# What it costs\n\n\
         Written by `cargo xtask bench --write`; medians of {} rounds, in which all took turns. Linux {}, {cores} cores{}.\n\n\
         ## A storm of processes\n\n\
         {} cycles of fork, exit and wait on all cores.\n\n{}\n\
         - a cycle: wall-clock time from one fork to the next.\n\
         - throughput: that of the same round without a tracer is 1.\n\
         - own CPU: processor time of the tracer itself, for each cycle.\n\
         - in the kernel: what the tracer's programs took in a cycle, and how often one ran, by the kernel's own\n  \
         statistics, which add some 60 ns to each run.\n\
         - lost: events.\n\n\
         ## A signal\n\n\
         Two processes that send each other a signal in turn. SIGTERM is told to user space, since it may be part of a stop; \
         SIGUSR1 is not.\n\n{}\n\
         ## A check\n\n\
         `true`, and a build of {} processes.\n\n{}\n\
         - overhead: over the plain command, the medians of the rounds' own differences.\n",
        options.rounds,
        kernel.trim().split('-').next().unwrap_or_default(),
        if model.is_empty() { String::new() } else { format!(", {model}") },
        options.cycles,
        storm.markdown(),
        signals.markdown(),
        check::STEPS,
        check.markdown(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_one_is_the_median() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
    }

    #[test]
    fn losses_are_read_from_the_summary() {
        assert_eq!(losses(r#"{"type":"summary","loss":{"events":12},"totals":{}}"#), Some(12));
        assert_eq!(losses("nothing"), None);
    }
}
