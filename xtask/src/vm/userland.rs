//! The userland of a machine of another architecture: unpacked Debian packages.
//!
//! They are of this machine's release, so their libc is the one that the cross compiler links with.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    apt::{Apt, Source},
    architecture::Architecture,
    cache, system,
};

/// What the tests run in a VM, as in the image of this machine's own architecture.
const PACKAGES: &[&str] =
    &["bash", "busybox-static", "catatonit", "dash", "dumb-init", "libc6", "make", "python3", "runit", "s6", "tini"];

/// Folders that no test needs.
const NOT_NEEDED: &[&str] = &["usr/share", "usr/include", "usr/src", "usr/games", "var", "boot"];

/// The root, in its cache folder, beside the list of requested packages.
const ROOT: &str = "root";
const LIST: &str = "packages";

/// A root with these packages, from the cache or else from the archive.
pub(crate) fn bring(architecture: &'static Architecture, update: bool) -> Result<PathBuf> {
    let home = cache::folder(architecture.triple)?.join("userland");
    // A different list of packages needs a new root.
    let list = PACKAGES.join("\n");
    let anew = update || fs::read_to_string(home.join(LIST)).ok() != Some(list);
    cache::keep(&home, anew, |scratch| fetch(architecture, scratch))
        .with_context(|| format!("Debian's programs for {}", architecture.debian))?;
    Ok(home.join(ROOT))
}

fn fetch(architecture: &'static Architecture, scratch: &Path) -> Result<PathBuf> {
    println!("download what the VMs of {} run (10 MB of lists, 20 MB of packages)", architecture.debian);
    let apt = Apt::update(scratch, architecture.debian, &Source::of_this_machine()?)?;
    let made = scratch.join("made");
    let root = made.join(ROOT);
    apt.unpack_with_dependencies(PACKAGES, &root)?;
    // The packages still have files in `/bin` and `/lib`, which are links on an installed system.
    for name in ["bin", "sbin", "lib"] {
        let (old, new) = (root.join(name), root.join("usr").join(name));
        system::run(Command::new("cp").arg("--archive").arg(old.join(".")).arg(&new))?;
        fs::remove_dir_all(&old).with_context(|| old.display().to_string())?;
        symlink(new.strip_prefix(&root)?, &old)?;
    }
    for path in NOT_NEEDED.iter().map(|path| root.join(path)).filter(|path| path.exists()) {
        fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
    }
    fs::write(made.join(LIST), PACKAGES.join("\n"))?;
    Ok(made)
}
