//! Processes that are stuck while exiting.

use super::*;

#[test]
fn a_dying_init_that_waits_in_the_kernel_is_not_negligent() {
    let mut scene = Scene::of_init();
    scene.dies();
    scene.exit(20, PARENT, key(1), true);
    scene.facts.wait_channel = Some("zap_pid_ns_processes".into());
    scene.facts.state = 'S';
    scene.look(700);
    assert_eq!(scene.cause(), Cause::NamespaceTeardownStuck);
    let init = scene.model.process(PARENT).unwrap();
    let verdict = judge_stuck(&scene.model, init).unwrap();
    assert_eq!(verdict.cause, Cause::NamespaceTeardownStuck);
    assert!(verdict.evidence.join("; ").contains("(pid 20) is a zombie"), "{:?}", verdict.evidence);
    assert!(!may_be_intentional(init));
    // For children that live it waits as `wait` does.
    scene.facts.wait_channel = Some("do_wait".into());
    scene.look(750);
    assert!(judge_stuck(&scene.model, scene.model.process(PARENT).unwrap()).is_some());
    scene.facts.wait_channel = Some("do_exit".into());
    scene.look(800);
    assert!(judge_stuck(&scene.model, scene.model.process(PARENT).unwrap()).is_none());
}

#[test]
fn where_the_kernel_does_not_tell_a_dying_init_that_sleeps_waits_for_its_namespace() {
    let mut scene = Scene::of_init();
    scene.dies();
    scene.exit(20, PARENT, key(1), true);
    (scene.facts.wait_channel, scene.facts.state) = (None, 'S');
    scene.look(700);
    let verdict = judge_stuck(&scene.model, scene.model.process(PARENT).unwrap());
    assert_eq!(verdict.map(|it| it.cause), Some(Cause::NamespaceTeardownStuck));
    // It may still be on its way out.
    scene.facts.state = 'D';
    scene.look(800);
    assert!(judge_stuck(&scene.model, scene.model.process(PARENT).unwrap()).is_none());
}

#[test]
fn threads_that_outlive_their_leader_are_named() {
    let mut scene = Scene::new();
    scene.fork(1, PARENT, ZOMBIE, "child").exit(10, ZOMBIE, PARENT, false);
    let task =
        |tid, state, place: &str| Task { tid, state, comm: comm("t"), wait_channel: Some(place.into()), tracer: None };
    scene.facts =
        ProcFacts { state: 'Z', threads: 2, tasks: vec![task(20, 'Z', ""), task(21, 'S', "futex")], ..scene.facts };
    scene.tell(600, What::Tick).look_at(600, ZOMBIE);
    assert_eq!(scene.news, [ModelEvent::Stuck(ZOMBIE)]);
    let process = scene.model.process(ZOMBIE).unwrap();
    let verdict = judge_stuck(&scene.model, process).unwrap();
    assert_eq!(verdict.evidence[1], "thread 21 (t) is in state S in futex");
    assert!(may_be_intentional(process));
    scene.facts.tasks[1] = task(21, 'D', "nfs_wait");
    scene.look_at(700, ZOMBIE);
    assert!(!may_be_intentional(scene.model.process(ZOMBIE).unwrap()));
}

#[test]
fn a_group_that_exits_leader_first_is_not_stuck() {
    let mut scene = Scene::new();
    scene.fork(1, PARENT, ZOMBIE, "child").exit(10, ZOMBIE, PARENT, false);
    scene.exit(11, ZOMBIE, PARENT, true).notify(11, ZOMBIE, PARENT, SignalOutcome::Delivered);
    scene.reap(12, ZOMBIE, Selector::Any, 10).tell(600, What::Tick);
    assert_eq!(scene.news, []);
}
