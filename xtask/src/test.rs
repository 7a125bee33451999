//! `cargo xtask test`: all tests of the workspace.

use std::{ffi::OsString, process::ExitCode};

use anyhow::Result;
use clap::Args;

use crate::{
    setup::{self, Wants},
    system::{self, Root},
};

/// Run all tests, the kernel tests included
///
/// Sets up what is missing first. The kernel tests need root; where this is not root, the tests run by sudo.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask test
  cargo xtask test -- --package zombie-trace            arguments of cargo test
  cargo xtask test -- -- reaped                         arguments of the test programs")]
pub(crate) struct Options {
    /// Arguments of `cargo test`
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    setup::ensure(Wants { tracefs: true, tests: true, ..Wants::default() })?;
    let mut cargo = system::cargo();
    cargo.args(["test", "--workspace"]);
    if system::root() == Root::Impossible {
        eprintln!("warning: neither root nor sudo: the kernel tests cannot run");
    } else {
        system::run_as_root(&mut cargo)?;
    }
    // Shows all failures, not only those of the first test program.
    cargo.arg("--no-fail-fast").args(&options.arguments);
    Ok(system::pass_on(system::status(&mut cargo)?))
}
