//! The signal did not reach PID 1.

use super::*;
use crate::event::{Deliver, Runtime};

#[test]
fn a_signal_without_a_handler_is_dropped_by_the_kernel() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM).seen(2 * SECOND, INIT, catches(&[]), None);
    end(&mut story);
    let verdict = verdict(&story).expect("it failed");
    assert_eq!(verdict.cause.id(), "no-handler");
    assert!(verdict.evidence[0].starts_with("app (pid 100) had no handler for SIGTERM"), "{verdict:?}");
    // One that was handled, and nothing more is known.
    let mut story = Story::new();
    story.handled(SECOND, SIGTERM);
    end(&mut story);
    assert_eq!(cause(&story), Some("unknown"));
}

#[test]
fn advice_is_that_of_the_program() {
    for (runtime, word) in [(Runtime::Shell, "exec"), (Runtime::Python, "signal.signal"), (Runtime::Node, "process.on")]
    {
        let mut story = Story::new();
        let facts = ProcFacts { runtime: Some(runtime), ..catches(&[]) };
        story.dropped(SECOND, SIGTERM).seen(2 * SECOND, INIT, facts, None);
        end(&mut story);
        assert!(verdict(&story).expect("it failed").advice.contains(word), "{runtime:?}");
    }
}

#[test]
fn a_program_that_handles_another_signal_is_stopped_by_the_wrong_one() {
    for (sent, caught, runtime, expected) in [
        (SIGUSR2, SIGTERM, None, "wrong-stop-signal"),
        (37, SIGTERM, Some(Runtime::Python), "wrong-stop-signal"),
        (SIGTERM, SIGQUIT, None, "wrong-stop-signal"),
        (SIGTERM, SIGINT, None, "wrong-stop-signal"),
        // They catch it by default, and not to end.
        (SIGTERM, SIGINT, Some(Runtime::Python), "no-handler"),
        (SIGTERM, SIGINT, Some(Runtime::Shell), "no-handler"),
        (SIGTERM, SIGHUP, None, "no-handler"),
        (SIGTERM, SIGWINCH, None, "no-handler"),
        (SIGTERM, SIGUSR1, None, "no-handler"),
    ] {
        let mut story = Story::new();
        story.dropped(SECOND, sent).seen(2 * SECOND, INIT, ProcFacts { runtime, ..catches(&[caught]) }, None);
        end(&mut story);
        assert_eq!(cause(&story), Some(expected), "{sent} {caught} {runtime:?}");
    }
}

#[test]
fn the_wrong_signal_is_told_with_the_right_one_and_where_it_is_set() {
    let mut story = Story::new();
    story.dropped(SECOND, 37).seen(2 * SECOND, INIT, catches(&[SIGTERM]), None);
    end(&mut story);
    let verdict = verdict(&story).expect("it failed");
    assert!(verdict.evidence[0].contains("has one for SIGTERM"), "{verdict:?}");
    assert!(verdict.advice.contains("STOPSIGNAL SIGTERM"), "{verdict:?}");
}

#[test]
fn systemd_does_not_shut_down_on_sigterm() {
    for (name, expected) in [("systemd", "wrong-stop-signal"), ("app", "unknown")] {
        let mut story = Story::new();
        story.handled(SECOND, SIGTERM).execs(SECOND - 1, name);
        story.signal(SECOND, SIGTERM, |signal| signal.target_comm = comm(name));
        story.killed_init(11 * SECOND).init_is_zombie(11 * SECOND + 2);
        let stop = story.only();
        // The exit event of the story has a name of its own.
        let identity = crate::model::Identity { comm: comm(name), ..stop.identity.clone() };
        let stop = crate::model::Stop { identity, ..stop.clone() };
        assert_eq!(diagnose_stop(&story.model, &stop).map(|it| it.cause.id()), Some(expected));
    }
}

#[test]
fn an_ignored_signal_is_ignored() {
    let mut story = Story::new();
    story.signal(SECOND, SIGTERM, |signal| {
        (signal.outcome, signal.handler) = (SignalOutcome::Ignored, Handler::Ignore);
    });
    end(&mut story);
    assert_eq!(cause(&story), Some("ignored"));
}

#[test]
fn a_blocked_signal_is_blocked_as_long_as_nobody_reads_it() {
    for (is_pending, expected) in [(true, "blocked"), (false, "handler-returned")] {
        let mut story = Story::new();
        story.blocked(SECOND).looks(SECOND + SECOND / 20, is_pending).looks(8 * SECOND, is_pending);
        end(&mut story);
        assert_eq!(cause(&story), Some(expected), "{is_pending}");
    }
    // Nobody looked.
    let mut story = Story::new();
    story.blocked(SECOND).killed_init(SECOND + SECOND / 100).init_is_zombie(2 * SECOND);
    assert_eq!(cause(&story), Some("unknown"));
}

#[test]
fn what_an_entrypoint_lost_is_told_of_it_and_not_of_the_program_that_came_after() {
    let blocks = ProcFacts { blocked: signal::bit(SIGTERM), ..catches(&[]) };
    for (now, expected) in [(catches(&[SIGTERM]), "before-exec"), (blocks, "before-exec"), (catches(&[]), "no-handler")]
    {
        let mut story = Story::new();
        story.dropped(SECOND, SIGTERM).execs(SECOND + SECOND / 2, "tini").seen(2 * SECOND, INIT, now.clone(), None);
        end(&mut story);
        let verdict = verdict(&story).expect("it failed");
        assert_eq!(verdict.cause.id(), expected, "{now:?}");
        assert!(verdict.evidence[0].contains("app"), "the program then: {verdict:?}");
    }
}

#[test]
fn a_program_that_loses_it_too_has_no_entrypoint_to_blame() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM).execs(SECOND + 1, "next").dropped(2 * SECOND, SIGTERM);
    story.seen(3 * SECOND, INIT, catches(&[SIGTERM]), None);
    end(&mut story);
    assert_eq!(cause(&story), Some("no-handler"));
}

#[test]
fn a_handler_that_raises_the_signal_again_does_so_in_vain() {
    let mut story = Story::new();
    story.handled(SECOND, SIGTERM);
    reraises(&mut story, SECOND + 1_000_000, SIGTERM);
    // The handler is gone when the signal is sent again.
    story.dropped(3 * SECOND, SIGTERM);
    end(&mut story);
    let verdict = verdict(&story).expect("it failed");
    assert_eq!(verdict.cause.id(), "reraised-in-vain");
    assert!(verdict.advice.contains("_exit(143)"), "{verdict:?}");
}

#[test]
fn what_is_raised_within_the_handler_is_dropped_when_that_returns() {
    for looks_first in [false, true] {
        let mut story = Story::new();
        story.handled(SECOND, SIGTERM);
        story.signal(SECOND + 1_000_000, SIGTERM, |signal| {
            (signal.blocked, signal.handler) = (true, Handler::Default);
            (signal.sender, signal.sender_inside) = (INIT, true);
        });
        if looks_first {
            let facts = ProcFacts { blocked: signal::bit(SIGTERM), pending: signal::bit(SIGTERM), ..catches(&[]) };
            story.seen(SECOND + 1_500_000, INIT, facts, None);
        }
        let delivery = Deliver { target: INIT, signal: SIGTERM, code: 0, traced: false };
        story.event(SECOND + 2_000_000, What::Deliver(delivery));
        end(&mut story);
        assert_eq!(cause(&story), Some("reraised-in-vain"), "{looks_first}");
        assert_eq!((story.only().received, story.only().dropped), (Some(true), None));
    }
}

#[test]
fn another_signal_that_it_raises_has_nothing_to_do_with_it() {
    let mut story = Story::new();
    story.handled(SECOND, SIGTERM);
    reraises(&mut story, SECOND + 1_000_000, SIGUSR1);
    end(&mut story);
    assert_eq!(cause(&story), Some("unknown"));
    // And one that it raised before it got any.
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM);
    reraises(&mut story, SECOND + 1_000_000, SIGTERM);
    end(&mut story);
    assert_eq!(cause(&story), Some("no-handler"));
}

#[test]
fn what_is_dropped_is_told_with_what_to_do() {
    use crate::{
        diagnosis::advise_on_drop,
        model::{DropReason, Identity},
    };
    let model = Story::new().model;
    let shell = Identity { comm: comm("bash"), ..Identity::default() };
    let advice = |signal, reason| advise_on_drop(&model, &shell, signal, reason);
    assert!(advice(SIGTERM, DropReason::NoHandler).is_some_and(|it| it.contains("exec")), "of the program that it was");
    // Who is to reload is not to end.
    let reload = advice(SIGHUP, DropReason::NoHandler).expect("there is advice");
    assert!(reload.contains("SIGHUP") && !reload.contains("init"), "{reload}");
    assert!(advice(SIGTERM, DropReason::Ignored).is_some_and(|it| it.contains("SIG_IGN")));
    assert_eq!(advice(SIGTERM, DropReason::Coalesced), None);
}

#[test]
fn a_server_that_waits_for_its_clients_is_known() {
    let mut story = Story::new();
    story.signal(SECOND, SIGTERM, |signal| signal.target_comm = comm("postgres"));
    let facts = ProcFacts { exe: Some("/usr/lib/postgresql/15/bin/postgres".to_owned()), ..catches(&[SIGTERM]) };
    story.seen(2 * SECOND, INIT, facts, None);
    end(&mut story);
    let verdict = verdict(&story).expect("it failed");
    assert_eq!(verdict.cause.id(), "handler-returned");
    assert!(verdict.advice.ends_with("(`STOPSIGNAL SIGINT`)."), "{verdict:?}");
}
