//! Starting the command as PID 1 of a fresh pid namespace.

use std::{
    ffi::{CString, OsString},
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::{
    process::getppid,
    thread::{UnshareFlags, unshare_unsafe},
};

use super::sandbox::{Sandbox, check};

/// Poll interval for the exit.
const LOOK: Duration = Duration::from_millis(2);

/// Settings of PID 1 besides its sandbox.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Setting {
    /// It leads its own session.
    pub(super) session: bool,
    /// That session has a terminal.
    pub(super) terminal: bool,
    /// A signal that it inherits blocked.
    pub(super) blocked: Option<i32>,
    /// A signal that it inherits ignored.
    pub(super) ignored: Option<i32>,
    /// What it prints is discarded.
    pub(super) quiet: bool,
}

/// The command as PID 1; killed when dropped.
#[derive(Debug)]
pub(super) struct Init {
    child: Child,
    /// The user's end of its terminal.
    terminal: Option<File>,
    status: Option<ExitStatus>,
    /// Pid of the tool, the parent of this process.
    tool: u32,
}

impl Init {
    /// Starts it in a new namespace, which is then also that of the caller's next children.
    ///
    /// # Errors
    /// There is no such program, or the kernel refuses something.
    pub(super) fn start(
        setting: Setting,
        sandbox: Sandbox,
        output: &OwnedFd,
        own_namespace: &File,
        tool: u32,
        argv: &[OsString],
        environment: Option<&[(String, String)]>,
    ) -> io::Result<Self> {
        // A process that has made a namespace for its children must take that back before it makes another.
        // SAFETY: a system call without memory.
        check(unsafe { libc::setns(own_namespace.as_raw_fd(), libc::CLONE_NEWPID) })?;
        // SAFETY: only children are affected by a new pid namespace.
        unsafe { unshare_unsafe(UnshareFlags::NEWPID) }?;
        let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments);
        if let Some(environment) = environment {
            // The program is looked for by the PATH of these.
            command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
        }
        let terminal = if setting.terminal { Some(open_terminal()?) } else { None };
        let sandbox = sandbox.terminal(terminal.as_ref().map(|(master, _)| path_of(master)).transpose()?);
        match &terminal {
            Some((_, slave)) => {
                command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave.try_clone()?);
            }
            None => {
                command.stdin(Stdio::null());
                if setting.quiet {
                    command.stdout(Stdio::null()).stderr(Stdio::null());
                } else {
                    command.stdout(output.try_clone()?).stderr(output.try_clone()?);
                }
            }
        }
        // SAFETY: between fork and exec only system calls are made, on memory that was allocated before.
        unsafe {
            command.pre_exec(move || prepare_child(&setting, &sandbox));
        }
        let child = command.spawn()?;
        Ok(Self { child, terminal: terminal.map(|(master, _)| master), status: None, tool })
    }

    /// Its pid in the caller's namespace.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it exits within this time.
    ///
    /// # Errors
    /// It cannot be waited for, or nobody wants to know: the tool is gone, and the command is to go, too.
    pub(super) fn wait(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let end = Instant::now() + limit;
        loop {
            self.read_terminal();
            if let Some(status) = self.child.try_wait()? {
                self.status = Some(status);
                return Ok(self.status);
            }
            if is_gone(self.tool) {
                return Err(io::Error::other("the tool is gone"));
            }
            if Instant::now() >= end {
                return Ok(None);
            }
            sleep(LOOK);
        }
    }

    /// Empties the terminal: a full one would block the command.
    fn read_terminal(&mut self) {
        let mut some = [0; 4096];
        while self.terminal.as_mut().is_some_and(|terminal| matches!(terminal.read(&mut some), Ok(1..))) {}
    }

    /// Its wait status; `None` if it has not exited yet.
    pub(super) fn status(&self) -> Option<u32> {
        self.status.map(|status| status.into_raw().cast_unsigned())
    }
}

/// Whether the tool was killed: another process is the parent of this one then.
pub(super) fn is_gone(tool: u32) -> bool {
    getppid().is_none_or(|parent| parent.as_raw_pid().cast_unsigned() != tool)
}

impl Drop for Init {
    fn drop(&mut self) {
        if self.status.is_none() {
            // It may have exited just now.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// What the child does before it becomes the command.
///
/// # Safety
/// Runs between fork and exec: system calls only.
unsafe fn prepare_child(setting: &Setting, sandbox: &Sandbox) -> io::Result<()> {
    // SAFETY: system calls on numbers and on a set that lives; as the caller promises.
    unsafe {
        if setting.session {
            check(libc::setsid())?;
        }
        if setting.terminal {
            check(libc::ioctl(0, libc::TIOCSCTTY, 0))?;
        }
        sandbox.enter()?;
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

/// Sets every signal to its default, so that what the tool's parent ignored does not affect the grade.
///
/// # Safety
/// As [`prepare_child`].
unsafe fn all_default() -> io::Result<()> {
    // The kernel's own structure, at its largest: the C library cannot set its own two signals, which programs started
    // by `posix_spawn` inherit ignored.
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

/// Path of the command's end of a terminal.
fn path_of(master: &File) -> io::Result<CString> {
    let mut number: libc::c_uint = 0;
    // SAFETY: a descriptor that is open, and a number as the place for the result.
    check(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTN, &raw mut number) })?;
    Ok(CString::new(format!("/dev/pts/{number}"))?)
}
