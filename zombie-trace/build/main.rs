//! Provides the eBPF object that the crate embeds.
//!
//! From a checkout it is built. A package from the registry has it prebuilt, for each architecture, because a machine
//! that runs `cargo install` has no BPF toolchain; `cargo xtask package` puts it there.
//!
//! `BPF_STRIP` may name an `llvm-strip` that removes the debug information of the object, as `cargo xtask dist` does: it
//! is five sixths of it, and nothing at run time reads it.
//!
//! The object's path is in `ZOMBIE_TRACE_BPF_OBJECT` at compile time: `include_bytes_aligned!(env!("…"))`.

#[expect(dead_code, reason = "the set-up and the lints of xtask use the rest")]
mod bpf;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use bpf::{Action, Error, Job, Toolchain};

fn main() -> ExitCode {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it for build scripts");
    let object = match checkout(package) {
        Some(workspace) => build(workspace, &arch),
        None => prebuilt(package, &arch),
    };
    match object {
        Ok(object) => {
            println!("cargo:rustc-env=ZOMBIE_TRACE_BPF_OBJECT={}", object.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            // `cargo::error` is shown without `--verbose`, unlike what a build script writes to stderr.
            for line in error.to_string().lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// The workspace, if the package lies in one and not unpacked for itself.
///
/// The sources of the programs decide, not the prebuilt objects: in a checkout these may be from yesterday.
fn checkout(package: &Path) -> Option<&Path> {
    let workspace = package.parent()?;
    workspace.join(bpf::EBPF_SOURCE).is_file().then_some(workspace)
}

fn prebuilt(package: &Path, arch: &str) -> Result<PathBuf, Error> {
    if !bpf::ARCHITECTURES.contains(&arch) {
        return Err(Error::Architecture(arch.to_owned()));
    }
    let object = package.join(bpf::PREBUILT).join(bpf::prebuilt_name(arch));
    println!("cargo:rerun-if-changed={}", object.display());
    match fs::metadata(&object) {
        Ok(_) => Ok(object),
        Err(error) => Err(Error::NotPrebuilt(object, error)),
    }
}

fn build(workspace: &Path, arch: &str) -> Result<PathBuf, Error> {
    // Before anything can fail, so that cargo knows what would mend a failure.
    for input in bpf::inputs(workspace) {
        println!("cargo:rerun-if-changed={}", input.display());
    }
    for name in ["BPF_RUSTC", "BPF_LINKER", "BPF_STRIP", "XDG_CACHE_HOME", "RUSTUP_HOME"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let out_dir = env::var_os("OUT_DIR").map(PathBuf::from).expect("cargo sets it for build scripts");
    let toolchain = Toolchain::find()?;
    // A new compiler or linker makes a new object.
    for tool in [&toolchain.compiler.rustc, &toolchain.linker] {
        println!("cargo:rerun-if-changed={}", tool.display());
    }
    // One folder for all profiles of the outer build, because the object is the same in all of them.
    let target_dir = bpf::outer_target_dir(&out_dir).join("bpf").join(arch);
    let built = Job { workspace, target_dir: &target_dir, arch }.run(&toolchain, Action::Build)?;
    let object = out_dir.join("zombie-trace.bpf.o");
    match env::var_os("BPF_STRIP") {
        Some(strip) => bpf::strip(Path::new(&strip), &built, &object)?,
        None => _ = fs::copy(&built, &object).map_err(|error| Error::Io(built, error))?,
    }
    Ok(object)
}
