//! The harness with which the tests of zombie-trace read like sentences.
//!
//! [`Actor`] is a real program that creates a situation, [`Tracer`] is `zombie-trace live` watching it, [`Event`] is
//! its output, [`Browser`] shows a page that it made, [`runner`] runs the tests and counts skips. The tests use only
//! the machine output of the tool, so the same tests run on the host and in the VMs.

pub mod actor;
pub mod binaries;
pub mod bpf;
pub mod browser;
pub mod cgroup;
pub mod clock;
pub mod event;
pub mod foreign;
pub mod namespace;
pub mod process;
pub mod require;
pub mod runner;
pub mod runtime;
pub mod tracer;

pub use actor::{Actor, Line};
pub use browser::Browser;
pub use event::Event;
pub use namespace::Namespace;
pub use runner::{Skip, TestResult};
pub use tracer::{Finished, Tracer};
