//! The end of a zombie: when it is reaped, and by whom.
//!
//! The facts behind every branch are in `wait_consider_task` and `release_task` (`kernel/exit.c`), which did not change
//! in what matters here from 5.10 to 7.2.

use super::{
    Begin, Death, Exiting, Identity, Life, Model, ModelEvent, ParentState, Process, Stints, Zombie,
    life::{self, Handing, Past, Waited},
};
use crate::event::{BootNs, ProcessKey, Release, Wait, WaitCall, WaitReport};

const ECHILD: u32 = 10;
/// Options of `wait4` and `waitid`.
const WSTOPPED: u32 = 2;
const WEXITED: u32 = 4;
const WCONTINUED: u32 = 8;
/// Look, do not reap.
const WNOWAIT: u32 = 0x0100_0000;

/// How well the length of a zombie's life is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Begin and end were both seen.
    Exact,
    /// It was not longer than this: the end is known only from the freeing of its memory, a grace period after.
    UpperBound,
    /// It was not shorter than this: it was there before tracing began.
    LowerBound,
}

impl Precision {
    /// The name in machine output.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::UpperBound => "upper-bound",
            Self::LowerBound => "lower-bound",
        }
    }
}

/// By what a zombie was reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A `wait4` call.
    Wait4,
    /// A `waitid` call.
    Waitid,
    /// Nobody waited: its parent, or the one that adopted it, discards the status.
    Auto,
    /// The kernel, for an init that tears its namespace down.
    Kernel,
    /// Not known: a call that is not seen (32-bit, io_uring), though the reaper may be; or lost events.
    Unknown,
}

impl Via {
    /// The name in machine output.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Wait4 => "wait4",
            Self::Waitid => "waitid",
            Self::Auto => "auto",
            Self::Kernel => "kernel",
            Self::Unknown => "unknown",
        }
    }
}

impl From<WaitCall> for Via {
    fn from(call: WaitCall) -> Self {
        match call {
            WaitCall::Wait4 => Self::Wait4,
            WaitCall::Waitid => Self::Waitid,
        }
    }
}

/// A zombie that is gone, or a death that never was one.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// When.
    pub time: BootNs,
    /// Who.
    pub process: ProcessKey,
    /// Who, for people.
    pub identity: Identity,
    /// How it died.
    pub death: Death,
    /// Who could have reaped it, from when to when; `None` if it never was a zombie.
    pub stints: Option<Stints>,
    /// It was a zombie before it was first seen.
    pub preexisting: bool,
    /// How long it was a zombie, ns; 0 if it never was.
    pub zombie_ns: u64,
    /// How well that is known.
    pub precision: Precision,
    /// Who reaped it.
    pub reaper: Option<ProcessKey>,
    /// How.
    pub via: Via,
}

impl Ended {
    /// Who could reap it last; its parent, if it never was a zombie.
    #[must_use]
    pub fn waiter(&self) -> ProcessKey {
        self.stints.as_ref().map_or(self.death.parent, |stints| stints.current().process)
    }
}

impl Model {
    /// A wait call returned.
    pub(super) fn on_wait(&mut self, time: BootNs, wait: &Wait) {
        if wait.errno == ECHILD {
            self.on_missed(time, wait);
            return;
        }
        let Some(number) = wait.child_nr else { return };
        if wait.report == WaitReport::Alive {
            return;
        }
        let reaps = |options: u32| wait.call == WaitCall::Wait4 || options & (WEXITED | WNOWAIT) == WEXITED;
        if !wait.options.is_none_or(reaps) {
            return;
        }
        let Some(&child) = self.by_number.get(&(wait.ns, number)) else { return };
        let reaper = self.table.canonical(wait.reaper);
        let may_have_looked = match (wait.call, wait.options, wait.report) {
            (WaitCall::Waitid, None, _) | (_, None, WaitReport::Unknown) => true,
            // It may have been told of a stop, just before the child died.
            (_, Some(options), WaitReport::Unknown) => options & (WSTOPPED | WCONTINUED) != 0,
            _ => false,
        };
        let parent = self.table.get(child).and_then(Process::death).and_then(|death| self.table.get(death.parent));
        let handing = Handing { last_loss: self.last_loss, parent_is_dead: parent.is_none_or(Process::is_dead) };
        let waited =
            self.transit(child, |process| process.life.waited_for(time, reaper, wait.call, may_have_looked, handing));
        match waited {
            Some(Waited::Reaped) => {}
            Some(Waited::Nothing | Waited::HandedOver | Waited::MayHaveLooked) | None => return,
        }
        self.recount_freed(child);
        self.enter(reaper, time);
        self.passes_to(child, time, reaper);
        let identity = self.table.get(child).map(|child| child.identity.clone()).unwrap_or_default();
        if let Some(Past::Zombie(zombie)) = self.take_life(child) {
            self.end_zombie(child, *zombie, time, Precision::Exact, Some(reaper), wait.call.into());
        }
        self.on_taken(time, wait, child, &identity);
    }

    fn passes_to(&mut self, zombie: ProcessKey, time: BootNs, waiter: ProcessKey) {
        self.transit(zombie, |process| {
            if let Some(zombie) = process.life.zombie_mut() {
                zombie.stints.pass(time, waiter);
            }
        });
    }

    /// A zombie is reaped, and no wait call that is followed does it. A call that began before tracing did is not
    /// followed, and tells when it returns: so this waits for a moment before it says that the call is unknown.
    pub(super) fn on_release(&mut self, time: BootNs, release: &Release) {
        let key = self.table.canonical(release.process);
        let release = life::Release {
            time,
            reaper: Some(self.table.canonical(release.reaper)),
            by_kernel: release.reaper_exiting,
            reaper_is_init: release.reaper_is_init,
            discarded: false,
        };
        self.transit(key, |process| process.life.released(release));
        self.settle_later(key);
    }

    /// Of a zombie that was seen to be reaped, says in a moment by whom.
    pub(super) fn settle_later(&mut self, key: ProcessKey) {
        if let Some(release) = self.table.get(key).and_then(|process| process.life.release()) {
            self.released.push_back((release.time, key));
        }
    }

    /// Its memory is freed. If it was reaped by a call that has not been seen to return, the reaper may have lost its
    /// CPU within the call, for longer than a grace period of RCU: so this waits for a moment, too.
    pub(super) fn on_free(&mut self, time: BootNs, process: ProcessKey) {
        let key = self.table.canonical(process);
        let waiter = self.table.get(key).and_then(Process::zombie).map(Zombie::waiter);
        let may_return = waiter.and_then(|waiter| self.table.get(waiter)).is_some_and(|waiter| !waiter.is_dead());
        if may_return && self.transit(key, |process| process.life.freed(time)) == Some(true) {
            self.freed.push_back((time, key));
            // Whoever did it, this is one zombie less to answer for.
            if let Some(parenting) = self.parenting_of_freed(key) {
                parenting.reaped += 1;
                parenting.reaped_without_wait_call += 1;
                parenting.last_reap = parenting.last_reap.max(Some(time));
                parenting.rhythm.reaped(time);
            }
            return;
        }
        self.close(key, time);
        self.leave(key);
    }

    /// It is known now who reaped this one, or never will be: it is counted anew.
    fn recount_freed(&mut self, key: ProcessKey) {
        if let Some(parenting) = self.parenting_of_freed(key) {
            parenting.reaped = parenting.reaped.saturating_sub(1);
            parenting.reaped_without_wait_call = parenting.reaped_without_wait_call.saturating_sub(1);
        }
    }

    /// What the waiter of this zombie is to its children, if the zombie's memory is freed.
    fn parenting_of_freed(&mut self, key: ProcessKey) -> Option<&mut ParentState> {
        let process = self.table.get(key).filter(|process| process.life.is_freed())?;
        let waiter = process.zombie()?.waiter();
        self.parenting_of(waiter)
    }

    /// Says of those that were reaped this long ago, or freed this long ago without a reap, ns, what is known without the
    /// call that did it.
    pub(super) fn settle_reaped(&mut self, since_reap: u64, since_free: u64) {
        let now = self.now;
        let is_due = |patience: u64| move |it: &&(BootNs, ProcessKey)| it.0.saturating_add(patience) <= now;
        // Nothing is left to close if the call turned up.
        while let Some(&(_, key)) = self.released.front().filter(is_due(since_reap)) {
            self.released.pop_front();
            self.close(key, now);
        }
        while let Some(&(_, key)) = self.freed.front().filter(is_due(since_free)) {
            self.freed.pop_front();
            self.close(key, now);
            self.leave(key);
        }
    }

    /// The process is gone, in a way that was not seen or only in part: whatever it was, it ends now at the latest.
    pub(super) fn close(&mut self, key: ProcessKey, time: BootNs) {
        let Some(process) = self.table.get(key) else { return };
        let release = process.life.release();
        let Some(zombie) = process.zombie() else {
            // One whose exit was lost may live in the model still.
            if let Some(Past::Exiting(exiting)) = self.take_life(key) {
                self.end_without_zombie(key, *exiting, time);
            }
            return;
        };
        let parent = self.table.get(zombie.death.parent);
        let torn_down = parent.is_some_and(|it| it.is_init && it.is_dead());
        // A call that might only have looked is not the one if somebody else reaped.
        let is_by = |it: life::Release, waiter| !it.by_kernel && it.reaper.is_none_or(|reaper| reaper == waiter);
        let candidate =
            zombie.candidate.filter(|&(waiter, ..)| release.is_none_or(|it| it.discarded || is_by(it, waiter)));
        let (reaper, via) = match (candidate, release) {
            (Some((waiter, call, _)), _) => (Some(waiter), call.into()),
            (None, Some(life::Release { discarded: true, .. })) => (None, Via::Auto),
            (None, Some(life::Release { by_kernel: true, reaper_is_init: true, reaper, .. })) => (reaper, Via::Kernel),
            (None, Some(life::Release { by_kernel: false, reaper, .. })) => (reaper, Via::Unknown),
            (None, _) if torn_down => (None, Via::Kernel),
            // A process that exits discards the dead that whoever adopts them does not want.
            (None, Some(_)) => (None, Via::Auto),
            (None, None) => (None, Via::Unknown),
        };
        let (time, precision) = match release {
            Some(life::Release { time, reaper: Some(_), .. }) => (time, Precision::Exact),
            Some(life::Release { time, reaper: None, .. }) => (time, Precision::UpperBound),
            None => (time, Precision::UpperBound),
        };
        self.recount_freed(key);
        if let Some(reaper) = reaper.filter(|reaper| via == Via::Unknown && self.table.get(*reaper).is_some()) {
            self.passes_to(key, time, reaper);
        }
        if let Some(Past::Zombie(zombie)) = self.take_life(key) {
            self.end_zombie(key, *zombie, time, precision, reaper, via);
        }
    }

    /// An init is a zombie only after all others of its namespace were reaped (`zap_pid_ns_processes`), though the
    /// freeing of their memory may be yet to come.
    pub(super) fn end_namespace_of(&mut self, init: ProcessKey, time: BootNs) {
        let mut left: Vec<ProcessKey> = self
            .table
            .iter()
            .filter(|process| match &process.life {
                Life::Exiting(exiting) => exiting.waiter == init,
                Life::Zombie(_) | Life::Released(_) => process.zombie().is_some_and(|it| it.waiter() == init),
                Life::Alive | Life::LeaderGone(_) | Life::Gone { .. } => false,
            })
            .map(|process| process.key)
            .collect();
        left.sort_unstable();
        for key in left {
            self.close(key, time);
        }
        self.conclude_stop(init);
    }

    /// Takes the process out of the table, and keeps it if there is something to say of it.
    pub(super) fn leave(&mut self, key: ProcessKey) {
        if self.table.get(key).is_some_and(|process| self.stops.concerns(process)) {
            self.conclude_stop(key);
        }
        let Some(process) = self.table.remove(key) else { return };
        self.forget_review(&process);
        self.retired.add(process, &mut self.totals.overflows);
    }

    fn end_zombie(
        &mut self,
        key: ProcessKey,
        mut zombie: Zombie,
        time: BootNs,
        precision: Precision,
        reaper: Option<ProcessKey>,
        via: Via,
    ) {
        let zombie_ns = zombie.age(time);
        let end_seen = precision == Precision::Exact;
        let precision = match (zombie.begin, precision) {
            (Begin::Found, _) => Precision::LowerBound,
            (Begin::Exit, Precision::Exact) => Precision::UpperBound,
            (_, precision) => precision,
        };
        self.totals.reaped += 1;
        self.share(key, |share| share.reaped += 1);
        self.totals.zombies_now = self.totals.zombies_now.saturating_sub(1);
        let is_late = self.ran_ns(zombie.since, time) >= self.config.min_age_ns;
        // The freeing of memory comes a grace period after the reap, and says nothing of when that was.
        let reaped_at = match zombie.candidate.filter(|_| matches!(via, Via::Wait4 | Via::Waitid)) {
            _ if end_seen => Some(time),
            candidate => candidate.map(|(.., returned)| returned),
        };
        // A waiter answers for its own time with the zombie; and only if that is known: where events were lost, the end
        // may have come long before it was noticed.
        let waited_ns = self.ran_ns(zombie.waits_since(), time);
        let waited_late = waited_ns >= self.config.min_age_ns
            && (end_seen && zombie.begin != Begin::Exit || self.last_loss.is_none_or(|lost| lost < zombie.since));
        if let Some(parent) = self.table.get_mut(zombie.waiter()) {
            let is_dead = parent.is_dead();
            let parenting = parent.parenting_mut();
            parenting.zombies_now = parenting.zombies_now.saturating_sub(1);
            if precision == Precision::Exact {
                parenting.latency.record(waited_ns);
            }
            let reaped = match via {
                Via::Wait4 | Via::Waitid => true,
                // A waiter that died meanwhile need not have been the one, unless it was seen.
                Via::Unknown => !is_dead || reaper.is_some(),
                Via::Auto | Via::Kernel => false,
            };
            if reaped {
                parenting.reaped += 1;
                parenting.reaped_late += u64::from(waited_late && parenting.was_seen_to_run(zombie.waits_since()));
                parenting.reaped_without_wait_call += u64::from(via == Via::Unknown);
                parenting.last_reap = parenting.last_reap.max(reaped_at.or(Some(time)));
                parenting.last_reap_seen = parenting.last_reap_seen.max(reaped_at);
                parenting.rhythm.reaped(time);
            }
        }
        if precision == Precision::Exact {
            self.latency.record(zombie_ns);
            self.share(key, |share| share.latency.record(zombie_ns));
        }
        if is_late {
            zombie.stints.current_mut().until = Some(time);
            let preexisting = zombie.preexisting();
            let ended = Ended {
                time,
                process: key,
                identity: self.identity_of(key),
                death: zombie.death,
                stints: Some(zombie.stints),
                preexisting,
                zombie_ns,
                precision,
                reaper,
                via,
            };
            self.news.push_back(ModelEvent::Ended(Box::new(ended)));
        }
    }

    fn end_without_zombie(&mut self, key: ProcessKey, exiting: Exiting, time: BootNs) {
        if !exiting.discarded {
            return;
        }
        self.totals.auto_reaped += 1;
        self.share(key, |share| share.auto_reaped += 1);
        if let Some(parenting) = self.parenting_of(exiting.death.parent) {
            parenting.discarding = parenting.discarding.saturating_sub(1);
            parenting.auto_reaped += 1;
        }
        let ended = Ended {
            time,
            process: key,
            identity: self.identity_of(key),
            death: exiting.death,
            stints: None,
            preexisting: false,
            zombie_ns: 0,
            precision: Precision::UpperBound,
            reaper: None,
            via: Via::Auto,
        };
        self.news.push_back(ModelEvent::AutoReaped(Box::new(ended)));
    }

    fn identity_of(&self, key: ProcessKey) -> Identity {
        self.table.get(key).map(|process| process.identity.clone()).unwrap_or_default()
    }

    /// Ends the life of a process, and returns what it was. Nobody finds it by its numbers any more.
    fn take_life(&mut self, key: ProcessKey) -> Option<Past> {
        self.forget_numbers(key);
        let process = self.table.get_mut(key)?;
        let waiter = process.zombie().map(Zombie::waiter);
        let past = process.life.leave();
        if let Some(waiter) = waiter {
            self.end_review(waiter, key);
        }
        Some(past)
    }

    pub(super) fn forget_numbers(&mut self, key: ProcessKey) {
        let numbers = self.table.get(key).map(|process| process.life.numbers());
        for number in numbers.iter().flatten().filter(|it| it.nr != 0) {
            let slot = (number.inum, number.nr);
            // The number may belong to a new process already.
            if self.by_number.get(&slot) == Some(&key) {
                self.by_number.remove(&slot);
            }
        }
    }
}
