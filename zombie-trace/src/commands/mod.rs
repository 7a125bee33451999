//! One file per subcommand.

pub mod check;
pub mod demo;
pub mod doctor;
mod ends;
mod exit;
pub mod explain;
pub mod export;
pub mod init_check;
pub mod live;
pub mod record;
pub mod replay;
pub mod report;
pub mod run;
pub mod scan;
mod target;

pub use exit::Exit;

use std::io::Write;

/// Says something beside the data. Nobody may be there to read it, and that is no reason to end: `eprintln` would.
fn say(words: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{words}");
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}
