//! Prevents the runtimes from leaving anything on the host.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::{Skip, clock, process};

/// The variable that marks every process of the test: all but the containers inherit it.
const MARK: &str = "ZT_RUNTIMES";

static ENTERED: OnceLock<Result<(), Skip>> = OnceLock::new();

/// A mount namespace with its own /run, /var/lib and /var/log, where the runtimes keep their state: in the usual
/// places, so that the tracer, which is also started in it, finds them as on a node.
#[derive(Debug)]
pub struct Sandbox {
    mounts: Vec<PathBuf>,
}

impl Sandbox {
    /// Enters it with the whole test program. Call it before there are threads. If that fails, the tests that need it
    /// are skipped with the reason.
    pub fn enter() -> Self {
        // SAFETY: there is one thread, so nobody reads the environment meanwhile.
        unsafe { std::env::set_var(MARK, std::process::id().to_string()) };
        let entered = enter().map_err(|error| Skip::new(format!("no mount namespace for the runtimes: {error}")));
        ENTERED.get_or_init(|| entered);
        Self { mounts: mounts() }
    }

    /// What is left of the runtimes after they have ended: processes, mounts, cgroups. Empty cgroups are removed; those
    /// still in use are named.
    pub fn leftovers(&self) -> Vec<String> {
        let mut found = Vec::new();
        process::eventually(clock::deadline(), || {
            found = self.look();
            found.is_empty()
        });
        found
    }

    fn look(&self) -> Vec<String> {
        let processes = marked().into_iter().map(|pid| {
            let name = process::stat(pid).map(|stat| String::from_utf8_lossy(&stat.comm).into_owned());
            format!("process {pid} ({})", name.unwrap_or_default())
        });
        let mounts = mounts().into_iter().filter(|point| !self.mounts.contains(point));
        let mounts = mounts.map(|point| format!("mount {}", point.display()));
        let cgroups = hierarchies().into_iter().map(|hierarchy| hierarchy.join(cgroup().trim_start_matches('/')));
        let cgroups = cgroups.filter(|cgroup| cgroup.exists() && !remove_cgroup(cgroup));
        let cgroups = cgroups.map(|cgroup| format!("cgroup {}", cgroup.display()));
        processes.chain(mounts).chain(cgroups).collect()
    }
}

/// Whether the runtimes have their own place.
///
/// # Errors
/// The skip, if not.
pub(super) fn entered() -> Result<(), Skip> {
    ENTERED.get().cloned().unwrap_or_else(|| Err(Skip::new("the test program has not entered a sandbox")))
}

/// The cgroup of this run, in which all containers are.
pub(super) fn cgroup() -> String {
    format!("/zt-runtimes-{}", std::process::id())
}

/// A folder for a runtime's files.
pub(super) fn folder(name: &str) -> PathBuf {
    let folder = Path::new("/var/lib/zt").join(name);
    fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    folder
}

fn enter() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    for place in ["/run", "/var/lib", "/var/log"] {
        mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
    }
    Ok(())
}

/// The mount points of this namespace.
fn mounts() -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines().filter_map(|line| line.split(' ').nth(4).map(PathBuf::from)).collect()
}

/// Processes that have inherited the mark, without zombies, which cannot be killed.
fn marked() -> Vec<i32> {
    let mark = format!("{MARK}={}", std::process::id());
    let own = i32::try_from(std::process::id()).expect("pids are positive");
    let entries = fs::read_dir("/proc").expect("/proc can be read").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_marked = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes())
    };
    pids.filter(|&pid| pid != own).filter(is_marked).collect()
}

/// Where cgroup hierarchies are mounted.
fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let below = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let below = below.filter(|path| !path.is_symlink() && path.join("cgroup.procs").exists());
    // On pure version 2 the folders below the root are cgroups.
    if root.join("cgroup.procs").exists() { vec![root.to_owned()] } else { below.collect() }
}

/// Removes a cgroup and those in it; false if one is still in use.
fn remove_cgroup(cgroup: &Path) -> bool {
    let below = fs::read_dir(cgroup).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut removed = true;
    for inner in below.filter(|path| path.is_dir()) {
        removed &= remove_cgroup(&inner);
    }
    removed && fs::remove_dir(cgroup).or_else(gone).is_ok()
}

fn gone(error: std::io::Error) -> std::io::Result<()> {
    if error.raw_os_error() == Some(Errno::ENOENT as i32) { Ok(()) } else { Err(error) }
}
