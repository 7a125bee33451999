//! A hostile entrypoint that tries the classic ways out of a root file system, one after the other.
//!
//! Prints `tried way= got=` for each, where `got` is `nothing` or what it reached, then `ready`; waits to be killed.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use super::kit::say;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A file of the host that is to be written
    #[arg(long)]
    marker: PathBuf,
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn checked(result: libc::c_long) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let marker = args.marker.as_path();
    attempt("chroot", || {
        // The way of `chroot(2)`, "escape": a directory that is open stays outside a root that is set below it.
        fs::create_dir_all("/below")?;
        let outside = File::open("/")?;
        // SAFETY: system calls on strings that end with NUL and on a descriptor that is open.
        unsafe {
            check(libc::chroot(c"/below".as_ptr()))?;
            check(libc::fchdir(outside.as_raw_fd()))?;
        }
        for _ in 0..64 {
            std::env::set_current_dir("..")?;
        }
        // SAFETY: as above.
        check(unsafe { libc::chroot(c".".as_ptr()) })?;
        write_marker(marker)
    });
    attempt("parent-directories", || {
        std::env::set_current_dir("/")?;
        write_marker(&Path::new(&"../".repeat(64)).join(marker.strip_prefix("/").unwrap_or(marker)))
    });
    attempt("mount", || {
        // SAFETY: strings that end with NUL.
        check(unsafe { libc::mount(c"x".as_ptr(), c"/tmp".as_ptr(), c"tmpfs".as_ptr(), 0, std::ptr::null()) })
    });
    attempt("mount-of-devices", || mount_of("devtmpfs"));
    attempt("remount-of-proc-sys", || {
        let flags = libc::MS_REMOUNT | libc::MS_BIND;
        // SAFETY: strings that end with NUL, or null where the kernel takes none.
        check(unsafe {
            libc::mount(std::ptr::null(), c"/proc/sys".as_ptr(), std::ptr::null(), flags, std::ptr::null())
        })
    });
    attempt("open-tree", || {
        // SAFETY: a system call on a string that ends with NUL.
        checked(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, c"/".as_ptr(), 1) })
    });
    attempt("block-device", || make_device(libc::S_IFBLK, libc::makedev(8, 0)));
    attempt("memory-device", || make_device(libc::S_IFCHR, libc::makedev(1, 1)));
    attempt("kernel-log", || File::open("/dev/kmsg").and_then(|mut log| log.read_exact(&mut [0; 8])));
    attempt("kernel-memory", || File::open("/proc/kcore").and_then(|mut core| core.read_exact(&mut [0; 8])));
    attempt("core-pattern", || write("/proc/sys/kernel/core_pattern", "|/tmp/x"));
    attempt("sysrq", || write("/proc/sysrq-trigger", "h"));
    attempt("uevent-helper", || write("/sys/kernel/uevent_helper", "/tmp/x"));
    attempt("release-agent", || mount_of("cgroup"));
    attempt("user-namespace", || {
        // SAFETY: a system call on numbers.
        check(unsafe { libc::unshare(libc::CLONE_NEWUSER) })
    });
    attempt("mount-namespace", || {
        // SAFETY: a system call on numbers.
        check(unsafe { libc::unshare(libc::CLONE_NEWNS) })
    });
    attempt("foreign-namespace", enter_another);
    attempt("file-handle", open_root_by_handle);
    attempt("foreign-root", || foreign_root(marker));
    attempt("bpf", || {
        // SAFETY: a system call that reads nothing.
        checked(unsafe { libc::syscall(libc::SYS_bpf, 0, std::ptr::null::<u8>(), 0) })
    });
    attempt("kernel-module", || {
        // SAFETY: a string that ends with NUL.
        checked(unsafe { libc::syscall(libc::SYS_init_module, c"".as_ptr(), 0, c"".as_ptr()) })
    });
    attempt("host-name", || {
        // SAFETY: a string and its length.
        check(unsafe { libc::sethostname(c"escaped".as_ptr(), 7) })
    });
    attempt("inherited-descriptors", || {
        let marker = marker.strip_prefix("/").unwrap_or(marker);
        let found = (3..256).any(|fd| write_marker(&Path::new(&format!("/proc/self/fd/{fd}")).join(marker)).is_ok());
        if found { Ok(()) } else { Err(refused()) }
    });
    attempt("foreign-processes", || {
        let others = fs::read_dir("/proc")?.flatten().filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok());
        if others.filter(|&pid| pid != std::process::id()).count() > 0 { Ok(()) } else { Err(refused()) }
    });
    say("ready");
    loop {
        // SAFETY: a system call without memory.
        unsafe { libc::pause() };
    }
}

fn attempt(way: &str, try_it: impl FnOnce() -> io::Result<()>) {
    let got = match try_it() {
        Ok(()) => "all".to_owned(),
        Err(_) => "nothing".to_owned(),
    };
    say(format!("tried way={way} got={got}"));
}

fn refused() -> io::Error {
    io::ErrorKind::PermissionDenied.into()
}

fn write_marker(marker: &Path) -> io::Result<()> {
    // It must exist: a created one would be in the image.
    let mut file = OpenOptions::new().write(true).open(marker)?;
    file.write_all(b"escaped")
}

fn write(path: &str, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

fn mount_of(kind: &str) -> io::Result<()> {
    let kind = CString::new(kind)?;
    // SAFETY: strings that end with NUL.
    check(unsafe { libc::mount(kind.as_ptr(), c"/tmp".as_ptr(), kind.as_ptr(), 0, std::ptr::null()) })
}

fn make_device(kind: libc::mode_t, device: libc::dev_t) -> io::Result<()> {
    // SAFETY: a string that ends with NUL.
    check(unsafe { libc::mknod(c"/tmp/device".as_ptr(), kind | 0o600, device) })?;
    File::open("/tmp/device")?.read_exact(&mut [0; 8])
}

/// Enters a namespace of any other visible process, such as an added orphan.
fn enter_another() -> io::Result<()> {
    for pid in 2..64 {
        if let Ok(namespace) = File::open(format!("/proc/{pid}/ns/mnt")) {
            // SAFETY: a system call on a descriptor that is open.
            return check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNS) });
        }
    }
    Err(refused())
}

/// Reads the host's files through the root of any other process.
fn foreign_root(marker: &Path) -> io::Result<()> {
    let marker = marker.strip_prefix("/").unwrap_or(marker);
    for pid in 2..64 {
        for way in ["root", "cwd"] {
            let path = Path::new("/proc").join(pid.to_string()).join(way).join(marker);
            if write_marker(&path).is_ok() {
                return Ok(());
            }
        }
    }
    Err(refused())
}

/// The way of "shocker": inode 2 is the root of most file systems.
fn open_root_by_handle() -> io::Result<()> {
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        inode: [u32; 2],
    }
    let handle = Handle { bytes: 8, kind: 1, inode: [2, 0] };
    let mount = File::open("/")?;
    // SAFETY: a handle that is as long as it says.
    checked(unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &raw const handle, 0) })
}
