//! One init that was sent signals which may mean that it is to end.

mod known;

use std::{collections::VecDeque, sync::Arc};

use super::{KilledProcess, Stop, StopOutcome, looks::Looks, path::Gathered};
use crate::{
    event::{BootNs, ExitStatus, ProcessKey},
    model::{Asked, Disposition, DropReason, DroppedSignal, Identity, Relation, Sender},
    signal::{SIGKILL, SIGTERM},
};

/// A stop that took longer than this is called slow, ns: half the grace period of Docker.
const SLOW_NS: u64 = 5_000_000_000;
/// After so long, ns, the end of an init has nothing more to do with a SIGTERM; with a SIGKILL in a generous grace
/// period it may.
const TERM_EXPIRES_NS: u64 = 600_000_000_000;
const TERM_GRACE_NS: u64 = 3_600_000_000_000;
/// The same for other signals, which mean many things, and for those from within the namespace, whose senders cannot
/// kill.
const OTHER_EXPIRES_NS: u64 = 10_000_000_000;
const OTHER_GRACE_NS: u64 = 120_000_000_000;
/// The same signal again within this time, ns, is the same stop.
const SAME_STOP_NS: u64 = 120_000_000_000;
/// Who signals a whole group, cgroup or namespace does not begin with its init: this much earlier, ns, is the same stop.
pub(super) const ASKED_BEFORE_NS: u64 = 1_000_000_000;

/// Maximum number of different signals to one init that are remembered.
pub(super) const MAX_ATTEMPTS: usize = 8;
/// Maximum number of processes that are named as killed unasked.
pub(super) const MAX_KILLED: usize = 128;

/// A signal that may be meant to stop an init.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) signal: u32,
    first: BootNs,
    last: BootNs,
    count: u64,
    pub(super) sender: Option<Sender>,
    pub(super) relation: Relation,
    /// What the init did with it when it was first sent.
    disposition: Option<Disposition>,
    /// Why one of them did not reach the init; when that was sent, and what the init was then.
    dropped: Option<Dropped>,
    /// When the init itself raised it again, which the kernel dropped.
    reraised: Option<BootNs>,
    /// One of them did.
    received: bool,
    /// Processes that were killed since and had not been asked to end.
    killed: u64,
}

/// One of them that did not reach the init.
#[derive(Clone, Debug)]
struct Dropped {
    reason: DropReason,
    /// When the last of them was sent.
    last: BootNs,
    program: Arc<Identity>,
}

/// An init that got such signals.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// Inode of its pid namespace.
    pub(super) namespace: u32,
    pub(super) attempts: Vec<Attempt>,
    /// The first SIGKILL that got through; without a sender it is the kernel's (out of memory).
    pub(super) kill: Option<(BootNs, Option<Sender>)>,
    pub(super) end: Option<(BootNs, ExitStatus)>,
    /// The last processes that were killed and had not been asked, by one attempt at least.
    killed: VecDeque<KilledProcess>,
    /// When it is looked at.
    pub(super) looks: Looks,
    /// What is known of it and of the others in its namespace.
    pub(super) gathered: Gathered,
    /// When it last became another program.
    pub(super) became: Option<BootNs>,
    /// When it last started a process.
    pub(super) forked: Option<BootNs>,
}

impl Attempt {
    /// Whether a process was killed since this attempt, without having been asked to end since.
    fn has_killed(&self, it: &KilledProcess) -> bool {
        let is_since = it.died >= self.first;
        let is_asked = it.asked_at.is_some_and(|asked| asked.saturating_add(ASKED_BEFORE_NS) >= self.first);
        // Only of these four is it seen whether other processes than inits get them: where the stop is by another
        // signal, who was forwarded it is not known.
        is_since && !is_asked && Asked::is_seen(self.signal)
    }

    /// How long after it a SIGKILL may have to do with it.
    fn grace_ns(&self) -> u64 {
        if self.signal == SIGTERM && self.relation == Relation::Outside { TERM_GRACE_NS } else { OTHER_GRACE_NS }
    }

    fn is_by(&self, killer: &Sender) -> bool {
        let Some(sender) = &self.sender else { return false };
        // A runtime signals by a program that is gone at once, and then by another of the same name; so does a person
        // by `kill`, and it may be another person.
        let parent = |sender: &Sender| sender.parent.map(|(parent, _)| parent);
        let same_parent = match (parent(sender), parent(killer)) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        sender.process == killer.process || sender.comm == killer.comm && same_parent
    }
}

impl Watch {
    pub(super) fn new(namespace: u32) -> Self {
        Self {
            namespace,
            attempts: Vec::new(),
            kill: None,
            end: None,
            killed: VecDeque::new(),
            looks: Looks::default(),
            gathered: Gathered::default(),
            became: None,
            forked: None,
        }
    }

    pub(super) fn find(&self, signal: u32) -> Option<&Attempt> {
        self.attempts.iter().find(|it| it.signal == signal)
    }

    fn find_mut(&mut self, signal: u32) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|it| it.signal == signal)
    }

    /// Whether this is a new one.
    pub(super) fn attempt(
        &mut self,
        time: BootNs,
        signal: u32,
        disposition: Option<Disposition>,
        sender: Option<Sender>,
        relation: Relation,
    ) -> bool {
        if let Some(known) = self.find_mut(signal)
            && time.saturating_sub(known.last) <= SAME_STOP_NS
        {
            known.last = known.last.max(time);
            known.count += 1;
            return false;
        }
        self.attempts.retain(|it| it.signal != signal);
        if self.attempts.len() == MAX_ATTEMPTS {
            self.attempts.remove(0);
        }
        self.attempts.push(Attempt {
            signal,
            first: time,
            last: time,
            count: 1,
            sender,
            relation,
            disposition,
            dropped: None,
            reraised: None,
            received: false,
            killed: 0,
        });
        let first = self.attempts.iter().map(|it| it.first).min().unwrap_or(time);
        self.killed.retain(|it| it.died >= first);
        self.gathered.forget_before(first);
        true
    }

    pub(super) fn dropped(&mut self, dropped: &DroppedSignal) {
        // One that had to wait is dropped later than it is sent.
        let waited = dropped.reason == DropReason::DroppedAtDelivery;
        let Some(attempt) = self.find_mut(dropped.signal) else { return };
        if attempt.first <= dropped.time && (waited || dropped.time <= attempt.last) {
            match &mut attempt.dropped {
                Some(known) => known.last = known.last.max(dropped.time),
                slot => {
                    let (reason, last, program) = (dropped.reason, dropped.time, Arc::clone(&dropped.program));
                    *slot = Some(Dropped { reason, last, program });
                }
            }
        }
    }

    pub(super) fn not_dropped(&mut self, signal: u32) {
        if let Some(attempt) = self.find_mut(signal)
            && attempt
                .dropped
                .as_ref()
                .is_some_and(|it| matches!(it.reason, DropReason::Blocked | DropReason::Coalesced))
        {
            attempt.dropped = None;
        }
    }

    pub(super) fn received(&mut self, signal: u32) {
        if let Some(attempt) = self.find_mut(signal) {
            attempt.received = true;
        }
    }

    /// The init has raised the signal against itself, and the kernel dropped it: at once, or if it was raised in the handler,
    /// which blocks it, when that returned.
    pub(super) fn reraised(&mut self, dropped: &DroppedSignal) {
        if let Some(attempt) = self.find_mut(dropped.signal)
            && attempt.received
            && matches!(dropped.reason, DropReason::NoHandler | DropReason::DroppedAtDelivery)
            && dropped.time >= attempt.first
        {
            attempt.reraised.get_or_insert(dropped.time);
        }
    }

    /// Whether a process that was last asked to end at this time was so for one of these stops.
    pub(super) fn is_asked_by(&self, asked: BootNs) -> bool {
        self.attempts.iter().any(|it| asked.saturating_add(ASKED_BEFORE_NS) >= it.first)
    }

    /// A process of the namespace was killed.
    pub(super) fn killed(&mut self, killed: KilledProcess) {
        let mut counts = false;
        for attempt in self.attempts.iter_mut().filter(|it| it.has_killed(&killed)) {
            attempt.killed += 1;
            counts = true;
        }
        if counts {
            if self.killed.len() == MAX_KILLED {
                self.killed.pop_front();
            }
            self.killed.push_back(killed);
        }
    }

    /// Whether it lives, and nothing that may follow has to do with what it was sent.
    pub(super) fn is_over(&self, now: BootNs) -> bool {
        self.end.is_none() && self.attempts.iter().all(|it| now.saturating_sub(it.last) > it.grace_ns())
    }

    pub(super) fn conclude(&self, init: ProcessKey, identity: Identity, last_loss: Option<BootNs>) -> Option<Stop> {
        let (ended, status) = self.end?;
        let is_killed = matches!(status, ExitStatus::Signal { signal, .. } if u32::from(signal) == SIGKILL);
        let (outcome, attempt, ended) = match (is_killed, self.kill) {
            // The kernel kills for want of memory, which is another story.
            (true, Some((_, None))) => return None,
            (true, kill) => {
                let (killed, killer) = kill.map_or((ended, None), |(time, killer)| (time, killer));
                (StopOutcome::Failed, self.attempt_before_kill(killed, killer.as_ref())?, killed)
            }
            (false, _) if matches!(status, ExitStatus::Signal { .. }) => return None,
            (false, _) => {
                let attempt = self.attempt_before_exit(ended)?;
                let is_slow = ended.saturating_sub(attempt.first) > SLOW_NS;
                (if is_slow { StopOutcome::Slow } else { StopOutcome::Clean }, attempt, ended)
            }
        };
        let uncertain = last_loss.is_some_and(|lost| lost >= attempt.first);
        let killed: Vec<_> = self.killed.iter().filter(|it| !uncertain && attempt.has_killed(it)).cloned().collect();
        let more = if uncertain { 0 } else { attempt.killed.saturating_sub(killed.len() as u64) };
        let dropped = attempt.dropped.as_ref();
        let received = match (attempt.received || outcome != StopOutcome::Failed, dropped) {
            (true, _) => Some(true),
            (false, Some(_)) => Some(false),
            (false, None) => None,
        };
        // Another program since that did not lose it, too.
        let became = self.became.filter(|&became| became > dropped.map_or(attempt.first, |it| it.last));
        let since = attempt.first;
        let look = self.gathered.look_at(init, ended).filter(|look| look.at >= since);
        Some(Stop {
            target: init,
            program: dropped.filter(|_| became.is_some()).map(|it| Arc::clone(&it.program)),
            became,
            forked: self.forked.filter(|&forked| forked >= since),
            reraised: attempt.reraised,
            disposition: look.map_or(attempt.disposition, |it| it.settle(attempt.disposition, attempt.signal)),
            look: look.cloned(),
            path: Vec::new(),
            more_in_path: 0,
            teardown: None,
            identity,
            outcome,
            status,
            signal: attempt.signal,
            sent: attempt.first,
            count: attempt.count,
            sender: attempt.sender,
            relation: attempt.relation,
            dropped: dropped.map(|it| it.reason).filter(|_| received == Some(false)),
            received,
            ended,
            killed_by: self.kill.and_then(|(_, killer)| killer).filter(|_| is_killed),
            killed_without_term: killed,
            more_killed_without_term: more,
            uncertain,
        })
    }

    /// The stop signal that preceded this SIGKILL.
    fn attempt_before_kill(&self, killed: BootNs, killer: Option<&Sender>) -> Option<&Attempt> {
        let in_time = self.attempts.iter().filter(|it| killed.saturating_sub(it.last) <= it.grace_ns());
        let term = in_time.clone().find(|it| it.signal == SIGTERM);
        // Another signal may mean anything; it asked for an end if who sent it killed then.
        term.or_else(|| in_time.filter(|it| killer.is_some_and(|killer| it.is_by(killer))).max_by_key(|it| it.last))
    }

    pub(super) fn taken_before(&self, ended: BootNs) -> Option<(u32, BootNs, Option<Sender>, Relation)> {
        let attempt = self.attempt_before_exit(ended)?;
        Some((attempt.signal, attempt.last, attempt.sender, attempt.relation))
    }

    /// The signal that made the init end by itself at this time.
    fn attempt_before_exit(&self, ended: BootNs) -> Option<&Attempt> {
        let since = |attempt: &Attempt| ended.saturating_sub(attempt.last);
        let mut taken = self.attempts.iter().filter(|it| it.received || it.dropped.is_none());
        let term = taken.clone().find(|it| it.signal == SIGTERM && since(it) <= TERM_EXPIRES_NS);
        term.or_else(|| taken.rfind(|it| it.signal != SIGTERM && since(it) <= OTHER_EXPIRES_NS))
    }
}
