//! Processes stuck while exiting: a leader whose threads live on, an init whose namespace does not end.
//!
//! Nobody can reap them yet, though `ps` may show a `Z`. A process that takes too long is looked at to decide.

use super::{Bounded, Identity, Model, ModelEvent, Process, Query};
use crate::{
    event::{BootNs, Comm, ProcFacts, ProcessKey},
    signal::{self, SIGKILL},
};

/// Minimum time, ns, allowed for the threads of an exiting group, which exit one after the other.
const GRACE_NS: u64 = 500_000_000;
/// Maximum number of dying processes watched at a time.
const MAX_DYING: usize = 1 << 16;
/// Number of dying processes below which those that have exited are not removed.
pub(super) const MIN_DYING: usize = 1 << 12;
/// Maximum number of processes per stuck init whose state is looked up.
const MAX_ASKED: usize = 4;

/// What is still to be found out about the namespace of a stuck init.
#[derive(Debug)]
pub(super) struct Rest {
    unanswered: Vec<ProcessKey>,
    has_own_answer: bool,
}

/// Why the namespace of a dead init does not end, as far as it was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Teardown {
    /// How many visible processes are left in it.
    pub left: u64,
    /// The oldest of them.
    pub holdouts: Vec<Holdout>,
}

/// A process that is left.
#[derive(Clone, Debug, PartialEq)]
pub struct Holdout {
    /// Who.
    pub process: ProcessKey,
    /// Who, for people.
    pub identity: Identity,
    /// What it is.
    pub state: HoldoutState,
}

/// State of a process that is left.
#[derive(Clone, Debug, PartialEq)]
pub enum HoldoutState {
    /// Not exited, and not looked at.
    Alive,
    /// Not exited, and looked at.
    Seen {
        /// State letter.
        state: char,
        /// Where in the kernel it sleeps.
        wait_channel: Option<Box<str>>,
        /// The frozen cgroup that holds it.
        frozen_by: Option<Box<str>>,
        /// Its tracer.
        tracer: Option<u32>,
        /// SIGKILL is pending.
        is_killed: bool,
    },
    /// It is a zombie of this process.
    Zombie {
        /// Who could reap it.
        parent: ProcessKey,
        /// Its name; `None` if unknown.
        comm: Option<Comm>,
        /// The parent is outside the namespace.
        is_outside: bool,
    },
}

/// Maximum number of processes left in a namespace that are named.
const MAX_HOLDOUTS: usize = 4;

fn facts_of(process: &Process) -> Option<&ProcFacts> {
    process.parenting.as_deref()?.evidence.as_ref()?.1.proc.as_ref()
}

impl HoldoutState {
    fn of(model: &Model, init: &Process, process: &Process) -> Self {
        if let Some(zombie) = process.zombie() {
            let parent = model.process(zombie.waiter());
            return Self::Zombie {
                parent: zombie.waiter(),
                comm: parent.map(|parent| parent.identity.comm),
                is_outside: parent.is_some_and(|parent| parent.identity.level < init.identity.level),
            };
        }
        facts_of(process).map_or(Self::Alive, |facts| Self::Seen {
            state: facts.state,
            wait_channel: facts.wait_channel.as_deref().map(Into::into),
            frozen_by: facts.frozen_by.as_deref().map(Into::into),
            tracer: facts.tracer,
            is_killed: facts.pending & signal::bit(SIGKILL) != 0,
        })
    }
}

impl Model {
    /// What a dead init waits for in `zap_pid_ns_processes`, until no number of its namespace is in use. `None` if it
    /// is not known to wait there.
    #[must_use]
    pub fn teardown(&self, init: ProcessKey) -> Option<Teardown> {
        let init = self.table.get(init)?;
        let facts = facts_of(init)?;
        let mut rest: Vec<&Process> = self.namespace_rest(init.key).collect();
        let zaps = match facts.wait_channel.as_deref() {
            Some(function) if function.starts_with("zap_pid_ns") => true,
            // It waits for live children as `wait` does. Before 5.16 x86 does not show where a process sleeps; but an
            // init whose group is dead, which sleeps interruptibly while others of its namespace exist, waits for
            // those.
            Some(function) if !function.starts_with("do_wait") => false,
            _ => facts.state == 'S' && !rest.is_empty(),
        };
        if !zaps {
            return None;
        }
        rest.sort_unstable_by_key(|process| process.key);
        let holdout = |process: &&Process| Holdout {
            process: process.key,
            identity: process.identity.clone(),
            state: HoldoutState::of(self, init, process),
        };
        let holdouts = rest.iter().take(MAX_HOLDOUTS).map(holdout).collect();
        Some(Teardown { left: rest.len() as u64, holdouts })
    }

    /// Looks at a dying process again when it should be gone.
    pub(super) fn watch_dying(&mut self, time: BootNs, key: ProcessKey) {
        if self.dying.len() >= self.max_dying {
            // Most are zombies or gone by now. Each is looked at only a few times.
            let table = &self.table;
            self.dying.retain(|&(_, key)| table.get(key).is_some_and(Process::is_dying));
            self.max_dying = (2 * self.dying.len()).max(MIN_DYING);
        }
        if self.dying.len() < MAX_DYING {
            self.dying.push_back((time, key));
        } else {
            self.totals.overflows.add(Bounded::Dying);
        }
    }

    pub(super) fn look_at_dying(&mut self) {
        let grace = self.config.min_age_ns.max(GRACE_NS);
        while let Some(&(since, key)) = self.dying.front() {
            if self.ran_ns(since, self.now) < grace {
                return;
            }
            self.dying.pop_front();
            let Some(process) = self.table.get(key).filter(|process| process.is_dying()) else { continue };
            if process.is_dead() && process.is_nested_init() {
                self.query_namespace_members(key);
            }
            self.queries.push_back(Query::Process(key));
            self.awaiting_dying.insert(key);
        }
    }

    /// Answers come in any order: the init is reported when all have arrived.
    fn query_namespace_members(&mut self, init: ProcessKey) {
        let living = self.namespace_rest(init).filter(|it| !it.is_dead()).map(|it| it.key);
        let rest: Vec<ProcessKey> = living.take(MAX_ASKED).collect();
        self.queries.extend(rest.iter().copied().map(Query::Process));
        if !rest.is_empty() {
            self.awaiting_rest.insert(init, Rest { unanswered: rest, has_own_answer: false });
        }
    }

    /// The processes left in the pid namespace of an init, without the init, in no order.
    pub fn namespace_rest(&self, init: ProcessKey) -> impl Iterator<Item = &Process> {
        let inum = self.table.get(init).and_then(|it| it.identity.ns).map_or(0, |ns| ns.inum);
        self.table.iter().filter(move |process| {
            inum != 0
                && process.key != init
                && !process.life.is_gone()
                && process.identity.ns.is_some_and(|ns| ns.inum == inum)
        })
    }

    pub(super) fn on_dying_answered(&mut self, key: ProcessKey) {
        let mut complete = Vec::new();
        self.awaiting_rest.retain(|&init, rest| {
            rest.unanswered.retain(|&it| it != key);
            rest.has_own_answer |= init == key;
            let is_complete = rest.unanswered.is_empty();
            if is_complete && rest.has_own_answer {
                complete.push(init);
            }
            !is_complete
        });
        if !self.awaiting_rest.contains_key(&key) {
            self.tell_if_stuck(key);
        }
        complete.into_iter().for_each(|init| self.tell_if_stuck(init));
    }

    fn tell_if_stuck(&mut self, key: ProcessKey) {
        if self.awaiting_dying.remove(&key) && self.table.get(key).is_some_and(Process::is_dying) {
            self.news.push_back(ModelEvent::Stuck(key));
        }
    }
}
