//! One process's directory in `/proc`.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat, statat},
    io::{Errno, Result, read},
};

/// No file of `/proc` is read beyond this; a `status` with thousands of groups still fits.
const FILE_LIMIT: usize = 1 << 20;

/// A process that cannot become another: an open directory of `/proc` stays with its process, and reads of it fail once
/// that is reaped, whoever has the pid then.
#[derive(Debug)]
pub(super) struct Directory(OwnedFd);

impl Directory {
    /// Fails with `ENOENT` if there is no such process.
    pub(super) fn open(path: &Path) -> Result<Self> {
        openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map(Self)
    }

    /// Replaces `buffer` by the file's contents.
    pub(super) fn read(&self, name: &str, buffer: &mut Vec<u8>) -> Result<()> {
        self.read_up_to(name, buffer, FILE_LIMIT).map(drop)
    }

    /// Replaces `buffer` by at most `limit` bytes of the file; says whether there may be more.
    pub(super) fn read_up_to(&self, name: &str, buffer: &mut Vec<u8>, limit: usize) -> Result<bool> {
        let file = openat(&self.0, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut filled = 0;
        loop {
            if filled == limit {
                buffer.truncate(limit);
                return Ok(true);
            }
            let wanted = (filled + 4096).min(limit);
            if buffer.len() < wanted {
                buffer.resize(wanted, 0);
            }
            match read(&file, &mut buffer[filled..wanted]) {
                Ok(0) => {
                    buffer.truncate(filled);
                    return Ok(false);
                }
                Ok(length) => {
                    filled += length;
                    // The kernel makes each of these files in one piece: it gives less than asked only at the end.
                    if filled < wanted {
                        buffer.truncate(filled);
                        return Ok(false);
                    }
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Where a link points.
    pub(super) fn link(&self, name: &str) -> Result<PathBuf> {
        let target = readlinkat(&self.0, name, Vec::with_capacity(256))?;
        Ok(PathBuf::from(OsStr::from_bytes(target.as_bytes())))
    }

    /// The first bytes of the executable; `None` if it cannot be opened or is shorter.
    pub(super) fn executable_start<const LENGTH: usize>(&self) -> Option<[u8; LENGTH]> {
        let file = openat(&self.0, "exe", OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()).ok()?;
        let mut start = [0; LENGTH];
        (read(&file, &mut start) == Ok(LENGTH)).then_some(start)
    }

    /// Something within the process's directory, as a directory of its own.
    pub(super) fn subdirectory(&self, name: &str) -> Result<Self> {
        openat(&self.0, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map(Self)
    }

    /// A regular file below a link of this directory, opened for reading.
    pub(super) fn file(&self, name: &str) -> Result<OwnedFd> {
        openat(&self.0, name, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())
    }

    /// The numbers among the names in a directory, in order.
    pub(super) fn numbers(&self, name: &str, limit: usize) -> Result<Vec<u32>> {
        let directory = openat(&self.0, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let mut numbers = Vec::new();
        for entry in Dir::read_from(&directory)? {
            numbers.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok()));
            if numbers.len() == limit {
                break;
            }
        }
        Ok(numbers)
    }

    /// Which file system and file a directory is.
    pub(super) fn place(&self) -> Option<(u64, u64)> {
        statat(&self.0, "", AtFlags::EMPTY_PATH).ok().map(|stat| (stat.st_dev, stat.st_ino))
    }

    /// Whether there is a program at this path, links followed as if this directory were the root.
    pub(super) fn has_program(&self, path: &str) -> bool {
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let Ok(file) = openat2(&self.0, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), how) else { return false };
        statat(&file, "", AtFlags::EMPTY_PATH)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file() && stat.st_mode & 0o111 != 0)
    }

    /// The inode of the namespace that `ns/KIND` links to (`pid:[4026531836]`).
    pub(super) fn namespace(&self, name: &str) -> Option<u32> {
        let target = readlinkat(&self.0, name, Vec::with_capacity(64)).ok()?;
        target.to_str().ok()?.split_once('[')?.1.strip_suffix(']')?.parse().ok()
    }
}
