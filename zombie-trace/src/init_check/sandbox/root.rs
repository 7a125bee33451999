//! The file systems of a graded command.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, mkdirat, open, openat},
    io::Errno,
    mount::{
        MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_bind_recursive,
        mount_change, mount_remount, move_mount, open_tree, unmount,
    },
    process::{chdir, pivot_root},
};

/// What every runtime gives a container, from the host's `/dev`.
const DEVICES: [&CStr; 6] = [c"null", c"zero", c"full", c"random", c"urandom", c"tty"];

/// `MaskedPaths` of the runtimes' default OCI spec: files behind `/dev/null`, folders behind an empty one.
const MASKED: [&CStr; 12] = [
    c"/proc/acpi",
    c"/proc/asound",
    c"/proc/interrupts",
    c"/proc/kcore",
    c"/proc/keys",
    c"/proc/latency_stats",
    c"/proc/sched_debug",
    c"/proc/scsi",
    c"/proc/timer_list",
    c"/proc/timer_stats",
    c"/sys/devices/virtual/powercap",
    c"/sys/firmware",
];

/// `ReadonlyPaths` of the same.
const READ_ONLY: [&CStr; 5] = [c"/proc/bus", c"/proc/fs", c"/proc/irq", c"/proc/sys", c"/proc/sysrq-trigger"];

/// Memory for what a command writes to its root, and for its `/dev/shm`.
const SCRATCH: &CStr = c"size=256m,mode=755";
const SHARED: &CStr = c"size=64m,mode=1777";

/// Makes this root, or the host's, the root of the calling process, which already has its own mount namespace.
///
/// # Errors
/// The kernel refuses something.
pub(super) fn enter(rootfs: Option<&CStr>, read_only: bool, terminal: Option<&CStr>) -> io::Result<()> {
    mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let devices = DEVICES.map(device);
    // Found by path, because a descriptor leads to the mounts that this process has left.
    let terminal = terminal.and_then(|path| clone_mount(CWD, path));
    // A program may listen below port 1024 and send pings, as in a container, whose user namespace owns its network.
    set(c"/proc/sys/net/ipv4/ip_unprivileged_port_start", b"0");
    set(c"/proc/sys/net/ipv4/ping_group_range", b"0 2147483647");
    if let Some(root) = rootfs {
        move_to(root)?;
    }
    let plain = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let is_there = |error: &Errno| *error != Errno::NOENT && *error != Errno::NOTDIR;
    mount(c"proc", c"/proc", c"proc", plain, None)?;
    match mount(c"sysfs", c"/sys", c"sysfs", plain | MountFlags::RDONLY, None) {
        Err(error) if is_there(&error) => return Err(error.into()),
        _ => {}
    }
    match mount(c"tmpfs", c"/dev", c"tmpfs", MountFlags::NOSUID | MountFlags::NOEXEC, c"size=64k,mode=755") {
        Ok(()) => fill_dev(devices, terminal)?,
        Err(error) if is_there(&error) => return Err(error.into()),
        // An image without the folder, on a kernel without overlays, gets no devices.
        Err(_) => {}
    }
    mask()?;
    if read_only {
        let foreign = if rootfs.is_some() { MountFlags::NOSUID | MountFlags::NODEV } else { MountFlags::empty() };
        mount_remount(c"/", MountFlags::BIND | MountFlags::RDONLY | foreign, c"")?;
    }
    Ok(())
}

/// Leaves the old root for good: no mount leads back to it.
fn move_to(root: &CStr) -> io::Result<()> {
    if move_to_overlay(root).is_err() {
        // Without overlays: the folder itself, as its own mount.
        mount_bind_recursive(root, root)?;
        mount_remount(root, MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV, c"")?;
        chdir(root)?;
    }
    // `pivot_root(2)`, "pivot_root(".", ".")": the old root is on top of the new one, and is unmounted.
    pivot_root(c".", c".")?;
    unmount(c".", UnmountFlags::DETACH)?;
    chdir(c"/")?;
    Ok(())
}

/// Writes go to memory: the image's folder stays unchanged, and each scene begins with it.
fn move_to_overlay(root: &CStr) -> io::Result<()> {
    let image = open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let lower = c"/proc/self/fd/";
    let mut options = [0_u8; 128];
    let options = overlay_options(&mut options, lower, std::os::fd::AsRawFd::as_raw_fd(&image));
    mount(c"tmpfs", root, c"tmpfs", MountFlags::NOSUID | MountFlags::NODEV, SCRATCH)?;
    let result = (|| {
        chdir(root)?;
        for folder in [c"upper", c"work", c"merged"] {
            mkdirat(CWD, folder, Mode::from_raw_mode(0o755))?;
        }
        mount(c"overlay", c"merged", c"overlay", MountFlags::NOSUID | MountFlags::NODEV, options)?;
        chdir(c"merged")?;
        for folder in [c"proc", c"dev", c"sys"] {
            match mkdirat(CWD, folder, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    })();
    if let Err(error) = result {
        let _ = chdir(c"/");
        unmount(root, UnmountFlags::DETACH)?;
        return Err(error.into());
    }
    Ok(())
}

/// `lowerdir=…,upperdir=upper,workdir=work`, built without allocating.
fn overlay_options<'a>(buffer: &'a mut [u8; 128], lower: &CStr, descriptor: i32) -> &'a CStr {
    let mut digits = [0_u8; 10];
    let (mut rest, mut first) = (descriptor.unsigned_abs(), digits.len());
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let parts = [b"lowerdir=", lower.to_bytes(), &digits[first..], b",upperdir=upper,workdir=work"];
    let text = parts.iter().flat_map(|part| part.iter().copied());
    for (to, from) in buffer.iter_mut().zip(text) {
        *to = from;
    }
    // The parts are shorter than the buffer, which was zeroes.
    CStr::from_bytes_until_nul(buffer).unwrap_or(c"")
}

fn fill_dev(devices: [Option<OwnedFd>; 6], terminal: Option<OwnedFd>) -> io::Result<()> {
    let dev = open(c"/dev", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    for (device, name) in devices.iter().zip(DEVICES) {
        if let Some(device) = device {
            cover(device, &dev, name)?;
        }
    }
    if let Some(terminal) = terminal {
        cover(&terminal, &dev, c"console")?;
    }
    for (folder, kind, options) in [
        (c"pts", c"devpts", c"newinstance,ptmxmode=0666,mode=0620"),
        (c"shm", c"tmpfs", SHARED),
        (c"mqueue", c"mqueue", c""),
    ] {
        mkdirat(&dev, folder, Mode::from_raw_mode(0o755))?;
        let at = match folder.to_bytes() {
            b"pts" => c"/dev/pts",
            b"shm" => c"/dev/shm",
            _ => c"/dev/mqueue",
        };
        // A kernel may be built without one of them.
        let _ = mount(kind, at, kind, MountFlags::NOSUID | MountFlags::NOEXEC, options);
    }
    for (target, name) in [
        (c"/proc/self/fd", c"fd"),
        (c"/proc/self/fd/0", c"stdin"),
        (c"/proc/self/fd/1", c"stdout"),
        (c"/proc/self/fd/2", c"stderr"),
        (c"pts/ptmx", c"ptmx"),
    ] {
        rustix::fs::symlinkat(target, &dev, name)?;
    }
    Ok(())
}

/// Puts a mount of one file at this name in a folder.
fn cover(file: &OwnedFd, folder: &OwnedFd, name: &CStr) -> io::Result<()> {
    drop(openat(folder, name, OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC, Mode::from_raw_mode(0o666))?);
    Ok(move_mount(file, c"", folder, name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// A device of the host, as a movable mount; `None` if the host has none.
fn device(name: &CStr) -> Option<OwnedFd> {
    let dev = open(c"/dev", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    clone_mount(&dev, name)
}

fn clone_mount(folder: impl AsFd, path: &CStr) -> Option<OwnedFd> {
    open_tree(folder, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC).ok()
}

fn mask() -> io::Result<()> {
    for path in MASKED {
        let Ok(file) = open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) else { continue };
        let mode = rustix::fs::fstat(&file)?.st_mode;
        if FileType::from_raw_mode(mode).is_dir() {
            mount(c"tmpfs", path, c"tmpfs", MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV, c"size=0")?;
        } else {
            rustix::mount::mount_bind(c"/dev/null", path)?;
        }
    }
    for path in READ_ONLY {
        match rustix::mount::mount_bind(path, path) {
            Err(Errno::NOENT) => continue,
            result => result?,
        }
        let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount_remount(path, flags, c"")?;
    }
    Ok(())
}

/// Writes a setting that not every kernel has.
fn set(path: &CStr, value: &[u8]) {
    if let Ok(file) = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
        let _ = rustix::io::write(file.as_fd(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_named_by_its_descriptor_whatever_its_path_has_in_it() {
        for (descriptor, digits) in [(0, "0"), (7, "7"), (1_048_576, "1048576")] {
            let mut buffer = [0; 128];
            let options = overlay_options(&mut buffer, c"/proc/self/fd/", descriptor).to_str().unwrap();
            assert_eq!(options, format!("lowerdir=/proc/self/fd/{digits},upperdir=upper,workdir=work"));
        }
    }
}
