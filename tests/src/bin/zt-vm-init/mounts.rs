//! The file systems of a machine that has just started.

use std::fs::{create_dir_all, write};
use std::os::unix::fs::symlink;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::unistd::{chdir, chroot};

fn mounted(kind: &str, at: &str, data: Option<&str>) -> Result<()> {
    create_dir_all(at).with_context(|| at.to_owned())?;
    mount(Some(kind), at, Some(kind), MsFlags::empty(), data).with_context(|| format!("{kind} at {at}"))
}

/// Makes a mount of the initramfs the root instead of the kernel's first one, from which no process can `pivot_root`,
/// as container runtimes do. No file is copied.
pub(crate) fn leave_the_first_root() -> Result<()> {
    const NEW: &str = "/mnt";
    let none = None::<&str>;
    mount(Some("/"), NEW, none, MsFlags::MS_BIND, none).context("the root at another place")?;
    chdir(NEW).context(NEW)?;
    mount(Some("."), "/", none, MsFlags::MS_MOVE, none).context("the other place as the root")?;
    chroot(".").context("the new root")?;
    chdir("/").context("the new root")
}

/// What every program expects.
pub(crate) fn basic() -> Result<()> {
    mounted("proc", "/proc", None)?;
    mounted("sysfs", "/sys", None)?;
    mounted("devtmpfs", "/dev", None)?;
    mounted("devpts", "/dev/pts", None)?;
    mounted("tmpfs", "/dev/shm", None)?;
    mounted("tmpfs", "/tmp", Some("mode=1777"))?;
    mounted("tmpfs", "/run", Some("mode=755"))?;
    mounted("securityfs", "/sys/kernel/security", None)?;
    // Under lockdown=confidentiality mounting tracefs may fail, which a test checks.
    if let Err(error) = mounted("tracefs", "/sys/kernel/tracing", None) {
        println!("zt-vm-init: {error:#}");
    }
    for (name, target) in [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
        // Some kernels' devtmpfs already has them.
        let _ = symlink(target, format!("/dev/{name}"));
    }
    Ok(())
}

/// Only cgroup v2, with the controllers enabled for the tests' groups.
pub(crate) fn cgroup_v2() -> Result<()> {
    const ROOT: &str = "/sys/fs/cgroup";
    mounted("cgroup2", ROOT, None)?;
    // Like a service manager: processes get their own group, because no controller can be enabled below a group with
    // processes. The root is exempt, but container runtimes do not rely on that.
    create_dir_all(format!("{ROOT}/init")).context("a group for PID 1")?;
    write(format!("{ROOT}/init/cgroup.procs"), "1").context("PID 1 into its group")?;
    write(format!("{ROOT}/cgroup.subtree_control"), "+pids").context("the pids controller")
}

/// Only cgroup v1: a hierarchy for each controller of the kernel.
pub(crate) fn cgroup_v1() -> Result<()> {
    mounted("tmpfs", "/sys/fs/cgroup", None)?;
    let table = std::fs::read_to_string("/proc/cgroups").context("/proc/cgroups")?;
    for controller in table.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split('\t').next()) {
        let at = format!("/sys/fs/cgroup/{controller}");
        create_dir_all(&at).with_context(|| at.clone())?;
        // A newer kernel also lists controllers that it no longer has on v1.
        if let Err(error) = mount(Some("cgroup"), at.as_str(), Some("cgroup"), MsFlags::empty(), Some(controller)) {
            println!("zt-vm-init: cgroup v1 has no {controller}: {error}");
            let _ = std::fs::remove_dir(&at);
        }
    }
    Ok(())
}
