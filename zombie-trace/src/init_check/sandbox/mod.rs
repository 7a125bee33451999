//! Confines a graded command like a container runtime, because an image may be hostile.
//!
//! | what | how |
//! | --- | --- |
//! | namespaces | mount, pid, ipc, uts, network (only loopback), cgroup, and a user namespace where the kernel allows one |
//! | root | `pivot_root`, the old root detached; what is written goes to memory and is gone after the scene |
//! | `/dev`, `/proc`, `/sys` | the devices of a container; masked and read-only as in the OCI defaults |
//! | privileges | a container's capabilities at most, no new privileges, a seccomp filter |
//! | resources | pids and memory by a cgroup, output by a bound |
//!
//! Without its own root the command runs on the host's files, as its user could run it; the rest also applies.

mod limits;
mod privileges;
mod root;
mod syscalls;
mod user_namespace;

use std::{
    ffi::CString,
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
};

use rustix::thread::{UnshareFlags, unshare_unsafe};
use seccompiler::BpfProgram;

pub(super) use limits::Limits;
pub use privileges::User;
pub(super) use user_namespace::user_namespace;

/// The confinement of one PID 1. Made before the fork, after which nothing may be allocated.
#[derive(Debug)]
pub(super) struct Sandbox {
    rootfs: Option<CString>,
    read_only: bool,
    user_namespace: Option<OwnedFd>,
    /// The files to write "0" to, to move to the cgroups that limit it.
    cgroups: Vec<File>,
    /// The user and group it runs as.
    user: Option<User>,
    /// Where it starts.
    workdir: Option<CString>,
    /// Path of its terminal on the host, if it has one.
    terminal: Option<CString>,
    filters: Vec<BpfProgram>,
}

impl Sandbox {
    /// A sandbox on this root, or on the host's.
    ///
    /// # Errors
    /// The path has a NUL in it, a descriptor cannot be duplicated, or there is no filter for this architecture.
    pub(super) fn new(
        rootfs: Option<&Path>,
        user_namespace: Option<&OwnedFd>,
        limits: Option<&Limits>,
    ) -> io::Result<Self> {
        Ok(Self {
            rootfs: rootfs.map(|path| CString::new(path.as_os_str().as_encoded_bytes())).transpose()?,
            read_only: false,
            user_namespace: user_namespace.map(OwnedFd::try_clone).transpose()?,
            cgroups: limits.map_or_else(|| Ok(Vec::new()), Limits::procs_files)?,
            user: None,
            workdir: None,
            terminal: None,
            filters: syscalls::filters()?,
        })
    }

    /// Nothing on the root can be written.
    pub(super) fn read_only(self, read_only: bool) -> Self {
        Self { read_only, ..self }
    }

    /// The command runs as this user and group.
    pub(super) fn user(self, user: Option<User>) -> Self {
        Self { user, ..self }
    }

    /// The command starts in this folder of its root.
    ///
    /// # Errors
    /// The path has a NUL in it.
    pub(super) fn workdir(self, workdir: Option<&Path>) -> io::Result<Self> {
        let workdir = workdir.map(|path| CString::new(path.as_os_str().as_encoded_bytes())).transpose()?;
        Ok(Self { workdir, ..self })
    }

    /// The command's console is the terminal at this path of the host.
    pub(super) fn terminal(self, terminal: Option<CString>) -> Self {
        Self { terminal, ..self }
    }

    /// Confines the calling process. The order matters: mounts are made with the host's privileges in the child's
    /// namespaces, and cannot be changed from inside the user namespace.
    ///
    /// # Errors
    /// The kernel refuses something.
    ///
    /// # Safety
    /// Runs between fork and exec: system calls only, no allocation. The process has one thread.
    pub(super) unsafe fn enter(&self) -> io::Result<()> {
        close_on_exec()?;
        for procs in &self.cgroups {
            rustix::io::write(procs, b"0")?;
        }
        let apart = UnshareFlags::NEWNS
            .union(UnshareFlags::NEWIPC)
            .union(UnshareFlags::NEWUTS)
            .union(UnshareFlags::NEWNET)
            .union(UnshareFlags::NEWCGROUP);
        // SAFETY: this process has one thread.
        unsafe { unshare_unsafe(apart) }?;
        bring_loopback_up()?;
        root::enter(self.rootfs.as_deref(), self.read_only, self.terminal.as_deref())?;
        if let Some(workdir) = self.workdir.as_deref() {
            rustix::process::chdir(workdir)?;
        }
        if let Some(namespace) = &self.user_namespace {
            // SAFETY: a system call on a descriptor that is open.
            check(unsafe { libc::setns(namespace.as_fd().as_raw_fd(), libc::CLONE_NEWUSER) })?;
        }
        // SAFETY: as the caller promises.
        unsafe { privileges::give_up(self.rootfs.is_some(), self.user.as_ref()) }?;
        for filter in &self.filters {
            seccompiler::apply_filter(filter).map_err(|_| io::Error::last_os_error())?;
        }
        Ok(())
    }
}

/// The last error if the call failed.
pub(super) fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The tool may have inherited descriptors, for example of the host's folders, that would lead out.
fn close_on_exec() -> io::Result<()> {
    // SAFETY: system calls on numbers.
    unsafe {
        if libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) == 0 {
            return Ok(());
        }
        // Before Linux 5.11.
        let mut limit: libc::rlimit = std::mem::zeroed();
        check(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit))?;
        for descriptor in 3..i32::try_from(limit.rlim_cur).unwrap_or(1 << 20).min(1 << 20) {
            // Most are not open.
            libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
    Ok(())
}

/// A fresh network namespace has a loopback device that is down; runtimes bring it up.
fn bring_loopback_up() -> io::Result<()> {
    // SAFETY: all bits zero are a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: system calls on a socket that was just made and a request that lives.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        check(socket)?;
        let result = check(libc::ioctl(socket, libc::SIOCSIFFLAGS, &raw const request));
        libc::close(socket);
        result
    }
}
