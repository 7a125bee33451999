//! One file per subcommand.

pub mod demo;
mod ends;
pub mod live;
pub mod record;
pub mod report;
pub mod run;
mod target;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}
