//! Signals that an init did not get: their records, and what is found of them.

use super::{
    Session, describe,
    findings::{Finding, FindingKind, Severity},
    records::{Drop, SenderCount},
};
use crate::{
    diagnosis,
    event::{BootNs, ExitStatus},
    model::{DropReason, Process, Tally, Weight},
    signal::{self, SIGABRT, SIGSEGV},
};

/// So soon after a signal that it raised against itself, ns, the end of an init is what it was raised for.
const AFTERMATH_NS: u64 = 1_000_000_000;

pub(super) fn drops(session: &Session) -> Vec<Drop> {
    let model = &session.model;
    let mut drops: Vec<Drop> = model
        .processes()
        .filter(|process| session.scope.covers(model, [Some(&process.identity)]))
        .filter_map(|process| Some((process, process.signals.as_deref()?)))
        .flat_map(|(process, signals)| signals.drops.iter().map(move |tally| drop(session, process, tally)))
        .collect();
    // The sort is stable: of several programs in turn, the first comes first.
    drops.sort_by_key(|drop| (drop.target.pid, drop.target.start_ns, drop.number, drop.reason.id()));
    drops
}

fn drop(session: &Session, process: &Process, tally: &Tally) -> Drop {
    let model = &session.model;
    let (then, then_after_ns) = fate_of_target(process, tally.last);
    let note = aftermath(process, tally);
    Drop {
        then,
        then_after_ns,
        target: describe::identity(model, process.key, &tally.program),
        signal: signal::name(tally.signal).into_owned(),
        number: tally.signal,
        reason: tally.reason,
        severity: severity(process, tally),
        count: tally.count,
        advice: match note {
            Some(_) => Some(diagnosis::ADVICE_ON_ABORT.to_owned()),
            None => (tally.weight >= Weight::Warning)
                .then(|| diagnosis::advise_on_drop(model, &tally.program, tally.signal, tally.reason))
                .flatten(),
        },
        note,
        senders: tally
            .senders
            .iter()
            .map(|(sender, relation, count)| SenderCount {
                process: sender.as_ref().map(|it| describe::sender(model, it)),
                uid: sender.map(|it| it.uid),
                relation: *relation,
                count: *count,
            })
            .collect(),
    }
}

fn severity(process: &Process, tally: &Tally) -> Severity {
    // Raised in vain, and then it ended by itself all the same.
    let has_ended = matches!(process.end(), Some((_, ExitStatus::Code(_)))) && ends_soon(process, tally);
    match tally.weight {
        Weight::Nothing | Weight::Aside | Weight::Note => Severity::Note,
        _ if has_ended && is_own(process, tally) => Severity::Note,
        Weight::Warning => Severity::Warning,
        Weight::Error => Severity::Error,
    }
}

/// Whether the init sent all of them itself.
fn is_own(process: &Process, tally: &Tally) -> bool {
    tally.senders.iter().all(|(sender, ..)| sender.is_some_and(|it| it.process == process.key))
}

/// Whether the init ended so soon after the last of them that it is what they were raised for.
fn ends_soon(process: &Process, tally: &Tally) -> bool {
    process.end().is_some_and(|(time, _)| time.saturating_sub(tally.last) <= AFTERMATH_NS)
}

/// What came of a signal that an init did not get, as of now: `killed`, `exited` or `lives`, and after how long.
fn fate_of_target(process: &Process, last: BootNs) -> (&'static str, Option<u64>) {
    match process.end() {
        Some((time, ExitStatus::Signal { signal: 9, .. })) => ("killed", Some(time.saturating_sub(last))),
        Some((time, _)) => ("exited", Some(time.saturating_sub(last))),
        None if process.life.is_gone() => ("exited", None),
        None => ("lives", None),
    }
}

/// What an `abort()` in an init, which the kernel drops, does to its exit status.
fn aftermath(process: &Process, tally: &Tally) -> Option<String> {
    let fault = matches!(process.end(), Some((_, ExitStatus::Signal { signal, .. })) if u32::from(signal) == SIGSEGV);
    let is_abort = tally.signal == SIGABRT && is_own(process, tally) && ends_soon(process, tally);
    (is_abort && fault).then(|| {
        "It called abort(), as a failed assertion does; as PID 1 it cannot die of SIGABRT, so the C library made it \
         fault, and it died of SIGSEGV: its exit status is 139 instead of 134. With an init as PID 1 it would be 134."
            .to_owned()
    })
}

/// Findings on signals that inits did not get: one for each kind, whatever programs the init was in turn.
pub(super) fn findings(drops: &[Drop]) -> impl Iterator<Item = Finding> + '_ {
    drops.iter().map(|drop| {
        let times = times(drop.count);
        let detail = match &drop.note {
            Some(note) => format!("{note} {times}"),
            None => {
                let advice = drop.advice.as_deref().map_or_else(String::new, |advice| format!(" {advice}"));
                format!("{} {times}{advice}", describe_reason(drop.reason))
            }
        };
        Finding {
            kind: FindingKind::DroppedSignal { signal: drop.number, reason: drop.reason },
            id: format!("signals/{}/{}/{}", drop.reason.id(), drop.signal, drop.target.program),
            severity: drop.severity,
            title: format!("{} did not reach PID 1 {}", drop.signal, drop.target.comm),
            detail,
            process: drop.target.clone(),
        }
    })
}

/// `Once.` or `3 times.`
pub(super) fn times(count: u64) -> String {
    if count == 1 { "Seen once.".to_owned() } else { format!("Seen {count} times.") }
}

/// What a reason means.
pub(crate) const fn describe_reason(reason: DropReason) -> &'static str {
    match reason {
        DropReason::NoHandler => {
            "PID 1 has no handler for it, and the kernel drops signals whose default action would kill or stop a PID 1."
        }
        DropReason::ProtectedFromInside => "Processes inside a pid namespace cannot kill or stop its PID 1.",
        DropReason::Ignored => "It set the signal to SIG_IGN.",
        DropReason::Blocked => "It blocks the signal and never reads it.",
        DropReason::DroppedAtDelivery => {
            "The signal was queued while blocked or traced, and dropped on delivery because there is no handler."
        }
        DropReason::Coalesced => "The same signal was already pending, so this one was coalesced.",
    }
}
