//! A filter says of its processes what a tracer of the whole machine says of them: both run side by side.

use std::collections::{BTreeMap, BTreeSet};

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Event, Line, TestResult, Tracer, binaries, require, tests};

use super::{about, soon, tracer, tracer_of_all};

pub(crate) fn all() -> Vec<Test> {
    tests![
        what_an_init_adopts_from_outside_is_told_whole,
        a_command_whose_pids_are_used_again_is_told_as_without_a_filter,
        a_storm_of_one_pid_under_a_filter_leaves_no_zombie,
        who_reaps_a_followed_process_from_outside_is_named,
    ]
}

/// What is said of the end of a zombie, less the times, which two tracers read at slightly different moments.
type End = (Option<i64>, Option<i32>, Option<String>, Option<String>);

fn ends(events: &[Event], pids: &BTreeSet<i32>) -> BTreeMap<i32, End> {
    let text = |event: &Event, pointer: &str| event.text(pointer).map(str::to_owned);
    events
        .iter()
        .filter(|event| event.is("reaped"))
        .filter_map(|event| {
            let pid = event.pid().filter(|pid| pids.contains(pid))?;
            let end = (event.exit_code(), event.pid_of("reaper"), text(event, "/precision"), text(event, "/via"));
            Some((pid, end))
        })
        .collect()
}

fn what_an_init_adopts_from_outside_is_told_whole() -> TestResult {
    require::tracing()?;
    let whole = tracer_of_all();
    let mut actor = Actor::spawn(["adopting-init"]);
    let init = actor.line("init").pid();
    actor.line("ready");
    let filtered = Tracer::live(["--min-age", "0", "--pid", &init.to_string()]).start();
    // The call in which PID 1 waits began before the second tracer did: that one reap is known less well.
    actor.order("enter 1");
    let first = actor.line("adopted").pid();
    filtered.expect("the end of the first", soon(), about("reaped", first));
    actor.order("enter 100");
    actor.lines("entered", 2);
    let adopted: BTreeSet<i32> = actor.lines("adopted", 100).iter().map(Line::pid).collect();
    for &pid in &adopted {
        whole.expect("the end of an adopted process", soon(), about("reaped", pid));
        filtered.expect("the end of an adopted process", soon(), about("reaped", pid));
    }
    let (whole, filtered) = (whole.stop(), filtered.stop());
    filtered.has_lost_nothing();
    let told = ends(&filtered.events, &adopted);
    // Of the machine's processes another one may have had one of these pids since.
    let of_init: Vec<Event> = whole.having(|event| event.pid_of("parent") == Some(init)).cloned().collect();
    assert_eq!(told, ends(&of_init, &adopted));
    assert_eq!(told.keys().copied().collect::<BTreeSet<_>>(), adopted);
    assert!(told.values().all(|(code, reaper, ..)| (*code, *reaper) == (Some(3), Some(init))), "{told:?}");
    // Their own children, too, and nothing is left over.
    assert_eq!(filtered.summary.number("/totals/zombies"), Some(202), "{}", filtered.summary);
    assert_eq!(filtered.summary.number("/totals/zombies_now"), Some(0), "{}", filtered.summary);
    Ok(())
}

fn a_command_whose_pids_are_used_again_is_told_as_without_a_filter() -> TestResult {
    require::tracing()?;
    let whole = tracer();
    let actor = binaries::actor().to_string_lossy();
    let script = r#"exec "$@" >&2"#;
    let arguments = ["--min-age", "200ms", "--", "sh", "-c", script, "sh", &actor, "pid-reuse", "--times", "4"];
    let mut filtered = Tracer::live([&arguments[..], &["--neglect-ms", "700"]].concat()).start();
    filtered.expect_stderr("the command's ready", soon(), |line| line == "ready");
    let lines: Vec<Line> = filtered.stderr().into_iter().map(Line::new).collect();
    let pids = |word| lines.iter().filter(|line| line.word() == word).map(Line::pid).collect::<Vec<_>>();
    let (children, shared) = (pids("child"), pids("incarnation"));
    assert_eq!((children.len(), shared.iter().collect::<BTreeSet<_>>().len()), (4, 1), "{lines:?}");
    for tracer in [&whole, &filtered] {
        for &child in &children {
            tracer.expect("a child that was let wait", soon(), about("zombie", child));
            tracer.expect("its end", soon(), about("reaped", child));
        }
    }
    filtered.close_stdin();
    let (filtered, whole) = (filtered.finish(soon()), whole.stop());
    for finished in [&filtered, &whole] {
        finished.never("one that was reaped at once", |event| event.is("zombie") && event.pid() == Some(shared[0]));
    }
    let children: BTreeSet<i32> = children.into_iter().collect();
    assert_eq!(ends(&filtered.events, &children), ends(&whole.events, &children));
    Ok(())
}

fn a_storm_of_one_pid_under_a_filter_leaves_no_zombie() -> TestResult {
    require::tracing()?;
    let actor = binaries::actor().to_string_lossy();
    let script = r#"exec "$@" >&2"#;
    let arguments = ["--min-age", "0", "--", "sh", "-c", script, "sh", &actor, "pid-reuse", "--times", "300"];
    let mut tracer = Tracer::live(arguments).start();
    tracer.expect_stderr("the command's ready", soon(), |line| line == "ready");
    let lines: Vec<Line> = tracer.stderr().into_iter().map(Line::new).collect();
    let shared = lines.iter().find(|line| line.word() == "incarnation").map(Line::pid).expect("it has said so");
    tracer.expect_many("the end of each", 300, soon(), about("reaped", shared));
    tracer.close_stdin();
    let finished = tracer.finish(soon());
    finished.has_lost_nothing();
    let exact = finished.having(about("reaped", shared)).filter(|event| event.text("/precision") == Some("exact"));
    assert_eq!(exact.count(), 300);
    assert_eq!(finished.summary.number("/totals/zombies_now"), Some(0), "{}", finished.summary);
    Ok(())
}

fn who_reaps_a_followed_process_from_outside_is_named() -> TestResult {
    require::tracing()?;
    // Its parent is no descendant of it, and so not followed.
    let mut parent = Actor::spawn(["stopped-child"]);
    let child = parent.line("child").pid();
    parent.line("ready");
    let tracer = Tracer::live(["--min-age", "0", "--pid", &child.to_string()]).start();
    let mut stranger = Actor::spawn(["reap"]);
    let unknown = stranger.line("reaped").pid();
    parent.order("kill");
    parent.order("reap");
    let reaped = tracer.expect("the end of the followed", soon(), about("reaped", child));
    assert_eq!(reaped.pid_of("reaper"), Some(parent.pid()), "{reaped}");
    assert_eq!(reaped.text("/precision"), Some("exact"), "{reaped}");
    tracer.stop().never("a stranger", |event| event.names(unknown));
    Ok(())
}
