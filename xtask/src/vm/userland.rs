//! What a machine of another architecture runs beside the project's own programs: Debian's packages for it, unpacked.
//!
//! They are of this machine's release, so their libc is the one that the cross compiler links with.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    apt::{Apt, Source},
    architecture::Architecture,
    cache,
};

/// What the tests run in a VM, as in the image of this machine's own architecture.
const PACKAGES: &[&str] =
    &["bash", "busybox-static", "catatonit", "dash", "dumb-init", "libc6", "make", "python3", "runit", "s6", "tini"];

/// What no test looks at.
const NOT_NEEDED: &[&str] =
    &["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/perl5"];

/// A root with all of that, from the cache or else from the archive.
pub(crate) fn bring(architecture: &'static Architecture, update: bool) -> Result<PathBuf> {
    let home = cache::folder(architecture.triple)?.join("userland");
    cache::keep(&home, update, |scratch| fetch(architecture, scratch))
        .with_context(|| format!("Debian's programs for {}", architecture.debian))?;
    Ok(home)
}

fn fetch(architecture: &'static Architecture, scratch: &Path) -> Result<PathBuf> {
    println!("download what the VMs of {} run (10 MB of lists, 20 MB of packages)", architecture.debian);
    let apt = Apt::update(scratch, architecture.debian, &Source::of_this_machine()?)?;
    let root = scratch.join("root");
    // The packages still have files in `/bin` and `/lib`, which have long been links.
    for name in ["bin", "sbin", "lib"] {
        fs::create_dir_all(root.join("usr").join(name))?;
        symlink(format!("usr/{name}"), root.join(name))?;
    }
    apt.unpack_with_dependencies(PACKAGES, &root)?;
    for path in NOT_NEEDED.iter().map(|path| root.join(path)).filter(|path| path.exists()) {
        fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
    }
    Ok(root)
}
