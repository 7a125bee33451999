//! `demo`: real findings within seconds, made by small programs that do what goes wrong in the field.

use std::{
    env,
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

const APP: &str = "app";
const WEB: &str = "web";
/// The jobs of `app`, and the one of `web`, as shell scripts.
const JOBS: [&str; 3] = ["exit 1", "exit 2", "exit 3"];
const LEAVING: &str = "sleep 0.2 & exit 0";
/// The grandchild of `web` where there is no shell.
const ORPHAN: &str = "orphan";

/// Zombies of this age are reported: a demonstration is short.
const MIN_AGE: Duration = Duration::from_millis(300);
/// How long a part stays on the stage.
const SCENE: Duration = Duration::from_secs(2);

/// Runs the demonstration under the tracer.
///
/// # Errors
/// Tracing could not begin.
pub fn run(format: Format, color: bool) -> anyhow::Result<Exit> {
    let own = env::current_exe().context("zombie-trace cannot find its own executable")?;
    eprintln!(
        "A demonstration: `app` starts three children and never waits for them; `web` runs as PID 1 of a pid\n\
         namespace, adopts an orphan it does not know, and drops the SIGTERM that should stop it.\n"
    );
    live::run(&live::Options {
        run: run::Options::of_command(MIN_AGE, vec![own.into_os_string(), ACTOR.into(), APP.into()]),
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
        Some(APP) => app(),
        Some(WEB) => web(),
        Some(script) => without_shell(script),
        None => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Starts children, never waits; then runs `web` as PID 1 of a namespace and tries to stop it.
fn app() -> io::Result<()> {
    set_name(c"app")?;
    // A `Child` that is dropped is not waited for: the very mistake.
    let _negligence: Vec<Child> = JOBS.iter().map(|part| job(part)?.spawn()).collect::<io::Result<_>>()?;
    // SAFETY: only children are affected by a new pid namespace.
    unsafe { unshare_unsafe(UnshareFlags::NEWPID) }?;
    let mut web = own(WEB)?.spawn()?;
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
    // A grandchild is left behind, which this process adopts.
    job(LEAVING)?.spawn()?.wait()?;
    loop {
        sleep(SCENE);
    }
}

/// A job in a shell, as applications start them.
fn job(script: &str) -> io::Result<Command> {
    // Asked beforehand: a start that fails would be waited for, which `app` never does.
    let path = env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    if !env::split_paths(&path).any(|folder| folder.join("sh").is_file()) {
        return own(script);
    }
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg0("sh");
    Ok(command)
}

/// This program in one of its parts.
fn own(part: &str) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args([ACTOR, part]);
    Ok(command)
}

/// What a shell would do, in an image made from scratch, which has none.
fn without_shell(script: &str) -> io::Result<()> {
    match script {
        LEAVING => {
            set_name(c"job")?;
            own(ORPHAN)?.spawn().map(drop)
        }
        ORPHAN => {
            set_name(c"sleep")?;
            sleep(Duration::from_millis(200));
            Ok(())
        }
        _ => {
            set_name(c"job")?;
            let code = script.strip_prefix("exit ").and_then(|code| code.parse().ok());
            std::process::exit(code.ok_or(io::ErrorKind::InvalidInput)?)
        }
    }
}
