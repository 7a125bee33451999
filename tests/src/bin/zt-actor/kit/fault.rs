//! A page of memory whose first use takes as long as one likes (`userfaultfd(2)`).

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use nix::errno::Errno;

const PAGE: usize = 4096;

/// `include/uapi/linux/userfaultfd.h`
const UFFD_API: u64 = 0xaa;
const UFFDIO_REGISTER_MODE_MISSING: u64 = 1;

#[repr(C)]
#[derive(Default)]
struct Api {
    api: u64,
    features: u64,
    ioctls: u64,
}

#[repr(C)]
#[derive(Default)]
struct Register {
    start: u64,
    len: u64,
    mode: u64,
    ioctls: u64,
}

#[repr(C)]
#[derive(Default)]
struct ZeroPage {
    start: u64,
    len: u64,
    mode: u64,
    zeroed: i64,
}

nix::ioctl_readwrite!(uffd_api, 0xaa, 0x3f, Api);
nix::ioctl_readwrite!(uffd_register, 0xaa, 0x00, Register);
nix::ioctl_readwrite!(uffd_zeropage, 0xaa, 0x04, ZeroPage);

/// A fresh page, of zeros: who touches it first, be it the kernel, waits this long. It is never unmapped.
pub(crate) fn slow_page(delay: Duration) -> anyhow::Result<*mut libc::c_int> {
    // SAFETY: a call without pointers.
    let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
    let fd = i32::try_from(Errno::result(fd).context("userfaultfd")?)?;
    // SAFETY: a new descriptor that nobody else has.
    let mut faults = unsafe { File::from_raw_fd(fd) };
    let mut api = Api { api: UFFD_API, ..Api::default() };
    // SAFETY: a valid struct, as in the calls below.
    unsafe { uffd_api(fd, &raw mut api) }.context("UFFDIO_API")?;
    let (rights, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, rights, flags, -1, 0) };
    anyhow::ensure!(page != libc::MAP_FAILED, "mmap: {}", Errno::last());
    let start = page as u64;
    let mut register = Register { start, len: PAGE as u64, mode: UFFDIO_REGISTER_MODE_MISSING, ..Register::default() };
    // SAFETY: as above.
    unsafe { uffd_register(fd, &raw mut register) }.context("UFFDIO_REGISTER")?;
    thread::spawn(move || {
        let mut message = [0; 32];
        if faults.read_exact(&mut message).is_ok() {
            thread::sleep(delay);
            let mut zero = ZeroPage { start, len: PAGE as u64, ..ZeroPage::default() };
            // SAFETY: as above. If it fails, the waiting thread waits on, and the test says so.
            let _ = unsafe { uffd_zeropage(faults.as_raw_fd(), &raw mut zero) };
        }
    });
    Ok(page.cast())
}
