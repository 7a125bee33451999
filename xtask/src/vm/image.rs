//! The initramfs of the VMs.
//!
//! One image serves all kernels and boots of an architecture: for this machine's own the host's binaries with the
//! libraries that `ldd` names; for another one a root of Debian packages.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{architecture::Architecture, system};

/// The project's own programs, stripped, because VMs have no debugger.
const OWN: &str = "/zt";

/// Programs of the machine that the tests run. Missing ones are left out, and the tests that need them are skipped
/// there as here.
const PROGRAMS: &[&str] = &[
    "bash",
    "dash",
    "sh",
    "make",
    "tini",
    "dumb-init",
    "catatonit",
    "s6-svscan",
    "s6-supervise",
    "runsvdir",
    "runsv",
    "runc",
    "crun",
    "nginx",
    "unshare",
    "ldd",
];

/// Parts of Python that no test imports.
const NOT_OF_PYTHON: &[&str] =
    &["test", "tests", "idlelib", "lib2to3", "ensurepip", "pydoc_data", "dist-packages", "site-packages"];

/// The project's programs by the names that they have in the image.
#[derive(Debug)]
pub(crate) struct Binaries {
    pub(crate) init: PathBuf,
    pub(crate) tests: PathBuf,
    /// Only with the runtimes, in an image of this machine's architecture.
    pub(crate) containers: Option<PathBuf>,
    pub(crate) tool: PathBuf,
    pub(crate) actor: PathBuf,
}

/// A tree that becomes an initramfs.
struct Tree {
    root: PathBuf,
    architecture: &'static Architecture,
    libraries: BTreeSet<PathBuf>,
}

/// Builds the image in this folder and returns its file. Another architecture's programs come from `userland`.
pub(crate) fn build(
    architecture: &'static Architecture,
    binaries: &Binaries,
    userland: Option<&Path>,
    folder: &Path,
) -> Result<PathBuf> {
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| root.display().to_string())?;
    }
    let mut tree = Tree { root, architecture, libraries: BTreeSet::new() };
    if let Some(userland) = userland {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        system::run(Command::new("cp").arg("--archive").arg(userland).arg(&tree.root))?;
    }
    tree.skeleton()?;
    for (source, name) in [
        (&binaries.init, "/init"),
        (&binaries.tests, "/zt/kernel"),
        (&binaries.tool, "/zt/zombie-trace"),
        (&binaries.actor, "/zt/zt-actor"),
    ] {
        tree.own(source, name)?;
    }
    if let Some(containers) = &binaries.containers {
        tree.own(containers, "/zt/containers")?;
    }
    if userland.is_some() {
        tree.applets()?;
        return tree.write(&folder.join("initramfs.cpio"));
    }
    for name in PROGRAMS {
        match system::find_program(name) {
            Some(path) => tree.program(&path, &format!("/usr/bin/{name}"))?,
            None => println!("warning: {name} is not installed, so the VMs have none"),
        }
    }
    tree.busybox()?;
    tree.python()?;
    tree.write(&folder.join("initramfs.cpio"))
}

impl Tree {
    fn skeleton(&self) -> Result<()> {
        let usual = ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "zt", "etc", "root", "tmp", "proc", "sys", "dev"];
        // Folders that servers and container runtimes expect, and the place where the root is mounted again.
        let further = ["var/lib/nginx", "var/log/nginx", "mnt"];
        for folder in usual.into_iter().chain(further) {
            let folder = self.root.join(folder);
            fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        for (name, target) in [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")] {
            let link = self.root.join(name);
            if fs::symlink_metadata(&link).is_err() {
                symlink(target, link)?;
            }
        }
        // Names of the users that tests become.
        fs::write(self.root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")?;
        fs::write(self.root.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n")?;
        Ok(())
    }

    /// Where a path of the VM lies in the tree.
    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn own(&mut self, source: &Path, name: &str) -> Result<()> {
        let strip = if self.architecture.is_native() { "strip" } else { &format!("{}-strip", self.architecture.gnu) };
        system::run(Command::new(strip).arg("--strip-debug").arg("-o").arg(self.at(name)).arg(source))
            .with_context(|| format!("{} into {OWN}", source.display()))?;
        if self.architecture.is_native() {
            self.libraries.extend(libraries(source)?);
        }
        Ok(())
    }

    fn program(&mut self, source: &Path, name: &str) -> Result<()> {
        let to = self.at(name);
        fs::copy(source, &to).with_context(|| format!("{} to {}", source.display(), to.display()))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
        self.libraries.extend(libraries(source)?);
        Ok(())
    }

    /// The standard tools: `true`, `cat`, `sleep` and the like.
    fn busybox(&mut self) -> Result<()> {
        let busybox = system::find_program("busybox").context("busybox is missing: run `cargo xtask setup`")?;
        self.program(&busybox, "/usr/bin/busybox")?;
        self.applets()
    }

    /// The names of busybox's applets, unless another program has them. This machine's busybox lists them: it is the
    /// same package, and that of another architecture cannot run here.
    fn applets(&self) -> Result<()> {
        let busybox = system::find_program("busybox").context("busybox is missing: run `cargo xtask setup`")?;
        let applets = Command::new(busybox).arg("--list").output().context("busybox could not be started")?;
        for applet in String::from_utf8_lossy(&applets.stdout).lines() {
            let link = self.root.join("usr/bin").join(applet);
            if fs::symlink_metadata(&link).is_err() {
                symlink("busybox", link)?;
            }
        }
        Ok(())
    }

    /// Python in its usual place, from which it finds its library; without the extensions that need more libraries than
    /// Python itself.
    fn python(&mut self) -> Result<()> {
        let Some(found) = system::find_program("python3") else { return Ok(()) };
        // The one on the path may be a script that chooses one of several.
        let ask = "import os, sys, sysconfig; print(os.path.realpath(sys.executable), sysconfig.get_paths()['stdlib'])";
        let output = Command::new(found).args(["-c", ask]).output().context("python3 could not be started")?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let Some((program, library)) = said.split_once(' ').filter(|(_, library)| Path::new(library).is_dir()) else {
            bail!("python3 does not name its library: {}", String::from_utf8_lossy(&output.stderr).trim());
        };
        fs::create_dir_all(self.at(program).parent().context("a program lies in a folder")?)?;
        self.program(Path::new(program), program)?;
        let link = self.at("/usr/bin/python3");
        if fs::symlink_metadata(&link).is_err() {
            symlink(program, link)?;
        }
        self.copy_python(Path::new(library))
    }

    fn copy_python(&mut self, folder: &Path) -> Result<()> {
        fs::create_dir_all(self.root.join(folder.strip_prefix("/")?))?;
        for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if NOT_OF_PYTHON.contains(&name.as_ref()) || name.starts_with("config-") {
                continue;
            }
            if path.is_dir() {
                self.copy_python(&path)?;
            } else if path.is_file() && (!name.ends_with(".so") || libraries(&path)?.is_subset(&self.libraries)) {
                let to = self.root.join(path.strip_prefix("/")?);
                fs::copy(&path, &to).with_context(|| path.display().to_string())?;
            }
        }
        Ok(())
    }

    /// Adds the libraries and writes everything into an archive as the kernel reads it.
    fn write(self, file: &Path) -> Result<PathBuf> {
        for library in &self.libraries {
            let to = self.root.join(library.strip_prefix("/")?);
            fs::create_dir_all(to.parent().context("a library lies in a folder")?)?;
            fs::copy(library, &to).with_context(|| library.display().to_string())?;
        }
        let mut names = Vec::new();
        list(&self.root, Path::new(""), &mut names)?;
        let archive = File::create(file).with_context(|| file.display().to_string())?;
        let mut cpio = Command::new("cpio")
            .args(["--create", "--format=newc", "--owner=+0:+0", "--null", "--quiet"])
            .current_dir(&self.root)
            .stdin(Stdio::piped())
            .stdout(archive)
            .spawn()
            .context("cpio could not be started: run `cargo xtask setup`")?;
        let mut stdin = cpio.stdin.take().context("stdin is a pipe")?;
        stdin.write_all(&names)?;
        drop(stdin);
        if !cpio.wait()?.success() {
            bail!("cpio could not write {}", file.display());
        }
        Ok(file.to_owned())
    }
}

/// The names below a folder, each folder before its content, separated by NULs.
fn list(root: &Path, below: &Path, names: &mut Vec<u8>) -> Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut entries = fs::read_dir(root.join(below))?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = below.join(entry.file_name());
        names.extend_from_slice(name.as_os_str().as_bytes());
        names.push(0);
        if entry.file_type()?.is_dir() {
            list(root, &name, names)?;
        }
    }
    Ok(())
}

/// The libraries that a program or library is linked with, the loader included; none for a static one.
fn libraries(program: &Path) -> Result<BTreeSet<PathBuf>> {
    // A library has no interpreter either.
    if system::is_static(program) && program.extension().is_none_or(|extension| extension != "so") {
        return Ok(BTreeSet::new());
    }
    let output = Command::new("ldd").arg(program).output().context("ldd could not be started")?;
    Ok(named_by_ldd(&String::from_utf8_lossy(&output.stdout)))
}

/// The paths in what `ldd` prints: `libc.so.6 => /lib/…/libc.so.6 (0x…)`, and the loader without an arrow.
fn named_by_ldd(text: &str) -> BTreeSet<PathBuf> {
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from);
    text.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ldd_names_the_libraries_and_the_loader() {
        let text = "\tlinux-vdso.so.1 (0x00007ffe)\n\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f00)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f01)\n";
        let expected = ["/lib/x86_64-linux-gnu/libm.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(named_by_ldd(text), BTreeSet::from(expected));
        assert!(named_by_ldd("\tnot a dynamic executable\n").is_empty());
    }
}
