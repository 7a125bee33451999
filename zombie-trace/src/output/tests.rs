//! What people and scripts read, as snapshots.

use super::{JsonLines, Palette, Reporter, Text};
use crate::{
    diagnosis::{Cause, StopCause},
    model::{DropReason, LimitKind, Precision, Relation, StopOutcome, Via},
    policy::sample::{at, ended, part, process, report, with_drop, with_zombies},
    report::{
        DamageRecord, ExitRecord, ForkFailureRecord, LimitUsageRecord, Notice, ProcessRecord, Severity, Shortage,
        StopRecord, StuckRecord, ZombieRecord,
    },
};

const TIME: &str = "2026-01-02T03:04:05.678901234Z";

/// A name as it is after escaping: what it would do to a terminal is shown.
fn hostile() -> ProcessRecord {
    process(1200, 9, "a\\x1b[31mpp")
}

fn zombie(pid: u32, preexisting: bool) -> Notice {
    Notice::Zombie(ZombieRecord {
        time: at(TIME),
        process: process(pid, 10, "child"),
        exit: Some(ExitRecord::Code { code: 3 }),
        since: at(TIME),
        age_ns: 1_000_000_000,
        parent: Some(hostile()),
        cause: Cause::NeverWaits,
        evidence: vec!["no wait call by any thread".to_owned()],
        advice: "Wait.".to_owned(),
        preexisting,
        doing: Vec::new(),
        waiters: Vec::new(),
    })
}

/// One notice of each kind, and more zombies of one parent than are told singly.
fn notices() -> Vec<Notice> {
    let zombies = (0..5).map(|pid| zombie(1300 + pid, pid == 0));
    let others = [
        Notice::Reaped {
            waiters: Vec::new(),
            time: at(TIME),
            process: process(1300, 10, "child"),
            exit: Some(ExitRecord::Signal { signal: "SIGSEGV".to_owned(), core_dumped: true }),
            zombie_ns: 2_345_678_901,
            precision: Precision::Exact,
            parent: Some(hostile()),
            reaper: Some(hostile()),
            via: Via::Wait4,
            preexisting: false,
        },
        Notice::AutoReaped {
            time: at(TIME),
            process: process(1400, 11, "job"),
            exit: None,
            parent: Some(hostile()),
            evidence: vec!["SIGCHLD is at SIG_IGN".to_owned()],
        },
        Notice::SignalDropped {
            time: at(TIME),
            signal: "SIGTERM".to_owned(),
            number: 15,
            target: ProcessRecord { ns_pid: Some(1), pid_ns: Some(4_026_532_000), ..process(1500, 12, "web") },
            reason: DropReason::NoHandler,
            sender: Some(process(1600, 13, "kill")),
            relation: Relation::Outside,
        },
        Notice::Loss { time: at(TIME), events: 7 },
    ];
    zombies.chain(others).chain(consequences()).collect()
}

fn web() -> ProcessRecord {
    ProcessRecord { ns_pid: Some(1), pid_ns: Some(4_026_532_000), ..process(1500, 12, "web") }
}

/// What came of zombies and of dropped signals.
fn consequences() -> [Notice; 5] {
    [
        Notice::StatusStolen {
            time: at(TIME),
            process: process(1301, 10, "child"),
            parent: Some(hostile()),
            evidence: vec!["thread 7 had reaped it".to_owned()],
            taken_by: 1202,
            missed_by: 1201,
        },
        Notice::Stuck(StuckRecord {
            time: at(TIME),
            process: process(1700, 14, "leader"),
            since: at(TIME),
            age_ns: 5_000_000_000,
            parent: Some(hostile()),
            cause: Cause::LeaderZombieWithLiveThreads,
            evidence: vec!["1 thread of it lives".to_owned()],
            advice: "See what the thread waits for.".to_owned(),
        }),
        stop().into_notice(at(TIME)),
        Notice::Ended(ended(web())),
        fork_failure().into_notice(),
    ]
}

fn stop() -> StopRecord {
    StopRecord {
        target: web(),
        outcome: StopOutcome::Failed,
        signal: "SIGTERM".to_owned(),
        number: 15,
        sent: at(TIME),
        sender: Some(process(1600, 13, "dockerd")),
        relation: Relation::Outside,
        reason: Some(DropReason::NoHandler),
        received: Some(false),
        took_ns: 10_000_000_000,
        exit: ExitRecord::Signal { signal: "SIGKILL".to_owned(), core_dumped: false },
        killed_by: Some(process(1600, 13, "dockerd")),
        killed_without_term: vec![process(1501, 16, "worker")],
        more_killed_without_term: 3,
        uncertain: false,
        cause: Some(StopCause::NoHandler),
        evidence: vec!["web had no handler for SIGTERM".to_owned(), "web was killed 10 s after SIGTERM".to_owned()],
        advice: Some("Install one.".to_owned()),
        path: vec![part("web", 0), part("worker", 1)],
        more_in_path: 1,
    }
}

fn fork_failure() -> ForkFailureRecord {
    ForkFailureRecord {
        process: process(1800, 15, "bash"),
        errno: "EAGAIN",
        limit: LimitKind::PidsMax,
        path: Some("/app".to_owned()),
        used: Some(1002),
        allowed: Some(1002),
        zombies: 1000,
        parent: Some(hostile()),
        parent_zombies: 1000,
        shortage: Shortage::default(),
        count: 17,
        first: at(TIME),
        last: at(TIME),
    }
}

fn damage() -> DamageRecord {
    DamageRecord {
        zombies: 5,
        limits: vec![LimitUsageRecord {
            kind: LimitKind::PidsMax,
            path: Some("/app".to_owned()),
            used: 900,
            allowed: 1002,
            zombies: 5,
        }],
        growth_per_hour: Some(60),
        exhausted_in_ns: Some(6_120_000_000_000),
        summary: Some("5 of 1002 pids of the cgroup /app are its zombies; at this rate full in 1 h 42 min".to_owned()),
    }
}

fn told(mut output: impl Reporter) {
    for notice in notices() {
        output.notice(&notice).expect("memory takes everything");
    }
    output.flush_suppressed().expect("memory takes everything");
    let init = ProcessRecord { ns_pid: Some(1), ..process(1500, 12, "web") };
    let mut found =
        with_drop(with_zombies(report(), hostile(), "never-waits", 5), init, DropReason::NoHandler, Severity::Error);
    found.parents[0].damage = Some(damage());
    found.stops = vec![stop()];
    found.ended = vec![ended(web())];
    found.fork_failures = vec![fork_failure()];
    output.report(&found).expect("memory takes everything");
}

#[test]
fn text_for_people() {
    let mut out = Vec::new();
    told(Text::new(&mut out, Palette::new(false)));
    insta::assert_snapshot!(String::from_utf8_lossy(&out));
}

#[test]
fn colour_changes_nothing_but_colour() {
    let (mut plain, mut coloured) = (Vec::new(), Vec::new());
    told(Text::new(&mut plain, Palette::new(false)));
    told(Text::new(&mut coloured, Palette::new(true)));
    assert!(!plain.contains(&0x1b) && coloured.contains(&0x1b));
    let stripped = anstream::adapter::strip_bytes(&coloured).into_vec();
    assert_eq!(String::from_utf8_lossy(&stripped), String::from_utf8_lossy(&plain));
}

#[test]
fn json_for_scripts() {
    let mut out = Vec::new();
    told(JsonLines::new(&mut out));
    let lines = String::from_utf8_lossy(&out);
    let objects: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("every line is an object")).collect();
    assert_eq!(objects.last().expect("there are some")["type"], "summary");
    insta::assert_snapshot!(lines);
}
