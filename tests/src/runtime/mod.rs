//! Real container runtimes, each in its own file, behind one trait.
//!
//! They run on the machine of the test, on its kernel and in its cgroups, but in a mount namespace of the test's own
//! ([`Sandbox`]), so that nothing they mount or write remains. Daemons are started once and shared by the tests.

mod containerd;
mod cri;
mod ctr;
mod daemon;
mod docker;
mod image;
mod images;
mod oci;
mod podman;
mod sandbox;

use std::fmt::Debug;
use std::ops::Deref;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

pub use self::cri::{Cri, CriShared};
pub use self::ctr::Ctr;
pub use self::docker::Docker;
pub use self::images::{Images, StoredImage};
pub use self::oci::{Crun, Runc};
pub use self::podman::Podman;
pub use self::sandbox::Sandbox;
use crate::{Actor, Skip, clock, process};

/// A started container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launched {
    /// The id by which the runtime knows it.
    pub id: String,
    /// PID 1 of the container's pid namespace, or what the container runs if it shares the namespace of its pod.
    pub pid: i32,
    /// The object `container` of the machine output.
    pub identity: Value,
}

/// What the tests need from a runtime.
pub trait Runtime: Debug + Send + Sync + 'static {
    /// The one that all tests share.
    ///
    /// # Errors
    /// The skip, if it cannot be started.
    fn shared() -> Result<Arc<Self>, Skip>
    where
        Self: Sized;

    /// Starts a container that runs this command, under the runtime's init if asked, and returns when it runs.
    fn start(&self, name: &str, command: &[&str], init: bool) -> Launched;

    /// Runs another command in it and returns its exit code, which runtimes form as a shell does.
    fn exec(&self, id: &str, command: &[&str]) -> i32;

    /// Sends it the stop signal, and kills it after the grace period.
    fn stop(&self, id: &str, grace: Duration);

    /// Removes it by force, in any state.
    fn remove(&self, id: &str);

    /// Names of programs of which one is the parent of the program that sends the signals of a stop.
    fn stopper(&self) -> &'static [&'static str];

    /// Name of the program that is the parent of what was put into a container.
    fn parent_of_execs(&self) -> &'static str;
}

/// A runtime with a client, as people and scripts call it.
pub trait Commands: Runtime {
    /// The client's command line that runs a container to its end and removes it.
    fn run_line(&self, name: &str, command: &[&str]) -> Command;

    /// The one that runs another command in a container.
    fn exec_line(&self, id: &str, command: &[&str]) -> Command;

    /// The one that asks a container to end, kills it after this many seconds and returns when it is dead.
    fn stop_line(&self, id: &str, seconds: u32) -> Command;
}

/// What more the tests ask of a runtime that takes its containers' configuration as it is.
pub trait Limiting: Runtime {
    /// Runs `zt-actor` with these arguments as PID 1 of a container with a limit on pids. The runtime stays and passes
    /// the actor's lines and orders on; it exits with the actor and removes the container.
    fn run_actor(&self, name: &str, arguments: &[&str], pids: u64) -> (Actor, Launched);
}

/// Whether a process name fits this program. If crun cannot make its own file read-only it runs from a sealed copy in
/// memory, and the kernel names it after that copy, or after the descriptor that started it.
pub fn is_called(comm: &str, program: &str) -> bool {
    let of_a_copy = || comm == "memfd:crun_clon" || comm.bytes().all(|byte| byte.is_ascii_digit());
    comm == program || program == "crun" && !comm.is_empty() && of_a_copy()
}

/// The inits of the runtimes, as the kernel names them.
const INITS: &[&str] = &["catatonit", "podman-init", "docker-init"];

/// A container, removed on drop.
#[derive(Debug)]
pub struct Container {
    runtime: Arc<dyn Runtime>,
    launched: Launched,
}

impl Container {
    /// Starts one.
    pub fn start<R: Runtime>(runtime: &Arc<R>, name: &str, command: &[&str], init: bool) -> Self {
        let launched = runtime.start(name, command, init);
        let container = Self { runtime: Arc::<R>::clone(runtime), launched };
        assert!(container.pid > 1, "{container:?} has a PID 1");
        // Runtimes return just before their own program, which has other handlers, calls exec.
        let mut comm = Vec::new();
        let runs = process::eventually(clock::deadline(), || {
            comm = process::stat(container.pid).map(|stat| stat.comm).unwrap_or_default();
            command.iter().take(1).chain(INITS.iter().filter(|_| init)).any(|name| name.as_bytes() == comm)
        });
        assert!(runs, "{container:?} runs its command, and not {}", String::from_utf8_lossy(&comm));
        container
    }

    /// Runs another command in it and returns its exit code.
    pub fn exec(&self, command: &[&str]) -> i32 {
        self.runtime.exec(&self.id, command)
    }

    /// Sends it the stop signal, and kills it after the grace period.
    pub fn stop(&self, grace: Duration) {
        self.runtime.stop(&self.id, grace);
    }
}

impl Deref for Container {
    type Target = Launched;

    fn deref(&self) -> &Launched {
        &self.launched
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.runtime.remove(&self.launched.id);
    }
}

/// Ends the daemons that tests have started.
pub fn end_all() {
    cri::SHARED.end();
    cri::SHARED_PID.end();
    ctr::SHARED.end();
    containerd::SHARED.end();
    docker::SHARED.end();
}

/// Something that the first test that needs it starts. If that fails, all get the same reason.
#[derive(Debug)]
struct Shared<T>(Mutex<Option<Result<Arc<T>, Skip>>>);

impl<T> Shared<T> {
    const fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn get(&self, start: impl FnOnce() -> Result<T, Skip>) -> Result<Arc<T>, Skip> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.get_or_insert_with(|| start().map(Arc::new)).clone()
    }

    fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The machine output's object for a container with only a runtime and an id.
fn identity(runtime: &str, id: &str) -> Value {
    json!({"runtime": runtime, "id": id})
}

/// The same for one of the tests' image that has a name.
fn named(runtime: &str, id: &str, name: &str) -> Value {
    json!({"runtime": runtime, "id": id, "name": name, "image": image::APP})
}

/// Runs a program of a runtime to its end, and returns what it printed.
///
/// # Panics
/// If it fails.
fn run(command: &mut Command) -> String {
    let output = output(command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
    stdout
}

/// The exit code of a program.
fn code(command: &mut Command) -> i32 {
    let output = output(command);
    output.status.code().unwrap_or_else(|| panic!("{command:?}: {}", output.status))
}

fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a program of a runtime; its error is the reason of a skip.
fn tried(command: &mut Command) -> Result<String, Skip> {
    let program = command.get_program().display().to_string();
    let failed = |why: &str| {
        // The last line has the error.
        Skip::new(format!("{program}: {}", why.trim().lines().last().unwrap_or_default()))
    };
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Ok(output) => Err(failed(&String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(failed(&error.to_string())),
    }
}
