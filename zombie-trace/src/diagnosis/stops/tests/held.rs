//! PID 1, or what it waits for, could not run.

use super::*;

/// What `/proc` says of a process that is stopped, or frozen; it does not run between two looks.
fn held(state: char, frozen_by: Option<&str>) -> ProcFacts {
    ProcFacts { state, switches: 5, frozen_by: frozen_by.map(str::to_owned), ..catches(&[SIGTERM]) }
}

fn twice(story: &mut Story, process: ProcessKey, facts: &ProcFacts) {
    story.seen(2 * SECOND, process, facts.clone(), None).seen(3 * SECOND, process, facts.clone(), None);
}

#[test]
fn an_init_that_cannot_run_cannot_end() {
    for (state, cgroup, word) in [('T', None, "-CONT"), ('S', Some("/app"), "Thaw /app"), ('D', None, "file system")] {
        let mut story = Story::new();
        story.handled(SECOND, SIGTERM);
        twice(&mut story, INIT, &held(state, cgroup));
        end(&mut story);
        let verdict = verdict(&story).expect("it failed");
        assert_eq!(verdict.cause.id(), "frozen", "{state}");
        assert!(verdict.advice.contains(word), "{verdict:?}");
    }
}

#[test]
fn one_look_or_one_that_ran_again_is_no_proof() {
    let mut story = Story::new();
    story.handled(SECOND, SIGTERM).seen(2 * SECOND, INIT, held('D', None), None);
    end(&mut story);
    assert_eq!(cause(&story), Some("unknown"));
    let mut story = Story::new();
    story.handled(SECOND, SIGTERM);
    twice(&mut story, INIT, &held('T', None));
    story.seen(4 * SECOND, INIT, catches(&[SIGTERM]), None);
    end(&mut story);
    assert_eq!(cause(&story), Some("handler-returned"));
}

#[test]
fn the_child_that_it_waits_for_may_be_the_one_that_cannot_run() {
    for (object, expected) in [(child(), "frozen"), (Object::AnyChild, "frozen"), (Object::Timer, "child-did-not-end")]
    {
        let mut story = Story::new();
        story.forks(1, INIT, CHILD, 2, "worker").handled(SECOND, SIGTERM).forwarded(SECOND + 1, SIGTERM);
        twice(&mut story, CHILD, &held('T', None));
        story.seen(3 * SECOND, INIT, catches(&[SIGTERM]), doing(INIT, "wait4", object.clone()));
        story.killed_init(11 * SECOND).child_exits(11 * SECOND + 1, KILLED).init_is_zombie(11 * SECOND + 2);
        assert_eq!(cause(&story), Some(expected), "{object:?}");
    }
}

#[test]
fn what_the_kernel_dropped_is_not_for_want_of_a_processor() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM);
    twice(&mut story, INIT, &ProcFacts { caught: 0, ..held('T', None) });
    end(&mut story);
    assert_eq!(cause(&story), Some("no-handler"));
}
