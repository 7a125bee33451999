//! Rare states of a process: main threads that exit first, tracers, and zombies that pass to another process.

use super::story::*;
use crate::event::{ChildSignal, Exit, ExitStatus, Handler, ProcFacts, ProcessKey, Seed, Signal, Task, What};
use crate::model::{Life, ModelEvent, Precision, Via};

/// The main thread of the child exits, with this tracer.
fn main_thread_exits(story: &mut Story, tracer: Option<ProcessKey>) -> &mut Story {
    let tracer = tracer.map(|tracer| tracer.pid);
    story.tell(What::Exit(Exit { group_dead: false, tracer, ..exit(CHILD, PARENT) }))
}

fn last_thread_exits(story: &mut Story, tracer: Option<ProcessKey>) -> &mut Story {
    let tracer = tracer.map(|tracer| tracer.pid);
    story.tell(What::Exit(Exit { thread: 21, tracer, ..exit(CHILD, PARENT) }))
}

fn stuck(story: &Story) -> Vec<ProcessKey> {
    let stuck = |it: &ModelEvent| if let ModelEvent::Stuck(key) = it { Some(*key) } else { None };
    story.news().iter().filter_map(stuck).collect()
}

fn task(tid: u32, state: char, tracer: Option<u32>) -> Task {
    Task { tid, state, comm: comm("thread"), wait_channel: None, tracer }
}

#[test]
fn a_traced_main_thread_that_exits_first_makes_no_zombie_whoever_traces() {
    // The tracer, which may be the parent, is notified of the thread; the others live on.
    for tracer in [TRACER, PARENT] {
        let mut story = Story::new();
        story.at(0).forks(OTHER, TRACER).forks(OTHER, PARENT).forks(PARENT, CHILD).at(10);
        main_thread_exits(&mut story, Some(tracer)).notifies(CHILD, tracer).at(800).ticks();
        assert_eq!((story.zombie(CHILD), story.aged().len()), (None, 0), "{tracer:?}");
        let tasks = vec![task(CHILD.pid, 'Z', None), task(21, 'S', None)];
        story.answers_with(CHILD, ProcFacts { state: 'Z', tasks, ..ProcFacts::default() });
        assert_eq!(stuck(&story), [CHILD]);
        assert_eq!(story.stuck_cause(CHILD), Some("leader-zombie-with-live-threads"));

        story.at(2500);
        last_thread_exits(&mut story, Some(tracer)).notifies(CHILD, tracer);
        assert_eq!((story.zombie_since(CHILD), story.waiter(CHILD)), (Some(2500), Some(tracer)));
        if tracer == TRACER {
            story.at(2600).notifies_of(TRACER, CHILD, PARENT).reaps(TRACER, CHILD);
        }
        story.at(2700).reaps(PARENT, CHILD).at(2720).frees(CHILD);
        let ended = story.only_end();
        assert_eq!((ended.zombie_ns, ended.precision, ended.reaper), (200 * MS, Precision::Exact, Some(PARENT)));
        assert_eq!(story.model.totals().zombies, 1);
        story.assert_forgotten(CHILD);
    }
}

#[test]
fn a_death_of_which_the_last_exit_was_lost_is_one() {
    let mut story = Story::new();
    story.at(10);
    main_thread_exits(&mut story, None).at(400).loses(3).at(500).notifies(CHILD, PARENT);
    assert_eq!((story.zombie_since(CHILD), story.waiter(CHILD)), (Some(500), Some(PARENT)));
}

#[test]
fn a_scan_tells_a_main_thread_that_exited_from_a_process_that_did() {
    // Its exit was lost, its tracer's signal was not.
    let mut story = Story::new();
    story.at(0).forks(OTHER, TRACER).forks(PARENT, CHILD).at(10).notifies(CHILD, TRACER).loses(1);
    story.at(20).finds(Seed { threads: 2, tracer: Some(TRACER.pid), ..zombie_seed(CHILD, PARENT.pid) });
    assert_eq!(story.zombie(CHILD), None);
    assert_eq!((story.model.totals().zombies, story.parenting(TRACER).zombies_now), (0, 0));
    let mut story = Story::new();
    story.at(10).notifies(CHILD, TRACER).execs(CHILD, 21);
    assert!(story.model.process(CHILD).is_some_and(|it| it.life == Life::Alive), "exec by another thread");
    assert_eq!(story.model.totals().zombies_now, 0);
    let mut story = Story::new();
    story.at(0).forks(PARENT, CHILD).at(10).notifies(CHILD, TRACER).loses(2).at(20).finds(seed(CHILD, PARENT.pid));
    assert_eq!(story.zombie(CHILD), None, "its exec was lost, too");
}

#[test]
fn a_tracer_reaps_for_a_parent_that_discards() {
    // Nobody is told with SIG_IGN; with SA_NOCLDWAIT the parent is, within the tracer's call.
    for nocldwait in [false, true] {
        let mut story = Story::new();
        let exit = Exit { tracer: Some(TRACER.pid), parent_discards: Some(true), ..exit(CHILD, PARENT) };
        story.at(0).forks(OTHER, TRACER).at(10).tell(What::Exit(exit)).notifies(CHILD, TRACER).at(510);
        if nocldwait {
            let told =
                ChildSignal { current: TRACER, child_is_current: false, nocldwait, ..child_signal(CHILD, PARENT) };
            story.tell(What::ChildSignal(told));
        }
        story.reaps(TRACER, CHILD).at(530).frees(CHILD);
        let ended = story.only_end();
        assert_eq!((ended.zombie_ns, ended.precision), (500 * MS, Precision::Exact));
        assert_eq!((ended.reaper, ended.via, ended.waiter()), (Some(TRACER), Via::Wait4, TRACER));
        assert_eq!((story.parenting(TRACER).reaped, story.parenting(PARENT).auto_reaped), (1, 0));
        story.assert_forgotten(CHILD);
    }
}

#[test]
fn a_tracer_that_exits_leaves_its_zombie_to_a_parent_that_discards() {
    let mut story = Story::of_all();
    let exit = Exit { tracer: Some(TRACER.pid), parent_discards: Some(true), ..exit(CHILD, PARENT) };
    let told = ChildSignal {
        current: TRACER,
        child_is_current: false,
        handler: Handler::Function,
        nocldwait: true,
        ..child_signal(CHILD, PARENT)
    };
    story.at(0).forks(OTHER, TRACER).at(10).tell(What::Exit(exit)).notifies(CHILD, TRACER);
    story.at(200).exits(TRACER, OTHER).tell(What::ChildSignal(told)).at(310).ticks();
    let ended = story.only_end();
    assert_eq!((ended.time, ended.via, ended.reaper, ended.precision), (ms(200), Via::Auto, None, Precision::Exact));
    assert_eq!(story.parenting(TRACER).reaped, 0);
}

#[test]
fn a_tracer_hands_over_in_silence_what_has_no_exit_signal() {
    let mut story = Story::new();
    let exit = Exit { tracer: Some(TRACER.pid), exit_signal: 0, ..exit(CHILD, PARENT) };
    story.at(0).forks(OTHER, TRACER).forks(OTHER, PARENT).at(10).tell(What::Exit(exit)).notifies(CHILD, TRACER);
    story.at(100).reaps(TRACER, CHILD);
    assert_eq!(story.waiter(CHILD), Some(PARENT));
    assert_eq!((story.parenting(TRACER).zombies_now, story.parenting(PARENT).zombies_now), (0, 1));
    story.at(510).reaps(PARENT, CHILD);
    assert_eq!(story.only_end().reaper, Some(PARENT));
}

#[test]
fn a_process_whose_dead_thread_a_tracer_holds_is_stuck_by_it() {
    let mut story = Story::new();
    story.at(0).forks(OTHER, TRACER).forks(PARENT, CHILD).at(10);
    main_thread_exits(&mut story, None).at(11);
    last_thread_exits(&mut story, None).at(700).ticks();
    assert_eq!((story.zombie(CHILD), story.inquiries_after(CHILD) > 0), (None, true));
    let tasks = vec![task(CHILD.pid, 'Z', None), task(21, 'Z', Some(TRACER.pid))];
    story.answers_with(CHILD, ProcFacts { state: 'Z', tasks, ..ProcFacts::default() });
    assert_eq!((stuck(&story), story.stuck_cause(CHILD)), (vec![CHILD], Some("held-by-tracer")));
    // The tracer waits for the thread, and with that the death is told.
    story.at(4000).notifies_of(TRACER, CHILD, PARENT).at(4001).reaps(PARENT, CHILD);
    assert!(story.ended().is_empty(), "the parent reaped at once");
    assert_eq!(story.parenting(PARENT).latency.max(), Some(MS));
    assert_eq!(story.parenting(PARENT).zombies_aged, 0);
}

#[test]
fn a_group_whose_death_is_told_by_each_thread_dies_once() {
    let init = |pid| ProcessKey { pid, ..OTHER };
    let (init, killer) = (init(50), init(51));
    let mut story = Story::new();
    let nested = |it: Exit, nr| {
        let mut it = it;
        it.level = 1;
        it.ns[1] = crate::event::NsPid { nr, inum: NESTED };
        it.status = ExitStatus::Signal { signal: 9, core_dumped: false };
        it
    };
    let term = Signal { target: init, sender: killer, ..signal(SIGTERM) };
    let kill = Signal { outcome: crate::event::SignalOutcome::Delivered, signal: 9, ..term };
    story.at(0).signals(term).at(300).signals(kill);
    for thread in [CHILD.pid, 21, 22] {
        story.tell(What::Exit(nested(Exit { thread, ..exit(CHILD, init) }, 2)));
    }
    story.tell(What::Exit(nested(Exit { is_init: true, ..exit(init, PARENT) }, 1))).notifies(init, PARENT);
    let stops = story.model.stops();
    assert_eq!(stops.len(), 1);
    let victims: Vec<ProcessKey> = stops[0].killed_without_term.iter().map(|it| it.process).collect();
    assert_eq!((victims, stops[0].more_killed_without_term), (vec![CHILD], 0));
    assert_eq!(story.model.totals().exits, 2);
}

#[test]
fn a_zombie_that_was_let_wait_is_the_former_parents_and_not_its_adopters() {
    let mut story = Story::new();
    story.at(0).forks(OTHER, PARENT).forks(PARENT, CHILD).at(10).dies(CHILD, PARENT).at(200).ticks().answers(PARENT);
    story.at(9010).exits(PARENT, OTHER).notifies_of(PARENT, CHILD, INIT).at(9011).reaps(INIT, CHILD);
    let ended = story.only_end();
    let stints =
        ended.stints.as_ref().map(|it| it.iter().map(|it| (it.process, it.since, it.until)).collect::<Vec<_>>());
    let expected = vec![(PARENT, ms(10), Some(ms(9010))), (INIT, ms(9010), Some(ms(9011)))];
    assert_eq!(stints, Some(expected));
    assert_eq!(ended.stints.as_ref().map(|it| it.longest_aged(ms(9011)).process), Some(PARENT));
    assert_eq!((story.parenting(PARENT).zombies_aged, story.parenting(PARENT).zombies_now), (1, 0));
    let init = story.parenting(INIT);
    assert_eq!((init.zombies_aged, init.reaped, init.reaped_late, init.latency.max()), (0, 1, 0, Some(MS)));
    story.at(9030).frees(CHILD).at(9040).notifies(PARENT, OTHER).reaps(OTHER, PARENT).frees(PARENT);
    assert!(story.model.process(PARENT).is_none());
    assert!(
        story.model.remembered(PARENT).is_some_and(|it| it.parenting.as_ref().is_some_and(|it| it.zombies_aged == 1))
    );
}

#[test]
fn many_dying_processes_are_watched_without_bound_on_those_that_are_gone() {
    let mut story = Story::new();
    for number in 0..200_000 {
        let child = process(1_000 + number);
        story
            .at(u64::from(number) / 1_000)
            .exits(child, PARENT)
            .notifies(child, PARENT)
            .reaps(PARENT, child)
            .frees(child);
    }
    assert_eq!(story.model.totals().overflows.total(), 0);
    assert!(story.model.dying.len() <= 1 << 13, "{}", story.model.dying.len());
}

#[test]
fn dying_processes_beyond_the_limit_are_counted() {
    let mut story = Story::new();
    for number in 0..70_000 {
        story.at(1).tell(What::Exit(Exit { group_dead: false, ..exit(process(1_000 + number), PARENT) }));
    }
    assert_eq!(story.model.totals().overflows.of(crate::model::Bounded::Dying), 70_000 - 65_536);
}
