//! What a run saw at all: whether a filter ever matched, which programs ran, and what the end left open.
//!
//! A verdict over nothing is no verdict. A command may only ask a daemon to start processes, which then are none of its
//! descendants; a filter may be mistyped; a command may end while what it started lives on.

use std::collections::{BTreeMap, BTreeSet};

use super::{Scope, clients};
use crate::{
    event::{BootNs, Comm, Event, Fact, ProcessKey, What},
    model::{Life, Model, Process},
    text::escape,
};

/// Maximum number of names that are kept of each kind.
const MAX_NAMED: usize = 16;

/// What a run saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// A process that matches the filters existed when tracing began, or was found in `/proc` later.
    pub matched_by_seed: bool,
    /// A traced process that matches the filters forked, ran a program or exited.
    pub matched_by_event: bool,
    /// How many programs were run.
    pub programs: u64,
    /// How many of them were neither clients nor what scripts are made of.
    pub others: u64,
    /// Clients of daemons that were run.
    pub clients: BTreeSet<&'static str>,
    /// An init of a pid namespace was forked: whoever starts containers here does so itself, as podman does.
    pub has_inits: bool,
    /// Containers of the command were followed: what its clients asked for was seen.
    pub has_containers: bool,
    /// What the end left open.
    pub end: Open,
}

/// What is open at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// Zombies that have not reached the minimum age.
    pub young_zombies: u64,
    /// Processes that were started while tracing and live on.
    pub running: u64,
    /// Some of them: name by pid.
    pub named: BTreeMap<u32, String>,
}

impl Coverage {
    /// Whether a process ever matched the filters.
    #[must_use]
    pub fn has_matched(&self) -> bool {
        self.matched_by_seed || self.matched_by_event
    }

    /// Takes in an event that the model has taken in.
    pub(super) fn observe(&mut self, event: &Event, model: &Model, scope: &Scope) {
        let is_own = |key: ProcessKey| {
            model.config().command.is_none() || model.process_of(key).is_some_and(|it| it.identity.descends)
        };
        match &event.what {
            What::Exec(exec) if is_own(exec.process) => self.saw_program(&exec.comm),
            What::Fork(fork) if fork.ns.nr == 1 => self.has_inits |= is_own(fork.child),
            _ => {}
        }
        if self.matched_by_event {
            return;
        }
        if scope.is_unlimited() {
            (self.matched_by_seed, self.matched_by_event) = (true, true);
            return;
        }
        // Amid the whole machine what is neither the command's nor in a container is others'.
        let may_be_own = |process: &Process| {
            model.config().command.is_none()
                || process.identity.descends
                || model.cgroup(process.identity.cgroup).is_some_and(|cgroup| cgroup.container().is_some())
        };
        let by_cgroup = scope.container.is_some() || scope.cgroup.is_some();
        let matches = |key: ProcessKey| {
            let process = model.process_of(key).filter(|process| may_be_own(process));
            process.is_some_and(|process| scope.covers(model, [Some(&process.identity)]))
        };
        match &event.what {
            What::Fact(Fact::Seed(seed)) => self.matched_by_seed = self.matched_by_seed || matches(seed.process),
            What::Exec(exec) => self.matched_by_event = matches(exec.process),
            What::Exit(exit) => self.matched_by_event = matches(exit.process),
            // A child is in its parent's cgroup.
            What::Fork(fork) if !by_cgroup => self.matched_by_event = matches(fork.child),
            What::Fact(Fact::Cgroup(cgroup)) if by_cgroup => {
                for process in model.processes().filter(|process| process.identity.cgroup == cgroup.id) {
                    if may_be_own(process) && scope.covers(model, [Some(&process.identity)]) {
                        let matched =
                            if process.preexisting { &mut self.matched_by_seed } else { &mut self.matched_by_event };
                        *matched = true;
                    }
                }
            }
            _ => {}
        }
    }

    /// Takes in that a program was run.
    pub(super) fn saw_program(&mut self, comm: &Comm) {
        let name = escape::comm(comm);
        self.programs += 1;
        match clients::kind(&name) {
            clients::Kind::Client(client) => {
                self.clients.insert(client);
            }
            clients::Kind::Script => {}
            clients::Kind::Other => self.others += 1,
        }
    }

    /// This, with what is open now.
    #[must_use]
    pub(super) fn at_end(&self, model: &Model, scope: &Scope) -> Self {
        let mut end = Open::default();
        let (now, min_age) = (model.now(), model.config().min_age_ns);
        for process in model.processes().filter(|process| scope.covers(model, [Some(&process.identity)])) {
            if let Some(zombie) = process.zombie() {
                // Who is older than all that was started is not judged for its zombies at any age.
                let is_judged = model.process(zombie.waiter()).is_none_or(|waiter| waiter.forker.is_some());
                end.young_zombies += u64::from(is_judged && zombie.age(now) < min_age);
            } else if is_running(process) {
                end.running += 1;
                if end.named.len() < MAX_NAMED {
                    let name = escape::comm(&process.identity.comm).into_owned();
                    end.named.insert(process.key.pid, name);
                }
            }
        }
        Self { end, ..self.clone() }
    }

    /// Clients whose daemons may have started what was not traced.
    #[must_use]
    pub fn unseen_clients(&self) -> Vec<&'static str> {
        let is_seen = |client: &str| {
            self.has_inits && client == "podman" || self.has_containers && clients::of_containers(client).is_some()
        };
        self.clients.iter().copied().filter(|client| !is_seen(client)).collect()
    }

    /// Whether nothing but clients, and what runs them, was seen.
    #[must_use]
    pub fn is_only_clients(&self) -> bool {
        self.others == 0 && !self.unseen_clients().is_empty()
    }
}

/// Started while tracing, and neither dead nor dying.
fn is_running(process: &Process) -> bool {
    process.forker.is_some() && !process.is_dead()
}

/// What was discarded is freed after a grace period of RCU: ns, on a busy machine.
const UNTIL_FREED_NS: u64 = 2_000_000_000;
/// A zombie may be reaped as the command ends, ns.
const UNTIL_REAPED_NS: u64 = 300_000_000;

/// Whether something that exited a moment ago is still there: its end may yet have to be told.
pub(super) fn is_settling(model: &Model, scope: &Scope, now: BootNs) -> bool {
    model.processes().filter(|process| scope.covers(model, [Some(&process.identity)])).any(|process| {
        let within = match process.life {
            Life::Exiting(_) => UNTIL_FREED_NS,
            Life::Zombie(_) => UNTIL_REAPED_NS,
            Life::Alive | Life::LeaderGone(_) | Life::Released(_) | Life::Gone { .. } => return false,
        };
        process.end().is_some_and(|(exited, _)| now.saturating_sub(exited) < within)
    })
}

/// Whether the parent of something that has exited discards it, and it has not been seen to go.
pub(super) fn is_discarding(model: &Model, scope: &Scope) -> bool {
    let mut own = model.processes().filter(|process| scope.covers(model, [Some(&process.identity)]));
    own.any(|process| matches!(&process.life, Life::Exiting(exiting) if exiting.discarded))
}

/// Whether something that was started while tracing still runs.
pub(super) fn has_running(model: &Model, scope: &Scope) -> bool {
    model.processes().filter(|process| scope.covers(model, [Some(&process.identity)])).any(is_running)
}
