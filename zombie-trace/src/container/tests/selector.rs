//! Selectors, and the containers they select.

use proptest::prelude::*;

use super::{super::*, fill};

fn known() -> Vec<(&'static str, Container)> {
    let plain = |path: &str| container(&fill(path)).unwrap();
    let mut pod = plain("/kubepods/burstable/pod{UID}/{A}");
    pod.pod = Some("web-0".into());
    pod.namespace = Some("shop".into());
    pod.name = Some("app".into());
    let mut other = plain("/kubepods.slice/kubepods-pod{HASH}.slice/crio-{B}.scope");
    other.pod = Some("web-0".into());
    other.namespace = Some("test".into());
    vec![
        ("docker", plain("/docker/{B}")),
        ("pod", pod),
        ("other", other),
        ("lxc", plain("/lxc.payload.face-1")),
        ("nomad", plain("/nomad/{UID}.server")),
    ]
}

/// A selector, and the containers it selects.
const SELECTORS: &[(&str, &[&str])] = &[
    ("{B}", &["docker", "other"]),
    ("bb1", &["docker", "other"]),
    ("BB1E8D", &["docker", "other"]),
    ("bb", &[]),
    ("bb2", &[]),
    ("{B}0", &[]),
    ("docker://bb1e", &["docker"]),
    ("cri-o://{B}", &["other"]),
    ("containerd://{A}", &["pod"]),
    ("containerd://{B}", &[]),
    ("rkt://{B}", &[]),
    ("app", &["pod"]),
    ("ap", &[]),
    ("APP", &[]),
    ("web-0", &["pod", "other"]),
    ("web", &[]),
    ("shop/web-0", &["pod"]),
    ("test/web-0", &["other"]),
    ("shop/web", &[]),
    ("{UID}", &["pod", "nomad"]),
    ("5c3f1a7e-8b0", &["nomad"]),
    ("server", &["nomad"]),
    ("face-1", &["lxc"]),
    ("face", &[]),
    ("lxc://face-1", &["lxc"]),
    ("*", &[]),
    ("é", &[]),
];

#[test]
fn a_selector_means_what_is_written() {
    let known = known();
    for (text, want) in SELECTORS {
        let selector = Selector::parse(&fill(text)).unwrap();
        let got: Vec<&str> = known.iter().filter(|(_, each)| selector.matches(each)).map(|(name, _)| *name).collect();
        assert_eq!(&got, want, "{text}");
        assert_eq!(selector.to_string(), fill(text));
    }
}

#[test]
fn a_selector_that_can_mean_nothing_is_refused() {
    for (text, want) in [
        ("", SelectorError::Empty),
        ("/", SelectorError::BadPodPath),
        ("shop/", SelectorError::BadPodPath),
        ("/web-0", SelectorError::BadPodPath),
        ("a/b/c", SelectorError::BadPodPath),
        ("docker://", SelectorError::BadId),
        ("://abc", SelectorError::BadId),
        ("docker://a/b", SelectorError::BadId),
    ] {
        assert_eq!(text.parse::<Selector>(), Err(want), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_safe_and_reads_back(text in "\\PC{0,12}") {
        if let Ok(selector) = Selector::parse(&text) {
            for (_, container) in known() {
                let _ = selector.matches(&container);
            }
            prop_assert_eq!(selector.to_string(), text);
        }
    }
}
