//! Who is looked at while a stop is under way, and what is kept of it.

use super::*;

const GRANDCHILD: ProcessKey = ProcessKey { pid: 102, start_ns: 5 };
const STRANGER: ProcessKey = ProcessKey { pid: 103, start_ns: 6 };

fn facts(caught: u32) -> ProcFacts {
    ProcFacts { state: 'S', caught: signal::bit(caught), ..ProcFacts::default() }
}

/// A namespace with a child and a grandchild that is stopped, and a process that is not in it.
fn tree() -> Story {
    let mut story = Story::new();
    story.forks(1, INIT, CHILD, 2, "worker").forks(2, CHILD, GRANDCHILD, 3, "helper");
    story.event(
        3,
        What::Fork(Fork {
            forker: SHIM,
            child: STRANGER,
            parent_pid: SHIM.pid,
            ns: NsPid { nr: 103, inum: 1 },
            level: 0,
            cgroup: 0,
            uid: 0,
            comm: comm("other"),
        }),
    );
    story.asked_after();
    story
}

#[test]
fn while_nothing_has_ended_the_namespace_is_looked_at() {
    let mut story = tree();
    story.handled(SECOND, SIGTERM).event(SECOND + SECOND / 10, What::Tick);
    assert_eq!(story.asked_after(), [], "a stop that takes no time costs nothing");
    story.event(SECOND + SECOND / 2, What::Tick);
    assert_eq!(story.asked_after(), [INIT, CHILD, GRANDCHILD]);
    story.event(1000 * SECOND, What::Tick);
    assert_eq!(story.asked_after().len(), 4 * 3, "and a few times more, however long it takes");
}

#[test]
fn a_thousand_stops_at_once_are_not_all_looked_at() {
    let mut story = Story::new();
    for pid in 0..1000 {
        story.signal(SECOND, SIGTERM, |signal| {
            signal.target = ProcessKey { pid: 1000 + pid, start_ns: 1 };
            signal.target_ns.inum = 1000 + pid;
        });
    }
    story.event(SECOND + SECOND / 2, What::Tick);
    assert_eq!(story.asked_after().len(), 500, "others are to be judged as well");
    story.event(2 * SECOND + SECOND / 2, What::Tick);
    assert_eq!(story.asked_after().len(), 500, "in each second");
}

#[test]
fn who_has_ended_is_not_looked_at() {
    let mut story = tree();
    story.handled(SECOND, SIGTERM).init_exits(SECOND + 5, ExitStatus::Code(0)).event(SECOND + SECOND / 2, What::Tick);
    assert_eq!(story.asked_after(), []);
}

#[test]
fn the_path_holds_who_was_asked_or_killed_and_what_they_had() {
    let mut story = tree();
    story.handled(SECOND, SIGTERM).forwarded(SECOND + 5, SIGTERM);
    story.seen(2 * SECOND, GRANDCHILD, facts(SIGTERM), None).seen(2 * SECOND, STRANGER, facts(SIGTERM), None);
    story.killed_init(11 * SECOND).child_exits(11 * SECOND + 2, KILLED);
    let numbers = [NsPid { nr: GRANDCHILD.pid, inum: 1 }, NsPid { nr: 3, inum: NAMESPACE }];
    story.exit(11 * SECOND + 3, GRANDCHILD, KILLED, &numbers).init_is_zombie(11 * SECOND + 4);
    let stop = story.only();
    let path: Vec<_> = stop.path.iter().map(|it| (it.process, it.asked.map(|it| it.signal), it.end)).collect();
    assert_eq!(
        path,
        [(CHILD, Some(SIGTERM), Some((11 * SECOND + 2, KILLED))), (GRANDCHILD, None, Some((11 * SECOND + 3, KILLED)))]
    );
    assert_eq!(stop.path[0].asked.and_then(|it| it.disposition), Some(Disposition::Handler));
    assert_eq!(stop.path[0].asked.and_then(|it| it.sender).map(|it| it.process), Some(INIT));
    let look = stop.path[1].look.as_ref().expect("it was looked at");
    assert_eq!((look.at, look.disposition(SIGTERM)), (2 * SECOND, Disposition::Handler));
    assert_eq!(look.disposition(SIGINT), Disposition::Default);
}

#[test]
fn who_ended_by_itself_and_was_not_asked_has_no_part_in_it() {
    let mut story = tree();
    story.handled(SECOND, SIGTERM).seen(2 * SECOND, CHILD, facts(SIGTERM), None);
    story.child_exits(3 * SECOND, ExitStatus::Code(0)).killed_init(11 * SECOND).init_is_zombie(11 * SECOND + 4);
    assert_eq!(story.only().path, []);
}

#[test]
fn a_look_after_the_end_tells_nothing_of_the_time_before() {
    let mut story = tree();
    story.handled(SECOND, SIGTERM).seen(2 * SECOND, INIT, facts(SIGTERM), None);
    // It was read when the events of the end were still on their way.
    story.seen(12 * SECOND, INIT, facts(SIGINT), None);
    story.killed_init(11 * SECOND).init_is_zombie(11 * SECOND + 4);
    assert_eq!(story.only().look.as_ref().map(|look| look.at), Some(2 * SECOND));
}

#[test]
fn many_processes_of_a_stop_take_bounded_memory() {
    let mut story = tree();
    story.handled(SECOND, SIGTERM).kill(2 * SECOND);
    for nr in 0..1000 {
        let key = ProcessKey { pid: 2000 + nr, start_ns: 10 };
        story.exit(
            2 * SECOND + 2,
            key,
            KILLED,
            &[NsPid { nr: 2000 + nr, inum: 1 }, NsPid { nr: 9 + nr, inum: NAMESPACE }],
        );
    }
    story.init_exits(2 * SECOND + 3, KILLED).init_is_zombie(2 * SECOND + 4);
    let stop = story.only();
    assert_eq!(stop.path.len() as u64 + stop.more_in_path, 1000);
    assert!(stop.path.len() <= path::MAX_MEMBERS + 1, "{}", stop.path.len());
}
