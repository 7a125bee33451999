//! One process's directory in `/proc`.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::{
    fd::OwnedFd,
    fs::{CWD, Mode, OFlags, openat, readlinkat},
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

    /// The inode of the namespace that `ns/KIND` links to (`pid:[4026531836]`).
    pub(super) fn namespace(&self, name: &str) -> Option<u32> {
        let target = readlinkat(&self.0, name, Vec::with_capacity(64)).ok()?;
        target.to_str().ok()?.split_once('[')?.1.strip_suffix(']')?.parse().ok()
    }
}
