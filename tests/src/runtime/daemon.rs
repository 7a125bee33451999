//! A daemon that the tests share.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Skip, clock, process};

/// Ended by its pid on drop.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it and returns when `is_up` says so.
    pub(super) fn start(mut command: Command, log: &Path, is_up: impl Fn() -> bool) -> Result<Self, Skip> {
        let name = command.get_program().display().to_string();
        let refuse = |why: String| Skip::new(format!("{name}: {why}"));
        let file = File::create(log).and_then(|file| Ok((file.try_clone()?, file)));
        let (stdout, stderr) = file.map_err(|error| refuse(error.to_string()))?;
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        // SAFETY: prctl is async-signal-safe.
        unsafe {
            command.pre_exec(|| Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?));
        }
        let child = spawn_for_good(command).map_err(|error| refuse(error.to_string()))?;
        let mut daemon = Self { child, log: log.to_owned() };
        let child = &mut daemon.child;
        let mut has_ended = false;
        let is_up = process::eventually(clock::deadline(), || {
            has_ended = !matches!(child.try_wait(), Ok(None));
            has_ended || is_up()
        });
        if is_up && !has_ended { Ok(daemon) } else { Err(refuse(daemon.last_words())) }
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        format!("did not come up: {}", log.lines().last().unwrap_or("it said nothing"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("pids are positive"));
        // Not reaped yet, so the pid is still its own.
        let _ = kill(pid, Signal::SIGTERM);
        let child = &mut self.child;
        if !process::eventually(clock::deadline(), || !matches!(child.try_wait(), Ok(None))) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts a program from a thread that lives as long as the test program: the request to die with the parent is about
/// the thread.
fn spawn_for_good(mut command: Command) -> std::io::Result<Child> {
    let (sender, spawned) = channel();
    std::thread::spawn(move || {
        let _ = sender.send(command.spawn());
        loop {
            std::thread::park();
        }
    });
    spawned.recv().expect("the thread sends before it parks")
}
