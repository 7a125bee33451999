//! Cgroup ids and paths.
//!
//! A process belongs to one cgroup here: its v2 cgroup, or if that is the root (v1 hosts, and hybrid hosts whose v2
//! tree is empty) the one of the v1 `pids` controller. The kernel side uses the same rule. The id is the inode of the
//! cgroup's directory, which is unique only within its hierarchy.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs,
    io::Read,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            ffi::{OsStrExt, OsStringExt},
            fs::{DirEntryExt, MetadataExt},
        },
    },
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::handle;
use crate::event::PidsUsage;

/// Maximum number of directories in a search through a hierarchy.
const WALK_LIMIT: usize = 100_000;

/// Maximum number of cgroups read for one process, its own and those above it.
pub const MAX_CGROUPS: usize = 64;

/// Where a hierarchy is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    /// The cgroup that is mounted there, as a path within the hierarchy: not `/` if only a part is mounted.
    root: PathBuf,
}

impl Mount {
    /// The directory of the cgroup with this path in the hierarchy, if it is within the mounted part.
    fn directory(&self, path: &Path) -> Option<PathBuf> {
        // A reader in a cgroup namespace sees outside cgroups as `/../…`, which are not mounted.
        if path.components().any(|component| component == std::path::Component::ParentDir) {
            return None;
        }
        Some(self.point.join(path.strip_prefix(&self.root).ok()?))
    }

    /// The path in the hierarchy of a directory under the mount point.
    fn path_of(&self, directory: &Path) -> Option<String> {
        let path = self.root.join(directory.strip_prefix(&self.point).ok()?);
        let path = path.to_string_lossy();
        Some(if path.len() > 1 { path.trim_end_matches('/').to_owned() } else { path.into_owned() })
    }

    /// The directory with this inode. `alive` is called regularly.
    fn find(&self, id: u64, alive: &mut dyn FnMut()) -> Option<PathBuf> {
        if let Some(directory) = handle::kernfs_directory(&self.point, id) {
            return Some(directory);
        }
        // Without CAP_DAC_READ_SEARCH handles cannot be opened.
        if inode(&self.point) == Some(id) {
            return Some(self.point.clone());
        }
        let mut pending = vec![self.point.clone()];
        let mut left = WALK_LIMIT;
        while let Some(directory) = pending.pop() {
            alive();
            let Ok(entries) = fs::read_dir(&directory) else { continue };
            for entry in entries.flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                if entry.ino() == id {
                    return Some(entry.path());
                }
                left = left.checked_sub(1)?;
                pending.push(entry.path());
            }
        }
        None
    }
}

/// The mounted hierarchies that matter here.
#[derive(Clone, Debug, Default)]
pub(super) struct Hierarchies {
    unified: Option<Mount>,
    pids: Option<Mount>,
    freezer: Option<Mount>,
}

/// Ids by the text of `/proc/PID/cgroup`: most processes share it with others.
pub(super) type IdCache = HashMap<Vec<u8>, u64>;

impl Hierarchies {
    /// From the contents of `/proc/self/mountinfo`.
    pub(super) fn parse(mountinfo: &[u8]) -> Self {
        let mut found = Self::default();
        for line in mountinfo.split(|&byte| byte == b'\n') {
            let mut fields = line.split(|&byte| byte == b' ');
            let (Some(root), Some(point)) = (fields.nth(3), fields.next()) else { continue };
            // Optional fields end with a lone dash.
            if !fields.any(|field| field == b"-") {
                continue;
            }
            let (Some(kind), Some(options)) = (fields.next(), fields.nth(1)) else { continue };
            let place = match kind {
                b"cgroup2" => &mut found.unified,
                b"cgroup" if has_option(options, b"pids") => &mut found.pids,
                b"cgroup" if has_option(options, b"freezer") => &mut found.freezer,
                _ => continue,
            };
            let mount = Mount { point: unescape(point), root: unescape(root) };
            // If it is mounted more than once, prefer the mount that shows the whole hierarchy.
            if place.as_ref().is_none_or(|other| mount.root.as_os_str().len() < other.root.as_os_str().len()) {
                *place = Some(mount);
            }
        }
        found
    }

    /// The id of a process's cgroup, from its `/proc/PID/cgroup`; 0 if unavailable.
    pub(super) fn id(&self, text: &[u8], is_zombie: bool, cache: &mut IdCache) -> u64 {
        if let Some(&id) = cache.get(text) {
            // A zombie's lines say less than a living process's, but equal lines mean the same for both except for the
            // root, which is not cached for zombies.
            if !(is_zombie && self.is_at_root(text)) {
                return id;
            }
        }
        let id = self.resolve(text, is_zombie).unwrap_or(0);
        if !(is_zombie && id == 0) {
            cache.insert(text.to_vec(), id);
        }
        id
    }

    fn is_at_root(&self, text: &[u8]) -> bool {
        chosen(text).is_none_or(|(_, path)| path == Path::new("/"))
    }

    fn resolve(&self, text: &[u8], is_zombie: bool) -> Option<u64> {
        let (hierarchy, path) = chosen(text)?;
        let mount = match hierarchy {
            Hierarchy::Unified => self.unified.as_ref()?,
            // A zombie's v1 lines all read `/`.
            Hierarchy::Pids if is_zombie => return None,
            Hierarchy::Pids => self.pids.as_ref()?,
        };
        inode(&mount.directory(path)?)
    }

    /// The path of the cgroup with this id within its hierarchy.
    pub(super) fn path(&self, id: u64, alive: &mut dyn FnMut()) -> Option<String> {
        // Inodes of two hierarchies may be equal. v2 comes first, as in the choice of the id; its root is chosen only
        // without a `pids` hierarchy.
        let in_unified = self.unified.as_ref().and_then(|mount| mount.path_of(&mount.find(id, alive)?));
        if in_unified.as_deref().is_some_and(|path| path != "/" || self.pids.is_none()) {
            return in_unified;
        }
        self.pids.as_ref().and_then(|mount| mount.path_of(&mount.find(id, alive)?))
    }

    /// The cgroup that freezes a process, from its `/proc/PID/cgroup`. Both hierarchies show in a cgroup that its
    /// ancestor is frozen, so its own file is enough: `freezer.state` (v1) or `cgroup.events` (v2).
    pub(super) fn frozen_by(&self, text: &[u8]) -> Option<String> {
        let v1 = lines(text).find(|line| line.has_controller(b"freezer")).zip(self.freezer.as_ref());
        let v2 = || lines(text).find(Line::is_unified).zip(self.unified.as_ref());
        let is_frozen = |(line, mount): (Line<'_>, &Mount), file: &str, sign: &str| {
            let state = fs::read_to_string(mount.directory(line.path)?.join(file)).ok()?;
            state.lines().any(|it| it == sign).then(|| line.path.to_string_lossy().into_owned())
        };
        v1.and_then(|it| is_frozen(it, "freezer.state", "FROZEN"))
            .or_else(|| v2().and_then(|it| is_frozen(it, "cgroup.events", "frozen 1")))
            // That says 0 until all of its processes are frozen, and whenever one of them wakes for a moment.
            .or_else(|| v2().and_then(|it| is_frozen(it, "cgroup.freeze", "1")))
    }

    /// The `pids` controller's numbers for each cgroup from the process's own to the root, innermost first, from its
    /// `/proc/PID/cgroup`. Cgroups without the controller have none.
    pub(super) fn pids_usage(&self, text: &[u8]) -> Vec<PidsUsage> {
        self.of_pids(text).map(|(mount, path)| usages(mount, path)).unwrap_or_default()
    }

    /// Whether that leaves out cgroups because the nesting is too deep.
    pub(super) fn are_cut(&self, text: &[u8]) -> bool {
        let depth = |(mount, path): (&Mount, &Path)| path.strip_prefix(&mount.root).ok().map(|it| it.iter().count());
        // The root counts, too.
        self.of_pids(text).and_then(depth).is_some_and(|depth| depth + 1 > MAX_CGROUPS)
    }

    fn of_pids<'a>(&'a self, text: &'a [u8]) -> Option<(&'a Mount, &'a Path)> {
        let v1 = lines(text).find(Line::has_pids).zip(self.pids.as_ref());
        let v2 = || lines(text).find(Line::is_unified).zip(self.unified.as_ref());
        v1.or_else(v2).map(|(line, mount)| (mount, line.path))
    }

    /// The path of the innermost cgroup of those.
    pub(super) fn pids_path(&self, text: &[u8]) -> Option<PathBuf> {
        let line = match (&self.pids, &self.unified) {
            (Some(_), _) => lines(text).find(Line::has_pids),
            (None, Some(_)) => lines(text).find(Line::is_unified),
            (None, None) => None,
        };
        line.map(|line| line.path.to_owned())
    }

    /// The same for the cgroup with this id, for a process that is gone.
    pub(super) fn pids_usage_of(&self, id: u64, alive: &mut dyn FnMut()) -> Vec<PidsUsage> {
        let mut of = |mount: &Mount| mount.path_of(&mount.find(id, alive)?).map(|path| usages(mount, Path::new(&path)));
        let found = self.unified.as_ref().and_then(&mut of).filter(|usages| !usages.is_empty());
        found.or_else(|| self.pids.as_ref().and_then(&mut of)).unwrap_or_default()
    }
}

/// From the innermost up, at most [`MAX_CGROUPS`]. Each parent is opened from its child, so a deep path is walked only
/// once.
fn usages(mount: &Mount, path: &Path) -> Vec<PidsUsage> {
    let mut usages = Vec::new();
    let Some(mut directory) = mount.directory(path).and_then(|path| open_directory(CWD, &path)) else { return usages };
    for ancestor in path.ancestors().take(MAX_CGROUPS) {
        if let Some(current) = number(&directory, "pids.current") {
            let max = number(&directory, "pids.max");
            let refused = refusals(&directory).unwrap_or(0);
            usages.push(PidsUsage { path: ancestor.to_string_lossy().into_owned(), current, max, refused });
        }
        // Directories above the mounted part are not cgroups.
        if ancestor == mount.root {
            break;
        }
        let Some(parent) = open_directory(&directory, Path::new("..")) else { break };
        directory = parent;
    }
    usages
}

fn open_directory(from: impl AsFd, path: &Path) -> Option<OwnedFd> {
    openat(from, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// A small file of a cgroup.
fn text(directory: &OwnedFd, name: &str) -> Option<String> {
    let file = openat(directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = String::new();
    fs::File::from(file).take(4096).read_to_string(&mut text).ok()?;
    Some(text)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hierarchy {
    Unified,
    Pids,
}

/// A line of `/proc/PID/cgroup`: `ID:CONTROLLERS:PATH`.
#[derive(Clone, Copy)]
struct Line<'a> {
    id: &'a [u8],
    controllers: &'a [u8],
    path: &'a Path,
}

impl Line<'_> {
    fn is_unified(&self) -> bool {
        self.id == b"0" && self.controllers.is_empty()
    }

    fn has_pids(&self) -> bool {
        self.has_controller(b"pids")
    }

    fn has_controller(&self, name: &[u8]) -> bool {
        has_option(self.controllers, name)
    }
}

/// Whether a word is in a comma-separated list.
fn has_option(list: &[u8], option: &[u8]) -> bool {
    list.split(|&byte| byte == b',').any(|it| it == option)
}

fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    text.split(|&byte| byte == b'\n').filter_map(|line| {
        let mut fields = line.splitn(3, |&byte| byte == b':');
        let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Line { id, controllers, path: Path::new(OsStr::from_bytes(path)) })
    })
}

/// The cgroup of a process.
fn chosen(text: &[u8]) -> Option<(Hierarchy, &Path)> {
    let unified = lines(text).find(Line::is_unified).map(|line| (Hierarchy::Unified, line.path));
    let pids = || lines(text).find(Line::has_pids).map(|line| (Hierarchy::Pids, line.path));
    unified.filter(|(_, path)| *path != Path::new("/")).or_else(pids).or(unified)
}

fn inode(directory: &Path) -> Option<u64> {
    fs::metadata(directory).ok().filter(fs::Metadata::is_dir).map(|metadata| metadata.ino())
}

fn number(directory: &OwnedFd, name: &str) -> Option<u64> {
    text(directory, name)?.trim().parse().ok()
}

/// The line `max N` of `pids.events`.
fn refusals(directory: &OwnedFd) -> Option<u64> {
    text(directory, "pids.events")?.lines().find_map(|line| line.strip_prefix("max ")?.trim().parse().ok())
}

/// mountinfo escapes space, tab, line feed and backslash as `\040` and the like.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first == b'\\'
            && let Some(digits) = tail.get(..3)
            && let Some(byte) = std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 8).ok())
        {
            bytes.push(byte);
            rest = &tail[3..];
        } else {
            bytes.push(first);
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &[u8] = b"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        39 31 0:36 / /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,pids\n\
        40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
        41 31 0:38 / /mnt/a\\040b rw,relatime - cgroup2 cgroup2 rw\n\
        42 31 0:38 /part /mnt/part rw,relatime - cgroup2 cgroup2 rw\n\
        torn line\n";

    #[test]
    fn mounts_are_found_and_the_whole_hierarchy_preferred() {
        let hierarchies = Hierarchies::parse(MOUNTS);
        assert_eq!(hierarchies.pids.unwrap().point, Path::new("/sys/fs/cgroup/pids"));
        assert_eq!(hierarchies.unified.unwrap().point, Path::new("/mnt/a b"));
    }

    #[test]
    fn a_mounted_part_is_mapped_both_ways() {
        let mount = Mount { point: "/mnt/part".into(), root: "/part".into() };
        assert_eq!(mount.directory(Path::new("/part/x")).unwrap(), Path::new("/mnt/part/x"));
        assert_eq!(mount.directory(Path::new("/elsewhere")), None);
        assert_eq!(mount.directory(Path::new("/part/../x")), None);
        assert_eq!(mount.path_of(Path::new("/mnt/part/x")).unwrap(), "/part/x");
        assert_eq!(mount.path_of(Path::new("/mnt/part")).unwrap(), "/part");
    }

    #[test]
    fn the_v2_cgroup_is_chosen_unless_it_is_the_root() {
        let v2 = b"9:name=systemd:/\n8:pids:/old\n0::/new\n";
        assert_eq!(chosen(v2), Some((Hierarchy::Unified, Path::new("/new"))));
        let hybrid = b"8:cpu,pids:/with:colon\n0::/\n";
        assert_eq!(chosen(hybrid), Some((Hierarchy::Pids, Path::new("/with:colon"))));
        assert_eq!(chosen(b"0::/\n"), Some((Hierarchy::Unified, Path::new("/"))));
        assert_eq!(chosen(b""), None);
    }

    /// A hybrid host's trees.
    fn fixture() -> (tempfile::TempDir, Hierarchies) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("v2/a/b")).unwrap();
        fs::create_dir_all(folder.path().join("pids/app/inner")).unwrap();
        fs::write(folder.path().join("pids/app/pids.current"), "1000\n").unwrap();
        fs::write(folder.path().join("pids/app/pids.max"), "1002\n").unwrap();
        fs::write(folder.path().join("pids/app/pids.events"), "max 7\n").unwrap();
        fs::write(folder.path().join("pids/app/inner/pids.current"), "4\n").unwrap();
        fs::write(folder.path().join("pids/app/inner/pids.max"), "max\n").unwrap();
        let mount = |name| Some(Mount { point: folder.path().join(name), root: "/".into() });
        let hierarchies = Hierarchies { unified: mount("v2"), pids: mount("pids"), freezer: mount("freezer") };
        (folder, hierarchies)
    }

    #[test]
    fn ids_lead_to_paths_and_back() {
        let (_folder, hierarchies) = fixture();
        let mut cache = IdCache::new();
        let v2 = hierarchies.id(b"8:pids:/\n0::/a/b\n", false, &mut cache);
        assert_eq!(hierarchies.path(v2, &mut || {}).as_deref(), Some("/a/b"));
        let v1 = hierarchies.id(b"8:pids:/app\n0::/\n", false, &mut cache);
        assert_eq!(hierarchies.path(v1, &mut || {}).as_deref(), Some("/app"));
        assert_eq!(hierarchies.id(b"0::/no/such\n", false, &mut cache), 0);
        assert_eq!(hierarchies.path(u64::MAX, &mut || {}), None);
    }

    #[test]
    fn a_zombie_of_a_v1_host_has_no_cgroup_and_does_not_spoil_the_cache() {
        let (_folder, hierarchies) = fixture();
        let mut cache = IdCache::new();
        let root = b"8:pids:/\n0::/\n";
        assert_eq!(hierarchies.id(root, true, &mut cache), 0);
        assert_ne!(hierarchies.id(root, false, &mut cache), 0);
        assert_eq!(hierarchies.id(root, true, &mut cache), 0);
        assert_ne!(hierarchies.id(b"0::/a\n", true, &mut cache), 0);
    }

    #[test]
    fn a_frozen_cgroup_is_named_in_either_hierarchy() {
        let (folder, hierarchies) = fixture();
        fs::create_dir_all(folder.path().join("freezer/cold")).unwrap();
        fs::write(folder.path().join("freezer/cold/freezer.state"), "FROZEN\n").unwrap();
        fs::write(folder.path().join("v2/a/b/cgroup.events"), "populated 1\nfrozen 1\n").unwrap();
        fs::write(folder.path().join("v2/a/cgroup.events"), "populated 1\nfrozen 0\n").unwrap();
        assert_eq!(hierarchies.frozen_by(b"6:freezer:/cold\n0::/a\n").as_deref(), Some("/cold"));
        assert_eq!(hierarchies.frozen_by(b"6:freezer:/\n0::/a/b\n").as_deref(), Some("/a/b"));
        assert_eq!(hierarchies.frozen_by(b"6:freezer:/\n0::/a\n"), None);
        fs::write(folder.path().join("v2/a/cgroup.freeze"), "1\n").unwrap();
        assert_eq!(hierarchies.frozen_by(b"6:freezer:/\n0::/a\n").as_deref(), Some("/a"), "one of its processes woke");
    }

    #[test]
    fn pids_are_counted_up_to_the_root() {
        let (_folder, hierarchies) = fixture();
        let usages = hierarchies.pids_usage(b"8:pids:/app/inner\n0::/a\n");
        assert_eq!(
            usages,
            [
                PidsUsage { path: "/app/inner".into(), current: 4, max: None, refused: 0 },
                PidsUsage { path: "/app".into(), current: 1000, max: Some(1002), refused: 7 },
            ]
        );
        assert_eq!(hierarchies.pids_usage(b"0::/a/b\n"), []);
        let deep = |count: usize| format!("8:pids:{}\n0::/a\n", "/d".repeat(count));
        assert!(!hierarchies.are_cut(deep(MAX_CGROUPS - 1).as_bytes()));
        assert!(hierarchies.are_cut(deep(MAX_CGROUPS).as_bytes()), "whether they have the controller or not");
        let id = inode(&hierarchies.pids.as_ref().unwrap().point.join("app/inner")).unwrap();
        assert_eq!(hierarchies.pids_usage_of(id, &mut || {}), usages);
    }
}
