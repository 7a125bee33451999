//! Which files are created and which are deleted.
//!
//! A recording is readable only by its owner (0600) and is never written through a symbolic link. An existing file is
//! not destroyed: it is refused or, with rotation, renamed as a rotated one, so that a recorder restarted after a crash
//! keeps what led to it. With `--overwrite` a regular file that the user owns and that has no other name is
//! overwritten.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rustix::fs::{Mode, OFlags, fchmod, open};
use thiserror::Error;

/// When a new file is begun, and how much is kept. Without any, one file grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// A file of this length is full.
    pub size: Option<u64>,
    /// A file of this age is full.
    pub age: Option<Duration>,
    /// Maximum length of all files together, bytes.
    pub keep_bytes: Option<u64>,
    /// Maximum number of files.
    pub keep_files: Option<usize>,
}

impl Rotation {
    /// Whether files are rotated at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.size.is_some() || self.age.is_some()
    }
}

/// Why there is no file to record to.
#[derive(Debug, Error)]
pub enum FileError {
    /// The file exists.
    #[error("{} already exists; choose another name or use --overwrite", .0.display())]
    Exists(PathBuf),
    /// The existing file must not be overwritten.
    #[error("{} not overwritten: {what}", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Why.
        what: &'static str,
    },
    /// It does not name a file.
    #[error("{} is not a file name", .0.display())]
    NoName(PathBuf),
    /// It cannot be created.
    #[error("{} cannot be written", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> FileError {
    move |source| FileError::Io { path: path.to_owned(), source }
}

const FLAGS: OFlags = OFlags::WRONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// Creates the file to record to.
///
/// # Errors
/// See [`FileError`].
pub(super) fn create(path: &Path, rotation: &Rotation, overwrite: bool) -> Result<File, FileError> {
    if path.file_name().is_none() {
        return Err(FileError::NoName(path.to_owned()));
    }
    let new = || open(path, FLAGS | OFlags::CREATE | OFlags::EXCL, Mode::RUSR | Mode::WUSR);
    match new() {
        Ok(file) => return Ok(file.into()),
        Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(io_error(path)(error.into())),
    }
    let there = fs::symlink_metadata(path).map_err(io_error(path))?;
    let foreign = |what| Err(FileError::Foreign { path: path.to_owned(), what });
    if there.file_type().is_symlink() {
        return foreign("it is a symbolic link");
    }
    if !there.is_file() {
        return foreign("it is not a regular file");
    }
    if rotation.is_on() {
        let last_written = there.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        set_aside(path, last_written.unwrap_or_else(Timestamp::now)).map_err(io_error(path))?;
        return new().map(File::from).map_err(|error| io_error(path)(error.into()));
    }
    if !overwrite {
        return Err(FileError::Exists(path.to_owned()));
    }
    let file: File = open(path, FLAGS, Mode::empty()).map_err(|error| io_error(path)(error.into()))?.into();
    let opened = file.metadata().map_err(io_error(path))?;
    if !opened.is_file() {
        return foreign("it is not a regular file");
    }
    if opened.uid() != rustix::process::geteuid().as_raw() {
        return foreign("owned by another user");
    }
    if opened.nlink() > 1 {
        return foreign("it has another name (hard link)");
    }
    fchmod(&file, Mode::RUSR | Mode::WUSR).map_err(|error| io_error(path)(error.into()))?;
    Ok(file)
}

/// A name of a rotated file: `trace.zt` becomes `trace-20260714T120102.345678901Z.zt`.
struct Name<'a> {
    stem: &'a [u8],
    extension: Option<&'a [u8]>,
}

/// Length of the time in a name.
const STAMP: usize = "20260714T120102.345678901Z".len();

impl<'a> Name<'a> {
    fn of(path: &'a Path) -> Option<Self> {
        Some(Self { stem: path.file_stem()?.as_bytes(), extension: path.extension().map(OsStrExt::as_bytes) })
    }

    fn at(&self, time: Timestamp) -> OsString {
        let stamp = format!("-{}", time.strftime("%Y%m%dT%H%M%S.%9fZ"));
        let mut name = [self.stem, stamp.as_bytes()].concat();
        if let Some(extension) = self.extension {
            name.push(b'.');
            name.extend_from_slice(extension);
        }
        std::os::unix::ffi::OsStringExt::from_vec(name)
    }

    /// The time in a name, if it is a rotated file's.
    fn stamp<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        let rest = name.strip_prefix(self.stem)?.strip_prefix(b"-")?;
        let (stamp, rest) = rest.split_at_checked(STAMP)?;
        let fits = match self.extension {
            Some(extension) => rest.strip_prefix(b".") == Some(extension),
            None => rest.is_empty(),
        };
        let is_time = stamp.iter().enumerate().all(|(at, byte)| match at {
            8 => *byte == b'T',
            15 => *byte == b'.',
            25 => *byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
        (fits && is_time).then_some(stamp)
    }
}

/// Renames the file to a rotated one.
pub(super) fn set_aside(path: &Path, mut time: Timestamp) -> io::Result<()> {
    let name = Name::of(path).ok_or(io::ErrorKind::InvalidInput)?;
    loop {
        let to = path.with_file_name(name.at(time));
        if fs::symlink_metadata(&to).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return fs::rename(path, to);
        }
        time += Duration::from_nanos(1);
    }
}

/// Deletes the oldest rotated files until the limits are met, counting the file being written. Only regular files with
/// such a name are touched.
pub(super) fn prune(path: &Path, rotation: &Rotation) -> io::Result<()> {
    if rotation.keep_bytes.is_none() && rotation.keep_files.is_none() {
        return Ok(());
    }
    let name = Name::of(path).ok_or(io::ErrorKind::InvalidInput)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut rotated: Vec<(Vec<u8>, PathBuf, u64)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(stamp) = name.stamp(entry.file_name().as_bytes()).map(<[u8]>::to_vec) else { continue };
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() => rotated.push((stamp, entry.path(), metadata.len())),
            _ => {}
        }
    }
    rotated.sort_unstable_by(|a, b| b.cmp(a));
    let (mut files, mut bytes) = (1, rotation.size.unwrap_or(0));
    for (_, path, length) in rotated {
        files += 1;
        bytes += length;
        if rotation.keep_files.is_some_and(|limit| files > limit) || rotation.keep_bytes.is_some_and(|it| bytes > it) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
