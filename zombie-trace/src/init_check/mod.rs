//! Grades a command as PID 1 of a fresh pid namespace.
//!
//! The command is run once for each plan ([`plan`]): the tool makes the namespace, starts the command in it, puts orphans
//! beside it and sends signals to it ([`scene`]), so the command need not help. Where only a child that does as it is
//! told shows anything, a script takes the place of what the command starts ([`workload`]). What came of it is read from
//! the kernel's events ([`observe`]), never from an attached tracer, which would change what happens. The checks are a
//! table ([`ALL`]), one file for each family.

mod environment;
mod forwarding;
mod inheriting;
mod observe;
mod orphans;
pub mod plan;
mod reaping;
mod relay;
mod result;
mod sandbox;
pub mod scene;
mod start;
mod stopping;
mod table;
pub mod workload;

pub use observe::{EventCollector, Observation};
pub use result::{Child, SceneResult};
pub use table::ALL;

use crate::report::Grade;
use plan::Plan;

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
