//! One process's directory in `/proc`.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::{
    fd::OwnedFd,
    fs::{
        AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, StatxFlags, openat, openat2, readlinkat, statat, statx,
    },
    io::{Errno, Result as IoResult, pread, read},
};

/// Maximum length read of a file of `/proc`; a `status` with thousands of groups fits.
const FILE_LIMIT: usize = 1 << 20;

/// File systems that the kernel serves itself, from this machine's memory and disks.
const LOCAL: &[&[u8]] = &[
    b"ext2",
    b"ext3",
    b"ext4",
    b"xfs",
    b"btrfs",
    b"bcachefs",
    b"f2fs",
    b"zfs",
    b"jfs",
    b"reiserfs",
    b"vfat",
    b"exfat",
    b"ntfs3",
    b"iso9660",
    b"squashfs",
    b"erofs",
    b"overlay",
    b"tmpfs",
    b"ramfs",
    b"rootfs",
    b"devtmpfs",
];

/// Why an executable was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// Another program or machine serves it.
    Remote,
    /// Its file system is unknown.
    UnknownFileSystem,
    /// The kernel refused.
    Failed(Errno),
}

/// A process that cannot be replaced: an open directory of `/proc` belongs to its process, and reads fail once that is
/// reaped, even if the pid is reused.
#[derive(Debug)]
pub(super) struct Directory(OwnedFd);

impl Directory {
    /// Fails with `ENOENT` if there is no such process.
    pub(super) fn open(path: &Path) -> IoResult<Self> {
        openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map(Self)
    }

    /// Replaces `buffer` by the file's contents.
    pub(super) fn read(&self, name: &str, buffer: &mut Vec<u8>) -> IoResult<()> {
        self.read_up_to(name, buffer, FILE_LIMIT).map(drop)
    }

    /// Replaces `buffer` by at most `limit` bytes of the file. Returns whether there may be more.
    pub(super) fn read_up_to(&self, name: &str, buffer: &mut Vec<u8>, limit: usize) -> IoResult<bool> {
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
                    // The kernel produces each of these files in one piece, so a short read means the end.
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

    pub(super) fn link(&self, name: &str) -> IoResult<PathBuf> {
        let target = readlinkat(&self.0, name, Vec::with_capacity(256))?;
        Ok(PathBuf::from(OsStr::from_bytes(target.as_bytes())))
    }

    /// The executable, opened for reading, unless another program or machine serves its file system, which may never
    /// answer.
    pub(super) fn executable(&self) -> Result<OwnedFd, Closed> {
        let path = openat(&self.0, "exe", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(Closed::Failed)?;
        match self.file_system_of(&path) {
            Some(kind) if LOCAL.contains(&kind.as_bytes()) => {}
            Some(_) => return Err(Closed::Remote),
            None => return Err(Closed::UnknownFileSystem),
        }
        openat(&self.0, "exe", OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())
            .map_err(Closed::Failed)
    }

    /// The type of a file's file system, without `fstatfs`, which would access it.
    fn file_system_of(&self, file: &OwnedFd) -> Option<String> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let stat = statx(file, "", flags, StatxFlags::MNT_ID).ok()?;
        let is_told = stat.stx_mask & StatxFlags::MNT_ID.bits() != 0;
        is_told.then(|| self.file_system(stat.stx_mnt_id)).flatten()
    }

    /// The type of a mount's file system, from the process's mounts or else ours: a process that changed its mount
    /// namespace keeps its executable and open files.
    pub(super) fn file_system(&self, mount: u64) -> Option<String> {
        let mut mounts = Vec::new();
        ["mountinfo", "../self/mountinfo"].into_iter().find_map(|list| {
            self.read(list, &mut mounts).ok()?;
            mount_kind(&mounts, mount).map(|kind| String::from_utf8_lossy(kind).into_owned())
        })
    }

    /// This many bytes of its memory at this address; `None` if not all exist. A process that holds the lock of its
    /// address space can stall this.
    pub(super) fn memory(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        let file = openat(&self.0, "mem", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let mut bytes = vec![0; length];
        (pread(&file, &mut bytes, address) == Ok(length)).then_some(bytes)
    }

    pub(super) fn subdirectory(&self, name: &str) -> IoResult<Self> {
        openat(&self.0, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map(Self)
    }

    /// The numbers among the names in a directory, in order.
    pub(super) fn numbers(&self, name: &str, limit: usize) -> IoResult<Vec<u32>> {
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

/// The kind of file system of a mount, from `/proc/PID/mountinfo`.
fn mount_kind(mountinfo: &[u8], id: u64) -> Option<&[u8]> {
    mountinfo.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.split(|&byte| byte == b' ');
        let number: u64 = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
        // Optional fields end with a lone dash.
        (number == id && fields.any(|field| field == b"-")).then(|| fields.next())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_mount_is_found_by_its_id() {
        let mounts = b"31 23 0:28 / / rw shared:1 - ext4 /dev/a rw\n32 31 0:40 / /mnt/a\\040b rw - fuse.x x rw\n";
        assert_eq!(mount_kind(mounts, 31), Some(&b"ext4"[..]));
        assert_eq!(mount_kind(mounts, 32), Some(&b"fuse.x"[..]));
        assert_eq!(mount_kind(mounts, 3), None);
    }

    #[test]
    fn our_own_executable_is_opened_and_one_of_a_mount_that_is_not_known_is_not() {
        let own = Directory::open(Path::new("/proc/self")).unwrap();
        assert!(own.executable().is_ok());
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("exe"), "").unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        assert_eq!(directory.executable().unwrap_err(), Closed::UnknownFileSystem);
    }
}
