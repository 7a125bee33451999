//! Fresh pid namespaces.

use std::os::unix::fs::MetadataExt;

use anyhow::Context;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Pid;

use super::clone_with;

/// Runs `init` as PID 1 of a fresh pid namespace with its own /proc, and returns its outer pid.
pub(crate) fn in_new_pid_namespace(init: impl FnOnce() -> i32) -> anyhow::Result<Pid> {
    clone_with(libc::CLONE_NEWPID | libc::SIGCHLD, || match private_proc() {
        Ok(()) => init(),
        Err(error) => {
            eprintln!("zt-actor: {error:#}");
            120
        }
    })
    .context("a new pid namespace")
}

fn private_proc() -> anyhow::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("a new mount namespace")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .context("private mounts")?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), None::<&str>).context("mount of /proc")
}

/// The inode by which the tracer names the pid namespace of a process.
pub(crate) fn pid_namespace_of(pid: Pid) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/ns/pid");
    Ok(std::fs::metadata(&path).with_context(|| path)?.ino())
}
