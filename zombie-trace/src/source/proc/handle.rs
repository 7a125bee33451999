//! A cgroup's directory by its id, without a search.

use std::{
    fs,
    fs::File,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
};

/// `FILEID_KERNFS` (`include/linux/exportfs.h`): the handle is the 64-bit id of the kernfs node. Since Linux 5.5.
const FILEID_KERNFS: i32 = 0xfe;

/// The kernel's `struct file_handle` with room for one id.
#[repr(C)]
struct KernfsHandle {
    handle_bytes: u32,
    handle_type: i32,
    id: [u8; 8],
}

/// The path of the directory with this id in the cgroup file system that is mounted at `mount`; `None` if there is none
/// or the caller lacks `CAP_DAC_READ_SEARCH`.
pub(super) fn kernfs_directory(mount: &Path, id: u64) -> Option<PathBuf> {
    let mount = fs::OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(mount).ok()?;
    let directory = open(&mount, id)?;
    let path = fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd())).ok()?;
    // A removed cgroup has this suffix on its old path.
    (!path.as_os_str().as_encoded_bytes().ends_with(b" (deleted)") || path.exists()).then_some(path)
}

fn open(mount: &File, id: u64) -> Option<OwnedFd> {
    let mut handle = KernfsHandle { handle_bytes: 8, handle_type: FILEID_KERNFS, id: id.to_ne_bytes() };
    // O_DIRECTORY, as files of a cgroup are kernfs nodes with ids too. O_PATH: nothing is read.
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: open_by_handle_at(int, struct file_handle *, int). The descriptor is open for the duration of the call,
    // and the pointer is to a live handle with the kernel's layout, whose `handle_bytes` is the size of what follows.
    let result = unsafe {
        libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), std::ptr::from_mut(&mut handle), flags)
    };
    let descriptor = i32::try_from(result).ok().filter(|&descriptor| descriptor >= 0)?;
    // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
    Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
