//! What a test needs from the machine; without it the test is skipped with the reason.

use std::path::{Path, PathBuf};

use crate::Skip;

/// Root: namespaces, BPF, and processes of others.
///
/// # Errors
/// The skip, for another user.
pub fn root() -> Result<(), Skip> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err(Skip::new("needs root")) }
}

/// What every test of the live tracer needs.
///
/// # Errors
/// The skip, where the kernel or the user cannot trace.
pub fn tracing() -> Result<(), Skip> {
    root()?;
    if Path::new("/sys/kernel/btf/vmlinux").exists() {
        Ok(())
    } else {
        Err(Skip::new("the kernel has no BTF at /sys/kernel/btf/vmlinux"))
    }
}

/// A kernel that allows programs at the entry of its functions: not all do.
///
/// # Errors
/// The skip, where it refuses them.
///
/// # Panics
/// If it allows such programs, but not the tracer's.
pub fn fentry() -> Result<(), Skip> {
    tracing()?;
    let mut command = std::process::Command::new(crate::binaries::zombie_trace());
    let said = command.args(["doctor", "--format", "json"]).output().expect("the tool can be started").stdout;
    let said: serde_json::Value = serde_json::from_slice(&said).expect("doctor prints JSON");
    let probes = said["probes"].as_array().expect("doctor lists the probes");
    let probe = probes.iter().find(|probe| probe["hook"] == "fentry/release_task").expect("it is one of them");
    if probe["status"] == "attached" {
        return Ok(());
    }
    let error = probe["error"].as_str().unwrap_or_default();
    let refusals = ["Operation not permitted", "not supported", "os error 524"];
    assert!(refusals.iter().any(|refusal| error.contains(refusal)), "refused for another reason: {probe}");
    Err(Skip::new(format!("the kernel refuses fentry: {error}")))
}

/// A kernel that does not let root read its memory, as booted with `lockdown=confidentiality`.
///
/// # Errors
/// The skip, if it does.
pub fn confidential_lockdown() -> Result<(), Skip> {
    let state = std::fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    if state.contains("[confidentiality]") {
        Ok(())
    } else {
        Err(Skip::new("the kernel was not booted with lockdown=confidentiality"))
    }
}

/// A kernel that lets root read its memory: otherwise the tool reports that first.
///
/// # Errors
/// The skip, if it does not.
pub fn no_confidential_lockdown() -> Result<(), Skip> {
    match confidential_lockdown() {
        Ok(()) => Err(Skip::new("the kernel was booted with lockdown=confidentiality")),
        Err(_) => Ok(()),
    }
}

/// A program on the PATH.
///
/// # Errors
/// The skip, if there is none of this name.
pub fn program(name: &str) -> Result<PathBuf, Skip> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| Skip::new(format!("{name} is not installed")))
}

/// A Python that has this package: that of the set-up, or the machine's own.
///
/// # Errors
/// The skip, if none has it.
pub fn python_with(package: &str) -> Result<PathBuf, Skip> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let of_the_setup = cache.unwrap_or_default().join("zombie-trace/python/bin/python");
    let has_it = |python: &PathBuf| {
        let mut command = std::process::Command::new(python);
        command.args(["-c", &format!("import {package}")]).stderr(std::process::Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    [Ok(of_the_setup), program("python3")]
        .into_iter()
        .flatten()
        .find(has_it)
        .ok_or_else(|| Skip::new(format!("no Python has the package {package}: cargo xtask setup")))
}

/// A file.
///
/// # Errors
/// The skip, if there is none.
pub fn file(path: &str) -> Result<(), Skip> {
    if Path::new(path).exists() { Ok(()) } else { Err(Skip::new(format!("there is no {path}"))) }
}

/// A cgroup can be given a share of a processor.
///
/// # Errors
/// The skip.
pub fn cpu_controller() -> Result<(), Skip> {
    let v2 = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    if v2.split_whitespace().any(|controller| controller == "cpu") {
        return Ok(());
    }
    file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
}

/// A program of the GNU coreutils: busybox has others by the same names.
///
/// # Errors
/// The skip, if it is missing or not from GNU.
pub fn gnu(name: &str) -> Result<PathBuf, Skip> {
    let path = program(name)?;
    let version = std::process::Command::new(&path).arg("--version").output();
    let is_gnu = version.is_ok_and(|version| String::from_utf8_lossy(&version.stdout).contains("GNU"));
    if is_gnu { Ok(path) } else { Err(Skip::new(format!("{name} is not that of GNU"))) }
}

/// The kernel runs the programs at every system call. Since Linux 7.2 it skips some while another is preempted
/// (`kernel/trace/bpf_trace.c`, `trace_call_bpf_faultable`), and what they count is a lower bound.
///
/// # Errors
/// It may skip some.
pub fn exact_call_counts() -> Result<(), Skip> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if (major, minor) < (7, 2) => Ok(()),
        _ => Err(Skip::new(format!("Linux {} leaves out programs at system calls", release.trim()))),
    }
}

/// A cgroup controller limits pids, in the hierarchy that a tool can use.
///
/// # Errors
/// There is none.
pub fn pids_controller() -> Result<(), Skip> {
    let enabled = std::fs::read_to_string("/sys/fs/cgroup/cgroup.subtree_control").unwrap_or_default();
    let has_it = enabled.split_whitespace().any(|controller| controller == "pids");
    if has_it || Path::new("/sys/fs/cgroup/pids/cgroup.procs").exists() {
        Ok(())
    } else {
        Err(Skip::new("no cgroup controller for pids"))
    }
}

/// The kernel knows a file system of this kind.
///
/// # Errors
/// It does not.
pub fn file_system(kind: &str) -> Result<(), Skip> {
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if known.lines().any(|line| line.split_whitespace().last() == Some(kind)) {
        Ok(())
    } else {
        Err(Skip::new(format!("no file system {kind}")))
    }
}

/// Room for this many more processes on the whole machine.
///
/// # Errors
/// The skip, where pid_max is too small for it.
pub fn free_pids(count: u64) -> Result<(), Skip> {
    let limit = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap_or_default();
    let limit: u64 = limit.trim().parse().unwrap_or(0);
    if limit >= count + count / 4 {
        Ok(())
    } else {
        Err(Skip::new(format!("pid_max is {limit}, {count} pids are needed")))
    }
}

/// The variable that says that only the tests use the machine.
pub const OWN_MACHINE: &str = "ZT_OWN_MACHINE";

/// A machine on which nothing else runs, so that a test may set its clock, put it to sleep, or change its limits. Only
/// a VM's init sets the variable: changes end with the VM.
///
/// # Errors
/// The skip, on any other.
pub fn own_machine() -> Result<(), Skip> {
    if std::env::var_os(OWN_MACHINE).is_some() {
        root()
    } else {
        Err(Skip::new("changes the machine itself, which is done in a VM only"))
    }
}

/// A machine that can be suspended to memory and wakes by its clock.
///
/// # Errors
/// The skip, if the kernel or the firmware cannot, or others use the machine.
pub fn suspend() -> Result<(), Skip> {
    own_machine()?;
    let states = std::fs::read_to_string("/sys/power/state").unwrap_or_default();
    let modes = std::fs::read_to_string("/sys/power/mem_sleep").unwrap_or_default();
    if !states.split_whitespace().any(|state| state == "mem") || !modes.contains("[deep]") {
        return Err(Skip::new("the machine cannot be suspended to memory"));
    }
    file("/sys/class/rtc/rtc0/wakealarm")
}

/// A pid namespace has a `pid_max` of its own, so that a test may set it: since Linux 6.14.
///
/// # Errors
/// The skip, for an older kernel, where it would be the machine's.
pub fn own_pid_max() -> Result<(), Skip> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|byte: char| !byte.is_ascii_digit()).map(|number| number.parse().unwrap_or(0u32));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (6, 14) { Ok(()) } else { Err(Skip::new("pid_max is the whole machine's before Linux 6.14")) }
}

/// This many bytes of free memory.
///
/// # Errors
/// The skip, where there are fewer.
pub fn free_memory(bytes: u64) -> Result<(), Skip> {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap_or_default();
    let available: u64 = line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0) * 1024;
    if available >= bytes { Ok(()) } else { Err(Skip::new(format!("{bytes} bytes of free memory are needed"))) }
}

/// The kernel tells which Unix sockets are connected: `unix_diag`, which is a module in some kernels.
///
/// # Errors
/// The skip, where neither is there.
pub fn unix_socket_diagnostics() -> Result<(), Skip> {
    const NETLINK_SOCK_DIAG: libc::c_int = 4;
    const BY_FAMILY: u16 = 20;
    const REQUEST_DUMP: u16 = 0x301;
    // A `nlmsghdr` and a `unix_diag_req` for all Unix sockets.
    let mut request = [0_u8; 40];
    request[0] = 40;
    request[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
    request[6..8].copy_from_slice(&REQUEST_DUMP.to_ne_bytes());
    request[16] = libc::AF_UNIX as u8;
    request[20..24].fill(0xff);
    let mut answer = [0_u8; 8192];
    // SAFETY: the buffers outlive the calls, which are given their sizes.
    let length = unsafe {
        let socket = libc::socket(libc::AF_NETLINK, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
        libc::send(socket, request.as_ptr().cast(), request.len(), 0);
        let length = libc::recv(socket, answer.as_mut_ptr().cast(), answer.len(), 0);
        libc::close(socket);
        length
    };
    if length >= 6 && answer[4..6] == BY_FAMILY.to_ne_bytes() {
        return Ok(());
    }
    Err(Skip::new("the kernel has no diagnostics of Unix sockets (CONFIG_UNIX_DIAG)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_nobody_has_is_a_reason_to_skip() {
        assert_eq!(program("zt-no-such-program"), Err(Skip::new("zt-no-such-program is not installed")));
        assert!(program("sh").is_ok());
    }
}
