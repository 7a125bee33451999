//! The path of a stop: who was sent the signal, what each made of it, and what became of it.

use std::collections::BTreeMap;

use super::{Session, describe, impact::PathRecord, process::ExitRecord};
use crate::{
    diagnosis,
    event::{BootNs, ExitStatus, ProcessKey},
    model::{Asked, Disposition, Identity, Look, Sender, Stop},
    signal,
    text::duration,
};

/// What is known of one process.
struct Part<'a> {
    process: ProcessKey,
    identity: &'a Identity,
    asked: Option<(u32, BootNs, Option<&'a Sender>)>,
    disposition: Option<Disposition>,
    look: Option<&'a Look>,
    end: Option<(BootNs, ExitStatus)>,
}

/// PID 1 first, each process before its children.
pub(super) fn records(session: &Session, stop: &Stop) -> Vec<PathRecord> {
    let pid_1 = Part {
        process: stop.target,
        identity: &stop.identity,
        asked: Some((stop.signal, stop.sent, stop.sender.as_ref())),
        disposition: stop.disposition,
        look: stop.look.as_ref(),
        end: Some((stop.ended, stop.status)),
    };
    let mut parts = BTreeMap::from([(stop.target, pid_1)]);
    let mut children = BTreeMap::<ProcessKey, Vec<ProcessKey>>::new();
    for member in &stop.path {
        // Who was put into the namespace, or whose parent is gone, stands below PID 1.
        let listed =
            |parent: &ProcessKey| stop.path.iter().any(|it| it.process == *parent) && *parent != member.process;
        let parent = member.parent.filter(listed).unwrap_or(stop.target);
        children.entry(parent).or_default().push(member.process);
        let when_looked = || member.look.as_ref().map(|look| look.disposition(stop.signal));
        let part = Part {
            process: member.process,
            identity: &member.identity,
            asked: member.asked.as_ref().map(|asked| (asked.signal, asked.first, asked.sender.as_ref())),
            disposition: member.asked.and_then(|it| it.disposition).or_else(when_looked),
            look: member.look.as_ref(),
            end: member.end,
        };
        parts.insert(member.process, part);
    }
    let mut records = Vec::with_capacity(parts.len());
    let mut next = vec![(stop.target, 0)];
    while let Some((process, depth)) = next.pop() {
        // Each once, whatever the parents are.
        let Some(part) = parts.remove(&process) else { continue };
        records.push(record(session, stop, &part, depth));
        let below = children.remove(&process).unwrap_or_default();
        next.extend(below.into_iter().rev().map(|child| (child, depth + 1)));
    }
    records
}

fn record(session: &Session, stop: &Stop, part: &Part<'_>, depth: u32) -> PathRecord {
    let model = &session.model;
    let after = |time: BootNs| time.saturating_sub(stop.sent);
    let doing = part.look.and_then(|look| diagnosis::place_in_stop(part.process, part.identity, look));
    let looked_after = part.look.map(|look| after(look.at));
    PathRecord {
        process: describe::identity(model, part.process, part.identity),
        depth,
        signal: part.asked.map(|(signal, ..)| signal::name(signal).into_owned()),
        sent_after_ns: part.asked.map(|(_, sent, _)| after(sent)),
        sender: part.asked.and_then(|(.., sender)| sender).map(|sender| describe::sender(model, sender)),
        disposition: part.disposition,
        summary: summary(stop, part, doing.as_deref().zip(looked_after)),
        doing,
        exit: part.end.map(|(_, status)| status.into()),
        ended_after_ns: part.end.map(|(time, _)| after(time)),
    }
}

/// `SIGTERM after 0 ms: handler; in wait4(), … after 9.0 s; killed by SIGKILL after 10 s`.
fn summary(stop: &Stop, part: &Part<'_>, doing: Option<(&str, u64)>) -> String {
    let after = |time: BootNs| match time.saturating_sub(stop.sent) {
        0 => "at once".to_owned(),
        long => format!("after {}", duration(long)),
    };
    let mut parts = Vec::new();
    match (part.asked, part.disposition) {
        (Some((signal, sent, _)), disposition) => {
            let does = disposition.map_or_else(String::new, |it| format!(": {}", it.id()));
            parts.push(format!("{} {}{does}", signal::name(signal), after(sent)));
        }
        (None, disposition) => {
            let signal = signal::name(stop.signal);
            parts.extend(match disposition {
                Some(Disposition::Handler) => Some(format!("has a handler for {signal}")),
                Some(Disposition::Ignored) => Some(format!("ignores {signal}")),
                Some(Disposition::Blocked) => Some(format!("blocks {signal}")),
                Some(Disposition::Default) | None => None,
            });
            // Of others than PID 1 only four signals are seen.
            if Asked::is_seen(stop.signal) && !stop.uncertain {
                parts.push(format!("was not sent {signal}"));
            }
        }
    }
    parts.extend(doing.map(|(place, looked)| format!("{place} after {}", duration(looked))));
    parts.push(match part.end {
        Some((time, status)) => format!("{} {}", ExitRecord::from(status), after(time)),
        None => "has not ended".to_owned(),
    });
    parts.join("; ")
}
