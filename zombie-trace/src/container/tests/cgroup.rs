//! Paths as the runtimes write them, and paths that only look like those.

use proptest::prelude::*;

use super::{super::*, fill};

/// Path, and what it says: `RUNTIME ID [name=…] [pod=…]`, `unit NAME`, `user unit NAME`, or `none`.
const PATHS: &[(&str, &str)] = &[
    // Docker.
    ("/docker/{A}", "docker {A}"),
    ("/system.slice/docker-{A}.scope", "docker {A}"),
    ("/system.slice/docker.service/docker/{A}", "docker {A}"),
    ("/machine.slice/docker-{A}.scope", "docker {A}"),
    ("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope", "docker {A}"),
    ("/user.slice/user-1000.slice/user@1000.service/app.slice/docker-{A}.scope/init", "docker {A}"),
    ("/docker/{A}/docker/{B}", "docker {A} in it docker {B}"),
    ("/system.slice/docker-{A}.scope/docker/{B}/init", "docker {A} in it docker {B}"),
    ("/actions_job/{A}", "docker {A}"),
    ("/actions_job/{A}/kubepods/burstable/pod{HASH}/{B}", "docker {A} in it containerd {B} pod={HASH}"),
    ("/ecs/0f1e2d3c4b5a69788796a5b4c3d2e1f0/{A}", "docker {A}"),
    ("/ecs/production/0f1e2d3c4b5a69788796a5b4c3d2e1f0/{A}", "docker {A}"),
    ("/ecstasks.slice/ecstasks-0f1e2d3c4b5a69788796a5b4c3d2e1f0.slice/docker-{A}.scope", "docker {A}"),
    // BuildKit inside dockerd.
    ("/docker/buildkit/n4eu0udvbz9vfzjy71jkvgkwh", "docker n4eu0udvbz9vfzjy71jkvgkwh"),
    ("/docker/n4eu0udvbz9vfzjy71jkvgkwh", "docker n4eu0udvbz9vfzjy71jkvgkwh"),
    ("/system.slice/system.slice:docker:jvifp9a6b1lxa1kuw8bwfcovf", "docker jvifp9a6b1lxa1kuw8bwfcovf"),
    ("/docker/{A}/buildkit/n4eu0udvbz9vfzjy71jkvgkwh", "docker {A}"),
    // containerd by CRI, systemd driver.
    (
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/cri-containerd-{A}.scope",
        "containerd {A} pod={UID}",
    ),
    ("/kubepods.slice/kubepods-pod{UID_}.slice/cri-containerd-{A}.scope", "containerd {A} pod={UID}"),
    (
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{HASH}.slice/cri-containerd-{A}.scope/init.scope",
        "containerd {A} pod={HASH}",
    ),
    // The systemd driver's path given to a runtime with the cgroupfs driver.
    ("/system.slice/containerd.service/kubepods-pod{UID_}.slice:cri-containerd:{A}", "containerd {A} pod={UID}"),
    ("/kubepods-besteffort-pod{UID_}.slice:cri-containerd:{A}", "containerd {A} pod={UID}"),
    // containerd by CRI, cgroupfs driver.
    ("/kubepods/burstable/pod{UID}/{A}", "containerd {A} pod={UID}"),
    ("/kubepods/besteffort/pod{UID}/{A}", "containerd {A} pod={UID}"),
    ("/kubepods/pod{UID}/{A}", "containerd {A} pod={UID}"),
    ("/kubepods/burstable/pod{HASH}/{A}", "containerd {A} pod={HASH}"),
    // containerd by nerdctl, and its default paths.
    ("/system.slice/nerdctl-{A}.scope", "containerd {A}"),
    ("/user.slice/user-1000.slice/user@1000.service/user.slice/nerdctl-{A}.scope", "containerd {A}"),
    ("/default/{A}", "containerd {A}"),
    ("/k8s.io/{A}", "containerd {A}"),
    ("/moby/{A}", "docker {A}"),
    // Docker under the kubelet.
    (
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice/docker-{A}.scope",
        "docker {A} pod={UID}",
    ),
    // kind, k3d, minikube: the node is a container.
    ("/docker/{A}/kubelet/kubepods/burstable/pod{UID}/{B}", "docker {A} in it containerd {B} pod={UID}"),
    (
        "/system.slice/docker-{A}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod{UID_}.slice/cri-containerd-{B}.scope",
        "docker {A} in it containerd {B} pod={UID}",
    ),
    ("/docker/{A}/kubepods/pod{UID}/{B}", "docker {A} in it containerd {B} pod={UID}"),
    ("/docker/{A}/system.slice/containerd.service", "docker {A}"),
    ("/docker/{A}/init.scope", "docker {A}"),
    // Docker inside a pod, or a process of the pod that pretends so.
    ("/kubepods/burstable/pod{UID}/{A}/docker/{B}", "containerd {A} pod={UID} in it docker {B} pod={UID}"),
    // CRI-O.
    (
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/crio-{A}.scope",
        "cri-o {A} pod={UID}",
    ),
    ("/kubepods.slice/kubepods-pod{UID_}.slice/crio-{A}.scope/container", "cri-o {A} pod={UID}"),
    ("/kubepods/burstable/pod{UID}/crio-{A}", "cri-o {A} pod={UID}"),
    ("/kubepods.slice/kubepods-pod{UID_}.slice/crio-conmon-{A}.scope", "unit crio-conmon-{A}.scope"),
    ("/kubepods/burstable/pod{UID}/crio-conmon-{A}", "none"),
    // Podman.
    ("/machine.slice/libpod-{A}.scope", "podman {A}"),
    ("/machine.slice/libpod-{A}.scope/container", "podman {A}"),
    ("/libpod_parent/libpod-{A}", "podman {A}"),
    ("/libpod_parent/{B}/libpod-{A}", "podman {A} pod={B}"),
    ("/libpod_parent/{B}", "none"),
    ("/libpod_parent/conmon", "none"),
    ("/machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope", "podman {A} pod={B}"),
    ("/machine.slice/machine-libpod_pod_{B}.slice/{A}", "none"),
    ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container", "podman {A}"),
    (
        "/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_{B}.slice/libpod-{A}.scope",
        "podman {A} pod={B}",
    ),
    ("/system.slice/web.service/libpod-payload-{A}", "podman {A}"),
    ("/system.slice/web.service/runtime", "unit web.service"),
    ("/machine.slice/libpod-conmon-{A}.scope", "unit libpod-conmon-{A}.scope"),
    (
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-{A}.scope",
        "user unit libpod-conmon-{A}.scope",
    ),
    // LXC, LXD, Incus, Proxmox, libvirt.
    ("/lxc/web", "lxc web name=web"),
    ("/lxc/101/ns/init.scope", "lxc 101 name=101"),
    ("/lxc.payload.web", "lxc web name=web"),
    ("/lxc.payload.shop_db/system.slice/postgresql.service", "lxc shop_db name=shop_db"),
    ("/lxc.payload/web/init.scope", "lxc web name=web"),
    ("/system.slice/lxc.payload.web-01.scope", "lxc web-01 name=web-01"),
    ("/lxc.payload.outer/lxc.payload.inner", "lxc outer name=outer in it lxc inner name=inner"),
    ("/lxc.payload.node/system.slice/docker-{A}.scope", "lxc node name=node in it docker {A}"),
    ("/lxc.monitor.web", "none"),
    ("/lxc.monitor/101", "none"),
    ("/lxc", "none"),
    ("/lxc.payload.", "none"),
    ("/system.slice/lxc.service/lxc/web", "unit lxc.service"),
    (r"/machine.slice/machine-lxc\x2d4711\x2dweb\x2d1.scope", "lxc web-1 name=web-1"),
    (r"/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt/emulator", r"unit machine-qemu\x2d1\x2dvm.scope"),
    ("/machine.slice/machine-qemu-1-vm.scope", "unit machine-qemu-1-vm.scope"),
    (r"/machine.slice/machine-qemu\x2dvm.scope", r"unit machine-qemu\x2dvm.scope"),
    // Nomad.
    ("/nomad/{UID}", "nomad {UID}"),
    ("/nomad/{UID}.server", "nomad {UID} name=server"),
    ("/nomad.slice/{UID}.web.v2.scope", "nomad {UID} name=web.v2"),
    ("/nomad.slice/share.slice/{UID}.web.scope", "nomad {UID} name=web"),
    ("/nomad.slice/docker-{A}.scope", "docker {A}"),
    ("/nomad.slice/web.scope", "unit web.scope"),
    ("/nomad/web", "none"),
    // Garden.
    ("/garden/6f265890-5165-7fab-6b52-18d1", "garden 6f265890-5165-7fab-6b52-18d1"),
    ("/system.slice/garden.service/garden/6f265890-5165-7fab-6b52-18d1", "garden 6f265890-5165-7fab-6b52-18d1"),
    ("/system.slice/garden.service/garden/good/{UID}", "garden {UID}"),
    (
        "/garden/c034152c-80b0-4a44-70df-5c61-liveness-healthcheck-0",
        "garden c034152c-80b0-4a44-70df-5c61-liveness-healthcheck-0",
    ),
    ("/garden/gnome", "none"),
    ("/system.slice/garden.service/garden", "unit garden.service"),
    // systemd-nspawn.
    ("/machine.slice/systemd-nspawn@web.service/payload/init.scope", "systemd web name=web"),
    ("/machine.slice/systemd-nspawn@web.service/supervisor", "unit systemd-nspawn@web.service"),
    (r"/machine.slice/machine-web\x2d1.scope/payload", "systemd web-1 name=web-1"),
    ("/system.slice/machine-web.scope", "unit machine-web.scope"),
    // systemd's units.
    ("/system.slice/nginx.service", "unit nginx.service"),
    ("/system.slice/system-getty.slice/getty@tty1.service", "unit getty@tty1.service"),
    ("/init.scope", "unit init.scope"),
    ("/user.slice/user-1000.slice/session-3.scope", "unit session-3.scope"),
    ("/user.slice/user-1000.slice/user@1000.service/app.slice/editor.service", "user unit editor.service"),
    ("/user.slice/user-1000.slice/user@1000.service/init.scope", "unit user@1000.service"),
    ("/user.slice/user-1000.slice/user@1000.service", "unit user@1000.service"),
    ("/system.slice/run-user-1000.mount", "unit run-user-1000.mount"),
    ("/system.slice/dbus.socket", "unit dbus.socket"),
    ("/system.slice/dev-sda2.swap", "unit dev-sda2.swap"),
    // Cgroup names of a service with delegation are not units.
    ("/system.slice/build.service/nginx.service", "unit build.service"),
    ("/jobs/nginx.service", "none"),
    // What the kernel and other namespaces add.
    ("/docker/{A} (deleted)", "docker {A}"),
    ("/system.slice/nginx.service (deleted)", "unit nginx.service"),
    ("/../../system.slice/docker-{A}.scope", "docker {A}"),
    ("/../{A}", "none"),
    ("docker//{A}/", "docker {A}"),
    // Look-alikes.
    ("/", "none"),
    ("", "none"),
    ("/{A}", "none"),
    ("/zt/c1", "none"),
    ("/default/k1", "none"),
    ("/jobs/{A}", "none"),
    ("/jobs/default/{A}", "none"),
    ("/jobs/actions_job/{A}", "none"),
    ("/docker", "none"),
    ("/docker/{A}0", "none"),
    ("/docker/web", "none"),
    ("/docker/buildkit", "none"),
    ("/buildkit/n4eu0udvbz9vfzjy71jkvgkwh", "none"),
    ("/system.slice/docker.service", "unit docker.service"),
    ("/system.slice/docker-registry.scope", "unit docker-registry.scope"),
    ("/system.slice/docker-{A}", "none"),
    ("/system.slice/docker-{A}.service", "unit docker-{A}.service"),
    ("/system.slice/xdocker-{A}.scope", "unit xdocker-{A}.scope"),
    ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice", "none"),
    ("/kubepods/burstable/pod{UID}", "none"),
    ("/kubepods/{A}", "none"),
    ("/pod{UID}/{A}", "none"),
    ("/ecs/{A}", "none"),
    ("/jobs:docker:{A}", "none"),
    ("/system.slice:web:{A}", "none"),
];

fn describe(identity: Option<Identity>) -> String {
    match identity {
        None => "none".to_owned(),
        Some(Identity::Unit(unit)) => format!("{}unit {}", if unit.user { "user " } else { "" }, unit.name),
        Some(Identity::Container(container)) => {
            assert_eq!((container.pod, container.namespace), (None, None), "no path carries these");
            let name = container.name.map(|name| format!(" name={name}")).unwrap_or_default();
            let pod = container.pod_uid.map(|uid| format!(" pod={uid}")).unwrap_or_default();
            let inner = container.inner.map(|inner| format!(" in it {}", describe(Some(Identity::Container(*inner)))));
            format!("{} {}{name}{pod}{}", container.runtime, container.id, inner.unwrap_or_default())
        }
    }
}

#[test]
fn every_known_path_says_what_it_should() {
    let wrong: Vec<String> = PATHS
        .iter()
        .map(|(path, want)| (fill(path), fill(want)))
        .filter_map(|(path, want)| {
            let got = describe(identify(&path));
            (got != want).then(|| format!("{path}\n  want {want}\n  got  {got}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn container_and_identify_agree() {
    for (path, _) in PATHS {
        let path = fill(path);
        assert_eq!(container(&path).as_ref(), identify(&path).as_ref().and_then(Identity::container), "{path}");
    }
}

#[test]
fn a_unit_knows_its_kind() {
    for (path, kind) in [
        ("/system.slice/nginx.service", UnitKind::Service),
        ("/init.scope", UnitKind::Scope),
        ("/system.slice/dbus.socket", UnitKind::Socket),
        ("/system.slice/run-user-1000.mount", UnitKind::Mount),
        ("/system.slice/dev-sda2.swap", UnitKind::Swap),
    ] {
        assert_eq!(identify(path).unwrap().unit().unwrap().kind, kind, "{path}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = identify(&text);
    }

    /// Random bytes rarely reach the inner rules; pieces of real paths do.
    #[test]
    fn any_mix_of_pieces_is_safe_and_invents_nothing(
        pieces in proptest::collection::vec(prop_oneof![
            proptest::sample::select(vec![
                "/", "/docker/", "docker-", ".scope", ".slice", ".service", "kubepods", "pod", "-pod", ":", ":docker:",
                "libpod_pod_", "libpod-", "crio-", "lxc", "/lxc/", "lxc.payload.", "machine.slice/", "machine-", "lxc-",
                "qemu", r"\x2d", r"\x", "/garden/", "/nomad/", "/nomad.slice/", "ecs", "1", "..", " (deleted)",
                super::A, super::UID, "6f265890-5165-7fab-6b52-18d1", "n4eu0udvbz9vfzjy71jkvgkwh",
            ]).prop_map(str::to_owned),
            "\\PC{0,4}",
        ], 0..12),
    ) {
        let path = pieces.concat();
        if let Some(container) = container(&path) {
            prop_assert!(!container.id.is_empty());
            if container.runtime.has_generated_ids() {
                prop_assert!(path.contains(&container.id));
            }
        }
    }
}
