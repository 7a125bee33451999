//! Grades a command as PID 1 of a fresh pid namespace.
//!
//! The command is run once for each scenario ([`scene`]): the tool makes the namespace, starts the command in it, puts
//! orphans beside it and sends signals to it, so the command need not help. What came of it is read from the kernel's
//! events ([`observe`]), never from an attached tracer, which would change what happens. The checks are a table
//! ([`ALL`]), one file for each family.

mod forwarding;
mod observe;
mod reaping;
pub mod scene;
mod stopping;

pub use observe::{Child, Observation, SceneResult, Witness};

use serde::Serialize;

use scene::Plan;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// As it should be.
    Pass,
    /// Not so.
    Fail,
    /// There was nothing to see.
    NotApplicable,
}

/// A graded check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Graded {
    /// Its stable id.
    pub id: &'static str,
    /// Whether it decides the exit code.
    pub required: bool,
    /// What is asked for.
    pub demand: &'static str,
    /// How it came out.
    pub grade: Grade,
    /// What that rests on.
    pub evidence: Vec<String>,
}

/// A grade with its evidence.
pub type Judgement = (Grade, Vec<String>);

/// A named behaviour.
#[derive(Debug)]
pub struct Check {
    /// Its stable id.
    pub id: &'static str,
    /// Whether it decides the exit code.
    pub required: bool,
    /// What is asked for.
    pub demand: &'static str,
    /// What is done to the command.
    pub plan: Plan,
    /// What is made of it.
    pub judge: fn(&Observation<'_>) -> Judgement,
}

/// All checks. Those with the same plan share one run.
pub const ALL: [Check; 12] = [
    Check {
        id: "reaps-orphans",
        required: true,
        demand: "an orphan that PID 1 adopts is reaped",
        plan: Plan::Orphans { count: 1 },
        judge: reaping::orphans,
    },
    Check {
        id: "ends-within-grace",
        required: true,
        demand: "PID 1 ends within the grace period of its stop signal",
        plan: Plan::Stop,
        judge: stopping::within_grace,
    },
    Check {
        id: "children-get-term",
        required: true,
        demand: "its children get the chance to end, and are not only killed with the namespace",
        plan: Plan::Stop,
        judge: stopping::children,
    },
    Check {
        id: "reaps-100-orphans",
        required: false,
        demand: "a hundred orphans that die at once are reaped",
        plan: Plan::Orphans { count: 100 },
        judge: reaping::orphans,
    },
    Check {
        id: "child-signal-mask",
        required: false,
        demand: "a child begins with no signal blocked",
        plan: Plan::Orphans { count: 1 },
        judge: forwarding::mask,
    },
    Check {
        id: "child-dispositions",
        required: false,
        demand: "a child begins with no signal ignored",
        plan: Plan::Orphans { count: 1 },
        judge: forwarding::dispositions,
    },
    forwards("forwards-int", "SIGINT reaches the child, or ends PID 1", libc::SIGINT),
    forwards("forwards-hup", "SIGHUP reaches the child, or ends PID 1", libc::SIGHUP),
    forwards("forwards-quit", "SIGQUIT reaches the child, or ends PID 1", libc::SIGQUIT),
    forwards("forwards-usr1", "SIGUSR1 reaches the child, or ends PID 1", libc::SIGUSR1),
    forwards("forwards-usr2", "SIGUSR2 reaches the child, or ends PID 1", libc::SIGUSR2),
    Check {
        id: "passes-on-death-by-signal",
        required: false,
        demand: "PID 1 exits with 128 + n when its only child is killed by signal n",
        plan: Plan::KillChild,
        judge: stopping::passes_on,
    },
];

const fn forwards(id: &'static str, demand: &'static str, signal: i32) -> Check {
    Check { id, required: false, demand, plan: Plan::Signal { signal }, judge: forwarding::forwarded }
}
