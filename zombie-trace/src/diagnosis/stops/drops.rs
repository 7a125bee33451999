//! The signal did not reach PID 1.

use super::{
    StopCause, StopVerdict, advice,
    case::{StopCase, runtime},
};
use crate::{
    diagnosis::words::{duration, name},
    event::Runtime,
    model::{Disposition, DropReason},
    signal::{self, SIGINT, SIGQUIT, SIGTERM},
};

/// The stop signal of systemd as PID 1 of a container: `SIGRTMIN+3`.
const SIGRTMIN_3: u32 = 37;

/// Whether this is why the signal did not reach PID 1.
fn is_lost_as(case: &StopCase<'_>, cause: StopCause) -> bool {
    case.stop.dropped.and_then(StopCause::of_drop) == Some(cause)
}

/// Whether the kernel dropped the signal because there was no handler.
fn is_dropped(case: &StopCase<'_>) -> bool {
    is_lost_as(case, StopCause::NoHandler)
}

/// `SIGTERM did not reach PID 1 sh (pid 5): it had no handler for it, and the kernel drops …`.
fn no_handler_sentence(case: &StopCase<'_>) -> String {
    let (signal, pid) = (case.signal(), case.stop.target.pid);
    let then = name(&case.program_then().comm, pid);
    let when = match case.stop.dropped {
        Some(DropReason::DroppedAtDelivery) => {
            " when the signal was delivered, after PID 1 had been blocking it or traced,"
        }
        _ => ",",
    };
    format!(
        "{then} (pid {pid}) had no handler for {signal}{when} and the kernel drops signals whose default action would kill \
         PID 1 of a pid namespace"
    )
}

/// PID 1 took the signal, restored the default action and raised it again.
pub(super) fn reraised_in_vain(case: &StopCase<'_>) -> Option<StopVerdict> {
    let reraised = case.stop.reraised.filter(|_| case.is_failed() && case.stop.received == Some(true))?;
    let (signal, name) = (case.signal(), case.name());
    let mut evidence = vec![
        format!("{signal} was delivered to a handler of {name}"),
        format!(
            "{name} then raised {signal} again, {} after receiving it, with the default action restored; the kernel drops \
             that for PID 1 of a pid namespace",
            case.after(reraised)
        ),
    ];
    evidence.extend(case.sat());
    evidence.push(case.end());
    let advice = advice::after_reraise(case, runtime(&case.stop.identity, case.stop.look.as_ref()));
    Some(StopVerdict { cause: StopCause::ReraisedInVain, evidence, advice })
}

/// The signal came while PID 1 was another program.
pub(super) fn before_exec(case: &StopCase<'_>) -> Option<StopVerdict> {
    let became = case.stop.became.filter(|_| case.is_failed())?;
    let was_lost = is_dropped(case) || is_lost_as(case, StopCause::Ignored);
    let look = case.stop.look.as_ref().filter(|look| was_lost && look.at > became)?;
    // One that blocks the signal reads it, as tini and systemd do, or is one that would not have taken it.
    let now = look.disposition(case.stop.signal);
    let takes = match now {
        Disposition::Handler => "has a handler for it",
        Disposition::Blocked => "blocks it, as programs do that read signals synchronously",
        Disposition::Default | Disposition::Ignored => return None,
    };
    let (signal, pid, next) = (case.signal(), case.stop.target.pid, case.name());
    let then = name(&case.program_then().comm, pid);
    Some(StopVerdict {
        cause: StopCause::BeforeExec,
        evidence: vec![
            format!("PID 1 was still {then} when {signal} came, and {then} does not handle it, so it was lost"),
            format!("{} later PID 1 executed {next}, which {takes}", case.after(became)),
            case.end(),
        ],
        advice: format!(
            "Start {next} first: make it the entrypoint, with the script as its argument (`ENTRYPOINT [\"tini\", \"--\", \
             \"/entrypoint.sh\"]`), or set `trap 'exit 143' TERM` at the top of the script that runs before it."
        ),
    })
}

/// PID 1 does nothing on the signal, and handles another one that asks for an end.
pub(super) fn wrong_stop_signal(case: &StopCase<'_>) -> Option<StopVerdict> {
    if !case.is_failed() {
        return None;
    }
    let name = case.name();
    if case.stop.received == Some(true) {
        return (name == "systemd" && case.stop.signal != SIGRTMIN_3).then(|| {
            let evidence = vec![
                format!("{name} received {}, which does not make it shut down", case.signal()),
                format!("as PID 1 of a container {name} shuts down on {}", signal::name(SIGRTMIN_3)),
                case.end(),
            ];
            StopVerdict {
                cause: StopCause::WrongStopSignal,
                evidence,
                advice: advice::set_stop_signal(case, SIGRTMIN_3),
            }
        });
    }
    if !is_dropped(case) && !is_lost_as(case, StopCause::Ignored) {
        return None;
    }
    let look = case.stop.look.as_ref().filter(|_| case.stop.became.is_none())?;
    let other = other_stop_signal(case.stop.signal, look.caught, runtime(&case.stop.identity, Some(look)))?;
    let (sent, other_name) = (case.signal(), signal::name(other));
    let does = if is_dropped(case) { "has no handler for" } else { "ignores" };
    Some(StopVerdict {
        cause: StopCause::WrongStopSignal,
        evidence: vec![format!("{name} {does} {sent}, and has one for {other_name}"), case.end()],
        advice: advice::set_stop_signal(case, other),
    })
}

/// The signal by which a program that catches these would rather be stopped than by `sent`. SIGINT does not count where
/// it is caught for other reasons: shells and Python do so by default.
fn other_stop_signal(sent: u32, caught: u64, runtime: Option<Runtime>) -> Option<u32> {
    let catches_int_anyway = matches!(runtime, Some(Runtime::Shell | Runtime::Python));
    [SIGTERM, SIGQUIT, SIGINT]
        .into_iter()
        .filter(|&other| other != sent && caught & signal::bit(other) != 0)
        .find(|&other| other == SIGTERM || !catches_int_anyway)
}

/// PID 1 has no handler.
pub(super) fn no_handler(case: &StopCase<'_>) -> Option<StopVerdict> {
    if !is_dropped(case) || !case.is_failed() {
        return None;
    }
    let mut evidence = vec![no_handler_sentence(case)];
    if let Some(became) = case.stop.became {
        let then = duration(became.saturating_sub(case.stop.sent));
        evidence.push(format!("{then} later PID 1 executed {}", case.name()));
    }
    evidence.extend(case.sat());
    evidence.push(case.end());
    Some(StopVerdict { cause: StopCause::NoHandler, evidence, advice: advice::handle_it(case) })
}

/// PID 1 ignores it.
pub(super) fn ignored(case: &StopCase<'_>) -> Option<StopVerdict> {
    if !is_lost_as(case, StopCause::Ignored) || !case.is_failed() {
        return None;
    }
    let signal = case.signal();
    let then = name(&case.program_then().comm, case.stop.target.pid);
    let mut evidence = vec![format!("{signal} was set to SIG_IGN in {then} (pid {})", case.stop.target.pid)];
    evidence.extend(case.sat());
    evidence.push(case.end());
    Some(StopVerdict {
        cause: StopCause::Ignored,
        evidence,
        advice: format!(
            "Do not ignore {signal} in PID 1: handle it and exit. SIG_IGN survives exec, so look at what started {then} as \
             well (`trap '' TERM`, nohup)."
        ),
    })
}

/// PID 1 blocks it and does not read it.
pub(super) fn blocked(case: &StopCase<'_>) -> Option<StopVerdict> {
    if !is_lost_as(case, StopCause::Blocked) || !case.is_failed() {
        return None;
    }
    let (signal, name) = (case.signal(), case.name());
    let mut evidence = vec![format!("{name} (pid {}) blocks {signal}, and left it pending", case.stop.target.pid)];
    evidence.extend(case.sat());
    evidence.push(case.end());
    Some(StopVerdict {
        cause: StopCause::Blocked,
        evidence,
        advice: format!(
            "Unblock {signal}, or read it with sigwait or a signalfd. A signal mask survives fork and exec: reset it \
             before exec in what starts {name}."
        ),
    })
}
