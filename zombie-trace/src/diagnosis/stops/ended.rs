//! How a stop ended: others killed with PID 1, a namespace that does not end, and what is not known.

use super::{
    StopCause, StopVerdict, advice,
    case::{StopCase, runtime},
};
use crate::{
    diagnosis::{
        rules,
        words::{name, plural},
    },
    model::Disposition,
};

/// Maximum number of processes that are named.
const MAX_NAMED: usize = 3;

/// PID 1 is dead, and its namespace has not ended.
pub(super) fn teardown_stuck(case: &StopCase<'_>) -> Option<StopVerdict> {
    let teardown = case.stop.teardown.as_deref()?;
    let (mut evidence, advice) = rules::explain_teardown(case.stop.target, &case.stop.identity, teardown);
    evidence.push(case.end());
    Some(StopVerdict { cause: StopCause::TeardownStuck, evidence, advice })
}

/// PID 1 ended, and the kernel killed others that had not got the signal.
pub(super) fn ended_before_children(case: &StopCase<'_>) -> Option<StopVerdict> {
    let killed = &case.stop.killed_without_term;
    let count = killed.len() as u64 + case.stop.more_killed_without_term;
    if case.is_failed() || count == 0 {
        return None;
    }
    let signal = case.signal();
    let named: Vec<String> = killed
        .iter()
        .take(MAX_NAMED)
        .map(|it| format!("{} ({})", name(&it.identity.comm, it.process.pid), it.process.pid))
        .collect();
    let mut evidence = vec![
        case.end(),
        format!(
            "the kernel then killed {} of its namespace that had not received {signal}: {}",
            plural(count, "process", "processes"),
            named.join(", ")
        ),
    ];
    let had_handler = |process| {
        let member = case.stop.path.iter().find(|member| member.process == process);
        member
            .and_then(|it| it.look.as_ref())
            .is_some_and(|it| it.disposition(case.stop.signal) == Disposition::Handler)
    };
    evidence.extend(killed.iter().filter(|it| had_handler(it.process)).take(MAX_NAMED).map(|it| {
        format!("{} ({}) has a handler for {signal}", name(&it.identity.comm, it.process.pid), it.process.pid)
    }));
    let advice = advice::pass_on(case, runtime(&case.stop.identity, case.stop.look.as_ref()));
    Some(StopVerdict { cause: StopCause::EndedBeforeChildren, evidence, advice })
}

/// What is known, and what would decide it.
pub(super) fn unknown(case: &StopCase<'_>) -> StopVerdict {
    let (signal, name) = (case.signal(), case.name());
    let mut evidence = vec![case.end()];
    let advice = if case.stop.uncertain {
        evidence.push("events were lost meanwhile, so it is unknown who received the signal".to_owned());
        "Stop it again without losing events: trace only its container, or use a larger ring buffer (--ring-kib)."
            .to_owned()
    } else {
        match case.stop.received {
            None => {
                evidence
                    .push(format!("{name} blocked {signal} when it came; tracing did not show whether it was read"));
                format!("Give it a longer grace period once, to see whether {name} reads {signal}.")
            }
            Some(true) if case.stop.look.is_none() => {
                evidence.push(format!("{name} received {signal}; it was not sampled after that"));
                "Give it a longer grace period once, at least 2 s, to see what PID 1 does meanwhile.".to_owned()
            }
            _ => {
                let is_in_handler = case.stop.disposition == Some(Disposition::Handler)
                    && case
                        .stop
                        .look
                        .as_ref()
                        .is_some_and(|it| it.disposition(case.stop.signal) == Disposition::Blocked);
                if is_in_handler {
                    evidence.push(format!("{name} had not returned from its {signal} handler when sampled"));
                }
                evidence.extend(case.sat());
                format!(
                    "Find out what {name} does after {signal}: from its log, or with `strace -f -p {}`.",
                    case.stop.target.pid
                )
            }
        }
    };
    StopVerdict { cause: StopCause::Unknown, evidence, advice }
}
