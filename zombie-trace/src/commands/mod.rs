//! One file per subcommand.

pub mod check;
pub mod demo;
pub mod doctor;
pub mod init_check;
pub mod live;
mod target;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}
