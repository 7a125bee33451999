//! `init-check`: plays the scenes under the tracer, and prints the grades.

mod files;
mod subject;

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Seek, Write},
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use caps::{CapSet, Capability};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

pub use subject::Subject;

use super::{Format, run};
use crate::{
    commands::Exit,
    event::ExitStatus,
    init_check::{
        ALL, Check, EventCollector, Judgement, Observation, SceneResult,
        plan::Plan,
        scene::{ACTOR, Scene},
    },
    output::{
        Palette, Reporter,
        document::{Json, Plain},
        init_check as render,
    },
    report::{Grade, Graded, Report},
};
use files::Files;
use subject::Prepared;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As other commands do.
    Plain(Format),
    /// JUnit XML.
    Junit,
}

/// What to do.
#[derive(Debug)]
pub struct Options {
    /// How long PID 1 has to end.
    pub grace: Duration,
    /// How long the command must start nothing to count as started.
    pub settle: Duration,
    /// Number of its stop signal, if the user says.
    pub stop_signal: Option<i32>,
    /// Only these checks; empty for all.
    pub only: Vec<String>,
    /// Not these checks.
    pub skip: Vec<String>,
    /// Only list the checks.
    pub list: bool,
    /// How to print.
    pub style: Style,
    /// With colour.
    pub color: bool,
    /// Recommendations decide the exit code, too.
    pub strict: bool,
    /// The file whose lines are pointed at.
    pub file: Option<PathBuf>,
    /// Where SARIF goes, too.
    pub sarif: Option<PathBuf>,
    /// Print annotations.
    pub github: bool,
    /// What is graded.
    pub subject: Subject,
}

/// Grades.
///
/// # Errors
/// It could not be measured.
pub fn run(options: &Options) -> anyhow::Result<Exit> {
    let known = |id: &&String| !ALL.iter().any(|check| check.id == **id);
    if let Some(id) = options.only.iter().chain(&options.skip).find(known) {
        eprintln!("zombie-trace: unknown check {id}; see --list");
        return Ok(Exit::Usage);
    }
    let chosen: Vec<&Check> = ALL
        .iter()
        .filter(|check| options.only.is_empty() || options.only.iter().any(|id| id == check.id))
        .filter(|check| !options.skip.iter().any(|id| id == check.id))
        .collect();
    let mut out = io::stdout().lock();
    if options.list {
        return written(render::list(chosen.iter().map(|it| (it.id, it.required, it.demand)), &mut out))
            .map(|()| Exit::Clean);
    }
    let mut plans: Vec<Plan> = Vec::new();
    for check in &chosen {
        if !plans.contains(&check.plan) {
            plans.push(check.plan);
        }
    }
    let files = Files::begin(options)?;
    let subject = Prepared::from(options)?;
    let (scene, results, events, report) = observe(options, &subject, plans)?;
    let graded: Vec<Graded> = chosen
        .iter()
        .filter_map(|check| {
            let index = scene.plans.iter().position(|plan| *plan == check.plan)?;
            let result = results.get(index)?;
            let seen = Observation { plan: check.plan, scene: &scene, result, events: &events, report: &report };
            let Judgement { grade, evidence, cause, advice } = (check.judge)(&seen);
            let (id, required, demand) = (check.id, check.required, check.demand);
            Some(Graded { id, required, demand, grade, evidence, cause, advice })
        })
        .collect();
    let fixes = files.point(subject.fixes(&graded, &ended_by(&scene, &results)), options);
    let grades = render::Grades {
        command: super::check::escaped(&subject.command).join(" "),
        image: subject.record(&scene),
        file: files.pointed_at(),
        fixes,
        checks: graded,
    };
    files.write(&grades, options)?;
    let mut output: Box<dyn Reporter<render::Grades>> = match options.style {
        Style::Plain(Format::Text) => Box::new(Plain::new(out, Palette::of_stdout(options.color))),
        Style::Plain(Format::Json) => Box::new(Json(out)),
        Style::Junit => Box::new(render::Junit(out)),
    };
    written(output.report(&grades).and_then(|()| output.finish()))?;
    let graded = grades.checks;
    let failed = |graded: &&Graded| graded.grade == Grade::Fail && (graded.required || options.strict);
    if graded.iter().any(|it| failed(&it)) {
        return Ok(Exit::Findings);
    }
    // A command that could not be seen at work has not passed. If none of the required was asked for, any will do.
    let asked_for_required = graded.iter().any(|it| it.required);
    let decisive = |it: &&Graded| it.required || !asked_for_required;
    let passed = graded.iter().filter(decisive).any(|it| it.grade != Grade::NotApplicable);
    Ok(if passed || graded.is_empty() { Exit::Clean } else { Exit::Unmeasured })
}

/// Signals other than the stop signal on which the command itself ended.
fn ended_by(scene: &Scene, results: &[SceneResult]) -> Vec<u32> {
    let signals = scene.plans.iter().zip(results).filter_map(|(plan, result)| match (plan, result.status) {
        // A workload of ours ends on any.
        (Plan::Signal { signal }, Some(status)) if !result.workload && !is_crash(status, *signal) => Some(*signal),
        _ => None,
    });
    signals.filter(|signal| *signal != scene.stop_signal).map(i32::unsigned_abs).collect()
}

/// Whether a PID 1 that ended so after a signal did not do what that asked for, but died of another: the JVM does on
/// SIGUSR2, and exits with 134 for SIGABRT.
fn is_crash(status: u32, signal: i32) -> bool {
    match ExitStatus::from_raw(status) {
        ExitStatus::Code(code) => code > 128 && i32::from(code) != 128 + signal,
        ExitStatus::Signal { .. } => true,
    }
}

fn written(result: io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("the results cannot be written"),
        _ => Ok(()),
    }
}

/// Plays the scenes under the tracer.
fn observe(
    options: &Options,
    subject: &Prepared,
    plans: Vec<Plan>,
) -> anyhow::Result<(Scene, Vec<SceneResult>, EventCollector, Report)> {
    // A file in memory, which is read in the end: a pipe would be full when a command has started a thousand processes,
    // and its writer would wait for a reader that waits for it. For the scene's process alone.
    let mut result = File::from(memfd_create("zombie-trace-result", MemfdFlags::empty())?);
    let scene = Scene {
        plans,
        grace: options.grace,
        settle: options.settle,
        stop_signal: subject.stop_signal,
        user: subject.user.clone(),
        rootfs: subject.rootfs.clone(),
        workdir: subject.workdir.clone(),
        environment: subject.environment.clone(),
        tool: std::process::id(),
        result_fd: result.as_raw_fd(),
    };
    // Looked up before tracing begins, which gives up most of them.
    let lacking = lacking();
    let own = sealed_copy().context("the program cannot copy itself")?;
    let own_path = format!("/proc/self/fd/{}", own.as_raw_fd());
    let mut command = vec![own_path.into(), ACTOR.into(), serde_json::to_string(&scene)?.into()];
    command.extend(subject.command.iter().cloned());
    // Every zombie is of interest: that PID 1 reaped is seen only so.
    let live = run::Options::of_command(Duration::ZERO, command);
    let mut events = EventCollector::default();
    let report = run::report(&live, &mut events)?.ok_or_else(|| anyhow!("tracing ended early"))?;
    drop(own);
    result.rewind()?;
    let mut text = String::new();
    result.read_to_string(&mut text)?;
    let results: Vec<SceneResult> = serde_json::from_str(&text).context("the test runs did not finish")?;
    // What fails everywhere is not a matter of the environment.
    let failures: Vec<&String> = results.iter().filter_map(|result| result.failure.as_ref()).collect();
    if let (Some(failure), true) = (failures.first(), failures.len() == results.len()) {
        bail!("the command cannot be run as PID 1: {failure}{lacking}");
    }
    if report.loss.events > 0 {
        bail!("{} events were lost", report.loss.events);
    }
    Ok((scene, results, events, report))
}

/// Capabilities without which no command can be put into surroundings of its own: namespaces and mounts, the loopback,
/// and taking capabilities from the command.
const NEEDED: [Capability; 3] = [Capability::CAP_SYS_ADMIN, Capability::CAP_NET_ADMIN, Capability::CAP_SETPCAP];

/// Which of them this process lacks, as the end of a sentence.
fn lacking() -> String {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(true);
    let missing: Vec<String> = NEEDED.into_iter().filter(|it| !has(*it)).map(|it| it.to_string()).collect();
    if missing.is_empty() { String::new() } else { format!("; this process lacks {}", missing.join(" and ")) }
}

/// This program, in memory, where nobody can change it: what becomes a hostile image's entrypoint still runs it until
/// then, and its file could be reached by `/proc/self/exe` (as in CVE-2019-5736 of runc).
fn sealed_copy() -> io::Result<OwnedFd> {
    let copy = memfd_create("zombie-trace", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut copy = File::from(copy);
    io::copy(&mut File::open("/proc/self/exe")?, &mut copy)?;
    fcntl_add_seals(&copy, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(copy.into())
}

/// Plays a scene: the hidden subcommand.
///
/// # Errors
/// See [`crate::init_check::scene::act`].
pub fn act(arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    // It was started by the number of a descriptor.
    rustix::thread::set_name(c"zombie-trace")?;
    // What the command prints is no data of ours.
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    io::stdout().flush()?;
    crate::init_check::scene::act(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_dies_of_another_signal_has_not_ended_on_this_one() {
        let after = |status, signal| is_crash(status, signal);
        assert!(!after(0, libc::SIGQUIT) && !after(1 << 8, libc::SIGINT) && !after(130 << 8, libc::SIGINT));
        assert!(after(134 << 8, libc::SIGUSR2) && after(libc::SIGSEGV.cast_unsigned(), libc::SIGUSR2));
    }

    #[test]
    fn nobody_can_change_what_runs_as_the_entrypoint_until_that_is_executed() {
        let copy = File::from(sealed_copy().unwrap());
        assert!(copy.metadata().unwrap().len() > 1000);
        let path = format!("/proc/self/fd/{}", copy.as_raw_fd());
        let again = File::options().write(true).open(path).and_then(|mut file| file.write_all(b"x"));
        assert!(again.is_err(), "{again:?}");
        assert!(copy.set_len(0).is_err());
    }
}
