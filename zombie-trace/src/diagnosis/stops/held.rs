//! PID 1, or the process that it waits for, could not run.

use super::{StopCause, StopVerdict, case::StopCase};
use crate::{
    diagnosis::words::{function, name},
    event::{Object, ProcessKey},
    model::{Identity, Look, Member},
    text::escape,
};

/// Whether a process stood still at this look, whatever was sent to it.
fn is_held(look: &Look) -> bool {
    look.held_since.is_some() && (look.frozen_by.is_some() || matches!(look.state, 'T' | 't' | 'D'))
}

pub(super) fn frozen(case: &StopCase<'_>) -> Option<StopVerdict> {
    if let Some(look) = case.stop.look.as_ref().filter(|look| is_held(look)) {
        return Some(held(case, case.stop.target, &case.stop.identity, look, None));
    }
    let child = awaited(case)?;
    let look = child.look.as_ref().filter(|look| is_held(look))?;
    Some(held(case, child.process, &child.identity, look, Some(case.name())))
}

/// The child that PID 1 waits for, if that is known to be one.
fn awaited<'a>(case: &StopCase<'a>) -> Option<&'a Member> {
    let waiting = case.stop.look.as_ref()?.waiting()?;
    match &waiting.object {
        Object::Child(child) => case.children().find(|it| Some(it.process.pid) == child.pid),
        // Whichever ends first: only where there is but one.
        Object::AnyChild | Object::Group { .. } => {
            let mut children = case.children();
            let only = children.next()?;
            children.next().is_none().then_some(only)
        }
        _ => None,
    }
}

fn held(
    case: &StopCase<'_>,
    process: ProcessKey,
    identity: &Identity,
    look: &Look,
    waiter: Option<String>,
) -> StopVerdict {
    let who = name(&identity.comm, process.pid);
    let at = format!("{} after {}", case.after(look.at), case.signal());
    let place = look.wait_channel.as_deref().map_or_else(String::new, function);
    let (what, advice) = match (&look.frozen_by, look.state, look.tracer) {
        (Some(cgroup), ..) => {
            let cgroup = escape::text(cgroup.as_bytes());
            (
                format!("was frozen with cgroup {cgroup}"),
                format!(
                    "Thaw {cgroup} before stopping it: `docker unpause`, or write 0 to cgroup.freeze, or THAWED to \
                     freezer.state."
                ),
            )
        }
        (None, 'T', _) => {
            ("was stopped (state T)".to_owned(), format!("Resume it before stopping it: `kill -CONT {}`.", process.pid))
        }
        (None, 't', Some(tracer)) => (
            format!("was held by its tracer, process {tracer} (state t)"),
            format!("Resume it or detach process {tracer} before stopping it."),
        ),
        (None, state, _) => (
            format!("was in state {state}{place}"),
            "Find out what that kernel function waits for: usually a disk or a network file system.".to_owned(),
        ),
    };
    let mut evidence = vec![format!("{who} (pid {}) {what} {at}, and could not act on the signal", process.pid)];
    evidence.extend(waiter.map(|waiter| format!("{waiter} waited for it")));
    evidence.push(case.end());
    StopVerdict { cause: StopCause::Frozen, evidence, advice }
}
