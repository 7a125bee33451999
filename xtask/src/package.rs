//! `cargo xtask package`: the crate that `cargo install` builds without a BPF toolchain.

pub(crate) mod prebuilt;
mod trial;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use prebuilt::Prebuilt;

use crate::{
    bpf::Toolchain,
    setup::{self, Wants},
    system,
};

/// Make the crate of zombie-trace, with the eBPF objects of all architectures inside
///
/// Builds each object twice, in two folders, and fails if they differ in a byte. Prints which compiler and linker made
/// them; the package says so too, in prebuilt/COMPILER. The result is in target/package.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask package                   make target/package/zombie-trace-*.crate
  cargo xtask package --allow-dirty     also with changes that are not committed
  cargo xtask package --install         and install it from an empty cargo home, without the BPF toolchain,
                                        and run the demonstration (as root)")]
pub(crate) struct Options {
    /// Package changes that are not committed, too
    #[arg(long)]
    allow_dirty: bool,
    /// Install the package from an empty cargo home, and run the demonstration as root
    #[arg(long)]
    install: bool,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    setup::ensure(Wants { dist: true, tracefs: options.install, ..Wants::default() })?;
    let prebuilt = Prebuilt::build(&Toolchain::find()?)?;
    print!("{prebuilt}");
    prebuilt.store()?;
    let mut cargo = system::cargo();
    // Cargo's own check would build it with all that this machine has; the installation shows more.
    cargo.args(["package", "--package", "zombie-trace", "--locked", "--no-verify", "--quiet"]);
    if options.allow_dirty {
        cargo.arg("--allow-dirty");
    }
    system::run(&mut cargo)?;
    let package = system::target_folder().join(format!("package/zombie-trace-{}.crate", env!("CARGO_PKG_VERSION")));
    let size = package.metadata().with_context(|| package.display().to_string())?.len();
    let shown = package.strip_prefix(system::workspace()).unwrap_or(&package);
    println!("ok       {} ({} KB)", shown.display(), size / 1000);
    if options.install {
        trial::install(&package)?;
        println!("ok       it installs from an empty cargo home without a BPF toolchain, and traces");
    }
    Ok(ExitCode::SUCCESS)
}
