//! The runtimes' files, rebuilt in a temporary directory from what they wrote when they ran.

use std::{fs, path::Path};

use super::{super::*, A, UID, fill};

fn write(root: &Path, file: &str, content: &str) {
    let file = root.join(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

fn found(root: &Path, path: &str) -> Option<(Runtime, String)> {
    StateFiles::new(root).find(path).map(|container| (container.runtime, container.id))
}

fn enriched(root: &Path, path: &str) -> Container {
    let mut container = container(&fill(path)).unwrap();
    StateFiles::new(root).enrich(&mut container);
    container
}

fn runc_state(id: &str, paths: &[(&str, &str)]) -> String {
    let paths: serde_json::Map<_, _> = paths.iter().map(|&(name, path)| (name.to_owned(), path.into())).collect();
    serde_json::json!({"id": id, "init_process_pid": 7, "cgroup_paths": paths}).to_string()
}

#[test]
fn runc_has_written_down_its_cgroup_whatever_the_hierarchies() {
    for paths in [
        &[("", "/sys/fs/cgroup/zt/c1")][..],
        &[("pids", "/sys/fs/cgroup/pids/zt/c1"), ("cpu", "/sys/fs/cgroup/cpu/zt/c1")],
        &[("", "/sys/fs/cgroup/unified/zt/c1"), ("pids", "/sys/fs/cgroup/pids/zt/c1")],
    ] {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "run/runc/c1/state.json", &runc_state("c1", paths));
        let c1 = Some((Runtime::Runc, "c1".to_owned()));
        assert_eq!(found(root.path(), "/zt/c1"), c1, "{paths:?}");
        assert_eq!(found(root.path(), "/zt/c1/inner.slice/a.service"), c1, "what the container made of it");
        assert_eq!(found(root.path(), "/zt/c1 (deleted)"), c1);
    }
}

#[test]
fn a_cgroup_of_the_same_name_elsewhere_is_not_the_containers() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "run/runc/c1/state.json", &runc_state("c1", &[("", "/sys/fs/cgroup/zt/c1")]));
    write(root.path(), "run/crun/c2/status", r#"{"cgroup-path": "/zt/c2"}"#);
    for path in ["/c1", "/other/c1", "/zt", "/zt/c10", "/c2", "/zt/zt/c2", "/", ""] {
        assert_eq!(found(root.path(), path), None, "{path}");
    }
}

#[test]
fn a_scope_of_systemd_has_the_id_after_its_prefix() {
    let root = tempfile::tempdir().unwrap();
    let path = "/sys/fs/cgroup/system.slice/runc-my-app.scope";
    write(root.path(), "run/runc/my-app/state.json", &runc_state("my-app", &[("", path)]));
    assert_eq!(found(root.path(), "/system.slice/runc-my-app.scope"), Some((Runtime::Runc, "my-app".to_owned())));
}

#[test]
fn crun_has_written_down_its_cgroup() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "run/crun/c2/status", r#"{"pid": 3, "cgroup-path": "/zt/c2", "scope": ""}"#);
    assert_eq!(found(root.path(), "/zt/c2"), Some((Runtime::Crun, "c2".to_owned())));
}

#[test]
fn ctr_containers_are_known_by_containerds_folder() {
    let root = tempfile::tempdir().unwrap();
    let tasks = "run/containerd/io.containerd.runtime.v2.task";
    write(root.path(), &format!("{tasks}/default/k1/config.json"), r#"{"linux": {"cgroupsPath": "/default/k1"}}"#);
    write(root.path(), &format!("{tasks}/default/k2/config.json"), r#"{"linux": {"cgroupsPath": "/elsewhere/k2"}}"#);
    assert_eq!(found(root.path(), "/default/k1"), Some((Runtime::Containerd, "k1".to_owned())));
    assert_eq!(found(root.path(), "/default/k2"), None);
    assert_eq!(found(root.path(), "/k1"), None);
}

#[test]
fn a_pod_is_known_by_the_annotations_of_its_containers() {
    let root = tempfile::tempdir().unwrap();
    let annotations = r#"{"annotations": {"io.kubernetes.cri.container-name": "app",
        "io.kubernetes.cri.sandbox-name": "web-0", "io.kubernetes.cri.sandbox-namespace": "shop"}}"#;
    write(root.path(), &format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{A}/config.json"), annotations);
    let container = enriched(root.path(), "/kubepods/burstable/pod{UID}/{A}");
    let named = (container.name.as_deref(), container.pod.as_deref(), container.namespace.as_deref());
    assert_eq!(named, (Some("app"), Some("web-0"), Some("shop")));
    assert_eq!(container.pod_uid.as_deref(), Some(UID));
}

#[test]
fn docker_and_podman_keep_the_names_people_gave() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &format!("var/lib/docker/containers/{A}/config.v2.json"), r#"{"Name": "/web", "State": {}}"#);
    let stored = format!(r#"[{{"id": "b", "names": ["other"]}}, {{"id": "{A}", "names": ["web", "alias"]}}]"#);
    write(root.path(), "var/lib/containers/storage/overlay-containers/containers.json", &stored);
    assert_eq!(enriched(root.path(), "/docker/{A}").name.as_deref(), Some("web"));
    assert_eq!(enriched(root.path(), "/libpod_parent/libpod-{A}").name.as_deref(), Some("web"));
}

#[test]
fn files_that_are_not_what_was_expected_count_as_absent() {
    let root = tempfile::tempdir().unwrap();
    for content in ["", "{", "[]", "null", r#"{"id": 3}"#, r#"{"Name": ["a"]}"#, "\u{0}"] {
        write(root.path(), "run/runc/c1/state.json", content);
        write(root.path(), "run/crun/c1/status", content);
        write(root.path(), "run/containerd/io.containerd.runtime.v2.task/zt/c1/config.json", content);
        write(root.path(), &format!("var/lib/docker/containers/{A}/config.v2.json"), content);
        write(root.path(), "var/lib/containers/storage/vfs-containers/containers.json", content);
        assert_eq!(found(root.path(), "/zt/c1"), None, "{content}");
        assert_eq!(enriched(root.path(), "/docker/{A}").name, None, "{content}");
        assert_eq!(enriched(root.path(), "/libpod_parent/libpod-{A}").name, None, "{content}");
    }
}

#[test]
fn what_is_known_already_stays() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &format!("var/lib/docker/containers/{A}/config.v2.json"), r#"{"Name": "/web"}"#);
    let mut known = container(&fill("/docker/{A}")).unwrap();
    known.name = Some("mine".to_owned());
    StateFiles::new(root.path()).enrich(&mut known);
    assert_eq!(known.name.as_deref(), Some("mine"));
}

/// What runs in a container may make cgroups of any name in it.
#[test]
fn a_cgroup_in_a_container_that_is_named_like_another_container_is_only_told_beside_it() {
    let root = tempfile::tempdir().unwrap();
    for (id, name) in [(A, "attacker"), (super::B, "victim")] {
        let file = format!("var/lib/docker/containers/{id}/config.v2.json");
        write(root.path(), &file, &format!(r#"{{"Name": "/{name}"}}"#));
    }
    write(root.path(), "run/runc/c1/state.json", &runc_state("c1", &[("", "/sys/fs/cgroup/zt/c1")]));
    let mut lookup = Lookup::new(root.path());
    let mut told = |path: &str| lookup.container(&fill(path), std::time::Duration::ZERO).unwrap();
    for path in ["/docker/{A}/docker/{B}", "/docker/{A}/x/docker/{A}/docker/{B}"] {
        let container = told(path);
        assert_eq!((container.id.as_str(), container.name.as_deref()), (A, Some("attacker")), "{path}");
        let inner = container.inner.unwrap();
        assert_eq!((inner.id.as_str(), inner.name), (super::B, None), "the host's files are not about it");
    }
    let container = told("/zt/c1/docker/{B}");
    assert_eq!((container.runtime, container.id.as_str()), (Runtime::Runc, "c1"));
    assert_eq!(container.inner.unwrap().id, super::B);
    assert_eq!(told("/docker/{B}").inner, None);
}

#[test]
fn image_and_compose_service_are_in_the_runtimes_files() {
    let root = tempfile::tempdir().unwrap();
    let config = r#"{"Name": "/shop-web-1", "Config": {"Image": "shop/web:7", "Labels": {
        "com.docker.compose.project": "shop", "com.docker.compose.service": "web", "other": "x"}}}"#;
    write(root.path(), &format!("var/lib/docker/containers/{A}/config.v2.json"), config);
    let container = enriched(root.path(), "/docker/{A}");
    assert_eq!((container.name.as_deref(), container.image.as_deref()), (Some("shop-web-1"), Some("shop/web:7")));
    let compose = Box::new(Compose { project: "shop".to_owned(), service: "web".to_owned() });
    assert_eq!((container.project(), &container.compose), (Some("shop"), &Some(compose)));
    let plain = r#"{"Name": "/web", "Config": {"Image": "", "Labels": null}}"#;
    write(root.path(), &format!("var/lib/docker/containers/{A}/config.v2.json"), plain);
    let container = enriched(root.path(), "/docker/{A}");
    assert_eq!((container.name.as_deref(), container.image, container.compose), (Some("web"), None, None));
    let stored =
        format!(r#"[{{"id": "{A}", "names": ["db"], "metadata": "{{\"image-name\":\"docker.io/library/db:1\"}}"}}]"#);
    write(root.path(), "var/lib/containers/storage/overlay-containers/containers.json", &stored);
    let container = enriched(root.path(), "/machine.slice/libpod-{A}.scope");
    assert_eq!((container.name.as_deref(), container.image.as_deref()), (Some("db"), Some("docker.io/library/db:1")));
}
