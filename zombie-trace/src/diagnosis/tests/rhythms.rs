//! One reap explains no silence; a rhythm does, for a while.

use super::*;
use crate::{
    event::{Release, Seed},
    model::Query,
};

/// A parent that reaped its first child in time, by one call, before the zombie exists.
fn reaped_once(mut scene: Scene, selector: Selector) -> Scene {
    scene.fork(1, PARENT, MIDDLE, "child").exit(2, MIDDLE, PARENT, true);
    scene.notify(2, MIDDLE, PARENT, SignalOutcome::Delivered).reap(3, MIDDLE, selector, 10);
    let (any_calls, last_any_ns) = if selector == Selector::Any { (1, 3 * MS) } else { (0, 0) };
    let first_call_ns = 3 * MS;
    let pid_calls = 1 - any_calls;
    scene.waits =
        called(3, WaitActivity { successes: 1, any_calls, pid_calls, last_any_ns, first_call_ns, ..scene.waits });
    scene
}

#[test]
fn a_parent_that_reaped_once_never_waits_afterwards() {
    for selector in [Selector::Any, Selector::Pid(MIDDLE.pid)] {
        let mut scene = reaped_once(Scene::new(), selector);
        scene.fork(4, PARENT, ZOMBIE, "child").exit(10, ZOMBIE, PARENT, true);
        scene.notify(10, ZOMBIE, PARENT, SignalOutcome::Ignored).look(120);
        assert_eq!(scene.cause(), Cause::NeverWaits);
        let evidence = scene.evidence();
        assert!(evidence.contains("no thread of app called wait in the 110 ms after the child died"), "{evidence}");
        assert!(evidence.contains("app reaped 1 child, 7.0 ms before this child died"), "{evidence}");
        assert!(!evidence.contains("ago"), "{evidence}");
    }
}

#[test]
fn a_pid_1_that_waited_once_for_any_child_does_not_reap_what_it_adopts() {
    let mut scene = Scene::of_init();
    scene.is_adopted();
    scene.waits = called(
        4,
        WaitActivity { successes: 1, any_calls: 1, first_call_ns: 4 * MS, last_any_ns: 4 * MS, ..Default::default() },
    );
    scene.look(120);
    assert_eq!(scene.cause(), Cause::InitDoesNotReap);
    // Its only call came when two were dead, and reaped the other.
    (scene.waits.last_call_ns, scene.waits.last_any_ns) = (12 * MS, 12 * MS);
    scene.look(130);
    assert_eq!(scene.cause(), Cause::InitDoesNotReap);
    assert!(
        scene.evidence().contains("was 2.0 ms after the child died, and not in the 118 ms"),
        "{}",
        scene.evidence()
    );
    // And it may be about to make the next.
    (scene.waits.last_call_ns, scene.waits.last_any_ns) = (100 * MS, 100 * MS);
    scene.look(140);
    assert_eq!(scene.cause(), Cause::Unknown);
}

#[test]
fn a_pid_1_that_reaps_its_own_children_one_by_one_does_not_reap_orphans() {
    let mut scene = Scene::of_init();
    scene.fork(1, PARENT, MIDDLE, "middle").fork(2, MIDDLE, ZOMBIE, "orphan");
    scene.exit(3, MIDDLE, PARENT, true).notify(3, MIDDLE, PARENT, SignalOutcome::Delivered);
    scene.reap(4, MIDDLE, Selector::Pid(MIDDLE.pid), 1);
    for round in 1..=3 {
        let at = 100 * u64::from(round);
        let child = ProcessKey { pid: 100 + round, start_ns: at * MS };
        scene.fork(at, PARENT, child, "own").exit(at + 1, child, PARENT, true);
        scene.notify(at + 1, child, PARENT, SignalOutcome::Delivered);
        scene.reap(at + 2, child, Selector::Pid(child.pid), 1);
    }
    scene.exit(310, ZOMBIE, PARENT, true).notify(310, ZOMBIE, PARENT, SignalOutcome::Delivered);
    let own = WaitActivity { successes: 4, pid_calls: 4, first_call_ns: 4 * MS, ..Default::default() };
    scene.waits = WaitActivity { calls: 4, ..called(302, own) };
    scene.look(800);
    assert_eq!(scene.cause(), Cause::InitDoesNotReap);
}

#[test]
fn a_pid_1_that_now_waits_for_its_server_reaps_no_orphans() {
    let mut scene = Scene::of_init();
    scene.is_adopted();
    let first = WaitActivity { successes: 1, any_calls: 1, pid_calls: 1, in_progress: 1, ..Default::default() };
    scene.waits = WaitActivity { calls: 2, first_call_ns: 4 * MS, last_any_ns: 4 * MS, ..called(5, first) };
    scene.look(120);
    assert_eq!(scene.cause(), Cause::InitDoesNotReap);
    scene.waits.last_any_ns = scene.waits.last_call_ns;
    scene.look(130);
    assert_eq!(scene.cause(), Cause::Unknown, "it waits for any child now");
}

#[test]
fn a_parent_that_looks_every_five_seconds_is_not_accused_after_three() {
    let mut scene = Scene::new();
    scene.fork(1, PARENT, ZOMBIE, "child").exit(21_000, ZOMBIE, PARENT, true);
    scene.notify(21_000, ZOMBIE, PARENT, SignalOutcome::Ignored);
    let looks = WaitActivity { empty: 4, any_calls: 4, first_call_ns: 5_000 * MS, ..Default::default() };
    scene.waits = WaitActivity { calls: 4, last_any_ns: 20_000 * MS, ..called(20_000, looks) };
    scene.look(24_000);
    assert_eq!(scene.cause(), Cause::Unknown);
    assert!(scene.evidence().contains("has taken up to 5.0 s"), "{}", scene.evidence());
    scene.look(32_000);
    assert_eq!(scene.cause(), Cause::NeverWaits);
}

#[test]
fn an_adopter_that_looks_every_five_seconds_is_not_accused_after_three() {
    let mut scene = Scene::of_init();
    scene.fork(1, PARENT, MIDDLE, "middle").fork(2, MIDDLE, ZOMBIE, "child").exit(3, MIDDLE, PARENT, true);
    scene.notify(3, MIDDLE, PARENT, SignalOutcome::Ignored).reap(4, MIDDLE, Selector::Any, 10);
    scene.exit(21_000, ZOMBIE, PARENT, true).notify(21_000, ZOMBIE, PARENT, SignalOutcome::Ignored);
    let looks = WaitActivity { successes: 1, empty: 4, any_calls: 5, first_call_ns: 5_000 * MS, ..Default::default() };
    scene.waits = WaitActivity { calls: 5, last_any_ns: 20_000 * MS, ..called(20_000, looks) };
    scene.look(24_000);
    assert_eq!(scene.cause(), Cause::Unknown);
    scene.look(32_000);
    assert_eq!(scene.cause(), Cause::InitDoesNotReap);
}

#[test]
fn a_parent_that_reaps_late_is_lazy_until_it_is_later_than_ever() {
    let mut scene = Scene::new();
    scene.fork(1, PARENT, MIDDLE, "child").exit(10, MIDDLE, PARENT, true);
    scene.notify(10, MIDDLE, PARENT, SignalOutcome::Ignored).look(400).reap(510, MIDDLE, Selector::Any, 10);
    scene.fork(511, PARENT, ZOMBIE, "child").exit(600, ZOMBIE, PARENT, true);
    scene.notify(600, ZOMBIE, PARENT, SignalOutcome::Ignored);
    let reap = WaitActivity { successes: 1, any_calls: 1, first_call_ns: 510 * MS, ..Default::default() };
    scene.waits = WaitActivity { last_any_ns: 510 * MS, ..called(510, reap) };
    scene.look(1_400);
    assert_eq!(scene.cause(), Cause::LazyReaper);
    scene.look(1_700);
    assert_eq!(scene.cause(), Cause::NeverWaits);
}

#[test]
fn a_parent_that_waits_for_each_child_by_its_pid_but_late_is_lazy() {
    let mut scene = Scene::new();
    scene.fork(1, PARENT, MIDDLE, "child").exit(10, MIDDLE, PARENT, true);
    scene.notify(10, MIDDLE, PARENT, SignalOutcome::Ignored).look(400);
    scene.reap(510, MIDDLE, Selector::Pid(MIDDLE.pid), 10);
    let second = ProcessKey { pid: 101, start_ns: 511 * MS };
    scene.fork(511, PARENT, second, "child").fork(512, PARENT, ZOMBIE, "child").exit(520, second, PARENT, true);
    scene.notify(520, second, PARENT, SignalOutcome::Ignored);
    scene.exit(600, ZOMBIE, PARENT, true).notify(600, ZOMBIE, PARENT, SignalOutcome::Ignored);
    let others = WaitActivity { successes: 2, pid_calls: 2, recent: vec![15, 16], ..Default::default() };
    scene.waits = WaitActivity { calls: 2, first_call_ns: 510 * MS, ..called(650, others) };
    scene.look(750);
    assert_eq!(scene.cause(), Cause::WaitsForOthers, "one that it reaped late is no habit");
    scene.reap(790, second, Selector::Pid(second.pid), 10);
    scene.look(800);
    assert_eq!(scene.cause(), Cause::LazyReaper);
    assert!(scene.evidence().contains("time to reap (2 zombies): median 270 ms, max 500 ms"), "{}", scene.evidence());
    assert!(!scene.advice().contains("waitpid(-1"), "that would steal statuses: {}", scene.advice());
    scene.look(1_700);
    assert_eq!(scene.cause(), Cause::WaitsForOthers, "it was never so late");
    scene.reap(1_800, ZOMBIE, Selector::Pid(ZOMBIE.pid), 10);
    let past = judge_reaped_parent(scene.model.process(PARENT).unwrap()).unwrap();
    assert_eq!((past.cause, Cause::WaitsForOthers.still_applies_after_reap()), (Cause::LazyReaper, false));
}

/// The parent is known from before tracing, and reaps a child by a call that is not seen.
fn reaped_without_wait_call(threads: u32, reaps: u32) -> Scene {
    let mut scene = Scene::new();
    scene.model = Model::new(Config { min_age_ns: 100 * MS, started: MS, ..Config::default() });
    scene.facts.threads = threads;
    scene.tell(0, What::Fact(Fact::Seed(Box::new(preexisting(PARENT)))));
    for pid in 100..100 + reaps {
        scene.fork(1, PARENT, key(pid), "child").exit(2, key(pid), PARENT, true);
        scene.notify(2, key(pid), PARENT, SignalOutcome::Ignored);
        let release = Release { process: key(pid), reaper: PARENT, reaper_exiting: false, reaper_is_init: false };
        scene.tell(3, What::Release(release));
    }
    scene.tell(40, What::Tick).fork(41, PARENT, ZOMBIE, "child").exit(50, ZOMBIE, PARENT, true);
    scene.notify(50, ZOMBIE, PARENT, SignalOutcome::Ignored).look(200);
    scene
}

fn preexisting(process: ProcessKey) -> Seed {
    Seed {
        process,
        tick_ns: 10 * MS,
        parent_pid: 1,
        tracer: None,
        comm: comm("app"),
        is_zombie: false,
        threads: 1,
        status: None,
        ns_pids: vec![process.pid],
        pid_ns: ROOT_NS,
        uid: 0,
        cgroup: 0,
        exe: None,
        cmdline: Vec::new(),
    }
}

#[test]
fn a_call_from_before_tracing_is_no_hidden_way_of_waiting() {
    assert_eq!(reaped_without_wait_call(1, 1).cause(), Cause::NeverWaits);
    assert_eq!(reaped_without_wait_call(2, 2).cause(), Cause::NeverWaits, "one for each thread");
    let hidden = reaped_without_wait_call(1, 2);
    assert_eq!(hidden.cause(), Cause::Unknown);
    assert!(hidden.evidence().contains("reaped 2 children without a wait call"), "{}", hidden.evidence());
}

/// A call from before tracing reaps a child just before the next dies; without a probe for the reap itself, the memory
/// is freed after that.
#[test]
fn the_freeing_of_memory_is_no_sign_that_a_parent_still_waits() {
    for call in [None, Some(WaitCall::Wait4), Some(WaitCall::Waitid)] {
        let mut scene = Scene::new();
        scene.model = Model::new(Config { min_age_ns: 100 * MS, started: MS, ..Config::default() });
        scene.tell(0, What::Fact(Fact::Seed(Box::new(preexisting(PARENT)))));
        scene.fork(1, PARENT, MIDDLE, "child").exit(40, MIDDLE, PARENT, true);
        scene.notify(40, MIDDLE, PARENT, SignalOutcome::Ignored);
        if let Some(call) = call {
            let wait = Wait {
                call,
                reaper: PARENT,
                child_nr: Some(MIDDLE.pid),
                errno: 0,
                selector: Selector::Unknown,
                options: None,
                report: WaitReport::Unknown,
                thread: PARENT.pid,
                ns: ROOT_NS,
            };
            scene.tell(41, What::Wait(wait));
        }
        scene.fork(41, PARENT, ZOMBIE, "child").exit(42, ZOMBIE, PARENT, true);
        scene.notify(42, ZOMBIE, PARENT, SignalOutcome::Ignored).tell(62, What::Free(MIDDLE)).look(150);
        assert_eq!(scene.cause(), Cause::NeverWaits, "{call:?}: {}", scene.evidence());
        let evidence = scene.evidence();
        let when = call.map_or("app reaped 1 child;", |_| "app reaped 1 child, 1.0 ms before this child died;");
        assert!(format!("{evidence};").replace('\n', ";").contains(when), "{evidence}");
        assert!(!evidence.contains("after this child died"), "{evidence}");
    }
}

#[test]
fn a_parent_is_looked_at_again_when_its_zombie_is_ten_times_as_old() {
    let mut scene = Scene::new();
    scene.dies().tell(110, What::Tick);
    let asked = |scene: &mut Scene| {
        std::iter::from_fn(|| scene.model.next_query()).filter(|it| *it == Query::Process(PARENT)).count()
    };
    assert_eq!(asked(&mut scene), 1);
    scene.look(115).tell(1_000, What::Tick);
    assert_eq!(asked(&mut scene), 0);
    scene.tell(1_010, What::Tick);
    assert_eq!(asked(&mut scene), 1);
    scene.look(1_012).tell(10_010, What::Tick);
    assert_eq!(asked(&mut scene), 1);
    scene.reap(10_011, ZOMBIE, Selector::Any, 10).look(10_012).tell(500_000, What::Tick);
    assert_eq!(asked(&mut scene), 0, "it is gone");
    let reviews = scene.news.iter().filter(|it| **it == ModelEvent::Reviewed(ZOMBIE)).count();
    assert_eq!(reviews, 1);
}

#[test]
fn the_evidence_names_the_signal_that_the_child_has_sent() {
    let mut scene = Scene::new();
    scene.exit_signal = 10;
    scene.facts.ignored = 1 << 9;
    scene.dies().look(120);
    assert_eq!(scene.cause(), Cause::NeverWaits);
    let evidence = scene.evidence();
    assert!(evidence.contains("exit signal is SIGUSR1, not SIGCHLD; SIGUSR1 in app: SIG_IGN"), "{evidence}");
    assert_eq!(scene.model.process(PARENT).unwrap().parenting.as_ref().unwrap().child_signals, [0; 3]);
}

#[test]
fn a_process_without_a_name_is_called_by_its_pid() {
    let mut scene = Scene { name: "", ..Scene::new() };
    scene.dies().look(120);
    assert!(scene.evidence().starts_with("no thread of process 10 called wait"), "{}", scene.evidence());
}

#[test]
fn a_sibling_made_by_clone_parent_was_a_child_from_the_start() {
    let mut scene = Scene::new();
    scene.fork(1, PARENT, MIDDLE, "helper");
    let ns = NsPid { nr: ZOMBIE.pid, inum: ROOT_NS };
    let (forker, child, parent_pid) = (MIDDLE, ZOMBIE, PARENT.pid);
    let fork = Fork { forker, child, parent_pid, ns, level: 0, cgroup: 0, uid: 0, comm: comm("stage") };
    scene.tell(2, What::Fork(fork)).exit(10, ZOMBIE, PARENT, true);
    scene.notify(10, ZOMBIE, PARENT, SignalOutcome::Ignored).look(120);
    assert_eq!(scene.cause(), Cause::NeverWaits);
    let sentence = "helper (pid 15) created it with CLONE_PARENT, so it was a child of app from the start";
    assert!(scene.evidence().contains(sentence), "{}", scene.evidence());
}

#[test]
fn a_parent_that_waited_once_since_is_looked_at_again_soon() {
    let mut scene = Scene::new();
    scene.fork(1, PARENT, MIDDLE, "helper").dies();
    scene.exit(60, MIDDLE, PARENT, true).notify(60, MIDDLE, PARENT, SignalOutcome::Ignored);
    scene.reap(61, MIDDLE, Selector::Pid(MIDDLE.pid), 10).tell(110, What::Tick).look(115);
    assert_eq!(scene.cause(), Cause::Unknown, "it may go on to wait");
    while scene.model.next_query().is_some() {}
    scene.tell(310, What::Tick);
    assert_eq!(scene.model.next_query(), Some(Query::Process(PARENT)));
    scene.look(312);
    assert_eq!(scene.cause(), Cause::NeverWaits);
    assert!(scene.news.contains(&ModelEvent::Reviewed(ZOMBIE)));
}
