//! containerd with its own client, which has neither a stop with a grace period nor an init.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::containerd::{self, Containerd, SNAPSHOTTER};
use super::image::{self, INIT};
use super::{Commands, Launched, Runtime, Shared, code, identity, run};
use crate::{Skip, clock, process};

pub(super) static SHARED: Shared<Ctr> = Shared::new();

/// containerd by `ctr`.
#[derive(Debug)]
pub struct Ctr(Arc<Containerd>);

impl Ctr {
    fn command(&self) -> Command {
        self.0.ctr(&containerd::namespace())
    }

    /// Pid and state of a container.
    fn task(&self, id: &str) -> Option<(i32, String)> {
        let list = run(self.command().args(["tasks", "list"]));
        let line = list.lines().map(str::split_whitespace).find_map(|mut words| {
            let is_it = words.next() == Some(id);
            is_it.then(|| (words.next(), words.next()))
        });
        let (pid, state) = line?;
        Some((pid?.parse().ok()?, state?.to_owned()))
    }
}

impl Runtime for Ctr {
    fn shared() -> Result<Arc<Self>, Skip> {
        SHARED.get(|| Ok(Self(containerd::shared()?)))
    }

    fn start(&self, name: &str, command: &[&str], init: bool) -> Launched {
        let init: &[&str] = if init { &[INIT, "--"] } else { &[] };
        let mut start = self.command();
        start.args(["run", "--detach", "--snapshotter", SNAPSHOTTER, image::APP, name]).args(init).args(command);
        run(&mut start);
        let (pid, _) = self.task(name).expect("it was started");
        Launched { id: name.to_owned(), pid, identity: identity("containerd", name) }
    }

    fn exec(&self, id: &str, command: &[&str]) -> i32 {
        code(&mut self.exec_line(id, command))
    }

    fn stop(&self, id: &str, grace: Duration) {
        let is_over = || self.task(id).is_none_or(|(_, state)| state == "STOPPED");
        run(self.command().args(["tasks", "kill", "--signal", "SIGTERM", id]));
        if !process::eventually(grace, is_over) {
            run(self.command().args(["tasks", "kill", "--signal", "SIGKILL", id]));
            assert!(process::eventually(clock::deadline(), is_over), "{id} is dead");
        }
    }

    fn remove(&self, id: &str) {
        run(self.command().args(["tasks", "delete", "--force", id]));
        run(self.command().args(["containers", "delete", id]));
    }

    fn stopper(&self) -> &'static [&'static str] {
        &["containerd-shim"]
    }

    fn parent_of_execs(&self) -> &'static str {
        "containerd-shim"
    }
}

impl Commands for Ctr {
    fn run_line(&self, name: &str, command: &[&str]) -> Command {
        let mut line = self.command();
        line.args(["run", "--rm", "--snapshotter", SNAPSHOTTER, image::APP, name]).args(command);
        line
    }

    fn exec_line(&self, id: &str, command: &[&str]) -> Command {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let exec = format!("exec-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut line = self.command();
        line.args(["tasks", "exec", "--exec-id", &exec, id]).args(command);
        line
    }

    fn stop_line(&self, id: &str, seconds: u32) -> Command {
        let client = self.command();
        let words = [client.get_program()].into_iter().chain(client.get_args()).map(|word| word.to_string_lossy());
        let kill = words.chain(["tasks kill --signal".into()]).collect::<Vec<_>>().join(" ");
        let mut script = Command::new("sh");
        script.arg("-c").arg(format!("{kill} SIGTERM {id}; sleep {seconds}; {kill} SIGKILL {id}; sleep 0.5"));
        script
    }
}
