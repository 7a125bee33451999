//! Statuses that another thread took.

use super::story::*;
use crate::event::{ChildSignal, Selector, Wait, What};

const ECHILD: u32 = 10;
const SECOND_THREAD: u32 = 11;

/// One thread of a parent of this name reaps the child, this one asks for it.
fn stolen_from(thread: u32, parent: &str, takes_first: bool) -> Story {
    let taken = What::Wait(wait(PARENT, CHILD));
    let asks =
        Wait { thread, selector: Selector::Pid(CHILD.pid), child_nr: None, errno: ECHILD, ..wait(PARENT, CHILD) };
    let missed = What::Wait(asks);
    let mut story = Story::new();
    story.exits(CHILD, PARENT);
    story.tell(What::ChildSignal(ChildSignal { target_comm: comm(parent), ..child_signal(CHILD, PARENT) })).at(10);
    if takes_first {
        story.tell(taken).tell(missed);
    } else {
        story.tell(missed).tell(taken);
    }
    story
}

#[test]
fn a_status_that_one_thread_takes_and_another_asks_for_is_stolen() {
    for takes_first in [true, false] {
        for parent in ["python3", "runcd"] {
            let story = stolen_from(SECOND_THREAD, parent, takes_first);
            assert_eq!(story.thefts(), [(CHILD, SECOND_THREAD, PARENT.pid)], "{parent}");
            assert_eq!(story.parenting(PARENT).stolen, 1, "{parent}");
        }
    }
}

#[test]
fn who_reaps_for_all_and_hands_the_statuses_on_steals_none() {
    for parent in ["containerd-shim", "runc"] {
        for takes_first in [true, false] {
            let story = stolen_from(SECOND_THREAD, parent, takes_first);
            assert_eq!(story.thefts(), [], "{parent}");
            assert_eq!(story.parenting(PARENT).stolen, 0, "{parent}");
        }
    }
}

#[test]
fn a_thread_steals_nothing_from_itself() {
    assert_eq!(stolen_from(PARENT.pid, "python3", true).thefts(), []);
}
