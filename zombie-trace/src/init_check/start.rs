//! Starting the command as PID 1 of a fresh pid namespace.

use std::{
    ffi::{CString, OsString},
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsRawFd, FromRawFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// How often an end is looked for.
const LOOK: Duration = Duration::from_millis(2);

/// What PID 1 is given.
#[derive(Debug, Default)]
pub(super) struct Setting {
    /// The user and group it runs as.
    pub(super) user: Option<(u32, u32)>,
    /// The root of its file system.
    pub(super) rootfs: Option<PathBuf>,
    /// Nothing on that root can be written.
    pub(super) read_only: bool,
    /// It leads a session of its own.
    pub(super) session: bool,
    /// That session has a terminal.
    pub(super) terminal: bool,
    /// A signal that it finds blocked.
    pub(super) blocked: Option<i32>,
    /// A signal that it finds ignored.
    pub(super) ignored: Option<i32>,
    /// What to write "0" to in order to move to a cgroup.
    pub(super) cgroup: Option<File>,
    /// What it prints is thrown away.
    pub(super) quiet: bool,
}

/// The command as PID 1; killed when dropped.
#[derive(Debug)]
pub(super) struct Init {
    child: Child,
    /// The end of its terminal that a person would sit at.
    terminal: Option<File>,
    status: Option<ExitStatus>,
}

impl Init {
    /// Starts it in a namespace that then is that of the caller's next children, too.
    ///
    /// # Errors
    /// There is no such program, or the kernel refuses something.
    pub(super) fn start(setting: Setting, own_namespace: &File, argv: &[OsString]) -> io::Result<Self> {
        // A process that has made a namespace for its children must take that back before it makes another.
        // SAFETY: a system call without memory.
        check(unsafe { libc::setns(own_namespace.as_raw_fd(), libc::CLONE_NEWPID) })?;
        // SAFETY: only children are affected by a new pid namespace.
        unsafe { unshare_unsafe(UnshareFlags::NEWPID) }?;
        let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments);
        let terminal = if setting.terminal { Some(open_terminal()?) } else { None };
        match &terminal {
            Some((_, slave)) => {
                command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave.try_clone()?);
            }
            None => {
                command.stdin(Stdio::null());
                if setting.quiet {
                    command.stdout(Stdio::null()).stderr(Stdio::null());
                }
            }
        }
        let rootfs = match &setting.rootfs {
            Some(path) => Some(CString::new(path.as_os_str().as_encoded_bytes())?),
            None => None,
        };
        // SAFETY: between fork and exec only system calls are made, on memory that was allocated before.
        unsafe {
            command.pre_exec(move || settle_in(&setting, rootfs.as_ref()));
        }
        let child = command.spawn()?;
        Ok(Self { child, terminal: terminal.map(|(master, _)| master), status: None })
    }

    /// Its pid where the caller is.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it does within this time.
    pub(super) fn wait(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let end = Instant::now() + limit;
        loop {
            self.read_terminal();
            if let Some(status) = self.child.try_wait()? {
                self.status = Some(status);
                return Ok(self.status);
            }
            if Instant::now() >= end {
                return Ok(None);
            }
            sleep(LOOK);
        }
    }

    /// Who fills a terminal that nobody reads stands still.
    fn read_terminal(&mut self) {
        let mut some = [0; 4096];
        while self.terminal.as_mut().is_some_and(|terminal| matches!(terminal.read(&mut some), Ok(1..))) {}
    }

    /// How it ended, as wait gives it; `None` if it has not yet.
    pub(super) fn status(&self) -> Option<u32> {
        self.status.map(|status| status.into_raw().cast_unsigned())
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        if self.status.is_none() {
            // It may have ended just now.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What the child does before it becomes the command.
///
/// # Safety
/// Runs between fork and exec: system calls only.
unsafe fn settle_in(setting: &Setting, rootfs: Option<&CString>) -> io::Result<()> {
    let none: *const libc::c_void = std::ptr::null();
    let mount = |source: *const libc::c_char, target: *const libc::c_char, kind: *const libc::c_char, flags| {
        // SAFETY: strings that end with NUL, or null where the kernel takes none.
        check(unsafe { libc::mount(source, target, kind, flags, none) })
    };
    if let Some(cgroup) = &setting.cgroup {
        rustix::io::write(cgroup, b"0")?;
    }
    // SAFETY: system calls on strings that end with NUL and on numbers.
    unsafe {
        if setting.session {
            check(libc::setsid())?;
        }
        if setting.terminal {
            check(libc::ioctl(0, libc::TIOCSCTTY, 0))?;
        }
        check(libc::unshare(libc::CLONE_NEWNS))?;
        mount(none.cast(), c"/".as_ptr(), none.cast(), libc::MS_REC | libc::MS_PRIVATE)?;
        if let Some(root) = rootfs {
            // A mount of its own, so that it can be made read-only.
            mount(root.as_ptr(), root.as_ptr(), none.cast(), libc::MS_BIND | libc::MS_REC)?;
            check(libc::chdir(root.as_ptr()))?;
            // Every runtime gives a container its devices. An image without the folder does without.
            let _ = mount(c"/dev".as_ptr(), c"dev".as_ptr(), none.cast(), libc::MS_BIND | libc::MS_REC);
            check(libc::chroot(c".".as_ptr()))?;
            check(libc::chdir(c"/".as_ptr()))?;
        }
        let hardened = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        mount(c"proc".as_ptr(), c"/proc".as_ptr(), c"proc".as_ptr(), hardened)?;
        if setting.read_only {
            let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
            mount(none.cast(), c"/".as_ptr(), none.cast(), flags)?;
        }
        give_up_capabilities()?;
        if let Some((uid, gid)) = setting.user {
            check(libc::setgroups(0, std::ptr::null()))?;
            check(libc::setgid(gid))?;
            check(libc::setuid(uid))?;
        }
        all_default()?;
        if let Some(signal) = setting.ignored {
            libc::signal(signal, libc::SIG_IGN);
        }
        if let Some(signal) = setting.blocked {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, signal);
            check(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()))?;
        }
    }
    Ok(())
}

/// The capabilities that Docker, Podman and containerd leave to a container (the `Capabilities` of their default OCI
/// spec), one bit each.
const OF_A_CONTAINER: u64 = 0xa804_25fb;

/// Leaves the command what a container has: an init of a whole machine, started here by mistake, would unmount file
/// systems and turn off the swap of the machine.
///
/// # Safety
/// As [`settle_in`].
unsafe fn give_up_capabilities() -> io::Result<()> {
    for capability in (0..64).filter(|capability| OF_A_CONTAINER >> capability & 1 == 0) {
        // SAFETY: a system call on numbers.
        match check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }) {
            // The first that this kernel does not know, and so are all that follow.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            result => result?,
        }
    }
    Ok(())
}

/// Sets every signal to its default: what the tool's own parent ignored is not for PID 1 to be judged by.
///
/// # Safety
/// As [`settle_in`].
unsafe fn all_default() -> io::Result<()> {
    // The kernel's own structure, at its largest: by the C library two signals of its own cannot be set, and programs
    // that are started by `posix_spawn` find them ignored.
    let default = [0_u64; 4];
    let none: *const libc::c_void = std::ptr::null();
    for signal in (1..=64).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal)) {
        // SAFETY: a structure that is long enough, and the size of the kernel's signal set.
        if unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), none, size_of::<u64>()) } == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Both ends of a new pseudo-terminal; the first never blocks.
fn open_terminal() -> io::Result<(File, File)> {
    // SAFETY: system calls on descriptors that they have just made, and a number as the place for the result.
    unsafe {
        let master = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC | libc::O_NONBLOCK);
        check(master)?;
        let master = File::from_raw_fd(master);
        let unlock: libc::c_int = 0;
        check(libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlock))?;
        let slave = libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        check(slave)?;
        Ok((master, File::from_raw_fd(slave)))
    }
}
