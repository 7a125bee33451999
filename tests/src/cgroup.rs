//! Cgroups of the test's own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Skip, clock, process};

/// A cgroup with a limit on pids, removed when the value is dropped; by then what was in it must be gone.
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

/// A cgroup with a limit on memory, of the test's own; the same path under the pids controller, by which the tracer
/// names cgroups where each controller has a tree of its own.
#[derive(Debug)]
pub struct MemoryCgroup {
    pids: PidsCgroup,
    /// That of the memory controller, where it is another.
    memory: Option<PathBuf>,
}

impl MemoryCgroup {
    /// A cgroup that allows this many bytes, and no swap.
    ///
    /// # Errors
    /// The skip, where there is no memory controller that a test may use.
    pub fn with_max(bytes: u64) -> Result<Self, Skip> {
        let pids = PidsCgroup::with_max(1000)?;
        let v1 = Path::new("/sys/fs/cgroup/memory").join(pids.path.trim_start_matches('/'));
        if std::fs::create_dir(&v1).is_ok() {
            let cgroup = Self { pids, memory: Some(v1.clone()) };
            let set = std::fs::write(v1.join("memory.limit_in_bytes"), bytes.to_string());
            // Without swap there is no such file.
            let _ = std::fs::write(v1.join("memory.swappiness"), "0");
            return set.map(|()| cgroup).map_err(|error| Skip::new(format!("no limit on memory can be set: {error}")));
        }
        let _ = std::fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
        let set = std::fs::write(pids.directory.join("memory.max"), bytes.to_string());
        let _ = std::fs::write(pids.directory.join("memory.swap.max"), "0");
        set.map(|()| Self { pids, memory: None }).map_err(|error| Skip::new(format!("no memory controller: {error}")))
    }

    /// Puts a process into it.
    ///
    /// # Panics
    /// If that cannot be done.
    pub fn take_in(&self, pid: i32) {
        self.pids.take_in(pid);
        if let Some(memory) = &self.memory {
            let file = memory.join("cgroup.procs");
            std::fs::write(&file, pid.to_string()).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
    }

    /// Puts a process into a cgroup below it that has no limit of its own.
    ///
    /// # Panics
    /// If that cannot be done.
    pub fn take_in_below(&self, pid: i32) {
        // Before 5.11 a limit of v1 holds for cgroups below only where this is set.
        let _ = std::fs::write(self.memory_directory().join("memory.use_hierarchy"), "1");
        std::fs::create_dir(self.below()).expect("it is ours");
        if self.memory.is_some() {
            self.pids.take_in(pid);
        }
        std::fs::write(self.below().join("cgroup.procs"), pid.to_string()).expect("it is ours");
    }

    /// Its path, as the machine output names it.
    pub fn path(&self) -> &str {
        self.pids.path()
    }

    fn memory_directory(&self) -> &Path {
        self.memory.as_deref().unwrap_or_else(|| self.pids.directory())
    }

    fn below(&self) -> PathBuf {
        self.memory_directory().join("below")
    }
}

impl Drop for MemoryCgroup {
    fn drop(&mut self) {
        let below = self.below();
        if below.exists() && !process::eventually(clock::deadline(), || std::fs::remove_dir(&below).is_ok()) {
            eprintln!("{} could not be removed", below.display());
        }
        if let Some(memory) = &self.memory
            && !process::eventually(clock::deadline(), || std::fs::remove_dir(memory).is_ok())
        {
            eprintln!("{} could not be removed", memory.display());
        }
    }
}

/// A v2 cgroup whose processes can be killed by a file.
#[derive(Debug)]
pub struct KillableCgroup(PathBuf);

impl KillableCgroup {
    /// A cgroup of the test's own.
    ///
    /// # Errors
    /// The skip, where there is no v2 tree, or the kernel is older than 5.14.
    pub fn new() -> Result<Self, Skip> {
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let root = roots.into_iter().find(|root| root.join("cgroup.controllers").exists());
        let root = root.ok_or_else(|| Skip::new("no v2 cgroups"))?;
        let directory = root.join(format!("zt-test-kill-{}", std::process::id()));
        std::fs::create_dir(&directory).map_err(|error| Skip::new(format!("no cgroup can be made: {error}")))?;
        let cgroup = Self(directory);
        if cgroup.0.join("cgroup.kill").exists() { Ok(cgroup) } else { Err(Skip::new("no cgroup.kill before 5.14")) }
    }

    /// Puts a process into it.
    ///
    /// # Panics
    /// If that cannot be done.
    pub fn take_in(&self, pid: i32) {
        std::fs::write(self.0.join("cgroup.procs"), pid.to_string()).expect("it is ours");
    }

    /// Kills all that are in it.
    ///
    /// # Panics
    /// If that cannot be done.
    pub fn kill(&self) {
        std::fs::write(self.0.join("cgroup.kill"), "1").expect("it is ours");
    }
}

impl Drop for KillableCgroup {
    fn drop(&mut self) {
        if !process::eventually(clock::deadline(), || std::fs::remove_dir(&self.0).is_ok()) {
            eprintln!("{} could not be removed", self.0.display());
        }
    }
}

/// A cgroup of its own in every hierarchy that gives one, removed with all below it when the value is dropped; by then what
/// was in it must be gone.
#[derive(Debug)]
pub struct Subtree(Vec<PathBuf>);

impl Subtree {
    /// One of this name.
    ///
    /// # Errors
    /// The skip, if none can be made.
    pub fn new(name: &str) -> Result<Self, Skip> {
        let mount = Path::new("/sys/fs/cgroup");
        let below = std::fs::read_dir(mount).into_iter().flatten().flatten().map(|entry| entry.path());
        let roots: Vec<PathBuf> = match mount.join("cgroup.procs").exists() {
            true => vec![mount.to_owned()],
            // Of version 1 cpuset takes no process before it is told its processors.
            false => below.filter(|root| root.join("cgroup.procs").exists() && !root.ends_with("cpuset")).collect(),
        };
        let made = roots.into_iter().map(|root| root.join(name)).filter(|path| std::fs::create_dir(path).is_ok());
        let subtree = Self(made.collect());
        if subtree.0.is_empty() { Err(Skip::new("no cgroup can be made")) } else { Ok(subtree) }
    }

    /// The files to which a process writes its pid to move there.
    pub fn procs_files(&self) -> impl Iterator<Item = PathBuf> {
        self.0.iter().map(|path| path.join("cgroup.procs"))
    }
}

impl Drop for Subtree {
    fn drop(&mut self) {
        for path in &self.0 {
            if !process::eventually(clock::deadline(), || remove_tree(path)) {
                eprintln!("{} could not be removed", path.display());
            }
        }
    }
}

/// Removes a cgroup and those below it: the folders, not the files in them.
fn remove_tree(path: &Path) -> bool {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    for folder in entries.filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir())) {
        remove_tree(&folder.path());
    }
    std::fs::remove_dir(path).is_ok()
}
