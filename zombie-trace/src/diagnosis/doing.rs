//! What a parent does instead of waiting, in words.
//!
//! If the code has a wait that is never reached, its author needs to know in which call the program sits.

use super::{
    Case,
    words::{duration, function, name},
};
use crate::{
    event::{Awaited, Channel, Doing, Object},
    text::escape,
};

/// What one thread of a parent did when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The thread.
    pub thread: u32,
    /// State letter.
    pub state: char,
    /// The system call that it was in.
    pub syscall: Option<String>,
    /// What it waited for there, in words.
    pub object: Option<String>,
    /// Minimum time it had been there, ns, if two looks show it.
    pub since_ns: Option<u64>,
}

/// The activities of the threads looked at, without repetitions.
pub(super) fn activities(case: &Case<'_>) -> Vec<Activity> {
    let mut activities: Vec<Activity> = Vec::new();
    for doing in doing_of(case) {
        let activity = Activity {
            thread: doing.tid,
            state: doing.state,
            syscall: doing.syscall.as_deref().map(|name| escape::text(name.as_bytes()).into_owned()),
            object: object(&Actor::of(case), &doing.object),
            since_ns: sat_for(case, doing),
        };
        let is_same = |other: &Activity| {
            (other.state, &other.syscall, &other.object) == (activity.state, &activity.syscall, &activity.object)
        };
        if !activities.iter().any(is_same) {
            activities.push(activity);
        }
    }
    activities
}

/// What its threads did when it was last looked at, the leader first.
pub(super) fn doing_of<'a>(case: &Case<'a>) -> &'a [Doing] {
    case.evidence().map_or(&[], |(_, evidence)| &evidence.doing)
}

/// Minimum time it had been in the same call when it was looked at, ns.
fn sat_for(case: &Case<'_>, doing: &Doing) -> Option<u64> {
    let (looked_at, _) = case.evidence()?;
    Some(looked_at.saturating_sub(doing.since?)).filter(|&long| long > 0)
}

/// The most telling thread: the leader, unless that only waits for other threads while one of them waits for a child.
pub(super) fn telling<'a>(case: &Case<'a>) -> Option<&'a Doing> {
    let all = doing_of(case);
    let leader = all.first()?;
    let waits_for_threads = matches!(leader.object, Object::Futex | Object::Unknown | Object::Other);
    let is_telling = |doing: &&Doing| {
        matches!(doing.object, Object::Child(_) | Object::Vfork { .. } | Object::Group { .. } | Object::Pipe(_))
    };
    all.iter().skip(1).find(|doing| waits_for_threads && is_telling(doing)).or(Some(leader))
}

/// `app was in read() on a pipe whose write end sleep (pid 5) held open, for at least 3.0 s`.
pub(super) fn sentence(case: &Case<'_>) -> Option<String> {
    let doing = telling(case)?;
    let parent = case.waiter_name();
    let threads = case.facts().map_or(1, |facts| facts.threads);
    let who = match doing.tid {
        _ if threads <= 1 => parent,
        leader if leader == case.state.waiter().pid => format!("the main thread of {parent}"),
        tid => format!("thread {tid} of {parent}"),
    };
    let long = sat_for(case, doing).map_or_else(String::new, |long| format!(", for at least {}", duration(long)));
    let place = place(&Actor::of(case), doing)?;
    Some(match doing.object {
        Object::Processor => format!("{who} was {place} when sampled"),
        _ => format!("{who} was {place} when sampled{long}"),
    })
}

/// The process whose thread does something.
pub(super) struct Actor {
    pub(super) pid: u32,
    pub(super) name: String,
}

impl Actor {
    fn of(case: &Case<'_>) -> Self {
        Self { pid: case.state.waiter().pid, name: case.waiter_name() }
    }
}

/// `in wait4(), waiting for child sleep (pid 5)`; `None` if it is in no call, or in an unknown one.
pub(super) fn place(actor: &Actor, doing: &Doing) -> Option<String> {
    let what = object(actor, &doing.object);
    Some(match (&doing.syscall, what) {
        (None, Some(_)) if doing.object == Object::Processor => "running its own code".to_owned(),
        (Some(call), what) => {
            let call = escape::text(call.as_bytes());
            let call = if call.contains(' ') { call.into_owned() } else { format!("{call}()") };
            let what = what.map_or_else(String::new, |what| format!("{} {what}", preposition(&doing.object)));
            format!("in {call}{what}")
        }
        (None, _) => return None,
    })
}

fn preposition(object: &Object) -> &'static str {
    match object {
        Object::Pipe(_) | Object::Socket(_) | Object::File { .. } => " on",
        Object::Events { .. } => " of",
        _ => ", waiting for",
    }
}

/// What a call is about, in words; `None` if it is not known.
fn object(actor: &Actor, object: &Object) -> Option<String> {
    Some(match object {
        Object::Unknown | Object::Other => return None,
        Object::Pipe(channel) => format!("a pipe whose {}", holders(actor, channel)),
        Object::Socket(channel) if channel.peer.is_some() => format!("a socket whose {}", holders(actor, channel)),
        Object::Socket(_) => "a socket".to_owned(),
        Object::File { path, file_system } => {
            let kind =
                file_system.as_ref().map_or_else(String::new, |kind| format!(" ({})", escape::text(kind.as_bytes())));
            format!("the file {}{kind}", escape::text(path.as_bytes()))
        }
        Object::Futex => "a lock, a condition, or the end of a thread".to_owned(),
        Object::Events { first, .. } => match polled(first) {
            Some(pipe) => format!("an event loop with a pipe whose {}", holders(actor, pipe)),
            None => "an event loop".to_owned(),
        },
        Object::Timer => "a timer".to_owned(),
        Object::Signal => "a signal".to_owned(),
        Object::AnyChild => "any child".to_owned(),
        Object::Group { number: 0 } => "a child of its own process group".to_owned(),
        Object::Group { number } => format!("a child of process group {number}"),
        Object::Child(child) => format!("child {}", awaited(child)),
        Object::Vfork { child: Some(child) } => format!("its child {} to call exec", awaited(child)),
        Object::Vfork { child: None } => "its child to call exec".to_owned(),
        Object::Processor => "a processor".to_owned(),
    })
}

/// The only object of a `poll`, or the only pipe among a few objects; its holders decide when the call ends.
pub(super) fn polled(first: &[Object]) -> Option<&Channel> {
    first.iter().find_map(|object| match object {
        Object::Pipe(pipe) if !pipe.writes && !pipe.holders.is_empty() => Some(pipe),
        _ => None,
    })
}

fn awaited(child: &Awaited) -> String {
    let who = match (child.pid, &child.comm) {
        (Some(pid), Some(comm)) => format!("{} (pid {pid})", name(comm, pid)),
        _ => format!("{} of its pid namespace", child.number),
    };
    let place = child.wait_channel.as_deref().map_or_else(String::new, function);
    child.state.map_or_else(|| who.clone(), |state| format!("{who}, which was in state {state}{place}"))
}

/// `write end sleep (pid 5) held open`.
fn holders(actor: &Actor, channel: &Channel) -> String {
    let end = match channel {
        Channel { peer: Some(_), .. } => "other end",
        Channel { writes: true, .. } => "read end",
        Channel { writes: false, .. } => "write end",
    };
    let named: Vec<String> = channel
        .holders
        .iter()
        .map(|holder| match holder.pid {
            pid if pid == actor.pid => format!("{} itself", actor.name),
            pid => format!("{} (pid {pid})", name(&holder.comm, pid)),
        })
        .collect();
    match (named.as_slice(), channel.is_cut) {
        ([], false) => format!("{end} nobody held open"),
        ([], true) => format!("{end} was not found: not all processes were looked at"),
        (named, false) => format!("{end} {} held open", named.join(" and ")),
        (named, true) => format!("{end} {} held open, and perhaps others", named.join(" and ")),
    }
}

/// Whether a process with this pid is the waiter's parent, or further up.
fn is_ancestor(case: &Case<'_>, pid: u32) -> bool {
    const MAX_DEPTH: usize = 64;
    let parents = std::iter::successors(case.waiter, |process| case.model.process(process.parent?));
    parents.skip(1).take(MAX_DEPTH).any(|process| process.key.pid == pid)
}

/// Advice if the parent sits in a call that another process or its own code ends.
pub(super) fn advice(case: &Case<'_>) -> Option<String> {
    let doing = telling(case)?;
    let parent = case.waiter_name();
    let channel = match &doing.object {
        Object::Pipe(pipe) if !pipe.writes => Some(("pipe", pipe)),
        Object::Socket(socket) if !socket.writes => Some(("socket", socket)),
        Object::Events { first, .. } => polled(first).map(|pipe| ("pipe", pipe)),
        _ => None,
    };
    if let Some((kind, pipe)) = channel {
        let own = case.state.waiter().pid;
        // A process that sends requests to a server does not block it: only descendants hold an end by mistake.
        let others = pipe.holders.iter().find(|holder| holder.pid != own);
        if others.is_some_and(|holder| is_ancestor(case, holder.pid)) {
            return None;
        }
        return match others {
            Some(other) => {
                let other = format!("{} (pid {})", name(&other.comm, other.pid), other.pid);
                Some(format!(
                    "{parent} reads a {kind} to its end before it waits, and {other} holds the other end open: redirect \
                     the output of what the child leaves running (`>/dev/null 2>&1 </dev/null`), or stop reading when \
                     the child has exited, and then wait for it."
                ))
            }
            None if !pipe.holders.is_empty() => Some(format!(
                "{parent} reads a {kind} whose other end it holds open itself, so the read never ends: close that end \
                 after fork, and then wait for the child."
            )),
            None => None,
        };
    }
    match &doing.object {
        Object::Child(child) => Some(format!(
            "While {parent} waits for {}, it reaps no other child: wait for each child in a thread of its own, or with \
             WNOHANG and by its pid when SIGCHLD arrives.",
            match (child.pid, &child.comm) {
                (Some(pid), Some(comm)) => format!("{} (pid {pid})", name(comm, pid)),
                _ => "one child".to_owned(),
            }
        )),
        Object::Vfork { .. } => Some(format!(
            "{parent} sleeps until its newest child calls exec or exits: find out what keeps that child, often a file \
             system that does not answer."
        )),
        _ => None,
    }
}
