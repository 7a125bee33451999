//! Parents that cannot run, and runtimes.

use super::*;

#[test]
fn two_looks_without_a_switch_between_them_tell_that_a_parent_cannot_run() {
    for state in ['T', 't', 'D'] {
        let mut scene = Scene::new();
        scene.facts = ProcFacts { state, switches: 7, ..scene.facts };
        scene.dies().look(120);
        assert_eq!(scene.cause(), Cause::Unknown, "{state}: one look");
        scene.look(230);
        assert_eq!(scene.cause(), Cause::ParentCannotRun, "{state}: two");
        scene.facts.switches = 8;
        scene.look(340);
        assert_eq!(scene.cause(), Cause::NeverWaits, "{state}: it has run since");
    }
}

#[test]
fn a_frozen_parent_that_wakes_within_the_kernel_cannot_run() {
    for switches in [7, 8] {
        let mut scene = Scene::new();
        scene.facts = ProcFacts { frozen_by: Some("/cold".to_owned()), switches: 7, ..scene.facts };
        scene.dies().look(120);
        assert_eq!(scene.cause(), Cause::Unknown, "one look");
        scene.facts.switches = switches;
        scene.look(230);
        assert_eq!(scene.cause(), Cause::ParentCannotRun, "{switches}");
        assert!(
            scene.evidence().contains("is in the frozen cgroup /cold and was 110 ms before"),
            "{}",
            scene.evidence()
        );
        scene.facts.frozen_by = None;
        scene.facts.switches = 9;
        scene.look(340);
        assert_eq!(scene.cause(), Cause::NeverWaits, "it is thawed");
    }
}

#[test]
fn a_parent_that_is_ready_to_run_and_never_does_gets_no_processor() {
    let mut scene = Scene::new();
    scene.facts = ProcFacts { state: 'R', ran_ns: Some(5), ..scene.facts };
    scene.dies().look(120).look(230);
    assert_eq!(scene.cause(), Cause::Unknown, "the time that it ran may not be up to date");
    assert!(scene.evidence().contains("was runnable"), "{}", scene.evidence());
    scene.look(1_330);
    assert_eq!(scene.cause(), Cause::ParentCannotRun);
    assert!(scene.evidence().contains("gets no CPU time"), "{}", scene.evidence());
    scene.facts.ran_ns = Some(6);
    scene.look(1_440);
    assert_eq!(scene.cause(), Cause::NeverWaits, "it has run since");
}

/// How many zombies have reached the minimum age.
fn told(scene: &Scene) -> usize {
    scene.news.iter().filter(|it| matches!(it, ModelEvent::Aged(_))).count()
}

#[test]
fn no_zombie_is_told_between_two_looks_at_its_parent() {
    let mut scene = Scene::new();
    scene.facts = ProcFacts { state: 'R', ran_ns: Some(5), ..scene.facts };
    scene.fork(1, PARENT, MIDDLE, "child").dies();
    scene.exit(30, MIDDLE, PARENT, true).notify(30, MIDDLE, PARENT, SignalOutcome::Delivered).look(115);
    // The second one reaches the minimum age.
    scene.tell(140, What::Tick);
    assert_eq!(told(&scene), 0, "{:?}", scene.news);
    scene.facts.ran_ns = Some(6);
    scene.look(220);
    assert_eq!(told(&scene), 2, "{:?}", scene.news);
}

#[test]
fn nobody_is_late_for_the_time_in_which_nothing_ran() {
    let late = |pause: Option<(u64, u64)>| {
        let mut scene = Scene::new();
        scene.dies().look(60);
        if let Some((from, until)) = pause {
            scene.tell(60, What::Fact(Fact::Paused { from: from * MS, until: until * MS }));
        }
        scene.tell(5_090, What::Tick).look(5_095);
        assert_eq!(told(&scene), usize::from(pause.is_none()), "{:?}", scene.news);
        scene.reap(5_100, ZOMBIE, Selector::Any, 10);
        judge_reaped_parent(scene.model.process(PARENT).unwrap()).is_some()
    };
    assert!(late(None));
    assert!(!late(Some((60, 5_060))), "5 s of 5.1 s nothing ran");
}

#[test]
fn evidence_says_how_long_nothing_ran() {
    let mut scene = Scene::new();
    scene.dies().look(60);
    scene.tell(60, What::Fact(Fact::Paused { from: 60 * MS, until: 5_060 * MS }));
    scene.look(9_000);
    assert_eq!(scene.cause(), Cause::NeverWaits);
    assert!(
        scene
            .evidence()
            .contains("nothing was seen to run for 5.0 s of this time: the machine was suspended or paused"),
        "{}",
        scene.evidence()
    );
}

#[test]
fn who_was_not_looked_at_while_the_zombie_waited_is_not_lazy() {
    let mut scene = Scene::new();
    scene.dies().reap(200, ZOMBIE, Selector::Any, 10).look(201);
    assert!(judge_reaped_parent(scene.model.process(PARENT).unwrap()).is_none(), "it may have had no processor");
}

#[test]
fn who_perhaps_could_not_run_is_not_lazy() {
    for (state, is_lazy) in [('R', false), ('D', false), ('S', true)] {
        let mut scene = Scene::new();
        scene.facts = ProcFacts { state, ran_ns: (state == 'R').then_some(5), ..scene.facts };
        scene.dies().look(120).reap(200, ZOMBIE, Selector::Any, 10);
        assert_eq!(judge_reaped_parent(scene.model.process(PARENT).unwrap()).is_some(), is_lazy, "{state}");
    }
}

#[test]
fn a_thread_that_runs_can_wait() {
    let mut scene = Scene::new();
    let task = |tid, state| Task { tid, state, comm: comm("t"), wait_channel: None, tracer: None };
    scene.facts = ProcFacts { state: 'D', threads: 2, tasks: vec![task(10, 'D'), task(11, 'S')], ..scene.facts };
    scene.dies().look(120).look(230);
    assert_eq!(scene.cause(), Cause::NeverWaits);
}

#[test]
fn a_runtime_outside_the_namespace_is_known_by_name_and_place() {
    for (name, child_level, expected) in [
        ("containerd-shim", 1, Cause::ShimOrRuntime),
        ("containerd-shim", 0, Cause::NeverWaits),
        ("app", 1, Cause::NeverWaits),
    ] {
        let mut scene = Scene::new();
        (scene.name, scene.child_level) = (name, child_level);
        scene.dies().look(120);
        assert_eq!(scene.cause(), expected, "{name} at {child_level}");
    }
}
