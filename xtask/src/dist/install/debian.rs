//! The package in new roots of Debian releases.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{
    findings::{DEMO, demonstrated_by},
    root::{Root, compare},
};
use crate::{apt::Source, architecture::Architecture, cache, dist::names, packages::DEBIAN_KEYRING, system};

pub(super) fn bookworm(results: &Path, native: &'static Architecture) -> Result<String> {
    on("bookworm", results, native)
}

pub(super) fn trixie(results: &Path, native: &'static Architecture) -> Result<String> {
    on("trixie", results, native)
}

/// What apt and dpkg write whenever they do something.
const RECORDS: &[&str] = &["var/lib/dpkg", "var/lib/apt", "var/cache", "var/log", "proc", "sys", "dev", "run", "tmp"];

fn on(release: &str, results: &Path, native: &'static Architecture) -> Result<String> {
    let root = Root::of_archive(release, &archive(release, native)?)?;
    let name = names::deb(native);
    let package = root.path().join("tmp").join(&name);
    fs::copy(results.join(&name), &package).with_context(|| package.display().to_string())?;
    let before = root.content(RECORDS)?;
    let mut install = root.command("apt-get")?;
    // The package needs no other one, so this needs no network.
    install.args(["-q", "-y", "-o", "APT::Sandbox::User=root", "install", &format!("/tmp/{name}")]);
    system::output(&mut install)?;
    system::output(root.command("dpkg")?.args(["--verify", "zombie-trace"]))?;
    demonstrated_by(root.command("zombie-trace")?.args(DEMO))?;
    system::output(root.command("apt-get")?.args(["-q", "-y", "purge", "zombie-trace"]))?;
    compare(&before, &root.content(RECORDS)?)?;
    Ok(format!("{name} installs by apt on {release}, traces and goes without a trace"))
}

/// A new root of a release, without anything that a release does not need, as an archive in the cache.
fn archive(release: &str, native: &'static Architecture) -> Result<PathBuf> {
    let folder = cache::folder("roots")?.join(format!("{release}-{}", native.debian));
    cache::keep(&folder, false, |scratch| {
        println!("download {release} for a root to install in (60 MB)");
        let mirror = Source::release(release)?;
        let (root, made) = (scratch.join("root"), scratch.join("made"));
        let mut debootstrap = system::as_root("debootstrap")?;
        debootstrap.args(["--variant=minbase", &format!("--keyring={DEBIAN_KEYRING}"), release]).arg(&root);
        system::output(debootstrap.arg(mirror.address()))?;
        let _ = fs::remove_dir_all(root.join("var/cache/apt/archives"));
        fs::create_dir_all(&made)?;
        let mut tar = system::as_root("tar")?;
        system::output(
            tar.args(["--create", "--one-file-system", "--file"])
                .arg(made.join("root.tar"))
                .arg("-C")
                .arg(&root)
                .arg("."),
        )?;
        Ok(made)
    })?;
    Ok(folder.join("root.tar"))
}
