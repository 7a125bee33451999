//! Why a stop went wrong, and what helps: pure rules over what the model kept of it.
//!
//! As for zombies: a rule looks at one stop and either says nothing or states its evidence. The rules stand in the order
//! of [`ORDER`], the most specific first; the first that speaks names the cause. A stop that ended gracefully has none.
//! Where the facts do not carry any, the cause is `unknown`, with what would decide it.

mod advice;
mod case;
mod drops;
mod ended;
mod held;
mod taken;
#[cfg(test)]
mod tests;

use crate::model::{DropReason, Model, Stop, StopOutcome};
pub use advice::{advise_on_drop, advise_on_passing_on};
use case::StopCase;
pub use case::place_in_stop;

/// Why a stop went wrong. The ids are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopCause {
    /// PID 1 has no handler for its stop signal, and the kernel drops it.
    NoHandler,
    /// What was sent has no effect on PID 1, which handles another signal.
    WrongStopSignal,
    /// PID 1 ignores it.
    Ignored,
    /// PID 1 blocks it and does not read it.
    Blocked,
    /// It came while PID 1 was still another program than the one that would have taken it.
    BeforeExec,
    /// PID 1 raised it again at the default action, which the kernel drops.
    ReraisedInVain,
    /// A shell took it, and waits for its foreground child before it runs its trap.
    TrapDeferred,
    /// PID 1 took it and went on.
    HandlerReturned,
    /// PID 1 took it and waits for a child that never got it.
    NotForwarded,
    /// It was passed on, and a child that got it went on.
    ChildDidNotEnd,
    /// PID 1 ended before others, which were killed without having got it.
    EndedBeforeChildren,
    /// PID 1 or the process that it waits for could not run.
    Frozen,
    /// PID 1 is dead, and its namespace does not end.
    TeardownStuck,
    /// The facts do not decide it.
    Unknown,
}

impl StopCause {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::NoHandler,
        Self::WrongStopSignal,
        Self::Ignored,
        Self::Blocked,
        Self::BeforeExec,
        Self::ReraisedInVain,
        Self::TrapDeferred,
        Self::HandlerReturned,
        Self::NotForwarded,
        Self::ChildDidNotEnd,
        Self::EndedBeforeChildren,
        Self::Frozen,
        Self::TeardownStuck,
        Self::Unknown,
    ];

    /// The stable id.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::NoHandler => "no-handler",
            Self::WrongStopSignal => "wrong-stop-signal",
            Self::Ignored => "ignored",
            Self::Blocked => "blocked",
            Self::BeforeExec => "before-exec",
            Self::ReraisedInVain => "reraised-in-vain",
            Self::TrapDeferred => "trap-deferred",
            Self::HandlerReturned => "handler-returned",
            Self::NotForwarded => "not-forwarded",
            Self::ChildDidNotEnd => "child-did-not-end",
            Self::EndedBeforeChildren => "ended-before-children",
            Self::Frozen => "frozen",
            Self::TeardownStuck => "teardown-stuck",
            Self::Unknown => "unknown",
        }
    }

    /// The cause where no more is known of the signal than why it did not reach PID 1. `None` if it could not have: no
    /// stop is sent so.
    #[must_use]
    pub const fn of_drop(reason: DropReason) -> Option<Self> {
        match reason {
            DropReason::NoHandler | DropReason::DroppedAtDelivery => Some(Self::NoHandler),
            DropReason::Ignored => Some(Self::Ignored),
            DropReason::Blocked | DropReason::Coalesced => Some(Self::Blocked),
            DropReason::ProtectedFromInside => None,
        }
    }
}

/// What is made of a stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopVerdict {
    /// The cause.
    pub cause: StopCause,
    /// What it rests on, a sentence each.
    pub evidence: Vec<String>,
    /// What to do.
    pub advice: String,
}

type Rule = fn(&StopCase<'_>) -> Option<StopVerdict>;

/// The most specific first: what the kernel did not let through, then what PID 1 could not do, then what it did not do.
const ORDER: &[Rule] = &[
    drops::reraised_in_vain,
    drops::before_exec,
    drops::wrong_stop_signal,
    drops::no_handler,
    drops::ignored,
    held::frozen,
    drops::blocked,
    taken::trap_deferred,
    taken::child_did_not_end,
    taken::not_forwarded,
    taken::handler_returned,
    ended::ended_before_children,
];

/// Of a PID 1 that ended in time: nobody held it up.
const OF_CLEAN: &[Rule] = &[ended::ended_before_children];

/// Judges a stop that is over. `None` if it ended gracefully.
#[must_use]
pub fn diagnose_stop(model: &Model, stop: &Stop) -> Option<StopVerdict> {
    let case = StopCase { model, stop };
    if let Some(verdict) = ended::teardown_stuck(&case) {
        return Some(verdict);
    }
    let has_victims = !stop.killed_without_term.is_empty() || stop.more_killed_without_term > 0;
    if stop.outcome == StopOutcome::Clean && !has_victims {
        return None;
    }
    let rules = if stop.outcome == StopOutcome::Clean { OF_CLEAN } else { ORDER };
    // What was lost may have been the signal that reached somebody.
    let found = if stop.uncertain { None } else { rules.iter().find_map(|rule| rule(&case)) };
    Some(found.unwrap_or_else(|| ended::unknown(&case)))
}
