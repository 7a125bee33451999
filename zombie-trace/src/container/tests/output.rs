//! The serialised form, which scripts rely on.

use serde_json::json;

use super::{super::*, A, fill};

#[test]
fn what_is_unknown_is_left_out() {
    let container = container(&fill("/docker/{A}")).unwrap();
    assert_eq!(serde_json::to_value(container).unwrap(), json!({"runtime": "docker", "id": A}));
}

#[test]
fn all_fields_in_their_order() {
    let container = Container {
        runtime: Runtime::CriO,
        id: "1f".into(),
        name: Some("app".into()),
        pod: Some("web-0".into()),
        namespace: Some("shop".into()),
        pod_uid: Some("u".into()),
        image: None,
        compose: None,
        inner: None,
    };
    let text = serde_json::to_string(&container).unwrap();
    assert_eq!(text, r#"{"runtime":"cri-o","id":"1f","name":"app","pod":"web-0","namespace":"shop","pod_uid":"u"}"#);
    assert_eq!(serde_json::from_str::<Container>(&text).unwrap(), container);
}

#[test]
fn a_missing_field_is_unknown() {
    let container: Container = serde_json::from_str(r#"{"runtime":"lxc","id":"web","later":1}"#).unwrap();
    assert_eq!((container.runtime, container.name), (Runtime::Lxc, None));
}

#[test]
fn runtimes_serialise_as_they_print() {
    for (runtime, name) in [
        (Runtime::Docker, "docker"),
        (Runtime::Containerd, "containerd"),
        (Runtime::CriO, "cri-o"),
        (Runtime::Podman, "podman"),
        (Runtime::Lxc, "lxc"),
        (Runtime::Nomad, "nomad"),
        (Runtime::Garden, "garden"),
        (Runtime::Systemd, "systemd"),
    ] {
        assert_eq!(serde_json::to_value(runtime).unwrap(), json!(name));
        assert_eq!(runtime.to_string(), name);
    }
}

#[test]
fn a_unit_says_its_name_its_kind_and_whose_it_is() {
    let identity = identify("/user.slice/user-1000.slice/user@1000.service/app.slice/editor.service").unwrap();
    assert_eq!(
        serde_json::to_value(identity.unit()).unwrap(),
        json!({"name": "editor.service", "kind": "service", "user": true})
    );
}
