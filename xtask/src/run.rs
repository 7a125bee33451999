//! `cargo xtask run`: builds zombie-trace and runs it as root.

use std::{ffi::OsString, os::unix::process::CommandExt as _, process::ExitCode};

use anyhow::{Context as _, Error, Result};
use clap::Args;

use crate::{
    setup::{self, Wants},
    system,
};

/// Build zombie-trace and run it as root, by sudo if needed
///
/// Sets up what is missing first. Without arguments it runs `zombie-trace demo`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask run                           the demo
  cargo xtask run -- live --min-age 5s
  cargo xtask run --release -- record -o zombies.ztr")]
pub(crate) struct Options {
    /// Build with optimisations
    #[arg(long, short)]
    pub(crate) release: bool,
    /// Arguments of zombie-trace
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) arguments: Vec<OsString>,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    setup::ensure(Wants { tracefs: true, ..Wants::default() })?;
    let mut cargo = system::cargo();
    // The working directory stays the caller's, where a recording is written.
    cargo.current_dir(".");
    cargo.args(["run", "--quiet", "--manifest-path"]).arg(system::workspace().join("Cargo.toml"));
    cargo.args(["--package", "zombie-trace", "--bin", "zombie-trace"]);
    if options.release {
        cargo.arg("--release");
    }
    system::run_as_root(&mut cargo)?;
    cargo.arg("--");
    if options.arguments.is_empty() {
        cargo.arg("demo");
    } else {
        cargo.args(&options.arguments);
    }
    // Cargo replaces itself by the program, so Ctrl-C and the exit code pass directly between the shell and
    // zombie-trace.
    Err(Error::from(cargo.exec())).context("cargo could not be started")
}
