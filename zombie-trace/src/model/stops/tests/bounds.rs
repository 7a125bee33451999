//! Many inits, many signals, and what is kept of them.

use super::*;

#[test]
fn memory_is_bounded() {
    let mut story = Story::new();
    for pid in 0..5000 {
        story.signal(SECOND, SIGTERM, |signal| {
            signal.target = ProcessKey { pid: 1000 + pid, start_ns: 1 };
            signal.target_ns.inum = 1000 + pid;
        });
    }
    assert_eq!(story.model.stops.open.len(), MAX_OPEN);
    assert_eq!(story.model.totals().overflows.total(), u64::from(5000 - 4096u32));
    let mut story = Story::new();
    for number in 1..64 {
        story.handled(SECOND, number);
    }
    assert!(story.model.stops.open[&INIT].attempts.len() <= watch::MAX_ATTEMPTS);
    story.dropped(SECOND, SIGTERM).killed_init(2 * SECOND);
    for pid in 0..500 {
        let key = ProcessKey { pid: 2000 + pid, start_ns: 1 };
        story.exit(2 * SECOND + 2, key, KILLED, &[NsPid { nr: 2 + pid, inum: NAMESPACE }]);
    }
    story.init_is_zombie(2 * SECOND + 3);
    assert_eq!(story.only().killed_without_term.len(), watch::MAX_KILLED);
    assert_eq!(story.only().more_killed_without_term, 500 - watch::MAX_KILLED as u64);
}

#[test]
fn inits_that_live_on_make_room_for_others() {
    let mut story = Story::new();
    let mut term = |time, pid| {
        story.signal(time, SIGHUP, |signal| {
            signal.target = ProcessKey { pid: 1000 + pid, start_ns: 1 };
            signal.target_ns.inum = 1000 + pid;
        });
    };
    let many = u32::try_from(MAX_OPEN).unwrap_or(u32::MAX);
    (0..many).for_each(|pid| term(SECOND, pid));
    (0..10).for_each(|pid| term(1000 * SECOND, many + pid));
    assert_eq!((story.model.stops.open.len(), story.model.stops.by_namespace.len()), (10, 10));
    assert_eq!(story.model.totals().overflows.total(), 0);
}

#[test]
fn a_thousand_namespaces_that_are_stopped_at_once_are_each_told() {
    let mut story = Story::new();
    let init = |pid: u32| ProcessKey { pid: 1000 + pid, start_ns: 1 };
    let to = |signal: &mut Signal, pid: u32| (signal.target, signal.target_ns.inum) = (init(pid), 1000 + pid);
    for pid in 0..1000 {
        story.signal(SECOND, SIGTERM, |signal| to(signal, pid));
    }
    for pid in 0..1000 {
        story.signal(2 * SECOND, SIGKILL, |signal| {
            to(signal, pid);
            signal.target_exiting = true;
        });
        let numbers = [NsPid { nr: 1000 + pid, inum: 1 }, NsPid { nr: 1, inum: 1000 + pid }];
        story.exit(2 * SECOND + 1, init(pid), KILLED, &numbers);
        story.event(2 * SECOND + 2, What::Free(init(pid)));
    }
    let told: BTreeSet<_> = story.told().into_iter().map(|stop| stop.target).collect();
    assert_eq!((told.len(), story.model.stops.open.len(), story.model.stops.by_namespace.len()), (1000, 0, 0));
}
