//! PID 1 got the signal, and others of its namespace or itself went on.

use super::{
    StopCause, StopVerdict, advice,
    case::{StopCase, runtime},
};
use crate::{
    diagnosis::words::{self, name},
    event::{BootNs, Object, ProcessKey, Runtime},
    model::{Asked, Disposition, Identity, Look, Member},
    signal::{self, SIGINT, SIGQUIT},
};

/// A process that took the signal and went on.
struct Taker<'a> {
    process: ProcessKey,
    identity: &'a Identity,
    look: &'a Look,
    asked: BootNs,
}

impl<'a> Taker<'a> {
    /// PID 1, if its handler took the signal and it was looked at after that.
    fn pid_1(case: &StopCase<'a>) -> Option<Self> {
        let has_taken = case.stop.received == Some(true) && case.stop.disposition == Some(Disposition::Handler);
        let look = case.stop.look.as_ref().filter(|_| has_taken)?;
        Some(Self { process: case.stop.target, identity: &case.stop.identity, look, asked: case.stop.sent })
    }

    fn other(member: &'a Member) -> Option<Self> {
        let asked = member.asked.filter(|asked| asked.disposition == Some(Disposition::Handler))?;
        let look = member.look.as_ref().filter(|look| look.at > asked.first)?;
        Some(Self { process: member.process, identity: &member.identity, look, asked: asked.first })
    }

    fn name(&self) -> String {
        name(&self.identity.comm, self.process.pid)
    }
}

/// A shell took the signal, and has not run its trap: it waits for its foreground child.
pub(super) fn trap_deferred(case: &StopCase<'_>) -> Option<StopVerdict> {
    let others = case.stop.path.iter().filter_map(Taker::other);
    let (shell, child) = Taker::pid_1(case).into_iter().chain(others).find_map(|taker| {
        let child = foreground_child(case, &taker)?;
        Some((taker, child))
    })?;
    let (signal, name, pid) = (case.signal(), shell.name(), child.process.pid);
    let child_name = words::name(&child.identity.comm, pid);
    let mut evidence = vec![
        format!("{signal} was delivered to a handler of {name} (pid {})", shell.process.pid),
        format!(
            "{name} waited for {child_name} (pid {pid}), its foreground child, which was not sent {signal}: a shell runs \
             a trap only after its foreground child has exited"
        ),
    ];
    evidence.extend(case.sat_as(shell.process.pid, shell.identity, shell.look));
    evidence.push(case.end());
    Some(StopVerdict {
        cause: StopCause::TrapDeferred,
        evidence,
        advice: format!(
            "Run {child_name} in the background and wait for it, because a trapped signal interrupts `wait`: `trap \
             'kill -{short} \"$child\"' {short}; {child_name} … & child=$!; wait \"$child\"; wait \"$child\"`. Or `exec \
             {child_name} …` as the last command, so that {child_name} gets the signal itself.",
            short = advice::short(&signal),
        ),
    })
}

/// The child that a shell waits for before it runs a trap. `None` if the process is no shell, does not wait for a child,
/// or has gone on since it got the signal.
fn foreground_child<'a>(case: &StopCase<'a>, taker: &Taker<'_>) -> Option<&'a Member> {
    if runtime(taker.identity, Some(taker.look)) != Some(Runtime::Shell) {
        return None;
    }
    let waiting = taker.look.waiting()?;
    // Who has started others, or passed the signal on, has run its trap. What others started is PID 1's child, too, when
    // the namespace is torn down.
    let has_started = |child: &Member| child.process.start_ns > taker.asked;
    let has_forked = match taker.process == case.stop.target {
        true => case.stop.forked.is_some(),
        false => case.children_of(taker.process).any(has_started),
    };
    if has_forked || case.children_of(taker.process).any(|child| child.asked.is_some()) {
        return None;
    }
    let mut foreground = case
        .children_of(taker.process)
        .filter(|child| child.look.as_ref().is_some_and(|look| !is_background(look, taker.look)));
    match &waiting.object {
        Object::Child(child) if child.pid.is_some() => foreground.find(|it| Some(it.process.pid) == child.pid),
        _ => foreground.next(),
    }
}

/// Whether a shell started this child with `&`: without job control such a child ignores SIGINT and SIGQUIT (POSIX, 2.11),
/// which the shell itself does not, unless it was started so.
fn is_background(child: &Look, shell: &Look) -> bool {
    let both = signal::bit(SIGINT) | signal::bit(SIGQUIT);
    child.ignored & both == both && shell.ignored & both != both
}

/// The signal was passed on, and a child that got it went on.
pub(super) fn child_did_not_end(case: &StopCase<'_>) -> Option<StopVerdict> {
    if case.stop.received != Some(true) {
        return None;
    }
    let went_on = |member: &&Member| {
        let Some(asked) = member.asked else { return false };
        match member.end {
            None => true,
            Some((at, _)) if case.is_failed() => at >= case.stop.ended,
            // It took most of the time.
            Some((at, _)) => at.saturating_sub(asked.first) >= case.stop.took_ns() / 2,
        }
    };
    let all: Vec<&Member> = case.stop.path.iter().filter(went_on).collect();
    // The last to whom it was passed: who waits for another does what it should.
    let child = all.iter().find(|it| !all.iter().any(|other| other.parent == Some(it.process)))?;
    let asked = child.asked?;
    let (pid, sent) = (child.process.pid, signal::name(asked.signal));
    let child_name = name(&child.identity.comm, pid);
    let later = child.look.as_ref().filter(|look| look.at > asked.first);
    // A process keeps the handlers of the program that forked it until it calls exec: a signal that comes before that
    // is taken by them, and the program that it becomes never hears of it.
    let had_handler = asked.disposition == Some(Disposition::Handler)
        && later.is_some_and(|look| look.disposition(asked.signal) == Disposition::Default);
    let does = match asked.disposition {
        Some(Disposition::Handler) if had_handler => "had a handler for it then, but none later",
        Some(Disposition::Handler) => "has a handler for it",
        Some(Disposition::Ignored) => "ignores it",
        Some(Disposition::Blocked) => "blocks it",
        Some(Disposition::Default) => "has no handler for it, but did not die of it",
        None => "kept running",
    };
    let by = asked.sender.map_or_else(String::new, |sender| match sender.process == case.stop.target {
        true => format!(" by {}", case.name()),
        false => format!(" by {} (pid {})", name(&sender.comm, sender.process.pid), sender.process.pid),
    });
    let mut evidence = vec![format!(
        "{child_name} (pid {pid}) was sent {sent}{by} {} after the stop began, and {does}",
        case.after(asked.first)
    )];
    if let Some(look) = later {
        evidence.extend(case.sat_as(pid, &child.identity, look));
    }
    if let Some((at, _)) = child.end.filter(|_| !case.is_failed()) {
        evidence.push(format!("{child_name} exited {} after {}", case.after(at), case.signal()));
    }
    evidence.push(case.end());
    let advice = match asked.disposition {
        Some(Disposition::Handler) if had_handler => format!(
            "A signal that comes between fork and exec runs the handler of the program that forked, and is lost. Let that \
             program block {sent} when it forks, and unblock it just before exec with the default action restored. Or send \
             {sent} to {child_name} again until it has exited."
        ),
        Some(Disposition::Ignored | Disposition::Blocked) => {
            format!(
                "Let {child_name} handle {sent} and exit. SIG_IGN and the signal mask survive exec: look at what starts it."
            )
        }
        _ => format!(
            "Let {child_name} exit on {sent} within the grace period, or lengthen the grace period (`docker stop -t`, \
             `terminationGracePeriodSeconds`). Its log may say what it was doing.{}",
            advice::server(&child.identity)
        ),
    };
    Some(StopVerdict { cause: StopCause::ChildDidNotEnd, evidence, advice })
}

/// Whether nobody else was sent the signal, as far as such signals are seen at all.
fn was_kept(case: &StopCase<'_>) -> bool {
    let is_seen = Asked::is_seen(case.stop.signal);
    let has_others = !case.stop.path.is_empty() || case.stop.more_in_path > 0;
    (is_seen || !has_others) && case.stop.path.iter().all(|member| member.asked.is_none())
}

/// PID 1 took the signal and waits for a child that never got it.
pub(super) fn not_forwarded(case: &StopCase<'_>) -> Option<StopVerdict> {
    if case.stop.received != Some(true) || !was_kept(case) {
        return None;
    }
    let look = case.stop.look.as_ref()?;
    let runtime = runtime(&case.stop.identity, Some(look));
    // Shells wait for a background child in sigsuspend as well.
    let is_paused_shell =
        runtime == Some(Runtime::Shell) && look.doing.first().is_some_and(|it| it.object == Object::Signal);
    let child = match look.waiting().map(|doing| &doing.object) {
        Some(Object::Child(awaited)) if awaited.pid.is_some() => {
            case.children().find(|it| Some(it.process.pid) == awaited.pid)
        }
        Some(_) => case.children().next(),
        None => case.children().next().filter(|_| is_paused_shell),
    }?;
    let (signal, name, pid) = (case.signal(), case.name(), child.process.pid);
    let child_name = words::name(&child.identity.comm, pid);
    let mut evidence = vec![
        format!("{name} received {signal} and did not pass it on"),
        format!("{name} waited for {child_name} (pid {pid}), which was never sent {signal}"),
    ];
    let has_handler = child.look.as_ref().is_some_and(|it| it.disposition(case.stop.signal) == Disposition::Handler);
    if has_handler {
        evidence.push(format!("{child_name} has a handler for {signal}"));
    }
    evidence.extend(case.sat());
    evidence.push(case.end());
    Some(StopVerdict { cause: StopCause::NotForwarded, evidence, advice: advice::pass_on(case, runtime) })
}

/// PID 1 took the signal and went on.
pub(super) fn handler_returned(case: &StopCase<'_>) -> Option<StopVerdict> {
    if case.stop.received != Some(true) || !case.is_failed() || !was_kept(case) {
        return None;
    }
    let look = case.stop.look.as_ref()?;
    // Who cannot run has not returned, and while a handler runs its signal is blocked.
    if look.frozen_by.is_some() || matches!(look.state, 'D' | 'T' | 't') {
        return None;
    }
    let took = case.stop.disposition?;
    if took == Disposition::Handler && look.disposition(case.stop.signal) == Disposition::Blocked {
        return None;
    }
    let (signal, name) = (case.signal(), case.name());
    let how = match took {
        Disposition::Handler => format!("{signal} was delivered to a handler of {name}, which returned"),
        _ => format!("{name} read {signal} synchronously"),
    };
    let mut evidence = vec![how];
    evidence.extend(case.sat());
    if case.children().next().is_some() {
        evidence.push(format!("none of its children was sent {signal}"));
    }
    evidence.push(case.end());
    Some(StopVerdict {
        cause: StopCause::HandlerReturned,
        evidence,
        advice: format!(
            "Let {name} exit on {signal}: its handler has to make the main program exit, within the grace \
             period. If it does that already but needs longer, lengthen the grace period (`docker stop -t`, \
             `terminationGracePeriodSeconds`).{}",
            advice::server(&case.stop.identity)
        ),
    })
}
