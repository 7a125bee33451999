//! Facts about a machine, gathered before anything is loaded.
//!
//! This only reads small files below a root that tests replace; [`super::preflight`] decides what the facts mean. An
//! unavailable fact is `None`: containers hide files, and old kernels have fewer.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    btf::{self, Btf, BtfError},
    differences::Differences,
    offsets::{OffsetError, Resolved, field_count, resolve},
};

/// Where tracefs may be mounted, in the order in which aya looks.
const TRACEFS: [&str; 2] = ["sys/kernel/tracing", "sys/kernel/debug/tracing"];

/// Result of reading the kernel's BTF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeInfo {
    /// All required fields are there.
    Resolved(Fields),
    /// There is no such file.
    Absent,
    /// It cannot be read or parsed.
    Unreadable(String),
    /// A required field is not in it.
    Lacking(String),
}

/// Fields that were found in BTF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// How many were found.
    pub found: usize,
    /// Optional ones that were not.
    pub missing: Vec<&'static str>,
    /// Features that not all kernels have.
    pub differences: Differences,
    /// Number of types, if requested.
    pub types: Option<u32>,
    /// How long reading and resolving took, if that was measured.
    pub took: Option<Duration>,
}

impl TypeInfo {
    /// Reads BTF below this root.
    #[must_use]
    pub fn read(root: &Path) -> (Self, Option<Resolved>) {
        let started = Instant::now();
        let path = root.join(btf::RUNNING_KERNEL.trim_start_matches('/'));
        let btf = match Btf::read(&path) {
            Ok(btf) => btf,
            Err(error) => return (Self::from(&error), None),
        };
        let resolved = match resolve(&btf) {
            Ok(resolved) => resolved,
            Err(error) => return (Self::from(&error), None),
        };
        let took = started.elapsed();
        let fields = Fields { types: Some(btf.len()), took: Some(took), ..Fields::from(&resolved) };
        (Self::Resolved(fields), Some(resolved))
    }
}

impl From<&Resolved> for Fields {
    fn from(resolved: &Resolved) -> Self {
        let missing = resolved.missing.clone();
        Self { found: field_count() - missing.len(), missing, differences: resolved.differences, ..Self::default() }
    }
}

impl From<&Resolved> for TypeInfo {
    fn from(resolved: &Resolved) -> Self {
        Self::Resolved(resolved.into())
    }
}

impl From<&BtfError> for TypeInfo {
    fn from(error: &BtfError) -> Self {
        match error {
            BtfError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => Self::Absent,
            BtfError::Read { source, .. } => Self::Unreadable(format!("{error}: {source}")),
            _ => Self::Unreadable(error.to_string()),
        }
    }
}

impl From<&OffsetError> for TypeInfo {
    fn from(error: &OffsetError) -> Self {
        Self::Lacking(error.to_string())
    }
}

/// Whether the tracepoints that probes attach to through tracefs can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tracefs {
    /// Mounted at neither place.
    NotMounted,
    /// This path may not be read.
    Forbidden(PathBuf),
    /// Mounted.
    Mounted {
        /// Where.
        at: PathBuf,
        /// The folder `events/syscalls` exists.
        syscalls: bool,
        /// Required tracepoints that it does not list, as `category/name`.
        missing: Vec<String>,
    },
}

/// How much the kernel is locked down against root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lockdown {
    /// Not at all.
    Off,
    /// Root may read but not change the kernel.
    Integrity,
    /// Root may not read the kernel's memory either.
    Confidentiality,
}

/// Which cgroup hierarchies are visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupLayout {
    /// None is mounted.
    None,
    /// Version 1 only.
    V1,
    /// Version 2 only.
    V2,
    /// Both.
    Hybrid,
}

/// Input of the checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `uname -r`.
    pub release: Option<String>,
    /// What BTF gave.
    pub types: TypeInfo,
    /// Where tracepoints are listed.
    pub tracefs: Tracefs,
    /// Effective capabilities of this process, as a mask.
    pub capabilities: Option<u64>,
    /// Effective user id.
    pub uid: Option<u32>,
    /// A seccomp filter is active.
    pub seccomp: bool,
    /// Inode of the process's user namespace.
    pub user_ns: Option<u64>,
    /// Inode of its pid namespace.
    pub pid_ns: Option<u64>,
    /// Inode of its cgroup namespace.
    pub cgroup_ns: Option<u64>,
    /// The lockdown, if the kernel shows one.
    pub lockdown: Option<Lockdown>,
    /// `kernel.unprivileged_bpf_disabled`.
    pub unprivileged_bpf_disabled: Option<u32>,
    /// `kernel.perf_event_paranoid`.
    pub perf_event_paranoid: Option<i32>,
    /// What cgroup hierarchies are mounted.
    pub cgroups: CgroupLayout,
    /// `kernel.pid_max`.
    pub pid_max: Option<u32>,
    /// Soft limit of locked memory, bytes; `u64::MAX` is none.
    pub memlock: Option<u64>,
}

impl Facts {
    /// Reads the facts below this root, normally `/`. The caller passes the result of reading BTF, which takes most of
    /// the time and is needed for loading anyway, and the required tracepoints as category and name.
    #[must_use]
    pub fn gather(root: &Path, types: TypeInfo, tracepoints: &[(&str, &str)]) -> Self {
        let read = |path: &str| fs::read_to_string(root.join(path)).ok();
        let number = |path: &str| read(path).and_then(|text| text.trim().parse().ok());
        let perf_event_paranoid = read("proc/sys/kernel/perf_event_paranoid");
        let namespace = |name: &str| {
            let link = fs::read_link(root.join("proc/self/ns").join(name)).ok()?;
            namespace_inode(link.to_str()?)
        };
        let status = read("proc/self/status").unwrap_or_default();
        let status = |key: &str| field(&status, key);
        Self {
            release: read("proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
            types,
            tracefs: tracefs(root, tracepoints),
            capabilities: status("CapEff").and_then(|text| u64::from_str_radix(text, 16).ok()),
            uid: status("Uid").and_then(|ids| ids.split_whitespace().nth(1)?.parse().ok()),
            seccomp: status("Seccomp") == Some("2"),
            user_ns: namespace("user"),
            pid_ns: namespace("pid"),
            cgroup_ns: namespace("cgroup"),
            lockdown: read("sys/kernel/security/lockdown").and_then(|text| lockdown(&text)),
            unprivileged_bpf_disabled: number("proc/sys/kernel/unprivileged_bpf_disabled"),
            perf_event_paranoid: perf_event_paranoid.and_then(|text| text.trim().parse().ok()),
            cgroups: cgroups(&read("proc/self/mountinfo").unwrap_or_default()),
            pid_max: number("proc/sys/kernel/pid_max"),
            memlock: read("proc/self/limits").and_then(|text| memlock(&text)),
        }
    }
}

/// The value of a line `key:\tvalue`.
fn field<'a>(status: &'a str, key: &str) -> Option<&'a str> {
    status.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim()))
}

/// The inode of `pid:[4026531836]`.
fn namespace_inode(link: &str) -> Option<u64> {
    link.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
}

/// The level in brackets of `none [integrity] confidentiality`.
fn lockdown(text: &str) -> Option<Lockdown> {
    let (level, _) = text.split_once('[')?.1.split_once(']')?;
    Some(match level {
        "none" => Lockdown::Off,
        "integrity" => Lockdown::Integrity,
        "confidentiality" => Lockdown::Confidentiality,
        _ => return None,
    })
}

/// The hierarchies in `/proc/self/mountinfo`; the file system type follows the lone dash.
fn cgroups(mountinfo: &str) -> CgroupLayout {
    let mut kinds = mountinfo.lines().filter_map(|line| line.split_once(" - ")?.1.split(' ').next());
    let (mut v1, mut v2) = (false, false);
    for kind in &mut kinds {
        v1 |= kind == "cgroup";
        v2 |= kind == "cgroup2";
    }
    match (v1, v2) {
        (false, false) => CgroupLayout::None,
        (true, false) => CgroupLayout::V1,
        (false, true) => CgroupLayout::V2,
        (true, true) => CgroupLayout::Hybrid,
    }
}

/// The soft limit of the line `Max locked memory  SOFT  HARD  bytes`.
fn memlock(limits: &str) -> Option<u64> {
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?.split_whitespace().next()?;
    if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
}

fn tracefs(root: &Path, tracepoints: &[(&str, &str)]) -> Tracefs {
    let mut forbidden = None;
    for place in TRACEFS {
        let at = root.join(place);
        match fs::read_dir(&at).map(|mut entries| entries.next().is_some()) {
            Ok(true) => return mounted(at, tracepoints),
            // An empty folder is only the mount point.
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                forbidden.get_or_insert(at);
            }
            Err(_) => {}
        }
    }
    forbidden.map_or(Tracefs::NotMounted, Tracefs::Forbidden)
}

fn mounted(at: PathBuf, tracepoints: &[(&str, &str)]) -> Tracefs {
    let mut missing = Vec::new();
    for (category, name) in tracepoints {
        let id = at.join("events").join(category).join(name).join("id");
        match fs::read(&id) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Tracefs::Forbidden(id),
            Err(_) => missing.push(format!("{category}/{name}")),
        }
    }
    Tracefs::Mounted { syscalls: at.join("events/syscalls").is_dir(), at, missing }
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;
