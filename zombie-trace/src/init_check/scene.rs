//! Plays the scenes, in a separate process that is traced itself.
//!
//! For each scene it makes a pid namespace for its children. The first is the command, as PID 1; later ones make
//! orphans. It has one thread, so that it may fork.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Write},
    os::fd::{FromRawFd, OwnedFd},
    thread::sleep,
    time::{Duration, Instant},
};

use super::{
    orphans::{self, ORPHAN},
    plan::{EXIT_CODES, Environment, Inheritance, Plan},
    relay::Relay,
    result::{self, SceneResult},
    sandbox::{Limits, Sandbox, User, user_namespace},
    start::{Init, Setting, is_gone},
    workload::{self, Slot},
};
use crate::{
    source::proc::{ProcReader, boot_clock_now},
    text::escape,
};

pub use super::plan::Scene;

/// The hidden subcommand that plays scenes.
pub const ACTOR: &str = "init-check-scene";
/// How long PID 1 has to reap.
pub(super) const REAP_WINDOW: Duration = Duration::from_secs(1);
/// How long a signal, or the exit of the only child, may take to have an effect.
const EFFECT: Duration = Duration::from_secs(1);
/// How long a workload may take to be ready, or to exit when it has nothing to do.
const READY: Duration = Duration::from_secs(5);
/// How long a supervisor may take to restart a child.
const RESTART: Duration = Duration::from_secs(2);
/// Exit code of orphans, to distinguish them from the child.
pub(super) const ORPHAN_CODE: i32 = 7;

/// Plays the scenes that the arguments describe: a [`Scene`] as JSON, then the command.
///
/// # Errors
/// The arguments are invalid, or the result cannot be written.
pub fn act(mut arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    let text = arguments.next().unwrap_or_default();
    let scene: Scene = serde_json::from_str(&text.to_string_lossy())?;
    // SAFETY: the descriptor was made for this process, and nothing else here knows it.
    let mut out = unsafe { File::from_raw_fd(scene.result_fd) };
    rustix::io::fcntl_setfd(&out, rustix::io::FdFlags::CLOEXEC)?;
    let command: Vec<OsString> = arguments.collect();
    let plans = scene.plans.clone();
    let mut stage = Stage {
        // Both before any child goes to another pid namespace.
        user_namespace: user_namespace(),
        relay: Relay::start()?,
        own_namespace: File::open("/proc/self/ns/pid")?,
        reader: ProcReader::new("/proc".into()),
        slot: Slot::marked(&command).or_else(|| Slot::behind_dashes(&command)),
        scouted: false,
        starts: 0,
        stops: true,
        ends_by_itself: false,
        scene,
        command,
    };
    let mut results = Vec::new();
    for plan in plans {
        results.push(stage.play(plan));
        if is_gone(stage.scene.tool) {
            break;
        }
    }
    serde_json::to_writer(&mut out, &results)?;
    out.flush()
}

/// What the scenes have in common.
struct Stage {
    own_namespace: File,
    /// The user namespace of every PID 1, if allowed.
    user_namespace: Option<OwnedFd>,
    relay: Relay,
    reader: ProcReader,
    scene: Scene,
    command: Vec<OsString>,
    /// The place of the workload, once known.
    slot: Option<Slot>,
    scouted: bool,
    starts: u32,
    /// Whether it exited on its stop signal, if that was tried.
    stops: bool,
    /// It exited by itself before anything was done to it.
    ends_by_itself: bool,
}

impl Stage {
    fn play(&mut self, plan: Plan) -> SceneResult {
        let mut result = SceneResult { began: boot_clock_now(), ..SceneResult::default() };
        if let Err(error) = self.perform(plan, &mut result) {
            result.failure = Some(error.to_string());
        }
        result.ended = boot_clock_now();
        result
    }

    fn perform(&mut self, plan: Plan, result: &mut SceneResult) -> io::Result<()> {
        if plan.prefers_workload() {
            self.scout()?;
        }
        if plan.needs_workload() && self.slot.is_none() {
            result.missing = Some(format!(
                "cannot tell which part of the command is the child: write {} there, for example `my-init -- {}`",
                workload::MARK,
                workload::MARK
            ));
            return Ok(());
        }
        if plan == Plan::ExitCodes {
            return self.exit_codes(result);
        }
        let limits = Limits::make();
        let limits = match (plan, limits) {
            (Plan::Under(Environment::PidsMax), Err(why)) => {
                result.missing = Some(why);
                return Ok(());
            }
            (_, Err(why)) => {
                log::info!("{why}: the command's pids and memory are not limited");
                None
            }
            (_, Ok(limits)) => Some(limits),
        };
        let mut init = self.start(plan, limits.as_ref(), self.script(plan))?;
        self.settle(plan, &mut init, result)?;
        match plan {
            Plan::Under(_) if result.status.is_some() && self.ends_by_itself => {
                result.missing = Some("the command also exits by itself in a normal run".to_owned());
            }
            Plan::Stop | Plan::Orphans { .. } => self.ends_by_itself |= result.status.is_some(),
            _ => {}
        }
        if result.status.is_none() && result.missing.is_none() {
            self.act(plan, &mut init, limits.as_ref(), result)?;
        }
        drop(init);
        Ok(())
    }

    /// Finds out from a run of the command which part of it is the child.
    fn scout(&mut self) -> io::Result<()> {
        if self.slot.is_some() || std::mem::replace(&mut self.scouted, true) {
            return Ok(());
        }
        let limits = Limits::make().ok();
        let mut init = self.start(Plan::Stop, limits.as_ref(), None)?;
        let mut result = SceneResult::default();
        self.settle(Plan::Stop, &mut init, &mut result)?;
        let mut direct = result.children.iter().filter(|child| child.parent == init.pid());
        if let (Some(child), None) = (direct.next(), direct.next()) {
            let facts = self.reader.facts(child.pid, child.start_ns).unwrap_or_default();
            self.slot = Slot::seen(&self.command, &facts.cmdline, self.scene.rootfs.as_deref());
        }
        Ok(())
    }

    /// The workload's script; `None` for the command's own.
    fn script(&self, plan: Plan) -> Option<String> {
        match plan {
            Plan::Signal { signal } if self.slot.is_some() => Some(workload::waits_for(signal)),
            Plan::StopDescendants => Some(workload::family(self.scene.stop_signal)),
            _ => None,
        }
    }

    fn setting(&self, plan: Plan) -> Setting {
        // Its output is shown only once.
        let mut setting = Setting { quiet: self.starts > 0, ..Setting::default() };
        let inherit = |setting: &mut Setting, how, signal| match how {
            Inheritance::Blocked => setting.blocked = Some(signal),
            Inheritance::Ignored => setting.ignored = Some(signal),
        };
        match plan {
            Plan::InheritedSigchld(how) => inherit(&mut setting, how, libc::SIGCHLD),
            Plan::InheritedStop(how) => inherit(&mut setting, how, self.scene.stop_signal),
            Plan::Under(Environment::NoTerminal) => setting.session = true,
            Plan::Under(Environment::Terminal) => (setting.session, setting.terminal) = (true, true),
            _ => {}
        }
        setting
    }

    fn sandbox(&self, plan: Plan, limits: Option<&Limits>) -> io::Result<Sandbox> {
        let own = self.scene.user.as_ref();
        let user = match plan {
            Plan::Under(Environment::NonRootUser) if own.is_none_or(|own| own.uid == 0) => Some(User::NOBODY),
            _ => own.cloned(),
        };
        let sandbox = Sandbox::new(self.scene.rootfs.as_deref(), self.user_namespace.as_ref(), limits)?;
        let sandbox = sandbox.workdir(self.scene.workdir.as_deref())?;
        Ok(sandbox.read_only(plan == Plan::Under(Environment::ReadOnlyRoot)).user(user))
    }

    fn start(&mut self, plan: Plan, limits: Option<&Limits>, script: Option<String>) -> io::Result<Init> {
        let (setting, sandbox) = (self.setting(plan), self.sandbox(plan, limits)?);
        self.starts += 1;
        let command = match (self.slot, script) {
            (Some(slot), Some(script)) => slot.fill(&self.command, &script),
            (Some(Slot::Marked), None) => Slot::Marked.fill(&self.command, workload::IDLE),
            (_, _) => self.command.clone(),
        };
        let environment = self.scene.environment.as_deref();
        Init::start(setting, sandbox, &self.relay.input()?, &self.own_namespace, self.scene.tool, &command, environment)
    }

    /// Gives the command time to start, and looks at what it started.
    fn settle(&self, plan: Plan, init: &mut Init, result: &mut SceneResult) -> io::Result<()> {
        result.init = init.pid();
        result.pid_ns = self.reader.seed(init.pid()).map_or(0, |seed| seed.pid_ns);
        let awaited = match plan {
            _ if self.script(plan).is_none() => None,
            Plan::Signal { signal } => Some((signal, 1)),
            _ => Some((self.scene.stop_signal, 2)),
        };
        let Some((signal, handlers)) = awaited else {
            return self.until_calm(init, result);
        };
        // A signal before the workload has its handler would prove nothing. A shell's fork also has its handlers until
        // exec, so a ready process must be seen twice in a row.
        let end = Instant::now() + READY;
        let mut before = Vec::new();
        loop {
            result.children = result::children(&self.reader, init.pid(), result.pid_ns);
            let with_handler = result.children.iter().filter(|child| child.caught >> (signal - 1) & 1 == 1);
            let now: Vec<u32> = with_handler.map(|child| child.pid).collect();
            let ready = now.iter().filter(|pid| before.contains(*pid)).count();
            before = now;
            if ready >= handlers {
                result.workload = true;
                result.name = self.reader.seed(init.pid()).map(|seed| escape::comm(&seed.comm).into_owned());
                return Ok(());
            }
            let ended = init.wait(Duration::from_millis(20))?.is_some();
            if ended || Instant::now() >= end {
                result.missing = Some("the test workload, a shell script, did not start under this PID 1".to_owned());
                return Ok(());
            }
        }
    }

    /// Waits until nothing has been started or executed for a while, because commands may begin with wrappers.
    fn until_calm(&self, init: &mut Init, result: &mut SceneResult) -> io::Result<()> {
        let (began, mut changed, mut before) = (Instant::now(), Instant::now(), None);
        let settle = self.scene.settle;
        while changed.elapsed() < settle && began.elapsed() < READY + settle {
            if init.wait(Duration::from_millis(50))?.is_some() {
                result.status = init.status();
                return Ok(());
            }
            let seed = self.reader.seed(init.pid());
            // A runnable process is working or waits for a CPU: it does not wait for anything else yet.
            let start = seed.as_ref().map_or(0, |seed| seed.process.start_ns);
            if self.reader.facts(init.pid(), start).is_some_and(|facts| facts.is_ready()) {
                changed = Instant::now();
            }
            result.children = result::children(&self.reader, init.pid(), result.pid_ns);
            let children: Vec<_> = result.children.iter().map(|child| (child.pid, child.comm.clone())).collect();
            let now = Some((seed.map(|seed| (seed.exe, seed.cmdline)), children));
            if now != before {
                (changed, before) = (Instant::now(), now);
            }
        }
        Ok(())
    }

    fn act(
        &mut self,
        plan: Plan,
        init: &mut Init,
        limits: Option<&Limits>,
        result: &mut SceneResult,
    ) -> io::Result<()> {
        let began = Instant::now();
        let (grace, stop_signal) = (self.scene.grace, self.scene.stop_signal);
        // Zombies that end with the namespace must have waited for longer than the window.
        let beyond = REAP_WINDOW + Duration::from_millis(100);
        match plan {
            Plan::Orphans { count } => {
                drop(orphans::put(count, ORPHAN_CODE, None)?);
                sleep(beyond);
            }
            Plan::EnteredOrphan => {
                let namespace = File::open(format!("/proc/{}/ns/pid", init.pid()))?;
                drop(orphans::put(1, ORPHAN_CODE, Some(&namespace))?);
                sleep(beyond);
            }
            Plan::OrphansWhileStopped { count } => {
                let waiting = orphans::put(count, ORPHAN_CODE, None)?;
                send(init.pid(), libc::SIGSTOP)?;
                let died = Instant::now();
                drop(waiting);
                until(READY, || self.orphans(init.pid(), true) >= count as usize);
                send(init.pid(), libc::SIGCONT)?;
                result.held = died.elapsed();
                sleep(beyond);
            }
            Plan::OrphanStream { count, every_ms } => {
                orphans::stream(count, every_ms)?;
                sleep(beyond);
            }
            Plan::Stop | Plan::StopDescendants => {
                send(init.pid(), stop_signal)?;
                result.wait_for(init, grace, began)?;
                if plan == Plan::Stop {
                    self.stops = result.status.is_some();
                }
            }
            Plan::Signal { signal } => {
                send(init.pid(), signal)?;
                result.wait_for(init, EFFECT, began)?;
            }
            Plan::KillChild => self.kill_children(init, result, began)?,
            Plan::KillChildWithOrphan => {
                let waiting = orphans::put(1, ORPHAN_CODE, None)?;
                drop(waiting);
                self.kill_children(init, result, began)?;
            }
            Plan::InheritedSigchld(_) => {
                drop(orphans::put(1, ORPHAN_CODE, None)?);
                self.until_reaped(init.pid(), REAP_WINDOW);
                self.kill_children(init, result, Instant::now())?;
            }
            Plan::InheritedStop(_) if self.stops => {
                send(init.pid(), stop_signal)?;
                result.wait_for(init, grace, began)?;
            }
            Plan::InheritedStop(_) => result.missing = Some(self.does_not_stop()),
            Plan::Under(environment) => {
                let waiting = orphans::put(1, ORPHAN_CODE, None)?;
                if let (Environment::PidsMax, Some(limits)) = (environment, limits) {
                    result.pids = Some(limits.limit_to_current()?);
                }
                drop(waiting);
                self.until_reaped(init.pid(), beyond);
                if self.stops {
                    let began = Instant::now();
                    send(init.pid(), stop_signal)?;
                    result.wait_for(init, grace, began)?;
                } else {
                    result.not_stopped = Some(self.does_not_stop());
                }
            }
            Plan::ExitCodes => {}
        }
        Ok(())
    }

    fn does_not_stop(&self) -> String {
        let name = crate::signal::name(self.scene.stop_signal.unsigned_abs());
        format!("PID 1 does not exit on {name} in a normal run, either")
    }

    /// Each code needs its own PID 1.
    fn exit_codes(&mut self, result: &mut SceneResult) -> io::Result<()> {
        for code in EXIT_CODES {
            let limits = Limits::make().ok();
            let mut init = self.start(Plan::ExitCodes, limits.as_ref(), Some(workload::exits_with(code)))?;
            init.wait(READY)?;
            result.codes.push((code, init.pid(), init.status()));
            // If it survives its child once, it does so for the other codes, too.
            if init.status().is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Waits until the orphans that it adopted are gone, up to this limit.
    fn until_reaped(&self, init: u32, limit: Duration) {
        until(limit, || self.orphans(init, false) == 0);
    }

    /// How many orphans it has, or how many of these are dead.
    fn orphans(&self, init: u32, dead: bool) -> usize {
        result::all(&self.reader)
            .filter(|seed| seed.parent_pid == init && escape::comm(&seed.comm) == ORPHAN && (seed.is_zombie || !dead))
            .count()
    }

    fn kill_children(&self, init: &mut Init, result: &mut SceneResult, began: Instant) -> io::Result<()> {
        for child in result.children.iter().filter(|child| child.parent == init.pid()) {
            send(child.pid, libc::SIGKILL)?;
        }
        result.wait_for(init, EFFECT, began)?;
        if result.status.is_none() {
            let is_new = |start: u64| result.children.iter().all(|child| child.start_ns != start);
            let children = || result::children(&self.reader, init.pid(), result.pid_ns);
            let restarted = || children().iter().any(|child| child.parent == init.pid() && is_new(child.start_ns));
            // Supervisors wait a second or two, to avoid restarting in a loop.
            until(RESTART, restarted);
            result.restarted = restarted();
        }
        Ok(())
    }
}

/// Polls until the condition holds, up to this limit.
fn until(limit: Duration, so: impl Fn() -> bool) {
    let end = Instant::now() + limit;
    while !so() && Instant::now() < end {
        sleep(Duration::from_millis(20));
    }
}

impl SceneResult {
    fn wait_for(&mut self, init: &mut Init, limit: Duration, began: Instant) -> io::Result<()> {
        if init.wait(limit)?.is_some() {
            self.status = init.status();
            self.after = Some(began.elapsed());
        }
        Ok(())
    }
}

fn send(pid: u32, signal: i32) -> io::Result<()> {
    // SAFETY: a system call without memory.
    match unsafe { libc::kill(pid.cast_signed(), signal) } {
        0 => Ok(()),
        // A process that has exited meanwhile needs no signal.
        _ if io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH) => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
