//! `cargo xtask build`: the whole workspace, the eBPF object included.

mod empty_root;

use std::{
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    architecture::Architecture,
    bpf::Toolchain,
    cross::Cross,
    setup::{self, Wants},
    system::{self, Root},
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
                                    for arm64; below target/aarch64-unknown-linux-gnu
  cargo xtask build --release --static --target x86_64-unknown-linux-gnu
                                    a binary that runs on any Linux, whatever its libc")]
pub(crate) struct Options {
    /// Build with optimisations
    #[arg(long, short)]
    release: bool,
    /// Build in the shortest time, just to see that it does: without optimisations and debug information
    #[arg(long, conflicts_with = "release")]
    quick: bool,
    /// Build a binary that needs no library of the machine it runs on
    #[arg(long = "static", requires = "target")]
    is_static: bool,
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
    // What is made alone, below a folder with the name of its target.
    let alone = options.target.filter(|_| options.is_static || foreign.is_some());
    let mut cargo = match options.target {
        Some(target) if options.is_static => static_cargo(target, "build")?,
        Some(target) => cargo(target, "build")?,
        None => cargo(Architecture::native()?, "build")?,
    };
    if alone.is_some() {
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
    if let Some(target) = alone.filter(|_| status.success()) {
        let profile = if options.release { "release" } else { "debug" };
        let program = system::target_folder().join(target.triple).join(profile).join("zombie-trace");
        inspect(&program, target, options.is_static)?;
    }
    Ok(system::pass_on(status))
}

/// Checks what can be seen of a program without running it: a wrong linker or library would change it.
pub(crate) fn inspect(program: &Path, target: &Architecture, is_static: bool) -> Result<()> {
    let shown = program.strip_prefix(system::workspace()).unwrap_or(program).display();
    if system::elf_machine(program) != Some(target.elf) {
        bail!("{shown} was built, but is no program for {}", target.debian);
    }
    println!("ok       {shown} is for {}", target.debian);
    if !is_static {
        return Ok(());
    }
    if !system::is_static(program) {
        bail!("{shown} was built, but needs the libraries of the machine that it runs on");
    }
    println!("ok       {shown} needs no library");
    if target.is_native() && system::root() != Root::Impossible {
        empty_root::run(program)?;
        println!("ok       {shown} runs in a root without any other file");
    }
    Ok(())
}

/// A cargo command for programs that contain their libc.
///
/// It is glibc's. Debian has no musl for arm64 to cross-build with, and the C compiler, the linker and Rust's standard
/// library are those of every other build. A static glibc cannot load what its name service is configured with, or any
/// other library; zombie-trace looks up no user, group or host.
pub(crate) fn static_cargo(architecture: &'static Architecture, command: &str) -> Result<Command> {
    let mut cargo = cargo(architecture, command)?;
    if architecture.is_native() {
        // With a target, even this machine's own, build scripts and macros do not get the flags. Macros cannot be static.
        cargo.args(["--target", architecture.triple]);
    }
    let flags = cargo.get_envs().find(|(name, _)| *name == FLAGS).and_then(|(_, value)| value);
    let mut flags = flags.map(ToOwned::to_owned).unwrap_or_default();
    if !flags.is_empty() {
        flags.push("\x1f");
    }
    flags.push("-Ctarget-feature=+crt-static");
    cargo.env(FLAGS, flags);
    Ok(cargo)
}

pub(crate) const FLAGS: &str = "CARGO_ENCODED_RUSTFLAGS";

/// A cargo command of the workspace for an architecture; for this machine's own a plain one.
pub(crate) fn cargo(architecture: &'static Architecture, command: &str) -> Result<Command> {
    let mut cargo = system::cargo();
    cargo.arg(command);
    if !architecture.is_native() {
        Cross::to(architecture)?.apply(&mut cargo);
    }
    Ok(cargo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_build_names_its_target_so_that_macros_stay_dynamic() {
        let native = Architecture::native().unwrap();
        let cargo = static_cargo(native, "build").unwrap();
        assert_eq!(cargo.get_args().collect::<Vec<_>>(), ["build", "--target", native.triple]);
        let flags = cargo.get_envs().find(|(name, _)| *name == FLAGS).and_then(|(_, value)| value).unwrap();
        assert_eq!(flags, "-Ctarget-feature=+crt-static");
    }

    #[test]
    fn a_program_that_needs_libraries_is_not_called_static() {
        let own = std::env::current_exe().unwrap();
        let native = Architecture::native().unwrap();
        inspect(&own, native, false).unwrap();
        let error = inspect(&own, native, true).unwrap_err().to_string();
        assert!(error.contains("needs the libraries"), "{error}");
    }
}
