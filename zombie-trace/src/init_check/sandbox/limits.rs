//! A scene's own cgroups, which limit pids and memory.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

/// Maximum number of processes and threads: more than any entrypoint starts, less than a harmful fork bomb.
const MAX_PIDS: u32 = 1024;
/// Maximum memory, bytes.
const MAX_MEMORY: u64 = 1 << 30;

/// Removed when dropped; by then their processes must be gone.
#[derive(Debug)]
pub(in super::super) struct Limits {
    /// Limits pids; the first.
    pids: PathBuf,
    /// Limits memory, if in another hierarchy.
    memory: Option<PathBuf>,
}

impl Limits {
    /// Creates them, without changing settings of existing cgroups.
    ///
    /// # Errors
    /// There is no usable controller for pids, in words.
    pub(in super::super) fn make() -> Result<Self, String> {
        let name = format!("zombie-trace-init-check-{}", std::process::id());
        let (pids, memory) = roots().ok_or("there is no cgroup controller for pids to be used here")?;
        let make = |root: &Path| {
            let path = root.join(&name);
            fs::create_dir(&path).map(|()| path).map_err(|error| format!("no cgroup can be made: {error}"))
        };
        let mut made = Self { pids: make(&pids)?, memory: None };
        let set = |result: io::Result<()>| result.map_err(|error| format!("no limit can be set: {error}"));
        set(fs::write(made.pids.join("pids.max"), MAX_PIDS.to_string()))?;
        let bytes = MAX_MEMORY.to_string();
        match memory {
            Memory::Here => set(fs::write(made.pids.join("memory.max"), bytes))?,
            Memory::At(root) => {
                let path = make(&root)?;
                let limited = fs::write(path.join("memory.limit_in_bytes"), bytes);
                made.memory = Some(path);
                set(limited)?;
            }
            Memory::Nowhere => log::info!("no cgroup limits the memory of graded commands here"),
        }
        Ok(made)
    }

    /// The files to which a process writes "0" to move there.
    pub(super) fn procs_files(&self) -> io::Result<Vec<File>> {
        let open = |path: &PathBuf| OpenOptions::new().write(true).open(path.join("cgroup.procs"));
        [Some(&self.pids), self.memory.as_ref()].into_iter().flatten().map(open).collect()
    }

    /// Allows no more processes than there are now; returns how many.
    pub(in super::super) fn limit_to_current(&self) -> io::Result<u64> {
        let now = fs::read_to_string(self.pids.join("pids.current"))?;
        fs::write(self.pids.join("pids.max"), now.trim())?;
        Ok(now.trim().parse().unwrap_or(0))
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        for path in [Some(&self.pids), self.memory.as_ref()].into_iter().flatten() {
            remove(path);
        }
    }
}

/// A killed process leaves its cgroup shortly after its parent has waited for it, on a busy machine with a thousand of
/// them not so shortly.
fn remove(path: &Path) {
    for _ in 0..500 {
        match fs::remove_dir(path) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(_) => sleep(Duration::from_millis(10)),
        }
    }
    log::warn!("{} could not be removed", path.display());
}

/// Where memory is limited.
enum Memory {
    /// In the same hierarchy.
    Here,
    /// In a hierarchy of its own, of version 1.
    At(PathBuf),
    /// Not at all.
    Nowhere,
}

/// The controllers of version 1, or the hierarchy of version 2 if it enables them below.
fn roots() -> Option<(PathBuf, Memory)> {
    let top = Path::new("/sys/fs/cgroup");
    let usable = |name: &str| Some(top.join(name)).filter(|path| path.join("cgroup.procs").exists());
    if let Some(pids) = usable("pids") {
        return Some((pids, usable("memory").map_or(Memory::Nowhere, Memory::At)));
    }
    let enabled = fs::read_to_string(top.join("cgroup.subtree_control")).unwrap_or_default();
    let has = |name| enabled.split_whitespace().any(|controller| controller == name);
    has("pids").then(|| (top.to_owned(), if has("memory") { Memory::Here } else { Memory::Nowhere }))
}
