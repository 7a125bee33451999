//! The folder that layers are unpacked to.
//!
//! Each path is resolved by the kernel with the folder as its root: a symbolic link of the image leads to where it leads
//! in a container, and never out. Nobody else writes there, because the folder above is closed to others.

use std::{
    collections::HashSet,
    ffi::OsString,
    fs::{self, File},
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, chownat, fchmod, fchown, futimens,
        linkat, mkdirat, open, openat, openat2, statat, symlinkat, unlinkat,
    },
    io::Errno,
    process::{getegid, geteuid},
};

use super::{
    ImageError,
    entry::{Below, MAX_DEPTH},
    foreign,
    tarball::{Entry, Kind},
};

/// Permissions that a file may have: no setuid, no setgid.
const FILE_MODE: u32 = 0o777;
/// Those of a folder: the sticky bit keeps others from removing what is in it.
const FOLDER_MODE: u32 = 0o1777;

#[derive(Debug)]
pub(super) struct Tree {
    root: OwnedFd,
    /// What the current layer has put, with the folders above, which whiteouts of the same layer do not mean.
    fresh: HashSet<Below>,
}

impl Tree {
    /// An empty one.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        mkdirat(CWD, path, Mode::from_raw_mode(0o755))?;
        let root = open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { root, fresh: HashSet::new() })
    }

    /// What follows is of another layer.
    pub(super) fn begin_layer(&mut self) {
        self.fresh.clear();
    }

    /// Puts an entry, in place of what is there.
    pub(super) fn put(&mut self, path: &Below, entry: &Entry, content: &mut dyn Read) -> Result<(), ImageError> {
        for depth in (1..=path.depth()).rev() {
            if !self.fresh.insert(path.first(depth)) {
                break;
            }
        }
        let Some((folder, name)) = path.split() else {
            return if entry.kind == Kind::Directory {
                let root = self.resolve(path)?;
                adopt(&root, c"", entry).map_err(failed(path))
            } else {
                Err(ImageError::invalid("a layer puts a file in the place of the root"))
            };
        };
        let folder = self.folder(&folder)?;
        self.put_in(&folder, name, entry, content).map_err(|error| match error {
            Failure::Io(source) => failed(path)(source),
            Failure::Image(error) => error,
        })
    }

    fn put_in(&self, folder: &OwnedFd, name: &[u8], entry: &Entry, content: &mut dyn Read) -> Result<(), Failure> {
        let is_folder = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(stat.st_mode & libc::S_IFMT == libc::S_IFDIR),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(error.into()),
        };
        // Only a folder is kept, where a folder is to be.
        if is_folder.is_some() && !(is_folder == Some(true) && entry.kind == Kind::Directory) {
            // A link to itself would be gone before it is made.
            if let Kind::Hardlink(target) = &entry.kind {
                let (from, last) = self.link_target(target)?;
                let same = |a: &rustix::fs::Stat, b: &rustix::fs::Stat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
                let old = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
                if same(&statat(&from, last.as_slice(), AtFlags::SYMLINK_NOFOLLOW)?, &old) {
                    return Ok(());
                }
            }
            remove_at(folder, name)?;
        }
        match &entry.kind {
            Kind::Directory => {
                match mkdirat(folder, name, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let made = openat(folder, name, flags, Mode::empty())?;
                own(&made, entry)?;
                fchmod(&made, Mode::from_raw_mode(entry.mode & FOLDER_MODE))?;
            }
            Kind::File => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let mut file = File::from(openat(folder, name, flags, Mode::from_raw_mode(0o600))?);
                if io::copy(content, &mut file)? != entry.size {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                own(&file, entry)?;
                fchmod(&file, Mode::from_raw_mode(entry.mode & FILE_MODE))?;
                let time = Timespec { tv_sec: i64::try_from(entry.mtime).unwrap_or(0), tv_nsec: 0 };
                // A file system may not know such a time.
                let _ = futimens(&file, &Timestamps { last_access: time, last_modification: time });
            }
            Kind::Symlink(target) => {
                symlinkat(target.as_slice(), folder, name)?;
                adopt(folder, name, entry)?;
            }
            Kind::Hardlink(target) => {
                let (from, last) = self.link_target(target)?;
                linkat(&from, last.as_slice(), folder, name, AtFlags::empty())?;
            }
            // Not made.
            Kind::Special => {}
        }
        Ok(())
    }

    fn link_target(&self, target: &[u8]) -> Result<(OwnedFd, Vec<u8>), Failure> {
        let path = Below::parse(target)?;
        let (folder, name) = path.split().ok_or_else(|| ImageError::invalid("a layer links to the root"))?;
        Ok((self.resolve(&folder)?, name.to_vec()))
    }

    /// Removes what is at a path, unless this layer has put it there.
    pub(super) fn remove(&mut self, path: &Below) -> Result<(), ImageError> {
        let Some((folder, name)) = path.split() else { return Ok(()) };
        if self.fresh.contains(path) {
            return Ok(());
        }
        match self.try_resolve(&folder) {
            Ok(folder) => remove_at(&folder, name).map_err(failed(path)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(error) => Err(failed(path)(error.into())),
        }
    }

    /// Removes all that is in a folder but what this layer has put there.
    pub(super) fn empty(&mut self, path: &Below) -> Result<(), ImageError> {
        let folder = match self.try_resolve(path) {
            Ok(folder) => folder,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            Err(error) => return Err(failed(path)(error.into())),
        };
        let names: Vec<_> = match fs::read_dir(through(&folder, b"")) {
            Ok(entries) => entries.flatten().map(|entry| entry.file_name().into_encoded_bytes()).collect(),
            Err(error) => return Err(failed(path)(error)),
        };
        for name in names {
            let inner = path.join(&name);
            if !self.fresh.contains(&inner) {
                remove_at(&folder, &name).map_err(failed(&inner))?;
                continue;
            }
            let is_folder = statat(&folder, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFDIR);
            if is_folder {
                self.empty(&inner)?;
            }
        }
        Ok(())
    }

    /// The bytes of a regular file, if it is there.
    pub(super) fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, ImageError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat2(&self.root, path, flags, Mode::empty(), INSIDE) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(failed_at(path)(error.into())),
        };
        if !file.metadata().map_err(failed_at(path))?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes).map_err(failed_at(path))?;
        if bytes.len() as u64 > limit {
            return Err(ImageError::TooLarge(format!("/{path} has more than {limit} bytes")));
        }
        Ok(Some(bytes))
    }

    /// Writes a file of ours, in place of what is there.
    pub(super) fn write(&mut self, path: &str, content: &[u8], mode: u32) -> Result<(), ImageError> {
        let below = Below::parse(path.as_bytes())?;
        let Some((folder, name)) = below.split() else { return Ok(()) };
        let folder = self.folder(&folder)?;
        let write = || {
            remove_at(&folder, name)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut file = File::from(openat(&folder, name, flags, Mode::from_raw_mode(mode))?);
            fchmod(&file, Mode::from_raw_mode(mode))?;
            file.write_all(content)
        };
        write().map_err(failed_at(path))
    }

    /// Makes sure that there is a folder.
    pub(super) fn directory(&mut self, path: &[u8]) -> Result<(), ImageError> {
        // A working directory may have `..` in it. Such a folder is not made; the command may still be able to enter it.
        let Ok(below) = Below::parse(path) else { return Ok(()) };
        self.folder(&below).map(drop)
    }

    /// A folder, which is made with those above if it is not there.
    fn folder(&self, path: &Below) -> Result<OwnedFd, ImageError> {
        match self.try_resolve(path) {
            Err(Errno::NOENT) => {}
            Err(error) => return Err(failed(path)(error.into())),
            Ok(folder) => return Ok(folder),
        }
        for depth in 1..=path.depth() {
            let part = path.first(depth);
            let Some((above, name)) = part.split() else { continue };
            let above = self.resolve(&above)?;
            match mkdirat(&above, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(failed(&part)(error.into())),
            }
        }
        self.resolve(path)
    }

    fn resolve(&self, path: &Below) -> Result<OwnedFd, ImageError> {
        self.try_resolve(path).map_err(|error| failed(path)(error.into()))
    }

    fn try_resolve(&self, path: &Below) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let bytes = path.bytes();
        match openat2(&self.root, bytes.as_slice(), flags, Mode::empty(), INSIDE | ResolveFlags::NO_SYMLINKS) {
            Err(Errno::LOOP) => {}
            result => return result,
        }
        let folder = openat2(&self.root, bytes.as_slice(), flags, Mode::empty(), INSIDE)?;
        // By links, folders could be put in each other without end.
        let place = fs::read_link(through(&folder, b"")).map_err(|_| Errno::NAMETOOLONG)?;
        if place.components().count() > 2 * MAX_DEPTH { Err(Errno::NAMETOOLONG) } else { Ok(folder) }
    }
}

const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_XDEV);

/// Why an entry was not put.
enum Failure {
    Io(io::Error),
    Image(ImageError),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

fn failed(path: &Below) -> impl FnOnce(io::Error) -> ImageError {
    ImageError::io(format!("cannot unpack {}", foreign(&path.bytes())))
}

fn failed_at(path: &str) -> impl FnOnce(io::Error) -> ImageError {
    ImageError::io(format!("cannot use /{path} of the image"))
}

/// A name in an open folder, as a path.
fn through(folder: &OwnedFd, name: &[u8]) -> PathBuf {
    let mut path = format!("/proc/self/fd/{}", folder.as_raw_fd()).into_bytes();
    if !name.is_empty() {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    OsString::from_vec(path).into()
}

/// Removes a file, or a folder with all that is in it, if it is there.
fn remove_at(folder: &OwnedFd, name: &[u8]) -> io::Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        // It follows no link.
        Err(Errno::ISDIR | Errno::PERM) => fs::remove_dir_all(through(folder, name)),
        Err(error) => Err(error.into()),
    }
}

/// Changes the owner, where it is another: only root may.
fn own(file: impl std::os::fd::AsFd, entry: &Entry) -> io::Result<()> {
    if let Some((user, group)) = other_owner(entry) {
        fchown(file, Some(user), Some(group))?;
    }
    Ok(())
}

/// The same for a link, or for a folder that is open as a path.
fn adopt(folder: &OwnedFd, name: impl rustix::path::Arg, entry: &Entry) -> io::Result<()> {
    if let Some((user, group)) = other_owner(entry) {
        chownat(folder, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH)?;
    }
    Ok(())
}

fn other_owner(entry: &Entry) -> Option<(Uid, Gid)> {
    let (user, group) = (Uid::from_raw_unchecked(entry.uid), Gid::from_raw_unchecked(entry.gid));
    ((user, group) != (geteuid(), getegid())).then_some((user, group))
}
