//! The harness with which the tests of zombie-trace read like sentences.
//!
//! [`Actor`] is a real program that brings a situation about, [`Tracer`] is `zombie-trace live` looking at it, [`Event`]
//! is what it said, [`runner`] runs the tests and counts what was skipped. The tests know the machine output of the
//! tool and nothing else of it, so the same tests run on the host and in the VMs.

pub mod actor;
pub mod binaries;
pub mod bpf;
pub mod cgroup;
pub mod clock;
pub mod event;
pub mod namespace;
pub mod process;
pub mod require;
pub mod runner;
pub mod tracer;

pub use actor::{Actor, Line};
pub use event::Event;
pub use namespace::Namespace;
pub use runner::{Skip, TestResult};
pub use tracer::{Finished, Tracer};
