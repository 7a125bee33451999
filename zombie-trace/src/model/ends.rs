//! The end of a zombie: when it is reaped, and by whom.
//!
//! The facts behind every branch are in `wait_consider_task` and `release_task` (`kernel/exit.c`), which did not change
//! in what matters here from 5.10 to 7.2.

use super::{Death, Identity, Model, Outcome, Standing};
use crate::event::{BootNs, ProcessKey, Release, Wait, WaitCall, WaitReport};

const ECHILD: u32 = 10;
/// Options of `wait4` and `waitid`.
const WSTOPPED: u32 = 2;
const WEXITED: u32 = 4;
const WCONTINUED: u32 = 8;
/// Look, do not reap.
const WNOWAIT: u32 = 0x0100_0000;
/// So many parents that are gone are kept for the report.
const MAX_RETIRED: usize = 10_000;

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

/// What is known of a reap that was seen from within.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Released {
    time: BootNs,
    reaper: ProcessKey,
    /// The reaper was exiting, so it did not wait.
    by_kernel: bool,
    reaper_is_init: bool,
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
    /// How long it was a zombie, ns; 0 if it never was.
    pub zombie_ns: u64,
    /// How well that is known.
    pub precision: Precision,
    /// Who reaped it.
    pub reaper: Option<ProcessKey>,
    /// How.
    pub via: Via,
}

impl Model {
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
        let Some(death) = self.table.get_mut(child).and_then(|process| process.death.as_mut()) else { return };
        if death.zombie_since.is_none_or(|since| since > time) {
            return;
        }
        // A tracer's wait hands the zombie to the real parent (EXIT_TRACE), who was told so within that call.
        let handed_over = death.tracer == Some(reaper.pid) && death.parent.pid != reaper.pid;
        if handed_over {
            return;
        }
        let only_looked = match (wait.call, wait.options, wait.report) {
            (WaitCall::Waitid, None, _) | (_, None, WaitReport::Unknown) => true,
            // It may have been told of a stop, just before the child died.
            (_, Some(options), WaitReport::Unknown) => options & (WSTOPPED | WCONTINUED) != 0,
            _ => false,
        };
        if only_looked {
            death.candidate = Some((reaper, wait.call));
            return;
        }
        self.set_waiter(child, time, reaper);
        let identity = self.table.get(child).map(|child| child.identity.clone()).unwrap_or_default();
        self.end_zombie(child, time, Precision::Exact, Some(reaper), wait.call.into());
        self.on_taken(time, wait, child, &identity);
    }

    /// A zombie is reaped, and no wait call that is followed does it. A call that began before tracing did is not
    /// followed, and tells when it returns: so this waits for a moment before it says that the call is unknown.
    pub(super) fn on_release(&mut self, time: BootNs, release: &Release) {
        let key = self.table.canonical(release.process);
        let reaper = self.table.canonical(release.reaper);
        let Some(death) = self.table.get_mut(key).and_then(|process| process.death.as_mut()) else { return };
        if death.released.is_some() || death.zombie_since.is_none_or(|since| since > time) {
            return;
        }
        let (by_kernel, reaper_is_init) = (release.reaper_exiting, release.reaper_is_init);
        death.released = Some(Released { time, reaper, by_kernel, reaper_is_init });
        self.released.push_back((time, key));
    }

    pub(super) fn on_free(&mut self, time: BootNs, process: ProcessKey) {
        let key = self.table.canonical(process);
        self.close(key, time);
        self.leave(key);
    }

    /// The process is gone, in a way that was not seen or only in part: whatever it was, it ends now at the latest.
    pub(super) fn close(&mut self, key: ProcessKey, time: BootNs) {
        let Some(death) = self.table.get(key).and_then(|process| process.death.as_deref()) else { return };
        let parent = self.table.get(death.parent);
        let torn_down = parent.is_some_and(|it| it.is_init && it.is_dead());
        if death.zombie_since.is_none() {
            let discarded = death.discarded;
            self.end_without_zombie(key, time, discarded);
            return;
        }
        let released = death.released;
        // A call that might only have looked is not the one if somebody else reaped.
        let candidate = death
            .candidate
            .filter(|(waiter, _)| released.is_none_or(|released| !released.by_kernel && released.reaper == *waiter));
        let (reaper, via) = match (candidate, released) {
            (Some((waiter, call)), _) => (Some(waiter), call.into()),
            (None, _) if death.discarded => (None, Via::Auto),
            (None, Some(Released { by_kernel: true, reaper_is_init: true, reaper, .. })) => (Some(reaper), Via::Kernel),
            (None, Some(Released { by_kernel: false, reaper, .. })) => (Some(reaper), Via::Unknown),
            (None, _) if torn_down => (None, Via::Kernel),
            // A process that exits discards the dead that whoever adopts them does not want.
            (None, Some(_)) => (None, Via::Auto),
            (None, None) => (None, Via::Unknown),
        };
        let Some(released) = released else {
            self.end_zombie(key, time, Precision::UpperBound, reaper, via);
            return;
        };
        if let Some(reaper) = reaper.filter(|reaper| via == Via::Unknown && self.table.get(*reaper).is_some()) {
            self.set_waiter(key, released.time, reaper);
        }
        self.end_zombie(key, released.time, Precision::Exact, reaper, via);
    }

    /// An init is a zombie only after all others of its namespace were reaped (`zap_pid_ns_processes`), though the
    /// freeing of their memory may be yet to come.
    pub(super) fn end_namespace_of(&mut self, init: ProcessKey, time: BootNs) {
        let mut left: Vec<ProcessKey> = self
            .table
            .iter()
            .filter(|process| process.death.as_ref().is_some_and(|death| death.waiter == init))
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
        if process.is_notable() {
            if self.retired.len() < MAX_RETIRED {
                self.retired.push(process);
            } else {
                self.totals.evicted += 1;
            }
        }
    }

    fn end_zombie(
        &mut self,
        key: ProcessKey,
        time: BootNs,
        precision: Precision,
        reaper: Option<ProcessKey>,
        via: Via,
    ) {
        let Some((identity, death)) = self.take_death(key) else { return };
        let Some(since) = death.zombie_since else { return };
        let zombie_ns = time.saturating_sub(since);
        let end_seen = precision == Precision::Exact;
        let precision = match precision {
            _ if death.preexisting => Precision::LowerBound,
            Precision::Exact if !death.since_exact => Precision::UpperBound,
            precision => precision,
        };
        self.totals.reaped += 1;
        self.totals.zombies_now = self.totals.zombies_now.saturating_sub(1);
        let is_late = zombie_ns >= self.config.min_age_ns;
        // A waiter answers for its own time with the zombie; and only if that is known: where events were lost, the end
        // may have come long before it was noticed.
        let waited_ns = time.saturating_sub(since.max(death.waiter_since));
        let waited_late = waited_ns >= self.config.min_age_ns
            && (end_seen && (death.since_exact || death.preexisting) || self.last_loss.is_none_or(|lost| lost < since));
        if let Some(parent) = self.table.get_mut(death.waiter) {
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
                // Who could not run when it was last looked at, or perhaps not, is not slow by habit.
                parenting.reaped_late += u64::from(waited_late && parenting.standing == Standing::Runs);
                parenting.reaped_unseen += u64::from(via == Via::Unknown);
                parenting.last_reap = parenting.last_reap.max(Some(time));
                parenting.rhythm.reaped(time);
            }
        }
        if precision == Precision::Exact {
            self.latency.record(zombie_ns);
        }
        if is_late {
            let ended = Ended { time, process: key, identity, death, zombie_ns, precision, reaper, via };
            self.outcomes.push_back(Outcome::Ended(Box::new(ended)));
        }
    }

    fn end_without_zombie(&mut self, key: ProcessKey, time: BootNs, discarded: bool) {
        let Some((identity, death)) = self.take_death(key) else { return };
        if !discarded {
            return;
        }
        self.totals.auto_reaped += 1;
        if let Some(parent) = self.table.get_mut(death.parent) {
            parent.parenting_mut().auto_reaped += 1;
        }
        let precision = Precision::UpperBound;
        let ended =
            Ended { time, process: key, identity, death, zombie_ns: 0, precision, reaper: None, via: Via::Auto };
        self.outcomes.push_back(Outcome::AutoReaped(Box::new(ended)));
    }

    /// Marks the process as reaped and takes what it was out.
    fn take_death(&mut self, key: ProcessKey) -> Option<(Identity, Death)> {
        let process = self.table.get_mut(key)?;
        let death = process.death.take()?;
        process.reaped = true;
        let identity = process.identity.clone();
        for number in death.numbers.iter().filter(|it| it.nr != 0) {
            let slot = (number.inum, number.nr);
            // The number may belong to a new process already.
            if self.by_number.get(&slot) == Some(&key) {
                self.by_number.remove(&slot);
            }
        }
        Some((identity, *death))
    }
}
