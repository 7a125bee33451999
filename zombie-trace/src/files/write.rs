//! Every file that a command writes.
//!
//! A new file is created in its folder under an unguessable name (`O_EXCL`), and gets its name by `rename` in the
//! folder opened at the start. So a symbolic link of that name is never followed, even if it appears while a traced
//! command runs; an old file stays until the new one is complete; and a hard link elsewhere keeps its content. Folders
//! in the path may be links: they are the user's choice.
//!
//! Special names work as usual: `-`, `/dev/stdout` and `/dev/fd/N` mean inherited descriptors, and a FIFO or a
//! character device that the user owns is written to directly.
//!
//! Files are private (0600), because reports contain the arguments of processes, and belong to the user who called
//! `sudo`, so that the next step of a CI job can read them.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    hash::{BuildHasher, Hasher, RandomState},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{
            ffi::OsStrExt,
            fs::{FileTypeExt, MetadataExt},
        },
    },
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{
        AtFlags, CWD, Mode, OFlags, RenameFlags, fchown, fcntl_getfl, fcntl_setfl, open, openat, renameat_with, statat,
        unlinkat,
    },
    io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_getfd},
    process::{Gid, Uid},
};
use thiserror::Error;

use super::{read::kind, shown};

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only its owner: it contains command lines.
    Private,
    /// As the umask allows: it is to be shared, for example under version control.
    Shared,
}

impl Access {
    fn mode(self) -> Mode {
        match self {
            Self::Private => Mode::RUSR | Mode::WUSR,
            Self::Shared => Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP | Mode::ROTH | Mode::WOTH,
        }
    }
}

/// Whether a regular file of the same name is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced.
    Replace,
    /// It is kept, and the new one refused.
    Keep,
}

/// Why a file cannot be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// A file exists and is to be kept.
    #[error("{} already exists; choose another name or use --overwrite", shown(.0))]
    Exists(PathBuf),
    /// What exists there must not be replaced or written to.
    #[error("refusing to write {}: it is {what}", shown(.path))]
    Refused {
        /// The path as it was given.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// The path has no file name.
    #[error("{} is not a file name", shown(.0))]
    NoName(PathBuf),
    /// The program did not inherit such a descriptor, or not for writing.
    #[error("{} is not open for writing", shown(.0))]
    NoDescriptor(PathBuf),
    /// A FIFO without a reader.
    #[error("nothing reads from the pipe {}", shown(.0))]
    NoReader(PathBuf),
    /// The system refused.
    #[error("{} cannot be written: {source}", shown(.path))]
    Io {
        /// The path as it was given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl WriteError {
    fn io<E: Into<io::Error>>(path: &Path) -> impl Fn(E) -> Self {
        move |error| Self::Io { path: path.to_owned(), source: error.into() }
    }
}

/// How long a FIFO may lack a reader: it may just be starting.
const READER_TIMEOUT: Duration = Duration::from_secs(5);
const READER_POLL: Duration = Duration::from_millis(20);

/// An unfinished file, deleted unless completed.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    file: File,
    /// `None` for a stream, which already has its name.
    place: Option<Place>,
}

/// The location and final name of a draft.
#[derive(Debug)]
struct Place {
    folder: OwnedFd,
    temporary: OsString,
    name: OsString,
    existing: Existing,
    is_named: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_named {
            // A failure cannot be handled here.
            let _ = unlinkat(&self.folder, &self.temporary, AtFlags::empty());
        }
    }
}

impl Draft {
    /// Begins a file, or opens a stream of this name.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn begin(path: &Path, access: Access, existing: Existing) -> Result<Self, WriteError> {
        let stream = |file| Ok(Self { path: path.to_owned(), file, place: None });
        if let Some(file) = descriptor(path)? {
            return stream(file);
        }
        let name = path.file_name().ok_or_else(|| WriteError::NoName(path.to_owned()))?;
        if let Some(file) = existing_stream(path, existing)? {
            return stream(file);
        }
        let parent = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, parent, flags, Mode::empty()).map_err(WriteError::io(path))?;
        let (temporary, file) = temporary(folder.as_fd(), name, access.mode()).map_err(WriteError::io(path))?;
        give_to_caller(&file);
        let place = Place { folder, temporary, name: name.to_owned(), existing, is_named: false };
        Ok(Self { path: path.to_owned(), file, place: Some(place) })
    }

    /// Its final path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A handle for writing.
    ///
    /// # Errors
    /// There are too many descriptors.
    pub fn writer(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Syncs it to disk.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn sync(&self) -> Result<(), WriteError> {
        // A pipe cannot be synced.
        if self.place.is_some() { self.file.sync_all().map_err(WriteError::io(&self.path)) } else { Ok(()) }
    }

    /// Syncs it to disk, and gives it its name.
    ///
    /// # Errors
    /// See [`WriteError`]; for example, a file that is to be kept appeared meanwhile.
    pub fn complete(mut self) -> Result<(), WriteError> {
        self.sync()?;
        self.take_name()
    }

    fn take_name(&mut self) -> Result<(), WriteError> {
        let Some(place) = &mut self.place else { return Ok(()) };
        let own = self.file.metadata().map_err(WriteError::io(&self.path))?;
        let there =
            statat(&place.folder, &place.temporary, AtFlags::SYMLINK_NOFOLLOW).map_err(WriteError::io(&self.path))?;
        if (there.st_dev, there.st_ino) != (own.dev(), own.ino()) {
            // Not ours to remove.
            place.is_named = true;
            return Err(WriteError::Refused { path: self.path.clone(), what: "no longer the file that was begun" });
        }
        let flags = match place.existing {
            Existing::Replace => RenameFlags::empty(),
            Existing::Keep => RenameFlags::NOREPLACE,
        };
        match renameat_with(&place.folder, &place.temporary, &place.folder, &place.name, flags) {
            Ok(()) => {
                place.is_named = true;
                Ok(())
            }
            Err(Errno::EXIST) => Err(WriteError::Exists(self.path.clone())),
            Err(error) => Err(WriteError::io(&self.path)(error)),
        }
    }
}

/// Opens a file that is written over a long time and read meanwhile: it has its name from the start, and replaces an
/// old file at once.
///
/// # Errors
/// See [`WriteError`].
pub fn stream(path: &Path, access: Access) -> Result<File, WriteError> {
    let mut draft = Draft::begin(path, access, Existing::Replace)?;
    draft.take_name()?;
    draft.writer().map_err(WriteError::io(path))
}

/// Opens a regular file for appending, or creates it. No link is followed.
///
/// # Errors
/// See [`WriteError`].
pub fn append(path: &Path) -> Result<File, WriteError> {
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match open(path, flags, Access::Shared.mode()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(WriteError::Refused { path: path.to_owned(), what: "a symbolic link" }),
        Err(error) => return Err(WriteError::io(path)(error)),
    };
    let metadata = file.metadata().map_err(WriteError::io(path))?;
    if metadata.is_file() {
        return Ok(file);
    }
    Err(WriteError::Refused { path: path.to_owned(), what: kind(metadata.file_type()) })
}

/// A copy of the descriptor that `-`, `/dev/stdout`, `/dev/stderr`, `/dev/fd/N` or `/proc/self/fd/N` names: the same
/// offset, and no link in between.
fn descriptor(path: &Path) -> Result<Option<File>, WriteError> {
    let number = match path.as_os_str().as_bytes() {
        b"-" | b"/dev/stdout" => 1,
        b"/dev/stderr" => 2,
        text => {
            let digits = text.strip_prefix(b"/dev/fd/").or_else(|| text.strip_prefix(b"/proc/self/fd/"));
            let digits = digits.filter(|it| !it.is_empty() && it.iter().all(u8::is_ascii_digit));
            let Some(digits) = digits.and_then(|it| std::str::from_utf8(it).ok()) else { return Ok(None) };
            digits.parse::<i32>().map_err(|_| WriteError::NoDescriptor(path.to_owned()))?
        }
    };
    let none = || WriteError::NoDescriptor(path.to_owned());
    // SAFETY: the number is only asked about and duplicated; if it is not open, the kernel says so.
    let named = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = fcntl_getfl(named).map_err(|_| none())?;
    // Descriptors that the program opened itself close on exec; inherited ones do not.
    let is_given = number <= 2 || fcntl_getfd(named).is_ok_and(|it| !it.contains(FdFlags::CLOEXEC));
    if !is_given || flags.contains(OFlags::PATH) || (flags & OFlags::ACCMODE) == OFlags::RDONLY {
        return Err(none());
    }
    let copy = fcntl_dupfd_cloexec(named, 3).map_err(WriteError::io(path))?;
    Ok(Some(copy.into()))
}

/// The existing stream, opened; `None` if a new file may take the name.
fn existing_stream(path: &Path, existing: Existing) -> Result<Option<File>, WriteError> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(WriteError::io(path)(error)),
    };
    let refused = |what| Err(WriteError::Refused { path: path.to_owned(), what });
    let file_type = there.file_type();
    if there.is_file() {
        return match existing {
            Existing::Replace => Ok(None),
            Existing::Keep => Err(WriteError::Exists(path.to_owned())),
        };
    }
    if !file_type.is_fifo() && !file_type.is_char_device() {
        return refused(kind(file_type));
    }
    let file = open_stream(path)?;
    let opened = file.metadata().map_err(WriteError::io(path))?;
    if opened.file_type() != file_type || (opened.dev(), opened.ino()) != (there.dev(), there.ino()) {
        return refused("replaced while it was opened");
    }
    // Its creator may read what is written.
    let ours = [Some(rustix::process::geteuid()), Some(Uid::ROOT), caller().map(|(user, _)| user)];
    if !ours.into_iter().flatten().any(|user| user.as_raw() == opened.uid()) {
        return refused("owned by another user");
    }
    Ok(Some(file))
}

fn open_stream(path: &Path) -> Result<File, WriteError> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let deadline = Instant::now() + READER_TIMEOUT;
    let file = loop {
        match open(path, flags, Mode::empty()) {
            Ok(file) => break file,
            Err(Errno::NXIO) if Instant::now() < deadline => thread::sleep(READER_POLL),
            Err(Errno::NXIO) => return Err(WriteError::NoReader(path.to_owned())),
            Err(Errno::LOOP) => return Err(WriteError::Refused { path: path.to_owned(), what: "a symbolic link" }),
            Err(error) => return Err(WriteError::io(path)(error)),
        }
    };
    // Writes should wait for a full pipe.
    let flags = fcntl_getfl(&file).map_err(WriteError::io(path))?;
    fcntl_setfl(&file, flags - OFlags::NONBLOCK).map_err(WriteError::io(path))?;
    Ok(file.into())
}

/// A new file with an unpredictable, hidden name of at most 255 bytes.
fn temporary(folder: BorrowedFd<'_>, name: &OsStr, mode: Mode) -> rustix::io::Result<(OsString, File)> {
    const LONGEST: usize = 200;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let stem = name.as_bytes().get(..LONGEST).unwrap_or(name.as_bytes());
    loop {
        let random = RandomState::new().build_hasher().finish();
        let mut temporary = OsString::from(".");
        temporary.push(OsStr::from_bytes(stem));
        temporary.push(format!(".{random:016x}.partial"));
        match openat(folder, &temporary, flags, mode) {
            Ok(file) => return Ok((temporary, file.into())),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
}

/// The user and group that called `sudo`.
fn caller() -> Option<(Uid, Gid)> {
    let number = |key| std::env::var(key).ok()?.parse::<u32>().ok().filter(|&id| id != u32::MAX);
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    Some((Uid::from_raw(number("SUDO_UID")?), Gid::from_raw(number("SUDO_GID")?)))
}

fn give_to_caller(file: &File) {
    if let Some((user, group)) = caller() {
        // If that is not possible, as in some user namespaces, the file stays root's.
        let _ = fchown(file, Some(user), Some(group));
    }
}
