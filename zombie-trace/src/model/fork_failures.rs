//! Forks that the kernel refused, and the limit behind it.

use std::collections::BTreeMap;

use super::{
    Identity, Model, ModelEvent, Process, Query,
    limits::{Limit, LimitKind, hit},
};
use crate::event::{BootNs, Comm, ForkFailed, FullPidNs, PidLimits, ProcessKey, Tasks};

/// How long, ns, a limit that was found is assumed to cause further failures, too.
const LIMIT_FRESH_NS: u64 = 1_000_000_000;
/// Maximum number of exited inits remembered.
const MAX_DEAD_INITS: usize = 256;
/// Maximum number of kinds of failure kept.
const MAX_KINDS: usize = 4096;

/// Forks of one process that failed for one limit.
#[derive(Clone, Debug, PartialEq)]
pub struct ForkFailure {
    /// The process that could not fork.
    pub process: ProcessKey,
    /// Its name, for people.
    pub identity: Identity,
    /// EAGAIN (11) or ENOMEM (12), of the first.
    pub errno: u32,
    /// The first failure.
    pub first: BootNs,
    /// The last one.
    pub last: BootNs,
    /// How many, at least: the kernel side reports a loop of failures ten times a second, each time with the number
    /// since the last report, and does not report those after the last.
    pub count: u64,
    /// The limit as it was at the first.
    pub limit: Limit,
    /// Zombies that counted against it then.
    pub zombies: u64,
    /// The process with most of these zombies, its name, and how many it had.
    pub holder: Option<(ProcessKey, Identity, u64)>,
    /// What counted against the limit, as far as known; its zombies are [`Self::zombies`].
    pub filled_by: Option<Tasks>,
    /// The user, for a limit per user.
    pub uid: Option<u32>,
    /// The pid namespace without a PID 1, and that PID 1 if it was seen.
    pub dead_pid_ns: Option<(u32, Option<DeadInit>)>,
}

/// The init of a pid namespace that has exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadInit {
    /// The namespace.
    pub inum: u32,
    /// Who it was.
    pub process: ProcessKey,
    /// Its name.
    pub comm: Comm,
    /// When it exited.
    pub exited: BootNs,
}

/// Maximum time for which a failure waits for the name of its container, ns.
const NAMING_NS: u64 = 1_000_000_000;
/// Maximum time for which a failure waits for its own answer when the limits are known from another one, ns. Older
/// recordings, whose answers do not say what they are for, have only others.
pub(super) const ANSWER_NS: u64 = 10_000_000_000;

/// The kernel side reports a full pid namespace and the failure right after each other, and the next failure of a
/// process not before this time, ns.
const SAME_FAILURE_NS: u64 = 100_000_000;

/// Failures that wait for the limits.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    first: BootNs,
    last: BootNs,
    errno: u32,
    count: u64,
    /// Limits read for another reason after the first failure, in case its own answer does not come.
    meanwhile: Option<Box<PidLimits>>,
    /// The pid namespace that had no number left.
    full: Option<FullPidNs>,
}

impl Model {
    /// Forks that failed, by process and limit.
    pub fn fork_failures(&self) -> impl Iterator<Item = &ForkFailure> {
        self.fork_failures.values()
    }

    /// Kept for the failure that is reported next.
    pub(super) fn on_full_pid_ns(&mut self, time: BootNs, full: &FullPidNs) {
        let key = self.table.canonical(full.process);
        if let Some(process) = self.enter(key, time) {
            process.full_pid_ns = Some(Box::new((time, *full)));
        }
    }

    pub(super) fn on_fork_failed(&mut self, time: BootNs, failed: &ForkFailed) {
        let key = self.table.canonical(failed.process);
        self.learn_cgroup(failed.cgroup);
        let Some(process) = self.enter(key, time) else { return };
        let identity = &mut process.identity;
        identity.comm = failed.comm;
        identity.uid = Some(failed.uid);
        identity.ns = Some(failed.ns);
        identity.level = failed.level;
        if failed.cgroup != 0 {
            identity.cgroup = failed.cgroup;
        }
        let count = u64::from(failed.failures.max(1));
        let full = process.full_pid_ns.take();
        let full = full.filter(|full| time.saturating_sub(full.0) <= SAME_FAILURE_NS).map(|full| full.1);
        if let Some(pending) = self.awaiting_limits.get_mut(&key) {
            pending.last = time;
            pending.count += count;
            return;
        }
        let mut of_process = self.fork_failures.range_mut((key, LimitKind::PidsMax)..=(key, LimitKind::Unknown));
        if let Some((_, known)) = of_process.find(|(_, it)| time.saturating_sub(it.last) <= LIMIT_FRESH_NS) {
            known.last = time;
            known.count += count;
            return;
        }
        let pending = Pending { first: time, last: time, errno: failed.errno, count, meanwhile: None, full };
        self.awaiting_limits.insert(key, pending);
        self.queries.push_back(Query::Limits { process: key, cgroup: failed.cgroup, failed: time });
    }

    /// A process has exited: if it was the init of a pid namespace, nothing can start there any more.
    pub(super) fn note_dead_init(&mut self, time: BootNs, key: ProcessKey) {
        let Some(init) = self.table.get(key).filter(|it| it.is_nested_init()) else { return };
        let Some(ns) = init.identity.ns else { return };
        let dead = DeadInit { inum: ns.inum, process: key, comm: init.identity.comm, exited: time };
        if self.dead_inits.len() == MAX_DEAD_INITS {
            self.dead_inits.pop_front();
        }
        self.dead_inits.push_back(dead);
    }

    pub(super) fn on_limits(&mut self, time: BootNs, limits: &PidLimits) {
        let key = self.table.canonical(limits.process);
        if let Some(process) = self.table.get_mut(key) {
            process.limits = Some((time, Box::new(limits.clone())));
        }
        let Some(pending) = self.awaiting_limits.get_mut(&key) else { return };
        if limits.failed.is_none() {
            // Limits read before the fork failed say nothing about it.
            if time >= pending.first {
                pending.meanwhile = Some(Box::new(limits.clone()));
            }
            return;
        }
        let meanwhile = pending.meanwhile.take();
        let is_read = !limits.cgroups.is_empty() || limits.pid_max.is_some();
        let best = if is_read { limits } else { meanwhile.as_deref().unwrap_or(limits) };
        self.judge_fork_failure(key, best);
    }

    /// Decides failures whose own answer has not come within this time, ns, by what was read meanwhile.
    pub(super) fn judge_unanswered_failures(&mut self, patience: u64) {
        if self.awaiting_limits.is_empty() {
            return;
        }
        let now = self.now;
        let is_due = |pending: &Pending| now.saturating_sub(pending.first) >= patience;
        let due: Vec<_> = self
            .awaiting_limits
            .iter_mut()
            .filter(|(_, pending)| is_due(pending))
            .map(|(&key, pending)| {
                let limits = pending.meanwhile.take().unwrap_or_else(|| Box::new(PidLimits::unknown(key)));
                (key, limits)
            })
            .collect();
        for (key, limits) in due {
            self.judge_fork_failure(key, &limits);
        }
    }

    fn judge_fork_failure(&mut self, process: ProcessKey, limits: &PidLimits) {
        let Some(pending) = self.awaiting_limits.remove(&process) else { return };
        let limit = hit(limits, pending.full.as_ref(), pending.errno);
        let slot = (process, limit.kind);
        if let Some(known) = self.fork_failures.get_mut(&slot) {
            known.last = pending.last;
            known.count += pending.count;
            return;
        }
        if self.fork_failures.len() >= MAX_KINDS {
            self.totals.overflows.add(super::Bounded::ForkFailures);
            return;
        }
        let identity = self.table.get(process).map(|it| it.identity.clone()).unwrap_or_default();
        let mut by_parent = BTreeMap::<ProcessKey, u64>::new();
        // The process may have died because it could not fork; then it was not yet a zombie when the fork failed.
        let was_there = |zombie: &Process| zombie.zombie().is_some_and(|zombie| zombie.since <= pending.first);
        for (waiter, zombie) in self.zombies() {
            if was_there(zombie) && self.counts(zombie, &limit, &identity) {
                *by_parent.entry(waiter).or_default() += 1;
            }
        }
        let holder = by_parent
            .iter()
            .max_by_key(|&(_, count)| count)
            .and_then(|(&parent, &count)| Some((parent, self.table.get(parent)?.identity.clone(), count)));
        let kind = limit.kind;
        let filled_by = limits.tasks.and_then(|tasks| match kind {
            LimitKind::PidsMax => Some(tasks.of_cgroup),
            LimitKind::Rlimit => Some(tasks.of_user),
            LimitKind::PidMax if limit.pid_ns.is_some() => None,
            LimitKind::PidMax | LimitKind::ThreadsMax => Some(tasks.of_machine),
            LimitKind::DeadPidNamespace | LimitKind::Unknown => None,
        });
        let dead_pid_ns = limits.dead_pid_ns.filter(|_| kind == LimitKind::DeadPidNamespace).map(|inum| {
            // Inode numbers are reused: this is the last namespace that had it.
            (inum, self.dead_inits.iter().rfind(|init| init.inum == inum && init.exited <= pending.last).copied())
        });
        let failure = ForkFailure {
            process,
            identity,
            errno: pending.errno,
            first: pending.first,
            last: pending.last,
            count: pending.count,
            limit,
            zombies: by_parent.values().sum(),
            holder,
            filled_by,
            uid: if kind == LimitKind::Rlimit { limits.uid } else { None },
            dead_pid_ns,
        };
        self.fork_failures.insert(slot, failure.clone());
        self.unnamed_failures.push_back((self.now.saturating_add(NAMING_NS), Box::new(failure)));
        self.tell_fork_failures();
    }

    /// Reports the failures whose container is known or cannot be found; answers come in any order.
    pub(super) fn tell_fork_failures(&mut self) {
        if self.unnamed_failures.is_empty() {
            return;
        }
        for (until, failure) in std::mem::take(&mut self.unnamed_failures) {
            let is_asked = matches!(self.cgroups.get(&failure.identity.cgroup), Some(None));
            if is_asked && self.now < until {
                self.unnamed_failures.push_back((until, failure));
            } else {
                self.news.push_back(ModelEvent::ForkFailed(failure));
            }
        }
    }

    /// All zombies, each with the process that could reap it.
    pub fn zombies(&self) -> impl Iterator<Item = (ProcessKey, &Process)> {
        self.table.iter().filter_map(|process| Some((process.zombie()?.waiter(), process)))
    }

    /// Whether a zombie counts against a limit that holds for a process.
    #[must_use]
    pub fn counts(&self, zombie: &Process, limit: &Limit, holds_for: &Identity) -> bool {
        match limit.kind {
            LimitKind::PidsMax => {
                let cgroup = self.cgroup_of_zombie(zombie);
                if cgroup != 0 && cgroup == holds_for.cgroup {
                    return true;
                }
                let Some(wanted) = limit.path.as_deref().map(|path| path.trim_end_matches('/')) else { return false };
                self.cgroup(cgroup)
                    .and_then(|cgroup| cgroup.path.strip_prefix(wanted))
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            LimitKind::Rlimit => zombie.identity.uid.is_some() && zombie.identity.uid == holds_for.uid,
            // A process in a nested namespace has a number here, too, but only its innermost namespace is known.
            LimitKind::PidMax if limit.pid_ns.is_some() => zombie.identity.ns.map(|ns| ns.inum) == limit.pid_ns,
            LimitKind::PidMax | LimitKind::ThreadsMax | LimitKind::Unknown => true,
            LimitKind::DeadPidNamespace => false,
        }
    }

    /// On cgroup v1 `/proc` hides the cgroup of a zombie; for a zombie older than the trace, its parent's is used.
    fn cgroup_of_zombie(&self, zombie: &Process) -> u64 {
        match (zombie.identity.cgroup, zombie.zombie()) {
            (0, Some(zombie)) => self.table.get(zombie.waiter()).map_or(0, |waiter| waiter.identity.cgroup),
            (cgroup, _) => cgroup,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Cgroup, Event, Fact, NsPid, What},
        model::{
            Config,
            limits::{
                EAGAIN,
                tests::{PROCESS, limits},
            },
        },
    };

    /// The answer to a failure at this time.
    fn answer(time: u64, failed: u64, current: u64) -> Event {
        let limits = PidLimits { failed: Some(failed), ..limits(current, 0) };
        Event { time, what: What::Fact(Fact::Limits(Box::new(limits))) }
    }

    /// Limits that were read for another reason.
    fn other(time: u64, current: u64) -> Event {
        Event { time, what: What::Fact(Fact::Limits(Box::new(limits(current, 0)))) }
    }

    fn failed(time: u64) -> Event {
        failed_in(0, time)
    }

    fn failed_in(cgroup: u64, time: u64) -> Event {
        let failed = ForkFailed {
            process: PROCESS,
            errno: EAGAIN,
            failures: 2,
            uid: 1,
            cgroup,
            comm: *b"bash\0\0\0\0\0\0\0\0\0\0\0\0",
            ns: NsPid { nr: 5, inum: 1 },
            level: 0,
        };
        Event { time, what: What::ForkFailed(failed) }
    }

    #[test]
    fn a_loop_of_failures_asks_and_tells_once_for_each_limit() {
        let mut model = Model::new(Config::default());
        let asked = |model: &mut Model| std::iter::from_fn(|| model.next_query()).count();
        let told = |model: &mut Model| std::iter::from_fn(|| model.next_event()).count();
        model.apply(&failed(1));
        model.apply(&failed(2));
        assert_eq!((asked(&mut model), told(&mut model)), (1, 0));
        model.apply(&answer(3, 1, 10));
        model.apply(&failed(4));
        assert_eq!((asked(&mut model), told(&mut model)), (0, 1));
        let late = 5 * LIMIT_FRESH_NS;
        model.apply(&failed(late));
        assert_eq!(asked(&mut model), 1);
        model.apply(&answer(late, late, 10));
        assert_eq!(told(&mut model), 0);
        let counts: Vec<_> = model.fork_failures().map(|it| (it.limit.kind, it.count, it.last)).collect();
        assert_eq!(counts, [(LimitKind::PidsMax, 8, late)]);
    }

    #[test]
    fn a_full_pid_namespace_explains_the_failure_that_is_told_next_and_no_later_one() {
        let mut model = Model::new(Config::default());
        let usage = crate::event::Usage { used: 300, allowed: 301 };
        let full = FullPidNs { process: PROCESS, inum: 7, level: 1, usage };
        model.apply(&Event { time: 100, what: What::FullPidNs(full) });
        model.apply(&failed(101));
        model.apply(&answer(102, 101, 5));
        let late = 101 + 2 * LIMIT_FRESH_NS;
        model.apply(&failed(late));
        model.apply(&answer(late + 1, late, 5));
        let limits: Vec<_> = model.fork_failures().map(|it| (it.limit.kind, it.limit.pid_ns)).collect();
        assert_eq!(limits, [(LimitKind::PidMax, Some(7)), (LimitKind::Unknown, None)]);
    }

    #[test]
    fn limits_that_were_read_before_the_fork_failed_do_not_explain_it() {
        let mut model = Model::new(Config::default());
        let kinds = |model: &Model| model.fork_failures().map(|it| it.limit.kind).collect::<Vec<_>>();
        model.apply(&failed(100));
        model.apply(&other(99, 5));
        assert_eq!(kinds(&model), [], "read before it, and arrived after it");
        model.apply(&answer(101, 100, 10));
        assert_eq!(kinds(&model), [LimitKind::PidsMax]);
    }

    #[test]
    fn limits_that_were_read_for_another_reason_stand_in_for_an_answer_that_fails_or_does_not_come() {
        let refused = || {
            let mut model = Model::new(Config::default());
            model.apply(&failed(100));
            model.apply(&other(101, 10));
            assert_eq!(model.fork_failures().count(), 0, "its own answer says more");
            model
        };
        let kinds = |model: &Model| model.fork_failures().map(|it| it.limit.kind).collect::<Vec<_>>();
        let mut unread = refused();
        let nothing = PidLimits { failed: Some(100), ..PidLimits::unknown(PROCESS) };
        unread.apply(&Event { time: 102, what: What::Fact(Fact::Limits(Box::new(nothing))) });
        assert_eq!(kinds(&unread), [LimitKind::PidsMax]);
        let mut unanswered = refused();
        unanswered.apply(&Event { time: 100 + ANSWER_NS, what: What::Tick });
        assert_eq!(kinds(&unanswered), [LimitKind::PidsMax]);
        let mut over = refused();
        over.judge_unanswered_failures(0);
        assert_eq!(kinds(&over), [LimitKind::PidsMax], "no answer is to come");
        let mut nothing_read = Model::new(Config::default());
        nothing_read.apply(&failed(100));
        nothing_read.judge_unanswered_failures(0);
        assert_eq!(kinds(&nothing_read), [LimitKind::Unknown], "it failed all the same");
    }

    #[test]
    fn a_failure_is_told_when_its_cgroup_is_known_or_was_asked_for_in_vain() {
        let told = |model: &mut Model| std::iter::from_fn(|| model.next_event()).count();
        let refused = || {
            let mut model = Model::new(Config::default());
            model.apply(&failed_in(7, 1));
            model.apply(&answer(2, 1, 10));
            assert_eq!(told(&mut model), 0, "nobody knows yet in which container it is");
            model
        };
        let mut named = refused();
        named.apply(&Event { time: 3, what: Fact::Cgroup(Cgroup::new(7, "/a".to_owned(), None)).into() });
        assert_eq!(told(&mut named), 1);
        let mut unnamed = refused();
        unnamed.apply(&Event { time: 1 + NAMING_NS, what: What::Tick });
        assert_eq!(told(&mut unnamed), 1);
        unnamed.apply(&Event { time: 2 + NAMING_NS, what: What::Tick });
        assert_eq!(told(&mut unnamed), 0);
    }
}
