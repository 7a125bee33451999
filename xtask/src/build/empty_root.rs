//! Runs a static program where there is no library, no shell and no configuration.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::system;

/// Runs a program in a folder that is its root and has no other file, with commands that need no `/proc`.
pub(super) fn run(program: &Path) -> Result<()> {
    let root = Root::new()?;
    fs::copy(program, root.0.join("zombie-trace")).with_context(|| program.display().to_string())?;
    for (arguments, expected) in [
        (["--version"].as_slice(), concat!("zombie-trace ", env!("CARGO_PKG_VERSION"))),
        (&["export", "--columns"], "zombies"),
        (&["check", "--print-policy"], "allowed-stop-causes"),
    ] {
        let mut chroot = system::as_root("chroot")?;
        let output = chroot.arg(&root.0).arg("/zombie-trace").args(arguments).output();
        let output = output.context("chroot could not be started")?;
        if !output.status.success() || !String::from_utf8_lossy(&output.stdout).contains(expected) {
            bail!(
                "in an empty root, `zombie-trace {}` ended with {} and did not print {expected:?}: {}",
                arguments.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
    }
    Ok(())
}

/// A folder of its own, removed on drop.
struct Root(PathBuf);

impl Root {
    fn new() -> Result<Self> {
        let folder = env::temp_dir().join(format!("zombie-trace-root-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self(folder))
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
