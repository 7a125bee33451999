//! The binary that is shipped: static, without debug information, which lies in a file beside it.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    architecture::Architecture,
    bpf,
    build::{self, FLAGS},
    packages::LLVM_STRIP,
    system,
};

/// What is built where.
#[derive(Debug)]
pub(super) struct Place {
    /// The root of the sources.
    pub(super) workspace: PathBuf,
    /// cargo's folder. Not the usual one: cargo would put the profile's files where the results belong, in `target/dist`.
    pub(super) target_dir: PathBuf,
}

/// A program and its debug information.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) file: PathBuf,
    pub(super) debug: PathBuf,
}

/// The file with the debug information, which the program names and gdb looks for beside it.
pub(super) const DEBUG_NAME: &str = "zombie-trace.debug";

/// Builds the program of one architecture.
pub(super) fn build(place: &Place, architecture: &'static Architecture) -> Result<Program> {
    let mut cargo = build::static_cargo(architecture, "build")?;
    let flags = cargo.get_envs().find(|(name, _)| *name == FLAGS).and_then(|(_, value)| value);
    let mut flags = flags.map(ToOwned::to_owned).unwrap_or_default();
    let remap = remap(place);
    for (from, to) in &remap {
        flags.push("\x1f--remap-path-prefix=");
        flags.push(from);
        flags.push(format!("={to}"));
    }
    cargo.env(format!("CFLAGS_{}", architecture.triple.replace('-', "_")), c_flags(&remap)?);
    cargo
        .current_dir(&place.workspace)
        .args(["--package", "zombie-trace", "--bin", "zombie-trace", "--profile", "dist", "--locked", "--target-dir"])
        .arg(&place.target_dir)
        .env(FLAGS, flags)
        .env("BPF_STRIP", LLVM_STRIP);
    system::run(&mut cargo)?;
    let folder = place.target_dir.join(architecture.triple).join("dist");
    let program = split(&folder.join("zombie-trace"), &folder.join("split"), architecture)?;
    build::inspect(&program.file, architecture, true)?;
    Ok(program)
}

/// The same for the C code in crates, which is compiled with debug information, too.
fn c_flags(remap: &[(PathBuf, &str)]) -> Result<String> {
    let flag = |(from, to): &(PathBuf, &str)| {
        let from = from.display().to_string();
        if from.contains(char::is_whitespace) {
            // The variable is split at blanks.
            bail!("{from}: C code cannot be built the same everywhere from a folder with a blank in its path");
        }
        Ok(format!("-ffile-prefix-map={from}={to} "))
    };
    remap.iter().map(flag).collect()
}

/// Folders whose place says nothing to a user, and would make the program depend on it.
fn remap(place: &Place) -> Vec<(PathBuf, &'static str)> {
    let mut remap = vec![(place.workspace.clone(), ".")];
    remap.extend(bpf::registries().into_iter().map(|folder| (folder, "registry")));
    // Code that build scripts make. The last that fits counts, and this folder may lie in the workspace.
    remap.push((place.target_dir.clone(), "target"));
    remap
}

/// Moves the debug information of a program into a file of its own.
fn split(built: &Path, into: &Path, architecture: &Architecture) -> Result<Program> {
    let _ = fs::remove_dir_all(into);
    fs::create_dir_all(into).with_context(|| into.display().to_string())?;
    let program = Program { file: into.join("zombie-trace"), debug: into.join(DEBUG_NAME) };
    let objcopy = || tool("objcopy", architecture);
    let debug = &program.debug;
    system::run(objcopy()?.args(["--only-keep-debug", "--compress-debug-sections=zlib"]).args([built, debug]))?;
    // The name of the file and its checksum, by which a debugger knows that the two belong together.
    let mut link = OsString::from("--add-gnu-debuglink=");
    link.push(debug);
    system::run(objcopy()?.arg("--strip-all").arg(link).args([built, &program.file]))?;
    Ok(program)
}

/// One of GNU's tools for the files of an architecture.
fn tool(name: &str, architecture: &Architecture) -> Result<Command> {
    let prefixed = format!("{}-{name}", architecture.gnu);
    match (system::find_program(&prefixed), architecture.is_native()) {
        (Some(program), _) => Ok(Command::new(program)),
        (None, true) => Ok(Command::new(name)),
        (None, false) => bail!("{prefixed} is missing: run `cargo xtask setup`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_machine_are_mapped_in_c_code_too() {
        let remap = |folder: &str| [(PathBuf::from(folder), "."), (PathBuf::from("/r"), "registry")];
        assert_eq!(c_flags(&remap("/w")).unwrap(), "-ffile-prefix-map=/w=. -ffile-prefix-map=/r=registry ");
        assert!(c_flags(&remap("/a b")).unwrap_err().to_string().starts_with("/a b: "));
    }

    #[test]
    fn a_target_folder_in_the_workspace_is_mapped_for_itself() {
        let place = Place { workspace: "/w".into(), target_dir: "/w/target".into() };
        // rustc takes the last that fits, gcc too.
        assert_eq!(remap(&place).last().unwrap(), &(PathBuf::from("/w/target"), "target"));
    }
}
