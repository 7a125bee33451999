//! Answers that wait until what is older than they are has been taken out of the ring.
//!
//! How a parent waits is counted by the kernel programs, and read when an answer is made. What those waits reaped may
//! still lie in the ring then: judged at once, the parent's counters would be ahead of its children.

use std::collections::VecDeque;

use crate::event::Event;

/// The answers in their order, each with the time at which it was made, ns since boot.
#[derive(Debug, Default)]
pub(super) struct Answers(VecDeque<(u64, Event)>);

impl Answers {
    /// Adds answers that were made until `now`, before the ring is drained.
    pub(super) fn add(&mut self, now: u64, events: Vec<Event>) {
        self.0.extend(events.into_iter().map(|event| (now, event)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next answer for which everything older is known: all until `known` is, ns since boot; with `None` everything.
    pub(super) fn next(&mut self, known: Option<u64>) -> Option<Event> {
        let is_known = self.0.front().is_some_and(|(time, _)| known.is_none_or(|known| *time <= known));
        if is_known { self.0.pop_front().map(|(_, event)| event) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::What;

    fn answer(time: u64) -> Event {
        Event { time, what: What::Tick }
    }

    #[test]
    fn an_answer_waits_for_what_is_older_in_the_ring() {
        let mut answers = Answers::default();
        // It looked at something at 5, and its counters were read at 20.
        answers.add(20, vec![answer(5), answer(6)]);
        answers.add(30, vec![answer(25)]);
        assert!(answers.next(Some(19)).is_none(), "an event of 20 may still come");
        let times = |answers: &mut Answers, known| -> Vec<u64> {
            std::iter::from_fn(|| answers.next(known)).map(|event| event.time).collect()
        };
        assert_eq!(times(&mut answers, Some(20)), [5, 6]);
        assert!(!answers.is_empty());
        assert_eq!(times(&mut answers, None), [25], "the ring was empty after the answer was made");
        assert!(answers.is_empty());
    }
}
