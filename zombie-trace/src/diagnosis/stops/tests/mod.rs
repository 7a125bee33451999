//! Each cause of a stop that went wrong, and its negative: what must not be taken for it.

mod drops;
mod ended;
mod held;
mod taken;

use super::{StopVerdict, diagnose_stop};
use crate::{
    event::{Awaited, Doing, ExitStatus, Handler, Object, ProcFacts, ProcessKey, SignalOutcome, What},
    model::stop_story::{CHILD, INIT, KILLED, SECOND, Story, comm},
    signal::{self, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH},
};

/// What is made of the one stop there was; `None` if it was graceful.
fn verdict(story: &Story) -> Option<StopVerdict> {
    diagnose_stop(&story.model, story.only())
}

fn cause(story: &Story) -> Option<&'static str> {
    verdict(story).map(|verdict| verdict.cause.id())
}

/// A live process that catches these signals.
fn catches(signals: &[u32]) -> ProcFacts {
    ProcFacts {
        state: 'S',
        threads: 1,
        caught: signals.iter().map(|&it| signal::bit(it)).sum(),
        ..ProcFacts::default()
    }
}

fn doing(process: ProcessKey, syscall: &str, object: Object) -> Option<Doing> {
    let comm = comm("app");
    Some(Doing {
        tid: process.pid,
        comm,
        state: 'S',
        syscall: Some(syscall.to_owned()),
        object,
        switches: 7,
        since: None,
    })
}

fn child() -> Object {
    Object::Child(Awaited {
        number: 2,
        pid: Some(CHILD.pid),
        comm: Some(comm("worker")),
        state: Some('S'),
        wait_channel: None,
    })
}

/// The init raises the signal against itself, at the default action.
fn reraises(story: &mut Story, time: u64, number: u32) {
    story.signal(time, number, |signal| {
        (signal.outcome, signal.handler) = (SignalOutcome::Ignored, Handler::Default);
        (signal.sender, signal.sender_inside) = (INIT, true);
    });
}

/// Killed ten seconds after a signal of the first one.
fn end(story: &mut Story) {
    story.killed_init(11 * SECOND).init_is_zombie(11 * SECOND + 2);
}

#[test]
fn a_graceful_stop_has_no_cause() {
    let mut story = Story::new();
    story.handled(SECOND, SIGTERM).forwarded(SECOND + 1, SIGTERM).child_exits(SECOND + 2, ExitStatus::Code(0));
    story.init_exits(SECOND + 3, ExitStatus::Code(0)).init_is_zombie(SECOND + 4);
    assert_eq!(verdict(&story), None);
}

#[test]
fn where_events_were_lost_the_cause_is_unknown() {
    let mut story = Story::new();
    story.dropped(SECOND, SIGTERM).event(2 * SECOND, What::Loss { events: 3 });
    end(&mut story);
    let verdict = verdict(&story).expect("it failed");
    assert_eq!(verdict.cause.id(), "unknown");
    assert!(verdict.evidence.iter().any(|it| it.contains("lost")), "{verdict:?}");
}

#[test]
fn ids_are_all_different() {
    let mut ids: Vec<_> = super::StopCause::ALL.iter().map(|cause| cause.id()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), super::StopCause::ALL.len());
}
