//! Roots for programs to be installed in, and commands in them.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{scratch::Scratch, system};

/// Mounts what the programs read of the kernel, in a mount namespace that ends with the command. It is private, so the
/// machine sees none of it.
const ENTER: &str = r#"
mount -t proc proc "$0/proc" && mount --rbind /sys "$0/sys" && mount --rbind /dev "$0/dev" &&
mount -t tmpfs tmpfs "$0/run" && exec chroot "$0" "$@"
"#;

/// A root folder, removed on drop.
pub(super) struct Root(Scratch);

impl Root {
    /// A root with a static busybox and no other file.
    pub(super) fn of_busybox(purpose: &str) -> Result<Self> {
        let root = Self(Scratch::new(purpose)?);
        for folder in ["bin", "etc", "tmp", "var/lib"] {
            fs::create_dir_all(root.path().join(folder))?;
        }
        let busybox = system::find_program("busybox").filter(|busybox| system::is_static(busybox));
        let busybox = busybox.context("no static busybox: run `cargo xtask setup`")?;
        fs::copy(&busybox, root.path().join("bin/busybox")).with_context(|| busybox.display().to_string())?;
        let applets = Command::new(&busybox).arg("--list").output().context("busybox could not be started")?;
        for applet in String::from_utf8_lossy(&applets.stdout).lines().filter(|applet| *applet != "busybox") {
            symlink("busybox", root.path().join("bin").join(applet))?;
        }
        fs::write(root.path().join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n")?;
        fs::write(root.path().join("etc/group"), "root:x:0:\n")?;
        root.places_of_the_kernel()?;
        Ok(root)
    }

    /// A root unpacked from an archive.
    pub(super) fn of_archive(purpose: &str, archive: &Path) -> Result<Self> {
        let root = Self(Scratch::new(purpose)?);
        let mut tar = system::as_root("tar")?;
        system::run(tar.args(["--extract", "--numeric-owner", "--file"]).arg(archive).arg("-C").arg(root.path()))?;
        root.places_of_the_kernel()?;
        Ok(root)
    }

    fn places_of_the_kernel(&self) -> Result<()> {
        for folder in ["proc", "sys", "dev", "run"] {
            fs::create_dir_all(self.path().join(folder))?;
        }
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A command in the root, with the kernel's file systems.
    pub(super) fn command(&self, program: &str) -> Result<Command> {
        let mut command = system::as_root("unshare")?;
        command.args(["--mount", "--propagation", "private", "sh", "-c", ENTER]).arg(self.path()).arg(program);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("DEBIAN_FRONTEND", "noninteractive");
        // Names of this machine's.
        command.env_remove("TMPDIR").stdin(Stdio::null());
        Ok(command)
    }

    /// All files, links and folders in it, but for those below some folders.
    pub(super) fn content(&self, except: &[&str]) -> Result<BTreeSet<PathBuf>> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
                let entry = entry?;
                let path = entry.path();
                let shown = path.strip_prefix(self.path())?.to_owned();
                if except.iter().any(|folder| shown.starts_with(folder)) {
                    continue;
                }
                if entry.file_type()?.is_dir() {
                    folders.push(path);
                }
                found.insert(shown);
            }
        }
        Ok(found)
    }
}

/// Fails if there is more than before, or less.
pub(super) fn compare(before: &BTreeSet<PathBuf>, after: &BTreeSet<PathBuf>) -> Result<()> {
    let differing: Vec<_> = before.symmetric_difference(after).map(|path| path.display().to_string()).collect();
    if !differing.is_empty() {
        bail!("not as before the installation: {}", differing.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stayed_or_went_is_named() {
        let set = |names: &[&str]| names.iter().map(PathBuf::from).collect::<BTreeSet<_>>();
        compare(&set(&["a"]), &set(&["a"])).unwrap();
        let error = compare(&set(&["a", "b"]), &set(&["a", "c"])).unwrap_err().to_string();
        assert!(error.ends_with("b, c"), "{error}");
    }
}
