//! Where there is neither glibc nor Debian: a root with a static busybox.

use std::{path::Path, process::Command};

use anyhow::{Result, bail};

use super::{
    findings::{DEMO, demonstrated_by},
    root::{Root, compare},
};
use crate::{architecture::Architecture, dist::names, system};

/// The archive, unpacked.
pub(super) fn archive_in_a_root_of_busybox(results: &Path, native: &'static Architecture) -> Result<String> {
    let root = Root::of_busybox("busybox")?;
    let archive = results.join(names::archive(native));
    system::output(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(root.path()))?;
    let program = format!("/{}/zombie-trace", names::base(native));
    demonstrated_by(root.command(&program)?.args(DEMO))?;
    Ok(format!("{} traces in a root of busybox alone, without a libc", names::archive(native)))
}

/// The rpm, with what it runs at installation and removal.
pub(super) fn rpm_in_a_root_of_busybox(results: &Path, native: &'static Architecture) -> Result<String> {
    let root = Root::of_busybox("rpm")?;
    let rpm = |arguments: &[&str]| {
        let mut rpm = system::as_root("rpm")?;
        rpm.arg("--root").arg(root.path()).args(["--dbpath", DATABASE]).args(arguments);
        anyhow::Ok(rpm)
    };
    system::output(&mut rpm(&["--initdb"])?)?;
    let before = root.content(&[DATABASE.trim_start_matches('/')])?;
    // rpm knows nothing of the shell in the root, which the package's scripts need.
    system::output(rpm(&["--install", "--nodeps"])?.arg(results.join(names::rpm(native))))?;
    let differing = system::output(&mut rpm(&["--verify", "--nodeps", "zombie-trace"])?)?;
    if !differing.is_empty() {
        bail!("rpm finds other files than it installed: {differing}");
    }
    demonstrated_by(root.command("zombie-trace")?.args(DEMO))?;
    system::output(&mut rpm(&["--erase", "zombie-trace"])?)?;
    let after = root.content(&[DATABASE.trim_start_matches('/')])?;
    // rpm leaves the folders that it makes for packages, and which no package has: usr and the like.
    let left = after.difference(&before).filter(|path| !root.path().join(path).is_dir()).cloned().collect();
    compare(&Default::default(), &left)?;
    let ours = after.iter().filter(|path| path.to_string_lossy().contains("zombie-trace")).cloned().collect();
    compare(&Default::default(), &ours)?;
    Ok(format!("{} installs, traces and goes without a trace", names::rpm(native)))
}

const DATABASE: &str = "/var/lib/rpm";
