//! Programs that several rules know by name: one list of each kind.
//!
//! Names are whole. The kernel keeps the first 15 bytes of one as `comm`; [`kernel_name`] cuts a name as it does.

/// Bytes of a `comm`, without the zero behind it (include/linux/sched.h, `TASK_COMM_LEN`).
const COMM_BYTES: usize = 15;

/// Programs whose job it is to be PID 1 of a container and to start one other, given behind two dashes.
pub const INITS: [&str; 7] = ["tini", "tini-static", "docker-init", "podman-init", "dumb-init", "catatonit", "my_init"];

/// Where images keep such programs, and supervisors that are made to be PID 1. Not `/sbin/init`, which is there for other
/// reasons in many of them.
pub const INIT_PATHS: [&str; 26] = [
    "/sbin/tini",
    "/usr/sbin/tini",
    "/bin/tini",
    "/usr/bin/tini",
    "/usr/local/bin/tini",
    "/tini",
    "/usr/bin/tini-static",
    "/sbin/docker-init",
    "/usr/bin/docker-init",
    "/bin/dumb-init",
    "/sbin/dumb-init",
    "/usr/bin/dumb-init",
    "/usr/local/bin/dumb-init",
    "/dumb-init",
    "/usr/bin/catatonit",
    "/usr/libexec/podman/catatonit",
    "/usr/libexec/catatonit/catatonit",
    "/catatonit",
    "/run/podman-init",
    "/dev/init",
    "/bin/s6-svscan",
    "/usr/bin/s6-svscan",
    "/command/s6-svscan",
    "/sbin/runit-init",
    "/usr/sbin/runit-init",
    "/sbin/my_init",
];

/// Programs that start a container and stay out of it: low-level runtimes and the monitors that keep one.
pub const CONTAINER_RUNTIMES: [&str; 14] = [
    "containerd-shim",
    "docker-containerd-shim",
    "conmon",
    "conmonrs",
    "crio",
    "cri-o",
    "runc",
    "crun",
    "youki",
    "runsc",
    "podman",
    "systemd-nspawn",
    "lxc-start",
    "lxd-forkstart",
];

/// Daemons that others ask to begin containers.
const CONTAINER_DAEMONS: [&str; 7] = ["dockerd", "containerd", "buildkitd", "rootlesskit", "kubelet", "lxd", "incusd"];

/// Shells.
pub const SHELLS: [&str; 8] = ["sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish"];

/// The last part of a path.
#[must_use]
pub fn base_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// A name as the kernel keeps it.
#[must_use]
pub fn kernel_name(name: &str) -> &str {
    // All names here are ASCII; another one is cut where a character begins.
    let end = (0..=COMM_BYTES.min(name.len())).rev().find(|&end| name.is_char_boundary(end)).unwrap_or(0);
    &name[..end]
}

/// Whether a process with this `comm` keeps containers. Shims have a version behind their name
/// (`containerd-shim-runc-v2`), which the kernel cuts off.
#[must_use]
pub fn is_container_runtime(comm: &str) -> bool {
    CONTAINER_RUNTIMES.iter().any(|name| kernel_name(name) == comm)
}

/// Whether a process with this `comm` keeps containers, or begins them for others.
#[must_use]
pub fn is_container_keeper(comm: &str) -> bool {
    is_container_runtime(comm) || CONTAINER_DAEMONS.iter().any(|name| kernel_name(name) == comm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_known_by_what_the_kernel_keeps_of_its_name() {
        for comm in ["containerd-shim", "docker-containe", "conmon", "runc"] {
            assert!(is_container_runtime(comm), "{comm}");
        }
        for other in ["containerd", "docker-init", "runc2", ""] {
            assert!(!is_container_runtime(other), "{other}");
        }
        assert_eq!(kernel_name("sh"), "sh");
        assert_eq!(kernel_name("fourteen bytesé"), "fourteen bytes", "no half of a character");
    }

    #[test]
    fn every_path_leads_to_a_program_that_is_made_to_be_pid_1() {
        let known = |path: &str| {
            let name = base_name(path);
            INITS.contains(&name) || ["init", "runit-init", "s6-svscan"].contains(&name)
        };
        assert_eq!(INIT_PATHS.iter().find(|path| !known(path)), None);
    }
}
