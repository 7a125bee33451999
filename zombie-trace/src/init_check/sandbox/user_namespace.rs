//! A user namespace with identity mapping, whose capabilities do not count outside.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::fd::OwnedFd,
};

use rustix::pipe::{PipeFlags, pipe_with};

use super::check;

/// Creates one; `None` if the kernel, a sysctl or a security module forbids it.
///
/// Call it from a process with one thread, before its children go to another pid namespace.
pub(in super::super) fn user_namespace() -> Option<OwnedFd> {
    make().inspect_err(|error| log::info!("no user namespace for graded commands: {error}")).ok()
}

fn make() -> io::Result<OwnedFd> {
    let (ready, tell) = pipe_with(PipeFlags::CLOEXEC)?;
    let (gate, open) = pipe_with(PipeFlags::CLOEXEC)?;
    // SAFETY: this process has one thread, and the child makes system calls only.
    let holder = unsafe { libc::fork() };
    check(holder)?;
    if holder == 0 {
        let mut byte = [u8::from(check(unsafe_unshare()).is_ok())];
        // SAFETY: a byte that is ours, descriptors that are open, and no way back.
        unsafe {
            libc::close(std::os::fd::AsRawFd::as_raw_fd(&open));
            libc::write(std::os::fd::AsRawFd::as_raw_fd(&tell), byte.as_ptr().cast(), 1);
            libc::read(std::os::fd::AsRawFd::as_raw_fd(&gate), byte.as_mut_ptr().cast(), 1);
            libc::_exit(0);
        }
    }
    drop(tell);
    let namespace = describe(holder, ready);
    drop(open);
    // SAFETY: the status is not asked for.
    unsafe { libc::waitpid(holder, std::ptr::null_mut(), 0) };
    namespace
}

fn unsafe_unshare() -> libc::c_int {
    // SAFETY: a system call on numbers, in a process with one thread.
    unsafe { libc::unshare(libc::CLONE_NEWUSER) }
}

/// Maps every user and group of this process to itself.
fn describe(holder: libc::pid_t, ready: OwnedFd) -> io::Result<OwnedFd> {
    let mut is_made = [0];
    File::from(ready).read_exact(&mut is_made)?;
    if is_made == [0] {
        return Err(io::Error::other("unshare(CLONE_NEWUSER) was refused"));
    }
    for map in ["uid_map", "gid_map"] {
        let own = fs::read_to_string(format!("/proc/self/{map}"))?;
        fs::write(format!("/proc/{holder}/{map}"), identity(&own))?;
    }
    Ok(File::open(format!("/proc/{holder}/ns/user"))?.into())
}

/// The identity map for all inner ids of this process's own map in `/proc`.
fn identity(own: &str) -> String {
    let ranges = own.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (first, _, count) = (words.next()?, words.next()?, words.next()?);
        Some(format!("{first} {first} {count}\n"))
    });
    ranges.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_is_itself_also_below_another_user_namespace() {
        assert_eq!(identity("         0          0 4294967295\n"), "0 0 4294967295\n");
        assert_eq!(identity("0 1000 1\n1 100000 65536\n"), "0 0 1\n1 1 65536\n");
    }
}
