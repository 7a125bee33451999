//! From death to reaping, with nothing lost.

use super::story::*;
use crate::event::{
    ChildSignal, Exit, Handler, NsPid, ProcessKey, Release, SignalOutcome, Wait, WaitCall, WaitReport, What,
};
use crate::model::{Bounded, Config, Life, Precision, Via};

const WNOWAIT: u32 = 0x0100_0000;
const WEXITED: u32 = 4;

#[test]
fn a_zombie_lasts_from_the_signal_to_the_wait_exactly() {
    let mut story = Story::new();
    story.at(0).forks(PARENT, CHILD).at(9).exits(CHILD, PARENT);
    assert_eq!(story.zombie_since(CHILD), None, "an exit is not yet a zombie");
    story.at(10).notifies(CHILD, PARENT).at(510).reaps(PARENT, CHILD).at(530).frees(CHILD);
    let ended = story.only_end();
    assert_eq!((ended.zombie_ns, ended.precision), (500 * MS, Precision::Exact));
    assert_eq!((ended.reaper, ended.via), (Some(PARENT), Via::Wait4));
    assert_eq!(story.parenting(PARENT).reaped, 1);
    story.assert_forgotten(CHILD);
}

#[test]
fn a_leader_that_dies_early_is_no_zombie_until_its_group_is_dead() {
    let mut story = Story::new();
    story.at(10).tell(What::Exit(Exit { group_dead: false, ..exit(CHILD, PARENT) })).at(300).ticks();
    assert!(story.zombie(CHILD).is_none() && story.aged().is_empty());
    assert!(story.model.process(CHILD).is_some_and(|it| it.dying_since() == Some(ms(10))));
    story.at(400).tell(What::Exit(Exit { thread: 21, ..exit(CHILD, PARENT) })).notifies(CHILD, PARENT);
    assert_eq!(story.zombie_since(CHILD), Some(400));
    assert_eq!(story.model.totals().exits, 1);
}

#[test]
fn an_exec_by_a_thread_revives_the_leader() {
    let mut story = Story::new();
    story.at(10).tell(What::Exit(Exit { group_dead: false, ..exit(CHILD, PARENT) })).execs(CHILD, 21);
    assert!(story.model.process(CHILD).is_some_and(|it| it.life == Life::Alive));
    assert_eq!(story.model.totals().exits, 0);
}

#[test]
fn exits_of_two_threads_that_both_see_the_group_dead_are_one() {
    let mut story = Story::of_all();
    story.at(10).exits(CHILD, PARENT).exits(CHILD, PARENT).notifies(CHILD, PARENT);
    story.at(20).reaps(PARENT, CHILD).at(30).frees(CHILD);
    let totals = story.model.totals();
    assert_eq!((totals.exits, totals.zombies, totals.reaped, totals.zombies_now), (1, 1, 1, 0));
}

#[test]
fn a_child_of_a_parent_that_ignores_sigchld_is_no_zombie() {
    let mut story = Story::of_all();
    story.at(10).tell(What::Exit(Exit { parent_discards: Some(true), ..exit(CHILD, PARENT) })).at(30).frees(CHILD);
    assert_eq!(story.auto_reaped(), [CHILD]);
    assert_eq!((story.model.totals().zombies, story.model.totals().auto_reaped), (0, 1));
    assert!(story.ended().is_empty());
}

#[test]
fn sa_nocldwait_sends_the_signal_but_leaves_no_zombie() {
    let mut story = Story::of_all();
    let told = ChildSignal { nocldwait: true, handler: Handler::Function, ..child_signal(CHILD, PARENT) };
    let exit = Exit { parent_discards: Some(true), ..exit(CHILD, PARENT) };
    story.at(10).tell(What::Exit(exit)).tell(What::ChildSignal(told)).at(30).frees(CHILD);
    assert_eq!(story.auto_reaped(), [CHILD]);
    assert_eq!(story.model.totals().zombies, 0);
}

#[test]
fn a_tracing_parent_that_ignores_sigchld_still_has_to_wait() {
    // do_notify_parent discards only what is not traced, even where the tracer is the parent.
    let mut story = Story::new();
    let exit = Exit { tracer: Some(PARENT.pid), parent_discards: Some(true), ..exit(CHILD, PARENT) };
    let told = ChildSignal { handler: Handler::Ignore, outcome: SignalOutcome::Ignored, ..child_signal(CHILD, PARENT) };
    story.at(10).tell(What::Exit(exit)).tell(What::ChildSignal(told));
    assert_eq!(story.zombie_since(CHILD), Some(10));
    story.at(510).reaps(PARENT, CHILD);
    assert_eq!(story.only_end().precision, Precision::Exact);
}

#[test]
fn a_parent_at_sig_dfl_does_not_notice_but_has_a_zombie() {
    let mut story = Story::new();
    let told = ChildSignal { outcome: SignalOutcome::Ignored, ..child_signal(CHILD, PARENT) };
    story.at(10).exits(CHILD, PARENT).tell(What::ChildSignal(told));
    assert_eq!(story.zombie_since(CHILD), Some(10));
    assert_eq!(story.parenting(PARENT).child_signals, [0, 1, 0]);
}

#[test]
fn a_child_without_exit_signal_is_a_zombie_in_silence() {
    let mut story = Story::new();
    story.at(10).tell(What::Exit(Exit { exit_signal: 0, ..exit(CHILD, PARENT) }));
    assert_eq!(story.zombie_since(CHILD), Some(10));
    story.at(510).reaps(PARENT, CHILD);
    assert_eq!(story.only_end().precision, Precision::UpperBound, "it began a little after its exit");
}

#[test]
fn a_child_that_reaps_itself_is_nobodys_zombie_and_nobody_discards_it() {
    let mut story = Story::new();
    story.at(10).tell(What::Exit(Exit { exit_signal: 0, reaps_itself: true, ..exit(CHILD, PARENT) }));
    assert_eq!(story.zombie_since(CHILD), None);
    story.at(510).frees(CHILD);
    assert_eq!((story.ended().len(), story.auto_reaped(), story.model.totals().zombies), (0, vec![], 0));
}

#[test]
fn a_child_without_exit_signal_tells_a_parent_that_called_exec() {
    let mut story = Story::new();
    story.at(10).tell(What::Exit(Exit { exit_signal: 0, ..exit(CHILD, PARENT) }));
    story.at(11).notifies(CHILD, PARENT).at(511).reaps(PARENT, CHILD);
    let ended = story.only_end();
    assert_eq!((ended.zombie_ns, ended.precision), (500 * MS, Precision::Exact));
    assert_eq!(story.model.totals().zombies, 1);
}

#[test]
fn a_second_signal_moves_the_blame_to_who_adopts_a_zombie() {
    let mut story = Story::new();
    story.at(10).dies(CHILD, PARENT).at(50).exits(PARENT, OTHER).notifies_of(PARENT, CHILD, INIT);
    assert_eq!((story.waiter(CHILD), story.zombie_since(CHILD)), (Some(INIT), Some(10)));
    assert_eq!(story.zombie(CHILD).map(super::super::life::Zombie::waits_since), Some(ms(50)));
    assert_eq!((story.parenting(PARENT).zombies_now, story.parenting(INIT).zombies_now), (0, 1));
    story.at(510).reaps(INIT, CHILD);
    let ended = story.only_end();
    assert_eq!((ended.zombie_ns, ended.precision, ended.reaper), (500 * MS, Precision::Exact, Some(INIT)));
    assert_eq!(story.parenting(INIT).zombies_now, 0);
}

#[test]
fn an_adopter_that_reaps_at_once_is_not_late() {
    let mut story = Story::new();
    story
        .at(10)
        .dies(CHILD, PARENT)
        .at(900)
        .exits(PARENT, OTHER)
        .notifies_of(PARENT, CHILD, INIT)
        .at(901)
        .reaps(INIT, CHILD);
    assert_eq!((story.parenting(INIT).reaped, story.parenting(INIT).reaped_late), (1, 0));
    assert_eq!(story.parenting(INIT).latency.max(), Some(MS));
    assert_eq!(story.only_end().zombie_ns, 891 * MS);
}

#[test]
fn a_live_orphan_is_the_fault_of_who_adopted_it() {
    let mut story = Story::new();
    story.at(0).forks(PARENT, CHILD).at(5).dies(PARENT, OTHER).at(10).dies(CHILD, INIT);
    assert_eq!(story.waiter(CHILD), Some(INIT));
    let first = story.model.process(CHILD).and_then(|it| it.origin);
    assert_eq!(first, Some(PARENT));
}

#[test]
fn an_orphan_of_an_unreaping_init_or_subreaper_names_the_adopter() {
    for (init, cause) in [(true, "init-does-not-reap"), (false, "subreaper-does-not-reap")] {
        let mut story = Story::new();
        let adopter = ProcessKey { pid: 5, ..OTHER };
        let exit = Exit { parent_is_init: init, parent_is_subreaper: !init, ..exit(CHILD, adopter) };
        let told = ChildSignal { target_is_init: init, target_is_subreaper: !init, ..child_signal(CHILD, adopter) };
        story.at(0).forks(PARENT, CHILD).at(5).dies(PARENT, OTHER).at(10);
        story.tell(What::Exit(exit)).tell(What::ChildSignal(told)).at(200).ticks().answers(adopter);
        assert_eq!(story.cause(CHILD), Some(cause));
    }
}

#[test]
fn a_parent_that_dies_before_the_free_is_not_said_to_have_reaped_late() {
    // The adopter ignores SIGCHLD: the kernel tells nobody and reaps when it reparents.
    let mut story = Story::new();
    story.at(10).dies(CHILD, PARENT).at(200).ticks().answers(PARENT);
    story.at(300).dies(PARENT, OTHER).at(320).frees(CHILD);
    assert_eq!((story.parenting(PARENT).reaped, story.parenting(PARENT).reaped_late), (0, 0));
    assert_eq!((story.parenting(PARENT).zombies_now, story.model.totals().zombies_now), (0, 1), "itself");
}

#[test]
fn a_tracer_that_handed_a_zombie_over_may_adopt_it_and_discard_it() {
    let mut story = Story::new();
    let exit = Exit { tracer: Some(TRACER.pid), ..exit(CHILD, PARENT) };
    story.at(10).tell(What::Exit(exit)).notifies(CHILD, TRACER).at(200).notifies_of(TRACER, CHILD, PARENT);
    let adopts =
        ChildSignal { current: PARENT, child_is_current: false, nocldwait: true, ..child_signal(CHILD, TRACER) };
    story.at(500).exits(PARENT, TRACER).tell(What::ChildSignal(adopts)).at(520).frees(CHILD);
    let stints: Vec<_> =
        story.only_end().stints.iter().flat_map(crate::model::Stints::iter).map(|it| it.process).collect();
    assert_eq!((stints, story.only_end().via), (vec![TRACER, PARENT], Via::Auto));
}

#[test]
fn a_silent_child_of_a_parent_that_is_gone_passes_from_its_tracer_to_its_adopter() {
    let mut story = Story::new();
    let silent = Exit { tracer: Some(TRACER.pid), exit_signal: 0, ..exit(CHILD, PARENT) };
    story.at(0).forks(OTHER, TRACER).at(10).tell(What::Exit(silent)).notifies(CHILD, TRACER);
    story.at(20).dies(PARENT, INIT).at(21).reaps(INIT, PARENT).frees(PARENT);
    story.at(500).exits(TRACER, OTHER).notifies_of(TRACER, CHILD, INIT).at(600).reaps(INIT, CHILD);
    let stints: Vec<_> =
        story.only_end().stints.iter().flat_map(crate::model::Stints::iter).map(|it| it.process).collect();
    assert_eq!(stints, [TRACER, INIT]);
}

#[test]
fn a_tracer_hands_a_zombie_over_and_does_not_reap_it() {
    let mut story = Story::new();
    let exit = Exit { tracer: Some(TRACER.pid), ..exit(CHILD, PARENT) };
    story.at(0).forks(OTHER, TRACER).at(10).tell(What::Exit(exit)).notifies(CHILD, TRACER);
    assert_eq!(story.waiter(CHILD), Some(TRACER));
    assert_eq!(story.cause(CHILD), Some("held-by-tracer"));
    story.at(100).notifies_of(TRACER, CHILD, PARENT).reaps(TRACER, CHILD);
    assert_eq!((story.waiter(CHILD), story.zombie_since(CHILD)), (Some(PARENT), Some(10)));
    assert!(story.ended().is_empty());
    story.at(510).reaps(PARENT, CHILD);
    assert_eq!((story.only_end().zombie_ns, story.only_end().reaper), (500 * MS, Some(PARENT)));
    assert_eq!(story.parenting(TRACER).zombies_now, 0);
}

#[test]
fn what_a_dead_process_said_in_life_does_not_reap_it() {
    let alive = Wait { report: WaitReport::Alive, ..wait(PARENT, CHILD) };
    let looked = Wait { call: WaitCall::Waitid, options: Some(WEXITED | WNOWAIT), ..wait(PARENT, CHILD) };
    let not_for_the_dead =
        Wait { call: WaitCall::Waitid, options: Some(2), report: WaitReport::Unknown, ..wait(PARENT, CHILD) };
    let no_child = Wait { errno: 10, ..wait(PARENT, CHILD) };
    for harmless in [alive, looked, not_for_the_dead, no_child] {
        let mut story = Story::new();
        story.at(10).dies(CHILD, PARENT).at(20).tell(What::Wait(harmless));
        assert_eq!(story.zombie_since(CHILD), Some(10), "{harmless:?}");
        story.at(530).frees(CHILD).concludes();
        assert_eq!((story.only_end().via, story.only_end().zombie_ns), (Via::Unknown, 520 * MS), "{harmless:?}");
    }
}

#[test]
fn a_wait_that_may_have_only_looked_leaves_the_end_to_the_free() {
    let began_before = Wait { call: WaitCall::Waitid, options: None, ..wait(PARENT, CHILD) };
    let perhaps_stopped = Wait { options: Some(2), report: WaitReport::Unknown, ..wait(PARENT, CHILD) };
    for (unsure, via) in [(began_before, Via::Waitid), (perhaps_stopped, Via::Wait4)] {
        let mut story = Story::new();
        story.at(10).dies(CHILD, PARENT).at(500).tell(What::Wait(unsure));
        assert!(story.ended().is_empty());
        story.at(530).frees(CHILD);
        let ended = story.only_end();
        assert_eq!((ended.precision, ended.via, ended.reaper), (Precision::UpperBound, via, Some(PARENT)));
    }
}

#[test]
fn a_reap_seen_from_within_is_exact_though_the_call_is_not_known() {
    let mut story = Story::new();
    story.at(10).dies(CHILD, PARENT).at(510).releases(PARENT, CHILD);
    assert!(story.ended().is_empty(), "a wait call may yet tell");
    story.at(610).ticks();
    let ended = story.only_end();
    assert_eq!((ended.time, ended.zombie_ns, ended.precision), (ms(510), 500 * MS, Precision::Exact));
    assert_eq!((ended.reaper, ended.via), (Some(PARENT), Via::Unknown));
    assert_eq!(story.model.totals().zombies_now, 0);
    story.at(2000).frees(CHILD);
    assert_eq!(story.ended().len(), 1);
    story.assert_forgotten(CHILD);
}

#[test]
fn a_free_right_after_a_reap_seen_from_within_does_not_wait() {
    let mut story = Story::new();
    story.at(10).dies(CHILD, PARENT).at(510).releases(PARENT, CHILD).at(515).frees(CHILD);
    assert_eq!((story.only_end().zombie_ns, story.only_end().precision), (500 * MS, Precision::Exact));
}

#[test]
fn a_wait_that_began_before_tracing_tells_by_which_call_when_it_returns() {
    let mut story = Story::new();
    story.at(10).dies(CHILD, PARENT).at(510).releases(PARENT, CHILD).at(511).reaps(PARENT, CHILD).at(540).frees(CHILD);
    assert_eq!((story.only_end().via, story.only_end().zombie_ns), (Via::Wait4, 501 * MS));
}

#[test]
fn what_was_reaped_in_time_does_not_come_of_age_however_late_it_is_freed() {
    let mut story = Story::new();
    let age = story.model.config().min_age_ns / MS;
    story.at(10).dies(CHILD, PARENT).at(5 + age).releases(PARENT, CHILD).at(11 + age).ticks();
    story.at(5000 + age).answers(PARENT).frees(CHILD);
    assert_eq!((story.aged().len(), story.ended().len()), (0, 0));
    assert_eq!(story.parenting(PARENT).reaped, 1);
}

#[test]
fn a_wait_that_only_looked_is_not_the_one_if_another_reaped() {
    let looked = Wait { call: WaitCall::Waitid, options: None, ..wait(PARENT, CHILD) };
    for (reaper, via) in [(PARENT, Via::Waitid), (TRACER, Via::Unknown)] {
        let mut story = Story::new();
        story.at(0).forks(INIT, TRACER).at(10).dies(CHILD, PARENT).at(500).tell(What::Wait(looked));
        story.releases(reaper, CHILD).at(530).frees(CHILD);
        let ended = story.only_end();
        assert_eq!((ended.precision, ended.via, ended.reaper), (Precision::Exact, via, Some(reaper)));
    }
}

#[test]
fn what_an_exiting_process_releases_was_waited_for_by_nobody() {
    for (reaper_is_init, via, reaper) in [(true, Via::Kernel, Some(PARENT)), (false, Via::Auto, None)] {
        let mut story = Story::new();
        let release = Release { process: CHILD, reaper: PARENT, reaper_exiting: true, reaper_is_init };
        story.at(10).dies(CHILD, PARENT).at(510).tell(What::Release(release)).at(530).frees(CHILD);
        let ended = story.only_end();
        assert_eq!((ended.precision, ended.via, ended.reaper), (Precision::Exact, via, reaper));
        assert_eq!(story.parenting(PARENT).reaped, 0);
    }
}

#[test]
fn efault_after_a_reap_is_a_reap() {
    let mut story = Story::new();
    let failed = Wait { errno: 14, report: WaitReport::Unknown, ..wait(PARENT, CHILD) };
    story.at(10).dies(CHILD, PARENT).at(510).tell(What::Wait(failed));
    assert_eq!((story.only_end().precision, story.only_end().reaper), (Precision::Exact, Some(PARENT)));
}

#[test]
fn a_reused_pid_ends_its_former_owner() {
    let mut story = Story::of_all();
    let next = ProcessKey { start_ns: ms(15), ..CHILD };
    story.at(10).dies(CHILD, PARENT).at(15).forks(PARENT, next).at(20).frees(CHILD);
    assert_eq!((story.only_end().process, story.only_end().via), (CHILD, Via::Unknown));
    assert!(story.model.process(next).is_some_and(|it| !it.is_dead()));
    story.assert_forgotten(CHILD);
    story.at(30).dies(next, PARENT).at(40).reaps(PARENT, next).at(60).frees(next);
    assert_eq!(story.ended().len(), 2);
    assert_eq!(story.parenting(PARENT).zombies_now, 0);
}

#[test]
fn a_reused_number_of_a_nested_namespace_ends_its_former_owner() {
    let mut story = Story::of_all();
    let number = NsPid { nr: 7, inum: NESTED };
    let mut nested = exit(CHILD, PARENT);
    nested.ns[1] = number;
    story.at(10).tell(What::Exit(nested)).notifies(CHILD, PARENT);
    story.at(50).tell(What::Fork(crate::event::Fork { ns: number, level: 1, ..fork(PARENT, OTHER) }));
    assert_eq!(story.only_end().process, CHILD);
}

#[test]
fn a_reaper_in_a_nested_namespace_names_the_child_by_its_number_there() {
    let mut story = Story::new();
    let mut nested = exit(CHILD, PARENT);
    nested.level = 1;
    nested.ns[1] = NsPid { nr: 7, inum: NESTED };
    let told = ChildSignal {
        child_nr: 7,
        target_ns: NsPid { nr: 1, inum: NESTED },
        target_level: 1,
        target_is_init: true,
        ..child_signal(CHILD, PARENT)
    };
    story.at(10).tell(What::Exit(nested)).tell(What::ChildSignal(told));
    let outside = Wait { child_nr: Some(7), ..wait(PARENT, CHILD) };
    story.at(500).tell(What::Wait(outside));
    assert!(story.ended().is_empty(), "pid 7 of another namespace is another process");
    story.at(510).tell(What::Wait(Wait { ns: NESTED, child_nr: Some(7), ..wait(PARENT, CHILD) }));
    assert_eq!((story.only_end().zombie_ns, story.only_end().precision), (500 * MS, Precision::Exact));
    story.frees(CHILD).assert_forgotten(CHILD);
}

#[test]
fn what_a_dying_init_tears_down_is_not_auto_reaped() {
    // It sets SIG_IGN for itself, and is reaped before the memory of its children is freed.
    let mut story = Story::of_all();
    let init = Exit { is_init: true, level: 1, ..exit(PARENT, OTHER) };
    let torn = Exit { parent_is_init: true, parent_discards: Some(true), ..exit(CHILD, PARENT) };
    story.at(10).tell(What::Exit(init)).tell(What::Exit(torn)).notifies(PARENT, OTHER).at(11).reaps(OTHER, PARENT);
    story.at(25).frees(CHILD).frees(PARENT);
    assert_eq!(story.auto_reaped(), []);
    assert_eq!(story.model.totals().auto_reaped, 0);
}

#[test]
fn a_zombie_of_an_init_that_dies_is_reaped_by_the_kernel() {
    let mut story = Story::of_all();
    let child = Exit { parent_is_init: true, ..exit(CHILD, PARENT) };
    story
        .at(10)
        .tell(What::Exit(child))
        .tell(What::ChildSignal(ChildSignal { target_is_init: true, ..child_signal(CHILD, PARENT) }));
    story.at(50).tell(What::Exit(Exit { is_init: true, ..exit(PARENT, OTHER) })).at(60).frees(CHILD);
    assert_eq!(story.only_end().via, Via::Kernel);
    assert_eq!(story.parenting(PARENT).reaped_late, 0);
}

#[test]
fn a_forged_signal_for_a_child_that_lives_is_nothing() {
    let mut story = Story::of_all();
    story.at(0).forks(PARENT, CHILD).at(10).notifies_of(OTHER, CHILD, PARENT);
    assert!(story.model.process(CHILD).is_some_and(|it| !it.is_dead()));
}

#[test]
fn a_full_table_counts_what_it_does_not_keep_and_stays_consistent() {
    let mut story = Story::with(Config { min_age_ns: 0, started: ms(0), max_processes: 2, ends: false, command: None });
    story.at(10).dies(CHILD, PARENT).dies(OTHER, PARENT).dies(TRACER, INIT);
    assert_eq!(story.model.table.len(), 2);
    assert!(story.model.totals().overflows.of(Bounded::Processes) > 0);
    story.at(20).reaps(PARENT, OTHER).frees(OTHER).reaps(PARENT, CHILD).frees(CHILD);
    assert_eq!((story.model.totals().zombies, story.model.totals().reaped), (1, 1));
    assert_eq!(story.parenting(PARENT).zombies_now, 0);
}
