//! Adopters that do not reap.

use super::*;

#[test]
fn an_application_as_pid_1_is_told_apart_from_one_that_replaced_an_init() {
    let mut scene = Scene::of_init();
    scene.is_adopted().look(120);
    assert_eq!(scene.cause(), Cause::InitDoesNotReap);
    scene.facts.inits_in_image = vec!["/sbin/tini".into()];
    scene.look(130);
    assert_eq!(scene.cause(), Cause::InitBypassed);
    assert!(scene.advice().contains(r#"["/sbin/tini", "--"]"#), "{}", scene.advice());
    scene.facts.exe = Some("/sbin/tini".into());
    scene.look(140);
    assert_ne!(scene.cause(), Cause::InitBypassed, "the init itself has bypassed none");
}

#[test]
fn an_init_below_the_adopter_is_not_pid_1() {
    let mut scene = Scene::of_init();
    scene.fork(0, PARENT, key(12), "tini").fork(1, key(12), MIDDLE, "sh").fork(2, MIDDLE, ZOMBIE, "child");
    scene.name = "tini";
    scene.exit(3, MIDDLE, key(12), true);
    scene.name = "app";
    scene.exit(10, ZOMBIE, PARENT, true).notify(10, ZOMBIE, PARENT, SignalOutcome::Delivered).look(120);
    assert_eq!(scene.cause(), Cause::InitNotPid1);
    assert!(scene.evidence().contains("tini is pid 12"), "{}", scene.evidence());
}

#[test]
fn a_subreaper_is_no_init() {
    let mut scene = Scene::new();
    scene.subreaper = true;
    scene.is_adopted().look(120);
    assert_eq!(scene.cause(), Cause::SubreaperDoesNotReap);
}
