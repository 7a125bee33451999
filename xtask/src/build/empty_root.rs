//! Runs a static program where there is no library, no shell and no configuration.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::{scratch::Scratch, system};

/// Runs a program in a folder that is its root and has no other file, with commands that need no `/proc`.
pub(super) fn run(program: &Path) -> Result<()> {
    let root = Scratch::new("root")?;
    fs::copy(program, root.path().join("zombie-trace")).with_context(|| program.display().to_string())?;
    for (arguments, expected) in [
        (["--version"].as_slice(), concat!("zombie-trace ", env!("CARGO_PKG_VERSION"))),
        (&["export", "--columns"], "zombies"),
        (&["check", "--print-policy"], "allowed-stop-causes"),
    ] {
        let mut chroot = system::as_root("chroot")?;
        let output = chroot.arg(root.path()).arg("/zombie-trace").args(arguments).output();
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
