//! Stops told by streams of events.

use super::*;
use crate::{
    event::{ChildSignal, Comm, Deliver, Event, Evidence, Fact, Handler, ProcFacts, What},
    model::{Config, tests::story},
    signal,
};

const SECOND: u64 = 1_000_000_000;
const NAMESPACE: u32 = 77;
const INNER_NAMESPACE: u32 = 78;
const INIT: ProcessKey = ProcessKey { pid: 100, start_ns: 1 };
const CHILD: ProcessKey = ProcessKey { pid: 101, start_ns: 2 };
const SHIM: ProcessKey = ProcessKey { pid: 50, start_ns: 3 };
const OTHER: ProcessKey = ProcessKey { pid: 51, start_ns: 4 };

fn comm(name: &str) -> Comm {
    let mut comm = Comm::default();
    comm[..name.len()].copy_from_slice(name.as_bytes());
    comm
}

/// A namespace with an init and a child, stopped by a shim from outside.
struct Story {
    model: Model,
}

impl Story {
    fn new() -> Self {
        Self { model: Model::new(Config::default()) }
    }

    fn event(&mut self, time: u64, what: What) -> &mut Self {
        self.model.apply(&Event { time, what });
        self
    }

    fn signal(&mut self, time: u64, number: u32, change: impl FnOnce(&mut Signal)) -> &mut Self {
        let mut signal = Signal {
            target: INIT,
            target_comm: comm("app"),
            target_ns: NsPid { nr: 1, inum: NAMESPACE },
            sender: SHIM,
            sender_comm: comm("shim"),
            sender_ns: NsPid { nr: 50, inum: 1 },
            sender_uid: 0,
            outcome: SignalOutcome::Delivered,
            handler: Handler::Function,
            ..story::signal(number)
        };
        change(&mut signal);
        self.event(time, What::Signal(signal))
    }

    /// To the init, which has a handler.
    fn handled(&mut self, time: u64, number: u32) -> &mut Self {
        self.signal(time, number, |_| ())
    }

    /// To the init, which has none.
    fn dropped(&mut self, time: u64, number: u32) -> &mut Self {
        self.signal(time, number, |signal| {
            signal.outcome = SignalOutcome::Ignored;
            signal.handler = Handler::Default;
        })
    }

    /// SIGKILL from outside.
    fn kill(&mut self, time: u64) -> &mut Self {
        self.signal(time, SIGKILL, |signal| {
            signal.handler = Handler::Default;
            signal.target_exiting = true;
        })
    }

    /// To the child, as the init forwards it.
    fn forwarded(&mut self, time: u64, number: u32) -> &mut Self {
        self.signal(time, number, |signal| {
            (signal.target, signal.target_comm) = (CHILD, comm("worker"));
            signal.target_ns = NsPid { nr: 2, inum: NAMESPACE };
            (signal.target_is_init, signal.unkillable) = (false, false);
            (signal.sender, signal.sender_inside) = (INIT, true);
        })
    }

    fn exit(&mut self, time: u64, process: ProcessKey, status: ExitStatus, ns: &[NsPid]) -> &mut Self {
        let mut numbers = [NsPid { nr: 0, inum: 0 }; 4];
        numbers[..ns.len()].copy_from_slice(ns);
        let exit = Exit {
            process,
            thread: process.pid,
            parent: if process == INIT { SHIM } else { INIT },
            tracer: None,
            group_dead: true,
            status,
            exit_signal: 17,
            parent_discards: Some(false),
            is_init: ns.len() > 1 && ns[ns.len() - 1].nr == 1,
            is_subreaper: false,
            parent_is_init: process != INIT,
            parent_is_subreaper: false,
            level: 1,
            ns: numbers,
            uid: 0,
            cgroup: 0,
            comm: comm(if process == INIT { "app" } else { "worker" }),
            parent_comm: comm("shim"),
        };
        self.event(time, What::Exit(exit))
    }

    fn child_exits(&mut self, time: u64, status: ExitStatus) -> &mut Self {
        let host = NsPid { nr: CHILD.pid, inum: 1 };
        self.exit(time, CHILD, status, &[host, NsPid { nr: 2, inum: NAMESPACE }])
    }

    /// The init exits and, when its namespace is gone, becomes a zombie.
    fn init_exits(&mut self, time: u64, status: ExitStatus) -> &mut Self {
        self.exit(time, INIT, status, &[NsPid { nr: INIT.pid, inum: 1 }, NsPid { nr: 1, inum: NAMESPACE }])
    }

    fn init_is_zombie(&mut self, time: u64) -> &mut Self {
        let signal = ChildSignal {
            current: INIT,
            child_is_current: true,
            child_nr: INIT.pid,
            target: SHIM,
            target_comm: comm("shim"),
            target_ns: NsPid { nr: SHIM.pid, inum: 1 },
            target_level: 0,
            target_is_init: false,
            target_is_subreaper: false,
            target_exiting: false,
            signal: 17,
            outcome: SignalOutcome::Delivered,
            handler: Handler::Function,
            nocldwait: false,
            blocked: false,
        };
        self.event(time, What::ChildSignal(signal))
    }

    fn killed_init(&mut self, time: u64) -> &mut Self {
        self.kill(time).init_exits(time + 1, KILLED)
    }

    /// What `/proc` says of the init: SIGTERM is blocked, and pending or not.
    fn looks(&mut self, time: u64, is_pending: bool) -> &mut Self {
        let bit = signal::bit(SIGTERM);
        let facts = ProcFacts { blocked: bit, pending: if is_pending { bit } else { 0 }, ..ProcFacts::default() };
        self.event(time, What::Tick);
        let evidence = Evidence { process: INIT, observed_since: 0, waits: None, proc: Some(facts), gaps: Vec::new() };
        self.event(time, What::Fact(Fact::Evidence(Box::new(evidence))))
    }

    fn blocked(&mut self, time: u64) -> &mut Self {
        self.signal(time, SIGTERM, |signal| (signal.handler, signal.blocked) = (Handler::Default, true))
    }

    /// The one stop there was.
    fn only(&self) -> &Stop {
        assert_eq!(self.model.stops().len(), 1, "{:#?}", self.model.stops());
        &self.model.stops()[0]
    }

    fn told(&mut self) -> Vec<Stop> {
        std::iter::from_fn(|| self.model.next_outcome())
            .filter_map(|outcome| match outcome {
                Outcome::StopFailed(stop) => Some(*stop),
                _ => None,
            })
            .collect()
    }
}

const KILLED: ExitStatus = ExitStatus::Signal { signal: 9, core_dumped: false };

#[test]
fn a_dropped_term_and_a_kill_are_a_failed_stop_told_when_the_namespace_is_gone() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM).killed_init(11 * SECOND).child_exits(11 * SECOND + 2, KILLED);
    assert_eq!(story.told(), []);
    story.init_is_zombie(11 * SECOND + 3);
    let told = story.told();
    let stop = story.only();
    assert_eq!(&told[0], stop);
    assert_eq!((stop.outcome, stop.dropped), (StopOutcome::Failed, Some(DropReason::NoHandler)));
    assert_eq!((stop.signal, stop.took_ns()), (SIGTERM, 10 * SECOND));
    assert_eq!(stop.killed_by.map(|it| (it.process, it.comm)), Some((SHIM, comm("shim"))));
    let killed: Vec<_> = stop.killed_without_term.iter().map(|it| (it.process, it.identity.comm)).collect();
    assert_eq!(killed, [(CHILD, comm("worker"))]);
}

#[test]
fn a_term_that_is_dropped_when_the_init_unblocks_it_is_dropped_for_the_stop_too() {
    let mut story = Story::new();
    let delivery = Deliver { target: INIT, signal: SIGTERM, code: 0, traced: false };
    story.signal(SECOND, SIGTERM, |signal| (signal.handler, signal.blocked) = (Handler::Default, true));
    story.event(SECOND + 1000, What::Deliver(delivery)).killed_init(3 * SECOND).init_is_zombie(3 * SECOND + 2);
    assert_eq!(
        (story.only().outcome, story.only().dropped),
        (StopOutcome::Failed, Some(DropReason::DroppedAtDelivery))
    );
}

#[test]
fn who_was_forwarded_the_signal_is_no_victim() {
    for signal in [SIGTERM, 2] {
        let mut story = Story::new();
        story.handled(SECOND, signal).forwarded(SECOND + 5, signal).killed_init(2 * SECOND);
        story.child_exits(2 * SECOND + 2, KILLED).init_is_zombie(2 * SECOND + 3);
        let stop = story.only();
        assert_eq!((stop.outcome, stop.dropped), (StopOutcome::Failed, None), "{signal}");
        assert_eq!(stop.killed_without_term, [], "{signal}");
    }
}

#[test]
fn a_process_of_a_namespace_within_is_a_victim_too() {
    let mut story = Story::new();
    let nested = [NsPid { nr: 101, inum: 1 }, NsPid { nr: 2, inum: NAMESPACE }, NsPid { nr: 1, inum: INNER_NAMESPACE }];
    story.dropped(SECOND, SIGTERM).killed_init(2 * SECOND).exit(2 * SECOND + 2, CHILD, KILLED, &nested);
    story.init_is_zombie(2 * SECOND + 3);
    assert_eq!(story.only().killed_without_term.len(), 1);
}

#[test]
fn a_term_that_ends_the_init_in_time_is_a_clean_stop_and_later_a_slow_one() {
    for (after, outcome) in [(SECOND / 10, StopOutcome::Clean), (7 * SECOND, StopOutcome::Slow)] {
        let mut story = Story::new();
        story.handled(SECOND, SIGTERM).init_exits(SECOND + after, ExitStatus::Code(0)).init_is_zombie(SECOND + after);
        assert_eq!((story.only().outcome, story.only().took_ns()), (outcome, after));
        assert_eq!(story.only().killed_by, None);
        assert_eq!(story.told(), []);
    }
}

#[test]
fn an_init_that_ends_first_takes_unasked_processes_with_it() {
    let mut story = Story::new();
    story.handled(SECOND, SIGTERM).init_exits(SECOND + 5, ExitStatus::Code(0)).child_exits(SECOND + 6, KILLED);
    story.init_is_zombie(SECOND + 7);
    assert_eq!((story.only().outcome, story.only().killed_without_term.len()), (StopOutcome::Clean, 1));
}

#[test]
fn a_kill_alone_is_no_stop() {
    let mut story = Story::new();
    story.killed_init(SECOND).init_is_zombie(SECOND + 2);
    assert_eq!(story.model.stops(), []);
}

#[test]
fn a_reload_that_nothing_follows_is_no_stop() {
    let mut story = Story::new();
    story.handled(SECOND, SIGTERM).handled(SECOND, 1).event(1000 * SECOND, What::Tick);
    assert_eq!(story.model.stops(), []);
    story.killed_init(5000 * SECOND).init_is_zombie(5000 * SECOND + 2);
    assert_eq!(story.model.stops(), []);
}

#[test]
fn a_reload_and_a_kill_by_another_are_no_stop() {
    let mut story = Story::new();
    story.handled(SECOND, 1);
    story.signal(2 * SECOND, SIGKILL, |signal| (signal.sender, signal.sender_comm) = (OTHER, comm("kill")));
    story.init_exits(2 * SECOND + 1, KILLED).init_is_zombie(2 * SECOND + 2);
    assert_eq!(story.model.stops(), []);
}

#[test]
fn the_images_own_stop_signal_counts_if_its_sender_kills_then() {
    for signal in [2, 3, 10, 28, 37] {
        let mut story = Story::new();
        story.handled(SECOND, signal).killed_init(11 * SECOND).init_is_zombie(11 * SECOND + 2);
        assert_eq!((story.only().signal, story.only().outcome), (signal, StopOutcome::Failed));
    }
    // A worker's SIGUSR1 to its init is talk among themselves.
    let mut story = Story::new();
    story.signal(SECOND, 10, |signal| signal.sender_inside = true);
    story.killed_init(11 * SECOND).init_is_zombie(11 * SECOND + 2);
    assert_eq!(story.model.stops(), []);
}

#[test]
fn want_of_memory_is_no_failed_stop() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM);
    story.signal(2 * SECOND, SIGKILL, |signal| signal.from_kernel = true);
    story.init_exits(2 * SECOND + 1, KILLED).init_is_zombie(2 * SECOND + 2);
    assert_eq!(story.model.stops(), []);
}

#[test]
fn a_kill_from_inside_that_is_dropped_is_not_the_end_of_the_grace() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM);
    story.signal(2 * SECOND, SIGKILL, |signal| {
        (signal.outcome, signal.handler) = (SignalOutcome::Ignored, Handler::Default);
        (signal.sender, signal.sender_inside) = (CHILD, true);
    });
    story.killed_init(5 * SECOND).init_is_zombie(5 * SECOND + 2);
    assert_eq!(story.only().killed_by.map(|it| it.process), Some(SHIM));
    assert_eq!(story.only().took_ns(), 4 * SECOND);
}

#[test]
fn an_exit_after_a_dropped_signal_is_a_coincidence() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM).init_exits(2 * SECOND, ExitStatus::Code(0)).init_is_zombie(2 * SECOND + 1);
    assert_eq!(story.model.stops(), []);
}

#[test]
fn repeated_signals_are_one_stop_from_the_first_and_an_old_one_is_another() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM).dropped(1000 * SECOND, SIGTERM).dropped(1001 * SECOND, SIGTERM);
    story.killed_init(1010 * SECOND).init_is_zombie(1010 * SECOND + 2);
    assert_eq!((story.only().took_ns(), story.only().count), (10 * SECOND, 2));
}

#[test]
fn who_was_asked_is_not_claimed_after_a_loss() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM).event(2 * SECOND, What::Loss { events: 3 }).killed_init(3 * SECOND);
    story.child_exits(3 * SECOND + 2, KILLED).init_is_zombie(3 * SECOND + 3);
    assert!(story.only().uncertain);
    assert_eq!(story.only().killed_without_term, []);
}

#[test]
fn a_namespace_that_does_not_go_is_told_of_all_the_same() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM).killed_init(2 * SECOND).event(4 * SECOND, What::Tick);
    assert_eq!(story.model.stops(), []);
    story.event(2 * SECOND + TEARDOWN_NS + 2, What::Tick);
    assert_eq!(story.only().outcome, StopOutcome::Failed);
}

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
fn each_process_is_named_once_however_many_threads_tell_of_its_death() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM).killed_init(2 * SECOND);
    for _ in 0..16 {
        story.child_exits(2 * SECOND + 2, KILLED).init_exits(2 * SECOND + 2, KILLED);
    }
    story.init_is_zombie(2 * SECOND + 3);
    assert_eq!((story.only().killed_without_term.len(), story.only().more_killed_without_term), (1, 0));
}

#[test]
fn only_those_of_this_stop_are_named() {
    let mut story = Story::new();
    // A supervisor reloads, and kills its old workers.
    story.handled(SECOND, SIGHUP);
    for pid in 0..200 {
        let key = ProcessKey { pid: 2000 + pid, start_ns: 1 };
        story.exit(SECOND + 2, key, KILLED, &[NsPid { nr: 200 + pid, inum: NAMESPACE }]);
    }
    story.dropped(2 * SECOND, SIGTERM).killed_init(3 * SECOND).child_exits(3 * SECOND + 2, KILLED);
    story.init_is_zombie(3 * SECOND + 3);
    let named: Vec<_> = story.only().killed_without_term.iter().map(|it| it.process).collect();
    assert_eq!((named, story.only().more_killed_without_term), (vec![CHILD], 0));
}

#[test]
fn who_was_asked_long_ago_was_not_asked_by_this_stop() {
    for (asked, named) in [(SECOND, 1), (99 * SECOND + SECOND / 2, 0)] {
        let mut story = Story::new();
        story.forwarded(asked, SIGTERM).handled(100 * SECOND, SIGTERM).killed_init(101 * SECOND);
        story.child_exits(101 * SECOND + 2, KILLED).init_is_zombie(101 * SECOND + 3);
        assert_eq!(story.only().killed_without_term.len(), named, "{asked}");
    }
}

#[test]
fn who_is_forwarded_a_signal_of_which_nothing_is_seen_is_not_said_to_be_left_out() {
    let mut story = Story::new();
    story.handled(SECOND, SIGUSR1).killed_init(2 * SECOND).child_exits(2 * SECOND + 2, KILLED);
    story.init_is_zombie(2 * SECOND + 3);
    assert_eq!((story.only().killed_without_term.len(), story.only().more_killed_without_term), (0, 0));
}

#[test]
fn a_signal_to_its_own_group_is_no_stop() {
    let mut story = Story::new();
    story.signal(SECOND, SIGTERM, |signal| {
        (signal.outcome, signal.handler) = (SignalOutcome::Ignored, Handler::Ignore);
        (signal.sender, signal.sender_inside) = (INIT, true);
    });
    story.killed_init(3 * SECOND).init_is_zombie(3 * SECOND + 2);
    assert_eq!(story.model.stops(), []);
}

#[test]
fn a_signal_that_is_ignored_by_default_is_no_stop() {
    for handler in [Handler::Default, Handler::Ignore] {
        let mut story = Story::new();
        story.signal(SECOND, SIGWINCH, |signal| {
            (signal.outcome, signal.handler) = (SignalOutcome::Ignored, handler);
        });
        story.killed_init(SECOND + SECOND / 2).init_is_zombie(2 * SECOND);
        assert_eq!(story.model.stops(), [], "{handler:?}");
    }
}

#[test]
fn one_that_a_process_inside_sent_long_before_a_kill_is_no_stop() {
    for (killed, stops) in [(60, 1), (1000, 0)] {
        let mut story = Story::new();
        story.signal(SECOND, SIGTERM, |signal| {
            (signal.outcome, signal.handler) = (SignalOutcome::Ignored, Handler::Default);
            (signal.sender, signal.sender_inside) = (CHILD, true);
        });
        story.killed_init(killed * SECOND).init_is_zombie(killed * SECOND + 2);
        assert_eq!(story.model.stops().len(), stops);
    }
}

#[test]
fn kill_by_hand_of_two_people_is_two_matters() {
    let shell = |pid| Some(ProcessKey { pid, start_ns: 9 });
    for (second, stops) in [(60, 1), (61, 0)] {
        let mut story = Story::new();
        for (pid, parent) in [(70, 60), (71, second)] {
            let sender = ProcessKey { pid, start_ns: 10 };
            for key in [sender, ProcessKey { pid: parent, start_ns: 9 }] {
                story.model.enter(key, SECOND);
            }
            let parent = shell(parent);
            story.model.table.get_mut(sender).expect("it was found").parent = parent;
        }
        story.signal(2 * SECOND, SIGUSR1, |signal| {
            (signal.sender, signal.sender_comm) = (ProcessKey { pid: 70, start_ns: 10 }, comm("kill"));
        });
        story.signal(3 * SECOND, SIGKILL, |signal| {
            (signal.sender, signal.sender_comm) = (ProcessKey { pid: 71, start_ns: 10 }, comm("kill"));
            signal.target_exiting = true;
        });
        story.init_exits(3 * SECOND + 1, KILLED).init_is_zombie(3 * SECOND + 2);
        assert_eq!(story.model.stops().len(), stops, "{second}");
    }
}

#[test]
fn a_blocked_term_that_is_taken_late_is_a_clean_stop() {
    let mut story = Story::new();
    story.blocked(SECOND).looks(SECOND + SECOND / 20, true).looks(2 * SECOND, true);
    story.init_exits(2 * SECOND + SECOND / 2, ExitStatus::Code(0)).init_is_zombie(3 * SECOND);
    assert_eq!((story.only().outcome, story.only().dropped), (StopOutcome::Clean, None));
}

#[test]
fn a_blocked_term_that_nobody_takes_is_the_reason_of_a_failed_stop_however_soon() {
    let mut story = Story::new();
    story.blocked(SECOND).looks(SECOND + SECOND / 20, true).looks(SECOND + SECOND / 2, true);
    story.killed_init(SECOND + 3 * SECOND / 5).init_is_zombie(2 * SECOND);
    let stop = story.only();
    assert_eq!((stop.dropped, stop.received), (Some(DropReason::Blocked), Some(false)));
}

#[test]
fn a_blocked_term_that_nobody_looked_for_is_not_said_to_be_received() {
    let mut story = Story::new();
    story.blocked(SECOND).killed_init(SECOND + SECOND / 100).init_is_zombie(2 * SECOND);
    assert_eq!((story.only().dropped, story.only().received), (None, None));
}

#[test]
fn a_blocked_term_that_is_taken_is_received() {
    let mut story = Story::new();
    story.blocked(SECOND).looks(SECOND + SECOND / 20, false).killed_init(11 * SECOND).init_is_zombie(12 * SECOND);
    assert_eq!((story.only().dropped, story.only().received), (None, Some(true)));
}

#[test]
fn a_term_that_was_dropped_before_the_handler_was_there_is_received_the_second_time() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM).handled(2 * SECOND, SIGTERM);
    story.init_exits(3 * SECOND, ExitStatus::Code(0)).init_is_zombie(3 * SECOND + 1);
    assert_eq!((story.only().outcome, story.only().dropped), (StopOutcome::Clean, None));
}

#[test]
fn what_the_handler_raises_in_vain_is_not_what_was_sent() {
    let mut story = Story::new();
    story.handled(SECOND, SIGTERM);
    story.signal(SECOND + 5, SIGTERM, |signal| {
        (signal.outcome, signal.handler) = (SignalOutcome::Ignored, Handler::Default);
        (signal.sender, signal.sender_inside) = (INIT, true);
    });
    story.killed_init(11 * SECOND).init_is_zombie(12 * SECOND);
    assert_eq!((story.only().dropped, story.only().received, story.only().count), (None, Some(true), 1));
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
    let told: std::collections::BTreeSet<_> = story.told().into_iter().map(|stop| stop.target).collect();
    assert_eq!((told.len(), story.model.stops.open.len(), story.model.stops.by_namespace.len()), (1000, 0, 0));
}
