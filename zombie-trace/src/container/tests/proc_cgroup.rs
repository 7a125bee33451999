//! Which line of `/proc/PID/cgroup` is taken.

use proptest::prelude::*;

use super::{super::from_proc_cgroup, fill};

/// What the test is of, the file's content, and the path that is taken.
const FILES: &[(&str, &str, Option<&str>)] = &[
    ("pure v2", "0::/system.slice/docker-{A}.scope\n", Some("/system.slice/docker-{A}.scope")),
    ("the root of pure v2", "0::/\n", Some("/")),
    (
        "hybrid, processes in v1 only",
        "9:cpuset:/docker/{A}\n8:pids:/docker/{A}\n1:name=systemd:/docker/{A}\n0::/\n",
        Some("/docker/{A}"),
    ),
    (
        "hybrid, the v2 line inherited from the runtime's service",
        "8:pids:/docker/{A}\n1:name=systemd:/docker/{A}\n0::/system.slice/containerd.service\n",
        Some("/docker/{A}"),
    ),
    (
        "hybrid, a service",
        "8:pids:/system.slice/nginx.service\n1:name=systemd:/system.slice/nginx.service\n0::/system.slice/nginx.service\n",
        Some("/system.slice/nginx.service"),
    ),
    ("v2 before pids", "8:pids:/a\n1:name=systemd:/b\n0::/c\n", Some("/c")),
    ("pids before systemd", "1:name=systemd:/b\n8:pids:/a\n0::/\n", Some("/a")),
    ("systemd before memory", "5:memory:/m\n1:name=systemd:/b\n8:pids:/\n", Some("/b")),
    ("memory before the rest", "9:cpuset:/s\n5:memory:/m\n", Some("/m")),
    ("the rest in the kernel's order", "9:cpuset:/s\n4:cpu,cpuacct:/t\n", Some("/s")),
    ("pids with company", "9:cpuset:/s\n4:misc,pids:/p\n", Some("/p")),
    ("only one controller knows", "5:memory:/\n3:devices:/docker/{A}\n8:pids:/user.slice\n", Some("/docker/{A}")),
    ("a zombie on v1", "8:pids:/\n1:name=systemd:/\n", Some("/")),
    (
        "a zombie whose cgroup is gone",
        "0::/system.slice/docker-{A}.scope (deleted)\n",
        Some("/system.slice/docker-{A}.scope"),
    ),
    (
        "colons in the path",
        "0::/kubepods-pod{UID_}.slice:cri-containerd:{A}\n",
        Some("/kubepods-pod{UID_}.slice:cri-containerd:{A}"),
    ),
    ("no newline at the end", "0::/a", Some("/a")),
    ("nothing", "", None),
    ("no such lines", "hello\n::/a\nx:y:/b\n0::relative\n1:pids\n", None),
];

#[test]
fn the_line_that_says_most_is_taken() {
    for (what, text, want) in FILES {
        assert_eq!(from_proc_cgroup(&fill(text)), want.map(fill).as_deref(), "{what}");
    }
}

#[test]
fn this_process_has_a_path() {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    assert!(from_proc_cgroup(&text).is_some_and(|path| path.starts_with('/')), "{text}");
}

proptest! {
    #[test]
    fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = from_proc_cgroup(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_lines_are_safe(text in "([0-9]{0,3}:[a-z=,]{0,8}:(/[a-z.:-]{0,5}){0,3}\n?){0,6}") {
        if let Some(path) = from_proc_cgroup(&text) {
            prop_assert!(path.starts_with('/') && !path.contains('\n'));
        }
    }
}
