//! Making orphans in the namespace of a PID 1.
//!
//! The process that plays a scene has one thread, so that it may fork; its children only make system calls.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsRawFd, OwnedFd},
};

use rustix::pipe::{PipeFlags, pipe_with};

pub(super) const ORPHAN: &str = "zt-orphan";

/// Orphans that live until this is dropped, and then exit at once.
#[derive(Debug)]
pub(super) struct Waiting(#[expect(dead_code, reason = "its end is what the orphans wait for")] OwnedFd);

/// Adds orphans beside PID 1 and returns when it has adopted all. With a namespace, a process that enters it starts
/// them; otherwise a child of the caller, which must be in it.
pub(super) fn put(count: u32, code: i32, entered: Option<&File>) -> io::Result<Waiting> {
    let (gate, open) = pipe_with(PipeFlags::CLOEXEC)?;
    let (mut adopted, tell) = pipe_with(PipeFlags::CLOEXEC).map(|(reader, writer)| (File::from(reader), writer))?;
    let parent = || {
        for _ in 0..count {
            if fork_here() == 0 {
                become_orphan();
                let mut byte = [0_u8];
                // SAFETY: a byte that is ours, descriptors that are open, and no way back. The orphan's own copy of
                // the gate's other end would keep it closed.
                unsafe {
                    libc::close(open.as_raw_fd());
                    libc::write(tell.as_raw_fd(), byte.as_ptr().cast(), 1);
                    libc::close(tell.as_raw_fd());
                    libc::read(gate.as_raw_fd(), byte.as_mut_ptr().cast(), 1);
                    libc::_exit(code);
                }
            }
        }
    };
    run_and_wait(|| match entered {
        None => parent(),
        Some(namespace) => {
            // SAFETY: a system call without memory; it concerns the children of this process only.
            if unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWPID) } == 0 {
                // A failure shows as missing orphans.
                let _ = run_and_wait(parent);
            }
        }
    })?;
    drop(tell);
    let mut told = Vec::new();
    adopted.by_ref().take(count.into()).read_to_end(&mut told)?;
    if told.len() < count as usize {
        return Err(io::Error::other("the processes to be orphaned could not be started in its namespace"));
    }
    Ok(Waiting(open))
}

/// Makes orphans one after the other, each of which exits as soon as it is adopted.
pub(super) fn stream(count: u32, every_ms: u32) -> io::Result<()> {
    run_and_wait(|| {
        for _ in 0..count {
            let parent = fork_here();
            if parent == 0 {
                if fork_here() == 0 {
                    become_orphan();
                }
                // SAFETY: no way back.
                unsafe { libc::_exit(0) }
            }
            // SAFETY: the status is not asked for.
            unsafe {
                libc::waitpid(parent, std::ptr::null_mut(), 0);
                libc::usleep(every_ms * 1000);
            }
        }
    })
}

/// Takes the name, and waits until the parent is the adopter: only an orphan's parent is 1.
fn become_orphan() {
    // SAFETY: a name that ends with NUL, and system calls without memory.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, c"zt-orphan".as_ptr());
        while libc::getppid() != 1 {
            libc::usleep(500);
        }
    }
}

fn fork_here() -> libc::pid_t {
    // SAFETY: this process has one thread, and its child makes system calls only.
    unsafe { libc::fork() }
}

fn run_and_wait(child: impl FnOnce()) -> io::Result<()> {
    match fork_here() {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            child();
            // SAFETY: no way back.
            unsafe { libc::_exit(0) }
        }
        pid => {
            // SAFETY: the status is not asked for.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
            Ok(())
        }
    }
}
