//! `cargo xtask package`: the crate that `cargo install` builds without a BPF toolchain.

pub(crate) mod prebuilt;
mod trial;

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
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
                                        and run the demonstration (as root)
  cargo xtask package && cargo publish --package zombie-trace --allow-dirty
                                        publish it; to cargo the eBPF objects are changes not committed")]
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
    if !options.allow_dirty {
        refuse_changes()?;
    }
    let prebuilt = Prebuilt::build(&Toolchain::find()?)?;
    print!("{prebuilt}");
    prebuilt.store()?;
    let mut cargo = system::cargo();
    // Cargo's own check would build it with all that this machine has; the installation shows more.
    cargo.args(["package", "--package", "zombie-trace", "--locked", "--no-verify", "--quiet"]);
    // To cargo the prebuilt objects are changes, too, although git ignores them.
    cargo.arg("--allow-dirty");
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

/// Fails if git has changes or new files: a package says which commit it was made of.
pub(crate) fn refuse_changes() -> Result<()> {
    let mut git = Command::new("git");
    let output = git.args(["status", "--porcelain"]).current_dir(system::workspace()).output();
    let output = output.context("git could not be started")?;
    let changes = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("`{}`: {}", system::display(&git), String::from_utf8_lossy(&output.stderr).trim_end());
    }
    if !changes.is_empty() {
        bail!("commit these changes first, or package them with --allow-dirty:\n{}", changes.trim_end());
    }
    Ok(())
}
