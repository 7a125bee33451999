//! Builds the eBPF object that the crate embeds, as `$OUT_DIR/zombie-trace.bpf.o`.
//!
//! The path is also in `ZOMBIE_TRACE_BPF_OBJECT` at compile time: `include_bytes_aligned!(env!("…"))`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[path = "../xtask/src/bpf.rs"]
#[expect(dead_code, reason = "the set-up and the lints of xtask use the rest")]
mod bpf;

use bpf::{Action, Error, Job, Toolchain};

fn main() -> ExitCode {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    // Before anything can fail, so that cargo knows what would mend a failure.
    for input in bpf::inputs(workspace) {
        println!("cargo:rerun-if-changed={}", input.display());
    }
    for name in ["BPF_RUSTC", "BPF_LINKER", "XDG_CACHE_HOME", "RUSTUP_HOME"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    match build(workspace) {
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

fn build(workspace: &Path) -> Result<PathBuf, Error> {
    let variable = |name: &str| env::var_os(name).map(PathBuf::from).expect("cargo sets it for build scripts");
    let out_dir = variable("OUT_DIR");
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it for build scripts");
    let toolchain = Toolchain::find()?;
    // A new compiler or linker makes a new object.
    for tool in [&toolchain.compiler.rustc, &toolchain.linker] {
        println!("cargo:rerun-if-changed={}", tool.display());
    }
    // One folder for all profiles of the outer build, because the object is the same in all of them.
    let target_dir = bpf::outer_target_dir(&out_dir).join("bpf").join(&arch);
    let built = Job { workspace, target_dir: &target_dir, arch: &arch }.run(&toolchain, Action::Build)?;
    let object = out_dir.join("zombie-trace.bpf.o");
    fs::copy(&built, &object).map_err(|error| Error::Io(built, error))?;
    Ok(object)
}
