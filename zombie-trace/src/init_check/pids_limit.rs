//! A cgroup of the scene's own that limits pids.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

/// Removed when dropped; by then what was in it must be gone.
#[derive(Debug)]
pub(super) struct PidsLimit(PathBuf);

impl PidsLimit {
    /// A cgroup without a limit as yet. No setting of a cgroup that is there is changed for it.
    ///
    /// # Errors
    /// There is no controller for pids that may be used, in words.
    pub(super) fn make() -> Result<Self, String> {
        let root = root().ok_or("there is no cgroup controller for pids to be used here")?;
        let path = root.join(format!("zombie-trace-init-check-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("no cgroup can be made: {error}"))?;
        Ok(Self(path))
    }

    /// What a process writes "0" to in order to move there.
    pub(super) fn entrance(&self) -> io::Result<File> {
        OpenOptions::new().write(true).open(self.0.join("cgroup.procs"))
    }

    /// Allows no more processes than there are now; returns how many.
    pub(super) fn close(&self) -> io::Result<u64> {
        let now = fs::read_to_string(self.0.join("pids.current"))?;
        fs::write(self.0.join("pids.max"), now.trim())?;
        Ok(now.trim().parse().unwrap_or(0))
    }
}

impl Drop for PidsLimit {
    fn drop(&mut self) {
        // What was killed leaves a moment after its parent has waited for it.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        log::warn!("{} could not be removed", self.0.display());
    }
}

/// The controller of version 1, or the hierarchy of version 2 if it has the controller for what is below.
fn root() -> Option<PathBuf> {
    let old = Path::new("/sys/fs/cgroup/pids");
    if old.join("cgroup.procs").exists() {
        return Some(old.to_owned());
    }
    let new = Path::new("/sys/fs/cgroup");
    let enabled = fs::read_to_string(new.join("cgroup.subtree_control")).unwrap_or_default();
    enabled.split_whitespace().any(|controller| controller == "pids").then(|| new.to_owned())
}
