//! Grades a command as PID 1 of a fresh pid namespace.
//!
//! The command is run once per plan ([`plan`]): the tool makes the namespace, starts the command in it, adds orphans
//! and sends signals ([`scene`]), without the command's help. If a check needs a child that follows orders, a script
//! replaces what the command starts ([`workload`]). The results come from the kernel's events ([`observe`]), not from
//! an attached tracer, which would change them. The checks are a table ([`ALL`]), with one file per family.

mod environment;
mod forwarding;
mod inheriting;
mod judgement;
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

pub use judgement::Judgement;
pub use observe::{EventCollector, Observation};
pub use result::{Child, SceneResult};
pub use sandbox::User;
pub use table::ALL;

use plan::Plan;

/// A named behaviour.
#[derive(Debug)]
pub struct Check {
    /// Its stable id.
    pub id: &'static str,
    /// Whether it decides the exit code.
    pub required: bool,
    /// The requirement.
    pub demand: &'static str,
    /// What is done to the command.
    pub plan: Plan,
    /// Grades the result.
    pub judge: fn(&Observation<'_>) -> Judgement,
}
