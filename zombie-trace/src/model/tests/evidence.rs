//! What the model asks, and how often.

use super::story::*;
use crate::event::{Cgroup, Event, Evidence, Fact, KnownBegin, KnownProcess, KnownStop, KnownZombie, PidLimits, What};
use crate::model::{Config, Model, Query};

#[test]
fn every_aged_zombie_is_announced_once_when_the_answer_is_there() {
    let mut story = Story::new();
    story.at(10).dies(CHILD, PARENT).dies(OTHER, PARENT).at(109).ticks();
    assert_eq!((story.aged(), story.inquiries_after(PARENT)), (vec![], 0));
    story.at(110).ticks();
    assert_eq!((story.aged(), story.inquiries_after(PARENT)), (vec![], 1));
    story.answers(PARENT).at(200).ticks().answers(PARENT).at(9_000).ticks();
    assert_eq!(story.aged(), [CHILD, OTHER]);
    // The second question is for a zombie that has become ten times as old; it is not announced again.
    assert_eq!((story.inquiries_after(PARENT), story.cause(CHILD)), (2, Some("never-waits")));
}

#[test]
fn a_thousand_zombies_of_one_parent_raise_few_questions() {
    let mut story = Story::new();
    for number in 0..1_000 {
        story.at(u64::from(number)).dies(process(100 + number), PARENT);
        for _ in story.queries.clone().iter().skip(story.inquiries_after(INIT)) {
            story.queries.push(Query::Process(INIT));
            story.answers(PARENT);
        }
    }
    story.at(2_000).ticks().answers(PARENT);
    assert_eq!(story.aged().len(), 1_000);
    assert!(story.inquiries_after(PARENT) <= 5, "{} questions", story.inquiries_after(PARENT));
}

#[test]
fn a_zombie_that_is_reaped_while_asked_about_is_not_announced() {
    let mut story = Story::new();
    story.at(10).dies(CHILD, PARENT).at(110).ticks().at(120).reaps(PARENT, CHILD).at(125).answers(PARENT);
    assert_eq!(story.aged(), []);
    assert_eq!(story.only_end().zombie_ns, 110 * MS);
    assert!(story.model.awaiting.is_empty());
    story.frees(CHILD).assert_forgotten(CHILD);
}

#[test]
fn a_zombie_that_changes_hands_while_asked_about_is_judged_by_its_new_waiter() {
    let mut story = Story::new();
    story.at(0).forks(PARENT, CHILD).at(10).dies(CHILD, PARENT).at(110).ticks();
    story.at(115).exits(PARENT, OTHER).notifies_of(PARENT, CHILD, INIT).at(120).answers(PARENT);
    assert_eq!((story.aged(), story.inquiries_after(INIT)), (vec![], 0), "its new waiter has a time of its own");
    story.at(215).ticks().answers(INIT);
    assert_eq!((story.aged(), story.cause(CHILD)), (vec![CHILD], Some("init-does-not-reap")));
}

#[test]
fn answers_from_ahead_of_the_ring_age_no_zombie() {
    // What /proc said at 120 is applied before the wait at 90 is read from the ring.
    let mut story = Story::new();
    story.at(10).dies(CHILD, PARENT).at(120).answers(OTHER).finds(seed(OTHER, 1)).has_scanned_since(5);
    story.at(90).reaps(PARENT, CHILD);
    assert_eq!((story.aged(), story.inquiries_after(PARENT)), (vec![], 0));
    assert!(story.ended().is_empty());
}

/// One of each kind, about a process.
fn facts(of: crate::event::ProcessKey) -> [Fact; 9] {
    let limits = PidLimits::unknown(of);
    let evidence =
        Evidence { process: of, observed_since: ms(0), waits: None, proc: None, gaps: Vec::new(), doing: Vec::new() };
    let known = KnownZombie {
        process: of,
        since: ms(1),
        begin: KnownBegin::Exact,
        waiter: of,
        waits_since: ms(1),
        last_loss: None,
        death: None,
        former: Vec::new(),
    };
    let stop = KnownStop {
        process: of,
        namespace: 9,
        attempts: Vec::new(),
        kill: None,
        end: None,
        killed: Vec::new(),
        looks: (0, 0),
        members: Vec::new(),
        more: (0, 0),
        became: None,
        forked: None,
        last_loss: None,
    };
    let facts = [
        Fact::Zombie(Box::new(known)),
        Fact::Process(Box::new(KnownProcess::of(of, None))),
        Fact::Stop(Box::new(stop)),
        Fact::Paused { from: ms(5), until: ms(6) },
        Fact::Limits(Box::new(limits)),
        Fact::Seed(Box::new(seed(of, 1))),
        Fact::SeedDone { began: ms(5) },
        Fact::Cgroup(Cgroup::new(7, "/a".to_owned(), None)),
        Fact::Evidence(Box::new(evidence)),
    ];
    for fact in &facts {
        // A new kind is to be added above.
        match fact {
            Fact::Zombie(_)
            | Fact::Process(_)
            | Fact::Stop(_)
            | Fact::Paused { .. }
            | Fact::Limits(_)
            | Fact::Seed(_)
            | Fact::SeedDone { .. }
            | Fact::Cgroup(_)
            | Fact::Evidence(_) => {}
        }
    }
    facts
}

#[test]
fn no_fact_moves_the_clock_or_ages_a_zombie() {
    for fact in facts(OTHER) {
        let mut story = Story::new();
        // What was looked up at 500 is applied before the wait at 90 is read from the ring.
        story.at(10).dies(CHILD, PARENT).at(500).tell(What::Fact(fact.clone()));
        assert_eq!((story.model.now(), story.inquiries_after(PARENT)), (ms(10), 0), "{fact:?}");
        story.at(90).reaps(PARENT, CHILD).at(600).ticks();
        assert_eq!((story.aged(), story.ended().len()), (vec![], 0), "{fact:?}");
    }
}

#[test]
fn a_cgroup_is_asked_for_once() {
    let mut story = Story::new();
    for pid in [20, 21] {
        story.tell(What::Fork(crate::event::Fork { cgroup: 7, ..fork(PARENT, process(pid)) }));
    }
    assert_eq!(story.queries, [Query::Cgroup(7)]);
}

#[test]
fn cgroups_that_nobody_is_in_any_more_are_forgotten() {
    let mut model = Model::new(Config::default());
    for number in 1..200_000u32 {
        let child = process(number);
        let fork = crate::event::Fork { cgroup: number.into(), ..fork(INIT, child) };
        model.apply(&Event { time: ms(0), what: What::Fork(fork) });
        model.apply(&Event { time: ms(0), what: What::Free(child) });
        model.next_query();
    }
    assert!(model.cgroups.len() < 100_000, "{} cgroups", model.cgroups.len());
}
