//! The test's own cgroup with a limit on pids.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Skip, clock, process};

/// Removed on drop; its processes must be gone by then.
#[derive(Debug)]
pub struct PidsCgroup {
    directory: PathBuf,
    path: String,
}

impl PidsCgroup {
    /// A cgroup that allows this many pids.
    ///
    /// # Errors
    /// The skip, without a usable pids controller.
    pub fn with_max(max: u64) -> Result<Self, Skip> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("zt-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let root = root().ok_or_else(|| Skip::new("no cgroup pids controller that is free to use"))?;
        let directory = root.join(&name);
        std::fs::create_dir(&directory).map_err(|error| Skip::new(format!("no cgroup can be made: {error}")))?;
        let cgroup = Self { directory, path: format!("/{name}") };
        match std::fs::write(cgroup.directory.join("pids.max"), max.to_string()) {
            Ok(()) => Ok(cgroup),
            Err(error) => Err(Skip::new(format!("pids.max cannot be set: {error}"))),
        }
    }

    /// Puts a process into it.
    ///
    /// # Panics
    /// If that cannot be done.
    pub fn take_in(&self, pid: i32) {
        let file = self.directory.join("cgroup.procs");
        std::fs::write(&file, pid.to_string()).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its path in its hierarchy, as in the machine output.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Drop for PidsCgroup {
    fn drop(&mut self) {
        if !process::eventually(clock::deadline(), || std::fs::remove_dir(&self.directory).is_ok()) {
            eprintln!("{} could not be removed", self.directory.display());
        }
    }
}

/// The v1 controller's root, or the v2 root with the controller enabled below.
fn root() -> Option<PathBuf> {
    let v1 = Path::new("/sys/fs/cgroup/pids");
    if v1.join("cgroup.procs").exists() {
        return Some(v1.to_owned());
    }
    let v2 = Path::new("/sys/fs/cgroup");
    let controllers = |file: &str| std::fs::read_to_string(v2.join(file)).unwrap_or_default();
    if controllers("cgroup.controllers").split_whitespace().any(|it| it == "pids") {
        std::fs::write(v2.join("cgroup.subtree_control"), "+pids").ok()?;
        return Some(v2.to_owned());
    }
    None
}
