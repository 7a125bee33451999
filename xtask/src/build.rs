//! `cargo xtask build`: the whole workspace, the eBPF object included.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::{bpf::Toolchain, system};

/// Build zombie-trace, the eBPF object included
///
/// Installs nothing: where the BPF toolchain is missing it says so. `cargo build` does the same.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask build
  cargo xtask build --release       the binary to ship is target/release/zombie-trace")]
pub(crate) struct Options {
    /// Build with optimisations
    #[arg(long, short)]
    release: bool,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    // The build script would say the same, but only after the dependencies were compiled.
    Toolchain::find()?;
    let mut cargo = system::cargo();
    cargo.args(["build", "--workspace"]);
    if options.release {
        cargo.arg("--release");
    }
    Ok(system::pass_on(system::status(&mut cargo)?))
}
