//! What is done to the command: run by a process of our own that is traced with it.
//!
//! The process makes a pid namespace for its children. The first is the command, its PID 1; the orphans are made by
//! later ones. It has one thread, so that it may fork.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsRawFd, FromRawFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::thread::{UnshareFlags, unshare_unsafe};
use serde::{Deserialize, Serialize};

use super::observe::{self, SceneResult};
use crate::source::proc::ProcReader;

/// The hidden subcommand that plays a scene.
pub const ACTOR: &str = "init-check-scene";
/// The name of the orphans.
pub(super) const ORPHAN: &str = "zt-orphan";
/// How long PID 1 has to reap.
pub(super) const REAP_WINDOW: Duration = Duration::from_secs(1);
/// How long the command has to get going.
const SETTLE: Duration = Duration::from_millis(500);
/// How long a forwarded signal may take to have an effect.
const EFFECT: Duration = Duration::from_secs(1);

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Plan {
    /// Orphans are put beside the command and die at once.
    Orphans {
        /// So many.
        count: u32,
    },
    /// The stop signal is sent to PID 1.
    Stop,
    /// Another signal is sent to PID 1.
    Signal {
        /// Which.
        signal: i32,
    },
    /// The children of PID 1 are killed with SIGKILL.
    KillChild,
}

/// Scenes to be played, one after the other, under one tracer: it gives its privileges up and cannot start again.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Scene {
    /// What is done, each to a new PID 1.
    pub plans: Vec<Plan>,
    /// How long PID 1 has to end.
    pub grace: Duration,
    /// Number of its stop signal.
    pub stop_signal: i32,
    /// The user and group it runs as.
    pub user: Option<(u32, u32)>,
    /// The root of its file system.
    pub rootfs: Option<PathBuf>,
    /// The descriptor that the result is written to.
    pub result_fd: i32,
}

/// Plays the scene that the arguments describe: a [`Scene`] as JSON, then the command.
///
/// # Errors
/// The namespace or the command could not be started.
pub fn act(mut arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    let text = arguments.next().unwrap_or_default();
    let scene: Scene = serde_json::from_str(&text.to_string_lossy())?;
    // SAFETY: the descriptor was made for this process, and nothing else here knows it.
    let mut out = unsafe { File::from_raw_fd(scene.result_fd) };
    rustix::io::fcntl_setfd(&out, rustix::io::FdFlags::CLOEXEC)?;
    let command: Vec<OsString> = arguments.collect();
    let own_namespace = File::open("/proc/self/ns/pid")?;
    let results: Vec<SceneResult> = scene
        .plans
        .iter()
        .map(|&plan| {
            let failed = |error: io::Error| SceneResult { failure: Some(error.to_string()), ..SceneResult::default() };
            play(&scene, plan, &own_namespace, &command).unwrap_or_else(failed)
        })
        .collect();
    serde_json::to_writer(&mut out, &results)?;
    out.flush()
}

fn play(scene: &Scene, plan: Plan, own_namespace: &File, command: &[OsString]) -> io::Result<SceneResult> {
    // A process that has made a namespace for its children must take that back before it makes another.
    // SAFETY: a system call without memory.
    if unsafe { libc::setns(own_namespace.as_raw_fd(), libc::CLONE_NEWPID) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: only children are affected by a new pid namespace.
    unsafe { unshare_unsafe(UnshareFlags::NEWPID) }?;
    let mut init = start(scene, command)?;
    let mut result = SceneResult { init: init.id(), ..SceneResult::default() };
    if let Some(status) = wait(&mut init, SETTLE)? {
        result.ended(status, None);
        return Ok(result);
    }
    let reader = ProcReader::new("/proc".into());
    result.pid_ns = reader.seed(init.id()).map_or(0, |seed| seed.pid_ns);
    result.children = observe::children(&reader, init.id(), result.pid_ns);
    let began = Instant::now();
    match plan {
        Plan::Orphans { count } => {
            orphans(count)?;
            // What dies with the namespace must be seen to have waited for longer than the window.
            sleep(REAP_WINDOW + Duration::from_millis(100));
        }
        Plan::Stop => {
            send(init.id(), scene.stop_signal)?;
            result.wait_for(&mut init, scene.grace, began)?;
        }
        Plan::Signal { signal } => {
            send(init.id(), signal)?;
            result.wait_for(&mut init, EFFECT, began)?;
            result.survivors = observe::children(&reader, init.id(), result.pid_ns);
        }
        Plan::KillChild => {
            for child in result.children.iter().filter(|child| child.parent == init.id()) {
                send(child.pid, libc::SIGKILL)?;
            }
            result.wait_for(&mut init, EFFECT, began)?;
        }
    }
    if result.status.is_none() {
        init.kill()?;
        init.wait()?;
    }
    Ok(result)
}

impl SceneResult {
    fn wait_for(&mut self, init: &mut Child, limit: Duration, began: Instant) -> io::Result<()> {
        if let Some(status) = wait(init, limit)? {
            self.ended(status, Some(began.elapsed()));
        }
        Ok(())
    }

    fn ended(&mut self, status: ExitStatus, after: Option<Duration>) {
        self.status = Some(status.into_raw().cast_unsigned());
        self.after = after;
    }
}

fn wait(init: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = init.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        sleep(Duration::from_millis(5));
    }
}

fn send(pid: u32, signal: i32) -> io::Result<()> {
    // SAFETY: a system call without memory.
    match unsafe { libc::kill(pid.cast_signed(), signal) } {
        0 => Ok(()),
        // What has ended meanwhile needs no signal.
        _ if io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH) => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Starts the command as PID 1, with a `/proc` of its own.
fn start(scene: &Scene, argv: &[OsString]) -> io::Result<Child> {
    let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let rootfs = match &scene.rootfs {
        Some(path) => Some(std::ffi::CString::new(path.as_os_str().as_encoded_bytes())?),
        None => None,
    };
    let user = scene.user;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    // SAFETY: between fork and exec only system calls are made, on memory that was allocated before.
    unsafe {
        command.pre_exec(move || {
            let check = |result: i32| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
            let none: *const libc::c_void = std::ptr::null();
            check(libc::unshare(libc::CLONE_NEWNS))?;
            let private = libc::MS_REC | libc::MS_PRIVATE;
            check(libc::mount(none.cast(), c"/".as_ptr(), none.cast(), private, none.cast()))?;
            if let Some(rootfs) = &rootfs {
                check(libc::chroot(rootfs.as_ptr()))?;
                check(libc::chdir(c"/".as_ptr()))?;
            }
            let hardened = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
            check(libc::mount(c"proc".as_ptr(), c"/proc".as_ptr(), c"proc".as_ptr(), hardened, none.cast()))?;
            if let Some((uid, gid)) = user {
                check(libc::setgroups(0, std::ptr::null()))?;
                check(libc::setgid(gid))?;
                check(libc::setuid(uid))?;
            }
            Ok(())
        });
    }
    command.spawn()
}

/// Puts orphans into the namespace; when all are there they die at once.
fn orphans(count: u32) -> io::Result<()> {
    let (gate, open) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    // SAFETY: this process has one thread, and its child makes system calls only.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(open);
            for _ in 0..count {
                // SAFETY: as above.
                if unsafe { libc::fork() } == 0 {
                    // SAFETY: a name that ends with NUL, a byte that is ours, and no way back.
                    unsafe {
                        libc::prctl(libc::PR_SET_NAME, c"zt-orphan".as_ptr());
                        // Only an orphan's parent is 1: the adopter.
                        while libc::getppid() != 1 {
                            libc::usleep(500);
                        }
                        let mut byte = 0_u8;
                        libc::read(gate.as_raw_fd(), (&raw mut byte).cast(), 1);
                        libc::_exit(0);
                    }
                }
            }
            // SAFETY: no way back.
            unsafe { libc::_exit(0) }
        }
        parent => {
            // SAFETY: the status is not asked for.
            unsafe { libc::waitpid(parent, std::ptr::null_mut(), 0) };
            // They are adopted within this time; the gate then lets all go at once.
            sleep(Duration::from_millis(100));
            drop(open);
            Ok(())
        }
    }
}
