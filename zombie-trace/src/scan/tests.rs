use super::*;
use crate::{
    event::{Comm, ExitStatus},
    report::ExitRecord,
    signal,
};

fn seed(pid: u32, parent_pid: u32, comm: &[u8]) -> Seed {
    let mut name = Comm::default();
    name[..comm.len()].copy_from_slice(comm);
    Seed {
        process: ProcessKey { pid, start_ns: u64::from(pid) * 1_000_000_000 },
        tick_ns: 10_000_000,
        parent_pid,
        tracer: None,
        comm: name,
        is_zombie: false,
        threads: 1,
        status: None,
        ns_pids: vec![pid],
        pid_ns: 7,
        uid: 1000,
        cgroup: 0,
        exe: None,
        cmdline: vec![],
    }
}

fn zombie(pid: u32, parent_pid: u32) -> Seed {
    Seed { is_zombie: true, status: Some(ExitStatus::Code(1)), ..seed(pid, parent_pid, b"gone") }
}

/// All zombies at the first look still are at the second.
fn observation(first: Vec<Seed>) -> Observation {
    let second = first.iter().filter(|seed| seed.is_zombie).cloned().collect();
    Observation { now: 100_000_000_000, first, second, ..Observation::default() }
}

fn with_init(facts: ProcFacts, takers: SignalReaders) -> Observation {
    let init = Seed { ns_pids: vec![50, 1], ..seed(50, 10, b"app") };
    let process = init.process;
    let facts = ProcFacts { pid_ns: 4_026_532_000, ..facts };
    Observation { inits: vec![Init { process, facts, takers }], ..observation(vec![init]) }
}

const SEEN: SignalReaders = SignalReaders { main_thread: Some(0), threads: 0, signalfd: Some(0) };

fn verdict(report: &Report, signal: &str) -> (Verdict, Option<Reason>, Option<&'static str>) {
    let record = report.inits[0].signals.iter().find(|record| record.signal == signal).unwrap();
    (record.verdict, record.reason, record.fetched_by)
}

/// For the snapshots of the output.
pub(crate) fn a_bit_of_everything() -> Observation {
    let mut parent = Seed { ns_pids: vec![11, 1], ..seed(11, 9, b"na\xc3\xafve)\n\x1b[31m") };
    parent.cmdline = vec!["/srv/app".into(), "--serve".into()];
    let mut all = vec![parent, seed(10, 1, b"few"), seed(12, 1, b"gdb")];
    all.extend((30..40).map(|pid| zombie(pid, 11)));
    all.push(Seed { status: Some(ExitStatus::Signal { signal: 9, core_dumped: false }), ..zombie(40, 11) });
    all.push(Seed { tracer: Some(12), ..zombie(41, 10) });
    all.push(Seed { threads: 3, status: None, ..zombie(42, 10) });
    all.push(zombie(43, 0));
    let mut observation = observation(all);
    observation.second.pop();
    observation.second.push(Seed { status: None, ..zombie(44, 0) });
    observation.first.push(observation.second.last().cloned().unwrap());
    observation.time = "2026-01-02T03:04:05.000000006Z".into();
    observation.host = "node".into();
    observation.kernel = "6.12.0".into();
    let parent = observation.first[0].process;
    let id = "3f2a91c04b7e".repeat(6);
    let path = format!("/docker/{}", &id[..64]);
    let container = crate::container::container(&path).unwrap();
    observation.containers.insert(parent, container);
    let facts = ProcFacts {
        pid_ns: 4_026_532_000,
        caught: signal::bit(signal::SIGHUP),
        ignored: signal::bit(signal::SIGINT),
        blocked: signal::bit(signal::SIGUSR1) | signal::bit(signal::SIGUSR2),
        ..ProcFacts::default()
    };
    let takers = SignalReaders { signalfd: Some(signal::bit(signal::SIGUSR2)), ..SEEN };
    observation.inits.push(Init { process: parent, facts, takers });
    for pid in 30..41 {
        let process = ProcessKey { pid, start_ns: u64::from(pid) * 1_000_000_000 };
        let usage = PidsUsage { path: path.clone(), current: 14, max: Some(16), refused: 0 };
        observation.cgroups.insert(process, vec![usage]);
    }
    observation.process_limits.insert(parent, 500);
    observation.tasks = Some((200, 32_768));
    observation
}

#[test]
fn nothing_is_no_finding() {
    let report = Report::new(&observation(vec![seed(10, 1, b"sh")]));
    assert!(!report.has_findings());
    assert!(report.zombies.is_empty() && report.parents.is_empty() && report.limits.is_empty());
}

#[test]
fn the_parent_with_most_zombies_comes_first() {
    let mut all = vec![seed(10, 1, b"few"), seed(11, 1, b"many"), zombie(20, 10)];
    all.extend((30..33).map(|pid| zombie(pid, 11)));
    let report = Report::new(&observation(all));
    let parents: Vec<_> =
        report.parents.iter().map(|parent| (parent.process.as_ref().unwrap().comm.as_str(), parent.zombies)).collect();
    assert_eq!(parents, [("many", 3), ("few", 1)]);
    let pids: Vec<_> = report.zombies.iter().map(|zombie| zombie.process.pid).collect();
    assert_eq!(pids, [30, 31, 32, 20]);
    assert_eq!(report.zombies[0].exit, Some(ExitRecord::Code { code: 1 }));
    assert_eq!(report.zombies[0].process_age_ns, 70_000_000_000);
    assert!(report.has_findings());
}

#[test]
fn a_zombie_seen_once_is_counted_and_no_finding() {
    let mut observation = observation(vec![seed(10, 1, b"sh"), zombie(20, 10), zombie(21, 10)]);
    // One is reaped; the other's pid has a new owner, which is a zombie, too.
    observation.second.remove(0);
    observation.second[0].process.start_ns += 1;
    let report = Report::new(&observation);
    assert_eq!((report.zombies.len(), report.transient), (0, 2));
    assert!(!report.has_findings());
}

#[test]
fn a_parent_outside_the_namespace_is_nobody() {
    let report = Report::new(&observation(vec![zombie(20, 0)]));
    assert_eq!((&report.zombies[0].parent, &report.parents[0].process), (&None, &None));
    assert_eq!(report.parents[0].zombies, 1);
}

#[test]
fn a_tracer_and_live_threads_are_named() {
    let mut all = vec![seed(10, 1, b"sh"), seed(11, 1, b"gdb"), zombie(20, 10), zombie(21, 10), zombie(22, 11)];
    all[2].tracer = Some(11);
    all[3].threads = 4;
    all[4].tracer = Some(11);
    let report = Report::new(&observation(all));
    assert_eq!(report.zombies[0].tracer.as_ref().unwrap().comm, "gdb");
    assert_eq!(report.zombies[1].live_threads, 3);
    // A parent that traces its own child is just its parent.
    assert_eq!(report.zombies[2].tracer, None);
}

#[test]
fn a_dead_thread_in_a_tracers_hands_is_no_living_one() {
    let mut all = vec![seed(10, 1, b"sh"), seed(11, 1, b"gdb"), zombie(20, 10), zombie(21, 10)];
    (all[2].threads, all[3].threads) = (2, 3);
    let mut observation = observation(all);
    let task = |tid, state, tracer| Task { tid, state, comm: Comm::default(), wait_channel: None, tracer };
    let process = |pid: u32| ProcessKey { pid, start_ns: u64::from(pid) * 1_000_000_000 };
    observation.threads.insert(process(20), vec![task(20, 'Z', None), task(25, 'Z', Some(11))]);
    observation.threads.insert(process(21), vec![task(21, 'Z', None), task(26, 'Z', Some(99)), task(27, 'S', None)]);
    let report = Report::new(&observation);
    let held = |zombie: &ZombieRecord| {
        let tracer = |held: &HeldThread| held.tracer.as_ref().map(|tracer| tracer.comm.clone());
        zombie.held_threads.iter().map(|it| (it.tid, tracer(it))).collect::<Vec<_>>()
    };
    assert_eq!(report.zombies[0].live_threads, 0);
    assert_eq!(held(&report.zombies[0]), [(25, Some("gdb".to_owned()))]);
    assert_eq!((report.zombies[1].live_threads, held(&report.zombies[1])), (1, vec![(26, None)]));
}

#[test]
fn what_a_trace_calls_an_error_is_a_finding_and_nothing_else() {
    let all = signal::bit(signal::SIGTERM);
    let handled = ProcFacts { caught: u64::MAX, ..ProcFacts::default() };
    for (facts, expected) in [
        (ProcFacts { caught: !all, ..ProcFacts::default() }, true),
        (ProcFacts { caught: !all, ignored: all, ..ProcFacts::default() }, false),
        (ProcFacts { caught: !all, blocked: all, ..ProcFacts::default() }, false),
        (ProcFacts { caught: all, ..ProcFacts::default() }, false),
        (handled, false),
    ] {
        let report = Report::new(&with_init(facts.clone(), SEEN));
        assert_eq!(report.inits[0].finding, expected, "{facts:?}");
    }
}

#[test]
fn who_could_not_be_looked_at_again_is_not_called_reaped() {
    let mut observation = observation(vec![seed(10, 1, b"sh"), zombie(20, 10), zombie(21, 10)]);
    observation.second.clear();
    observation.unsure = 1;
    assert_eq!(Report::new(&observation).transient, 1);
}

#[test]
fn names_are_escaped() {
    let mut all = vec![seed(10, 1, b"a\x1b[2J\xff"), zombie(20, 10)];
    all[0].cmdline = vec!["x\n".into(), "\u{202e}y".into()];
    let report = Report::new(&observation(all));
    let parent = report.zombies[0].parent.as_ref().unwrap();
    assert_eq!(parent.comm, "a\\x1b[2J\\xff");
    assert_eq!(parent.cmdline.as_deref(), Some("x\\n \\u{202e}y"));
}

#[test]
fn an_init_without_handlers_drops_sigterm() {
    let report = Report::new(&with_init(ProcFacts::default(), SEEN));
    assert_eq!(verdict(&report, "SIGTERM"), (Verdict::Dropped, Some(Reason::NoHandler), None));
    assert!(report.has_findings() && !report.inits[0].is_host);
    assert!(report.inits[0].signals.iter().all(|record| record.signal != "SIGWINCH"));
}

#[test]
fn the_machines_own_init_is_never_a_finding() {
    let mut observation = with_init(ProcFacts::default(), SEEN);
    observation.inits[0].facts.pid_ns = 4_026_531_836;
    let report = Report::new(&observation);
    assert!(report.inits[0].is_host && !report.has_findings());
}

#[test]
fn each_disposition_has_its_verdict() {
    let facts = ProcFacts {
        caught: signal::bit(signal::SIGTERM),
        ignored: signal::bit(signal::SIGHUP),
        blocked: signal::bit(signal::SIGUSR1) | signal::bit(signal::SIGTERM) | signal::bit(signal::SIGUSR2),
        ..ProcFacts::default()
    };
    let takers = SignalReaders { signalfd: Some(signal::bit(signal::SIGUSR2) | signal::bit(signal::SIGINT)), ..SEEN };
    let report = Report::new(&with_init(facts, takers));
    assert_eq!(verdict(&report, "SIGTERM"), (Verdict::Handled, None, None));
    assert_eq!(verdict(&report, "SIGHUP"), (Verdict::Dropped, Some(Reason::Ignored), None));
    assert_eq!(verdict(&report, "SIGUSR1"), (Verdict::Blocked, Some(Reason::Blocked), None));
    assert_eq!(verdict(&report, "SIGUSR2"), (Verdict::Fetched, None, Some("signalfd")));
    // A signalfd gets nothing unless the signal is blocked: it is dropped before.
    assert_eq!(verdict(&report, "SIGINT"), (Verdict::Dropped, Some(Reason::NoHandler), None));
    assert!(!report.has_findings());
}

#[test]
fn an_init_at_rest_in_sigwait_drops_nothing_that_it_waits_for() {
    // tini: all is blocked, but the kernel unblocks it while it waits.
    let term = signal::bit(signal::SIGTERM);
    let takers = SignalReaders { main_thread: Some(term), threads: term, signalfd: Some(0) };
    let report = Report::new(&with_init(ProcFacts::default(), takers));
    assert_eq!(verdict(&report, "SIGTERM"), (Verdict::Fetched, None, Some("sigwait")));
    assert_eq!(verdict(&report, "SIGUSR1").0, Verdict::Dropped);
    assert!(!report.has_findings());
}

#[test]
fn what_may_be_waited_for_is_not_called_dropped() {
    let takers = SignalReaders { main_thread: None, ..SEEN };
    let report = Report::new(&with_init(ProcFacts::default(), takers));
    assert_eq!(verdict(&report, "SIGTERM"), (Verdict::Unknown, None, None));
    assert!(!report.has_findings());
}

#[test]
fn limits_say_what_zombies_take_and_the_fullest_comes_first() {
    let mut observation = observation(vec![seed(10, 1, b"app"), zombie(20, 10), zombie(21, 10)]);
    let usage = |path: &str, current, max| PidsUsage { path: path.into(), current, max, refused: 0 };
    let chain = vec![usage("/app/inner", 3, None), usage("/app", 9, Some(10)), usage("/", 100, None)];
    observation.cgroups.insert(observation.first[1].process, chain.clone());
    observation.cgroups.insert(observation.first[2].process, chain);
    observation.process_limits.insert(observation.first[0].process, 6);
    observation.tasks = Some((200, 32_768));
    let report = Report::new(&observation);
    let limits: Vec<_> =
        report.limits.iter().map(|limit| (limit.limit, limit.used, limit.allowed, limit.zombies)).collect();
    assert_eq!(
        limits,
        [(LimitKind::Cgroup, 9, 10, 2), (LimitKind::User, 3, 6, 2), (LimitKind::Machine, 200, 32_768, 2)]
    );
    assert_eq!(report.limits[0].cgroup.as_deref(), Some("/app"));
}

#[test]
fn root_is_not_held_to_a_limit_on_processes() {
    let mut observation = observation(vec![Seed { uid: 0, ..seed(10, 1, b"app") }, zombie(20, 10)]);
    observation.process_limits.insert(observation.first[0].process, 6);
    assert!(Report::new(&observation).limits.is_empty());
}
