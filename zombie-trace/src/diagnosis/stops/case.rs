//! What a rule gets to see: one stop, and words for what is in it.

use std::borrow::Cow;

use crate::{
    diagnosis::{
        doing::{self, Actor},
        programs,
        words::{duration, name},
    },
    event::{BootNs, Cgroup, ProcessKey, Runtime},
    model::{Identity, Look, Member, Model, Stop, StopOutcome},
    programs::SHELLS,
    signal,
    text::escape,
};

/// One stop to be judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct StopCase<'a> {
    /// What else is known.
    pub(super) model: &'a Model,
    /// The stop.
    pub(super) stop: &'a Stop,
}

impl<'a> StopCase<'a> {
    /// Name of the stop signal.
    pub(super) fn signal(&self) -> Cow<'static, str> {
        signal::name(self.stop.signal)
    }

    /// Name of PID 1.
    pub(super) fn name(&self) -> String {
        name(&self.stop.identity.comm, self.stop.target.pid)
    }

    /// What PID 1 was when it lost the signal.
    pub(super) fn program_then(&self) -> &'a Identity {
        self.stop.program.as_deref().unwrap_or(&self.stop.identity)
    }

    /// The container of PID 1.
    pub(super) fn cgroup(&self) -> Option<&'a Cgroup> {
        self.model.cgroup(self.stop.identity.cgroup)
    }

    /// Whether PID 1 had to be killed.
    pub(super) fn is_failed(&self) -> bool {
        self.stop.outcome == StopOutcome::Failed
    }

    /// Those of whom PID 1 is the parent.
    pub(super) fn children(&self) -> impl Iterator<Item = &'a Member> {
        self.children_of(self.stop.target)
    }

    /// Those of whom this process is the parent.
    pub(super) fn children_of(&self, parent: ProcessKey) -> impl Iterator<Item = &'a Member> {
        self.stop.path.iter().filter(move |member| member.parent == Some(parent))
    }

    /// How long after the signal, in words.
    pub(super) fn after(&self, time: BootNs) -> String {
        duration(time.saturating_sub(self.stop.sent))
    }

    /// `it was killed 10 s after SIGTERM`.
    pub(super) fn end(&self) -> String {
        let (took, signal) = (duration(self.stop.took_ns()), self.signal());
        let what = if self.is_failed() { "was killed" } else { "exited" };
        format!("{} {what} {took} after {signal}", self.name())
    }

    /// `app was in epoll_wait() of an event loop, 9.0 s after SIGTERM`, by the last look at PID 1.
    pub(super) fn sat(&self) -> Option<String> {
        self.sat_as(self.stop.target.pid, &self.stop.identity, self.stop.look.as_ref()?)
    }

    /// The same for any process.
    pub(super) fn sat_as(&self, pid: u32, identity: &Identity, look: &Look) -> Option<String> {
        let actor = Actor { pid, name: name(&identity.comm, pid) };
        let doing = look.waiting().or(look.doing.first())?;
        let place = doing::place(&actor, doing)?;
        let since = doing.since.filter(|&since| since < look.at);
        let since = since.map_or_else(String::new, |since| match since.checked_sub(self.stop.sent) {
            Some(after) => format!(", and had been since {} after it at the latest", duration(after)),
            None => ", and had been since before it".to_owned(),
        });
        Some(format!("{} was {place} {} after {}{since}", actor.name, self.after(look.at), self.signal()))
    }
}

/// What a process did at a look: `in wait4(), waiting for child sleep (pid 5)`, `frozen with cgroup /app`.
#[must_use]
pub fn place_in_stop(process: ProcessKey, identity: &Identity, look: &Look) -> Option<String> {
    if let Some(cgroup) = &look.frozen_by {
        return Some(format!("frozen with cgroup {}", escape::text(cgroup.as_bytes())));
    }
    if look.state == 'T' {
        return Some("stopped".to_owned());
    }
    let actor = Actor { pid: process.pid, name: name(&identity.comm, process.pid) };
    doing::place(&actor, look.waiting().or(look.doing.first())?)
}

/// What a process is written in, or what runs it.
pub(super) fn runtime(identity: &Identity, look: Option<&Look>) -> Option<Runtime> {
    look.and_then(|look| look.runtime).or_else(|| {
        let names = programs::names(identity);
        // One file with many programs in it, each known by the name that it was called by.
        let program = names.iter().find(|name| *name != "busybox")?;
        SHELLS.contains(&program.as_str()).then_some(Runtime::Shell)
    })
}
