//! The eBPF objects that a package contains.
//!
//! They are not in the repository: each change of the programs would add megabytes, and two branches with changes could
//! not be merged. So they are built when a package is made, and a second build shows that anyone can build the same.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    bpf::{self, Action, Job, Toolchain},
    packages::LLVM_STRIP,
    system,
};

/// The file beside the objects that says what made them.
const COMPILER: &str = "COMPILER";

/// The objects of all architectures.
#[derive(Debug)]
pub(crate) struct Prebuilt {
    objects: Vec<Object>,
    rustc: String,
    linker: String,
}

#[derive(Debug)]
struct Object {
    arch: &'static str,
    content: Vec<u8>,
    digest: String,
}

impl Prebuilt {
    /// Builds each object twice, from the workspace and from a copy of it, and fails if they are not the same.
    pub(crate) fn build(toolchain: &Toolchain) -> Result<Self> {
        let scratch = system::target_folder().join("bpf-again");
        // A copy and a target folder at other paths: what depends on a path would differ.
        let copy = scratch.join("a copy of the workspace");
        copy_sources(&copy)?;
        let mut objects = Vec::new();
        for arch in bpf::ARCHITECTURES {
            let file = object(toolchain, system::workspace(), &system::target_folder().join("bpf").join(arch), arch)?;
            let again = object(toolchain, &copy, &scratch.join("target").join(arch), arch)?;
            let content = fs::read(&file).with_context(|| file.display().to_string())?;
            if content != fs::read(&again).with_context(|| again.display().to_string())? {
                bail!(
                    "two builds of the eBPF programs for {arch} differ: compare {} with {}",
                    file.display(),
                    again.display()
                );
            }
            objects.push(Object { arch, content, digest: sha256(&file)? });
        }
        fs::remove_dir_all(&copy).with_context(|| copy.display().to_string())?;
        let rustc = first_line(Command::new(&toolchain.compiler.rustc).arg("--version"))?;
        let linker = first_line(Command::new(&toolchain.linker).arg("--version"))?;
        Ok(Self { objects, rustc, linker })
    }

    /// Puts them where the package is made from.
    pub(crate) fn store(&self) -> Result<()> {
        let folder = system::workspace().join("zombie-trace").join(bpf::PREBUILT);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        for object in &self.objects {
            let file = folder.join(bpf::prebuilt_name(object.arch));
            fs::write(&file, &object.content).with_context(|| file.display().to_string())?;
        }
        fs::write(folder.join(COMPILER), self.to_string()).with_context(|| folder.display().to_string())
    }
}

impl fmt::Display for Prebuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "compiler {}", self.rustc)?;
        writeln!(f, "linker   {} with LLVM {}", self.linker, bpf::LINKER_LLVM)?;
        for Object { arch, digest, content } in &self.objects {
            writeln!(f, "object   {} ({} KB) sha256 {digest}", bpf::prebuilt_name(arch), content.len() / 1000)?;
        }
        Ok(())
    }
}

/// Builds one object and returns its file, without debug information: five sixths of it.
fn object(toolchain: &Toolchain, workspace: &Path, target_dir: &Path, arch: &'static str) -> Result<PathBuf> {
    let built = Job { workspace, target_dir, arch }.run(toolchain, Action::Build)?;
    let stripped = target_dir.join(bpf::prebuilt_name(arch));
    bpf::strip(Path::new(LLVM_STRIP), &built, &stripped)?;
    Ok(stripped)
}

/// Copies the sources of the workspace, which a checkout by any other means than git has, too.
pub(crate) fn copy_sources(to: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    let folders = ["zombie-trace-ebpf", "zombie-trace", "xtask", "tests"];
    for name in folders.into_iter().chain(["Cargo.toml", "Cargo.lock", "README.md", "LICENSE-APACHE", "LICENSE-MIT"]) {
        copy(&system::workspace().join(name), &to.join(name))?;
    }
    Ok(())
}

/// Copies a file, or a folder without what was built in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let context = || from.display().to_string();
    if !from.is_dir() {
        fs::copy(from, to).with_context(context)?;
        return Ok(());
    }
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(context)? {
        let name = entry.with_context(context)?.file_name();
        if name != "target" && name != bpf::PREBUILT {
            copy(&from.join(&name), &to.join(&name))?;
        }
    }
    Ok(())
}

fn sha256(file: &Path) -> Result<String> {
    let line = first_line(Command::new("sha256sum").arg(file))?;
    // A backslash marks a file name with escapes.
    let digest = line.split(' ').next().unwrap_or_default().trim_start_matches('\\');
    Ok(digest.to_owned())
}

fn first_line(command: &mut Command) -> Result<String> {
    Ok(system::output(command)?.lines().next().unwrap_or_default().to_owned())
}
