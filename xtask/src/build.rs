//! `cargo xtask build`: the whole workspace, the eBPF object included.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    architecture::Architecture,
    bpf::Toolchain,
    cross::Cross,
    setup::{self, Wants},
    system,
};

/// Build zombie-trace, the eBPF object included
///
/// Installs nothing: where the BPF toolchain is missing it says so. `cargo build` does the same.
///
/// For another architecture it builds zombie-trace alone, and sets up first what that takes: Debian's cross compiler,
/// and Rust's standard library, kept in ~/.cache/zombie-trace.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask build
  cargo xtask build --release       the binary to ship is target/release/zombie-trace
  cargo xtask build --target aarch64-unknown-linux-gnu
                                    for arm64; below target/aarch64-unknown-linux-gnu")]
pub(crate) struct Options {
    /// Build with optimisations
    #[arg(long, short)]
    release: bool,
    /// Build in the shortest time, just to see that it does: without optimisations and debug information
    #[arg(long, conflicts_with = "release")]
    quick: bool,
    /// Build for this architecture
    #[arg(long, value_name = "TRIPLE", value_parser = Architecture::of_triple)]
    target: Option<&'static Architecture>,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    let foreign = options.target.filter(|target| !target.is_native());
    if foreign.is_some() {
        setup::ensure(Wants { cross: true, ..Wants::default() })?;
    }
    // The build script would report the same, but only after compiling the dependencies.
    Toolchain::find()?;
    let mut cargo = match options.target {
        Some(target) => cargo(target, "build")?,
        None => cargo(Architecture::native()?, "build")?,
    };
    if foreign.is_some() {
        cargo.args(["--package", "zombie-trace"]);
    } else {
        cargo.arg("--workspace");
    }
    if options.release {
        cargo.arg("--release");
    }
    if options.quick {
        cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", "0").env("CARGO_PROFILE_DEV_DEBUG", "none");
    }
    let status = system::status(&mut cargo)?;
    if let Some(foreign) = foreign.filter(|_| status.success()) {
        let profile = if options.release { "release" } else { "debug" };
        let program = system::target_folder().join(foreign.triple).join(profile).join("zombie-trace");
        // It cannot be run here, but its architecture can be checked: a wrong linker or library would change it.
        let machine = system::elf_machine(&program);
        if machine != Some(foreign.elf) {
            bail!("{} was built, but is no program for {}", program.display(), foreign.debian);
        }
        let shown = program.strip_prefix(system::workspace()).unwrap_or(&program);
        println!("ok       {} is for {}", shown.display(), foreign.debian);
    }
    Ok(system::pass_on(status))
}

/// A cargo command of the workspace for an architecture; for this machine's own a plain one.
pub(crate) fn cargo(architecture: &'static Architecture, command: &str) -> Result<Command> {
    let mut cargo = system::cargo();
    cargo.arg(command);
    if !architecture.is_native() {
        Cross::to(architecture)?.apply(&mut cargo);
    }
    Ok(cargo)
}
