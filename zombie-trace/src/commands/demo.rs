//! `demo`: real findings within seconds, made by small programs that do what goes wrong in the field.

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    process::{Child, Command},
    thread::sleep,
    time::Duration,
};

use anyhow::Context;
use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{UnshareFlags, set_name, unshare_unsafe},
};

use super::{Format, live, run};
use crate::commands::Exit;

/// The hidden subcommand that plays the parts.
pub const ACTOR: &str = "demo-actor";

/// Zombies of this age are reported: a demonstration is short.
const MIN_AGE: Duration = Duration::from_millis(300);
/// How long a part stays on the stage.
const SCENE: Duration = Duration::from_secs(2);

/// Runs the demonstration under the tracer.
///
/// # Errors
/// Tracing could not begin.
pub fn run(format: Format, color: bool) -> anyhow::Result<Exit> {
    let own = std::env::current_exe().context("the program does not find itself")?;
    eprintln!(
        "A demonstration: `app` starts three children and never waits for them; `web` runs as PID 1 of a pid\n\
         namespace, adopts an orphan it does not know, and drops the SIGTERM that should stop it.\n"
    );
    live::run(&live::Options {
        run: run::Options::of_command(MIN_AGE, vec![own.into_os_string(), ACTOR.into(), "app".into()]),
        format,
        color,
        output: None,
        record: None,
    })
}

/// Plays a part.
///
/// # Errors
/// A process could not be started, or the part is not known.
pub fn act(part: &OsString) -> io::Result<()> {
    match part.to_str() {
        Some("app") => app(),
        Some("web") => web(),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Starts children, never waits; then runs `web` as PID 1 of a namespace and tries to stop it.
fn app() -> io::Result<()> {
    set_name(c"app")?;
    // A `Child` that is dropped is not waited for: the very mistake.
    let _negligence: Vec<Child> =
        (1..=3).map(|code| shell(&format!("exit {code}")).spawn()).collect::<io::Result<_>>()?;
    // SAFETY: only children are affected by a new pid namespace.
    unsafe { unshare_unsafe(UnshareFlags::NEWPID) }?;
    let mut web = Command::new(std::env::current_exe()?).args([ACTOR, "web"]).spawn()?;
    sleep(SCENE / 4);
    if let Some(pid) = Pid::from_raw(web.id().cast_signed()) {
        kill_process(pid, Signal::TERM)?;
    }
    sleep(SCENE);
    web.kill()?;
    web.wait()?;
    Ok(())
}

/// An application that is PID 1 and knows nothing of orphans.
fn web() -> io::Result<()> {
    set_name(c"web")?;
    // The shell leaves a grandchild behind, which this process adopts.
    shell("sleep 0.2 & exit 0").spawn()?.wait()?;
    loop {
        sleep(SCENE);
    }
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg0("sh");
    command
}
