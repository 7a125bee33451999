//! A stop that was in progress when a file of a recording began is told as one that was seen from its begin.

use proptest::prelude::*;

use super::*;
use crate::event::Object;

/// What may happen to a namespace that is being stopped; then it ends.
#[derive(Clone, Copy, Debug)]
enum Happens {
    Handled(u32),
    Dropped(u32),
    Blocked,
    Delivered,
    Forwarded(u32),
    ChildKilled,
    Kill,
    Looked { is_pending: bool },
    Nothing,
}

fn happens() -> impl Strategy<Value = Vec<(u64, Happens)>> {
    let signal = || prop_oneof![Just(SIGTERM), Just(SIGINT), Just(SIGHUP), Just(SIGUSR1), Just(SIGRTMIN + 3)];
    let one = prop_oneof![
        signal().prop_map(Happens::Handled),
        signal().prop_map(Happens::Dropped),
        Just(Happens::Blocked),
        Just(Happens::Delivered),
        signal().prop_map(Happens::Forwarded),
        Just(Happens::ChildKilled),
        Just(Happens::Kill),
        any::<bool>().prop_map(|is_pending| Happens::Looked { is_pending }),
        Just(Happens::Nothing),
    ];
    let gap = prop_oneof![Just(10_000_000), Just(SECOND), Just(6 * SECOND), Just(130 * SECOND)];
    proptest::collection::vec((gap, one), 1..12)
}

impl Happens {
    fn tell(self, story: &mut Story, time: u64) {
        match self {
            Self::Handled(number) => story.handled(time, number),
            Self::Dropped(number) => story.dropped(time, number),
            Self::Blocked => story.blocked(time),
            Self::Delivered => {
                let deliver = Deliver { target: INIT, signal: SIGTERM, code: 0, traced: false };
                story.event(time, What::Deliver(deliver))
            }
            Self::Forwarded(number) => story.forwarded(time, number),
            Self::ChildKilled => story.child_exits(time, KILLED),
            Self::Kill => story.kill(time),
            Self::Looked { is_pending } => story.looks(time, is_pending),
            Self::Nothing => story.event(time, What::Tick),
        };
    }
}

/// What `/proc` shows, of those that have not exited.
fn scan(model: &Model, time: u64) -> Vec<Event> {
    let numbers = |key: ProcessKey| match key {
        INIT => vec![INIT.pid, 1],
        CHILD => vec![CHILD.pid, 2],
        _ => vec![key.pid],
    };
    let seed = |key: ProcessKey, parent: u32, pid_ns: u32| {
        let is_zombie = model.process_of(key).is_some_and(Process::is_dead);
        let mut seed = story::seed(key, parent);
        (seed.process, seed.tick_ns, seed.ns_pids, seed.pid_ns) = (key, 1, numbers(key), pid_ns);
        seed.is_zombie = is_zombie;
        seed.comm = model.process_of(key).map_or(comm("worker"), |it| it.identity.comm);
        Event { time, what: Fact::Seed(Box::new(seed)).into() }
    };
    let mut scan = vec![seed(SHIM, 0, 1), seed(INIT, SHIM.pid, NAMESPACE), seed(CHILD, INIT.pid, NAMESPACE)];
    scan.push(Event { time, what: Fact::SeedDone { began: time }.into() });
    scan
}

fn tally(model: &Model) -> Vec<(u32, DropReason, u64)> {
    let signals = model.process_of(INIT).and_then(|it| it.signals.as_ref());
    signals.map_or_else(Vec::new, |it| it.drops.iter().map(|it| (it.signal, it.reason, it.count)).collect())
}

proptest! {
    #[test]
    fn a_stop_is_told_alike_by_a_model_that_begins_in_the_midst(
        happens in happens(),
        cut in any::<prop::sample::Index>(),
        is_killed in any::<bool>(),
    ) {
        let cut = cut.index(happens.len() + 1);
        let (mut live, mut file) = (Story::new(), Story::new());
        let mut time = 10 * SECOND;
        for &(gap, it) in &happens[..cut] {
            time += gap;
            it.tell(&mut live, time);
        }
        // Whatever was dropped before is told by the file before.
        let before = tally(&live.model);
        time += 1;
        file.model.begin_window(time);
        for event in scan(&live.model, time) {
            live.model.apply(&event);
            file.model.apply(&event);
        }
        for fact in live.model.snapshot() {
            let event = Event { time, what: fact.into() };
            file.model.apply(&event);
            live.model.apply(&event);
        }
        prop_assert_eq!(file.model.stops.known(None), live.model.stops.known(None));
        live.model.stops.done.clear();
        for &(gap, it) in &happens[cut..] {
            time += gap;
            it.tell(&mut live, time);
            it.tell(&mut file, time);
        }
        let status = if is_killed { KILLED } else { ExitStatus::Code(0) };
        for story in [&mut live, &mut file] {
            story.init_exits(time + 1, status).init_is_zombie(time + 2);
        }
        prop_assert_eq!(file.model.stops(), live.model.stops());
        if before.is_empty() {
            prop_assert_eq!(tally(&file.model), tally(&live.model));
        }
    }
}

#[test]
fn a_stop_that_began_before_is_one_stop_with_its_begin() {
    let mut live = Story::new();
    live.dropped(20 * SECOND, SIGTERM);
    let mut file = Story::new();
    for event in scan(&live.model, 25 * SECOND) {
        file.model.apply(&event);
    }
    for fact in live.model.snapshot() {
        file.model.apply(&Event { time: 25 * SECOND, what: fact.into() });
    }
    file.killed_init(30 * SECOND).init_is_zombie(30 * SECOND + 2);
    let stop = file.only();
    assert_eq!((stop.sent, stop.took_ns(), stop.outcome), (20 * SECOND, 10 * SECOND, StopOutcome::Failed));
    assert_eq!((stop.dropped, stop.sender.map(|it| it.process)), (Some(DropReason::NoHandler), Some(SHIM)));
}

#[test]
fn a_look_in_the_next_file_is_compared_with_the_last_one_in_this() {
    let facts = ProcFacts { cmdline: vec!["app".to_owned()], exe: Some("/app".to_owned()), ..ProcFacts::default() };
    let sleeps = || Doing {
        tid: INIT.pid,
        comm: comm("app"),
        state: 'S',
        syscall: Some("poll".to_owned()),
        object: Object::Timer,
        switches: 7,
        since: None,
    };
    let mut live = Story::new();
    live.handled(20 * SECOND, SIGTERM).seen(21 * SECOND, INIT, facts, Some(sleeps()));
    let mut file = Story::new();
    for event in scan(&live.model, 25 * SECOND) {
        file.model.apply(&event);
    }
    for fact in live.model.snapshot() {
        file.model.apply(&Event { time: 25 * SECOND, what: fact.into() });
    }
    // A brief look, which reads neither.
    file.seen(26 * SECOND, INIT, ProcFacts::default(), Some(sleeps()));
    file.killed_init(30 * SECOND).init_is_zombie(30 * SECOND + 2);
    let stop = file.only();
    assert_eq!(stop.identity.cmdline.as_deref(), Some(&["app".to_owned()][..]));
    assert_eq!(stop.identity.exe.as_deref(), Some("/app"));
    let look = stop.look.as_ref().unwrap();
    assert_eq!(look.doing[0].since, Some(21 * SECOND));
}
