//! Programs that ask somebody else to start processes, and programs that only run others: by name.
//!
//! What a client's daemon starts is no descendant of the command, so nothing of it is traced with the command.

use crate::programs::{SHELLS, is_container_runtime};

/// What a program does, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It asks a daemon; the name as people know it.
    Client(&'static str),
    /// It runs others or is a part of a script, and is none of what is checked itself.
    Script,
    /// Anything else.
    Other,
}

/// Names as the kernel has them, at most 15 bytes.
const CLIENTS: [&str; 30] = [
    // Containers.
    "docker",
    "docker-compose",
    "docker-buildx",
    "podman",
    "podman-remote",
    "podman-compose",
    "nerdctl",
    "ctr",
    "crictl",
    "kubectl",
    "oc",
    "helm",
    "lxc",
    "incus",
    "virsh",
    // Service managers, schedulers and buses.
    "systemctl",
    "systemd-run",
    "machinectl",
    "service",
    "rc-service",
    "at",
    "batch",
    "crontab",
    "busctl",
    "dbus-send",
    "gdbus",
    // Other machines.
    "ssh",
    "sshpass",
    "rsh",
    "mosh",
];

/// So many of them, from the first, are clients of container runtimes.
const CONTAINER_CLIENTS: usize = 14;

/// The client of container runtimes that has this name.
pub(super) fn of_containers(name: &str) -> Option<&'static str> {
    CLIENTS[..CONTAINER_CLIENTS].iter().copied().find(|client| *client == name)
}

/// What stands in front of a command.
const WRAPPERS: [&str; 26] = [
    "make",
    "gmake",
    "ninja",
    "just",
    "task",
    "env",
    "sudo",
    "doas",
    "su",
    "runuser",
    "setpriv",
    "timeout",
    "nice",
    "ionice",
    "nohup",
    "time",
    "stdbuf",
    "setsid",
    "xargs",
    "chroot",
    "unshare",
    "nsenter",
    "taskset",
    "prlimit",
    "script",
    "docker-credenti",
];

/// What scripts are made of: it is not for these that a command is checked.
const UTILITIES: [&str; 40] = [
    "sleep", "echo", "printf", "true", "false", "test", "[", "cat", "tee", "grep", "egrep", "sed", "awk", "gawk",
    "mawk", "cut", "tr", "head", "tail", "sort", "uniq", "wc", "seq", "expr", "date", "ls", "cp", "mv", "rm", "mkdir",
    "rmdir", "mktemp", "touch", "dirname", "basename", "id", "uname", "hostname", "jq", "which",
];

/// What podman runs beside a runtime, to start a container or only to ask for a version.
const MACHINERY: [&str; 8] =
    ["netavark", "aardvark-dns", "slirp4netns", "pasta", "fuse-overlayfs", "newuidmap", "newgidmap", "iptables"];

/// What a program with this name does.
pub(super) fn kind(name: &str) -> Kind {
    if let Some(client) = CLIENTS.into_iter().find(|client| *client == name) {
        Kind::Client(client)
    } else if is_container_runtime(name)
        || [&SHELLS[..], &WRAPPERS, &UTILITIES, &MACHINERY].iter().any(|list| list.contains(&name))
    {
        Kind::Script
    } else {
        Kind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_known_by_its_name_alone() {
        assert_eq!(kind("docker"), Kind::Client("docker"));
        assert_eq!(kind("sh"), Kind::Script);
        assert_eq!(kind("sleep"), Kind::Script);
        for other in ["dockerd", "docker-entrypoi", "docker-init", "python3", ""] {
            assert_eq!(kind(other), Kind::Other, "{other}");
        }
    }

    #[test]
    fn clients_of_containers_are_those_whose_work_can_be_found_on_this_machine() {
        for name in ["docker", "docker-compose", "kubectl", "incus"] {
            assert_eq!(of_containers(name), Some(name));
        }
        for other in ["virsh", "ssh", "systemctl", "python3"] {
            assert_eq!(of_containers(other), None, "{other}");
        }
    }

    #[test]
    fn names_fit_into_what_the_kernel_keeps() {
        for name in CLIENTS.iter().chain(&WRAPPERS).chain(&UTILITIES).chain(&MACHINERY) {
            assert!(name.len() <= 15, "{name}");
        }
    }
}
