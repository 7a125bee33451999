//! Third-party programs that read the tool's output.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use crate::{Skip, binaries, require};

/// A folder for `PYTHONPATH` with these packages, fetched once and kept beside cargo's output.
///
/// # Errors
/// The skip, without pip or a download.
pub fn python(packages: &[&str]) -> Result<PathBuf, Skip> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    require::program("python3")?;
    let folder = binaries::cache().join("python").join(packages.join(" ").replace(['/', ' '], "_"));
    let done = folder.join("complete");
    if done.exists() {
        return Ok(folder);
    }
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]).arg(&folder);
    let output = pip.args(packages).output().map_err(|error| Skip::new(format!("python3: {error}")))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        let why = why.lines().last().unwrap_or_default();
        return Err(Skip::new(format!("{} cannot be fetched: {why}", packages.join(", "))));
    }
    std::fs::write(&done, "").map_err(|error| Skip::new(format!("{}: {error}", done.display())))?;
    Ok(folder)
}
