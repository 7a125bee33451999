//! The kubelet's folders, rebuilt in a temporary directory.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, os::unix::fs::symlink, path::Path, time::Duration};

use super::{super::*, A, B, HASH, UID, fill};

fn add_pod(root: &Path, namespace: &str, pod: &str, uid: &str) {
    fs::create_dir_all(root.join(format!("var/log/pods/{namespace}_{pod}_{uid}"))).unwrap();
}

fn add_link(root: &Path, name: &str) {
    let dir = root.join("var/log/containers");
    fs::create_dir_all(&dir).unwrap();
    symlink("/nowhere/at/all", dir.join(name)).unwrap();
}

fn in_pod(path: &str) -> Container {
    container(&fill(path)).unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn pod_namespace_and_name_come_from_the_folders() {
    let root = tempfile::tempdir().unwrap();
    add_pod(root.path(), "shop", "web-7d9-x2x", UID);
    add_link(root.path(), &format!("web-7d9-x2x_shop_side-car-{A}.log"));
    let mut logs = KubeletLogs::new(root.path());

    let mut container = in_pod("/kubepods/burstable/pod{UID}/{A}");
    assert!(logs.enrich(&mut container, seconds(1)));
    assert_eq!(container.pod.as_deref(), Some("web-7d9-x2x"));
    assert_eq!(container.namespace.as_deref(), Some("shop"));
    assert_eq!(container.name.as_deref(), Some("side-car"));
    assert!(logs.problem().is_none());
}

#[test]
fn a_static_pod_is_known_by_its_hash() {
    let root = tempfile::tempdir().unwrap();
    add_pod(root.path(), "kube-system", "etcd-node1", HASH);
    let mut container = in_pod("/kubepods.slice/kubepods-pod{HASH}.slice/crio-{A}.scope");
    assert!(KubeletLogs::new(root.path()).enrich(&mut container, seconds(1)));
    assert_eq!((container.pod.as_deref(), container.name), (Some("etcd-node1"), None));
}

#[test]
fn the_link_alone_names_the_pod_too() {
    let root = tempfile::tempdir().unwrap();
    add_link(root.path(), &format!("web_shop_app-{A}.log"));
    let mut container = in_pod("/kubepods/pod{UID}/{A}");
    assert!(KubeletLogs::new(root.path()).enrich(&mut container, seconds(1)));
    assert_eq!((container.pod.as_deref(), container.namespace.as_deref()), (Some("web"), Some("shop")));
}

#[test]
fn a_miss_is_looked_up_again_only_after_a_while() {
    let root = tempfile::tempdir().unwrap();
    let mut logs = KubeletLogs::new(root.path());
    let mut container = in_pod("/kubepods/pod{UID}/{A}");
    assert!(!logs.enrich(&mut container, seconds(100)));

    add_pod(root.path(), "shop", "web", UID);
    assert!(!logs.enrich(&mut container, seconds(104)), "read again too soon");
    assert!(!logs.enrich(&mut container, seconds(90)), "a clock that went back is no reason to read");
    assert!(logs.enrich(&mut container, seconds(105)));
}

#[test]
fn a_name_once_known_is_not_taken_back() {
    let root = tempfile::tempdir().unwrap();
    add_pod(root.path(), "shop", "web", UID);
    let mut logs = KubeletLogs::new(root.path());
    let mut container = in_pod("/kubepods/pod{UID}/{A}");
    assert!(logs.enrich(&mut container, seconds(0)));
    fs::remove_dir_all(root.path().join("var")).unwrap();
    logs.refresh(seconds(10));
    assert!(logs.enrich(&mut container, seconds(11)));
    assert_eq!(container.pod.as_deref(), Some("web"));
}

#[test]
fn a_container_outside_kubernetes_reads_nothing() {
    let root = tempfile::tempdir().unwrap();
    let mut logs = KubeletLogs::new(root.path());
    assert!(!logs.enrich(&mut in_pod("/docker/{A}"), seconds(1)));
    add_pod(root.path(), "shop", "web", UID);
    // If the first call had read the folders, this one would come too soon.
    assert!(logs.enrich(&mut in_pod("/kubepods/pod{UID}/{A}"), seconds(2)));
}

#[test]
fn names_of_another_form_are_passed_over() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("var/log/pods");
    fs::create_dir_all(&dir).unwrap();
    for name in [&b"shop"[..], b"shop_web", b"_web_1", b"a_b_c_d", b"\xff_web_\xff", b"shop__u", b"\x1b[31m"] {
        fs::create_dir(dir.join(OsStr::from_bytes(name))).unwrap();
    }
    add_pod(root.path(), "<b>", "\u{1b}[2J", UID);
    for name in ["web_shop_app-123.log", &format!("web_shop_app-{B}"), &format!("web_shop_-{B}.log")] {
        add_link(root.path(), name);
    }
    let mut container = in_pod("/kubepods/pod{UID}/{B}");
    assert!(KubeletLogs::new(root.path()).enrich(&mut container, seconds(1)));
    // Hostile names are kept unchanged and escaped when printed.
    assert_eq!((container.namespace.as_deref(), container.pod.as_deref()), (Some("<b>"), Some("\u{1b}[2J")));
    assert_eq!(container.name, None);
}

#[test]
fn a_folder_that_cannot_be_read_is_said() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("var/log")).unwrap();
    fs::write(root.path().join("var/log/pods"), "not a folder").unwrap();
    let mut logs = KubeletLogs::new(root.path());
    logs.refresh(seconds(1));
    let problem = logs.problem().unwrap();
    assert!(problem.path.ends_with("var/log/pods"), "{problem}");
}
