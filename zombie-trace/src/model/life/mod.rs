//! The life of one process: one state, with what is known of how it died, and the [transitions] between states.

mod transitions;

use super::stints::{Stint, Stints};
use crate::event::{BootNs, ExitStatus, Handler, KnownDeath, NsPid, ProcessKey, SignalOutcome, WaitCall};

pub(super) const SIGCHLD: i32 = 17;

/// The state of a process.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Life {
    /// Running, or nothing else is known.
    #[default]
    Alive,
    /// Its main thread has exited and other threads run on: `ps` shows `Z`, but nobody can reap it yet.
    LeaderGone(LeaderGone),
    /// All its threads have exited, and it is not yet a zombie; if its parent discards the status it never becomes one.
    Exiting(Box<Exiting>),
    /// It can be reaped.
    Zombie(Box<Zombie>),
    /// It was reaped; the call that did it may still turn up.
    Released(Box<Released>),
    /// It was reaped; only its memory is still to be freed.
    Gone {
        /// When it exited, and how; `None` if the exit was not seen.
        end: Option<(BootNs, ExitStatus)>,
    },
}

/// A process whose main thread has exited while others run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderGone {
    /// Since when.
    pub since: BootNs,
    /// The tracer of the main thread, which is notified of that thread's exit as if it were the process's.
    pub(super) tracer: Option<u32>,
    /// Found in this state in `/proc`: the exit of the other threads may have been lost.
    pub(super) is_found: bool,
    pub(super) numbers: [NsPid; 4],
}

/// What is known about a death.
#[derive(Clone, Debug, PartialEq)]
pub struct Death {
    /// When the last thread exited, or when the process was first seen dead.
    pub exited: BootNs,
    /// How it ended; `None` if that was not seen.
    pub status: Option<ExitStatus>,
    /// The signal for the parent: SIGCHLD after a plain fork, 0 for none.
    pub exit_signal: i32,
    /// Its real parent when it died; follows reparenting.
    pub parent: ProcessKey,
    /// Pid of its tracer when it died.
    pub tracer: Option<u32>,
    /// What became of the signal to the parent or tracer: the outcome, the disposition, and whether it was blocked.
    pub child_signal: Option<(SignalOutcome, Handler, bool)>,
    /// Whether the parent discarded the statuses of its children then.
    pub(super) parent_discards: bool,
    /// Its exit was seen.
    pub(super) exit_seen: bool,
    pub(super) numbers: [NsPid; 4],
}

/// A process whose threads have all exited, but which is not a zombie.
#[derive(Clone, Debug, PartialEq)]
pub struct Exiting {
    /// How it died.
    pub death: Death,
    /// Who can wait for it once it is a zombie.
    pub waiter: ProcessKey,
    /// The parent discards the status: there will be no zombie.
    pub discarded: bool,
}

/// How well the start of a zombie is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// The exact time.
    Exact,
    /// The exit, a little before.
    Exit,
    /// Already a zombie when first seen: it is older.
    Found,
}

/// A process that can be reaped.
#[derive(Clone, Debug, PartialEq)]
pub struct Zombie {
    /// How it died.
    pub death: Death,
    /// When it became a zombie.
    pub since: BootNs,
    /// How well that is known.
    pub begin: Begin,
    /// Which process could have reaped it, from when to when.
    pub stints: Stints,
    /// A wait call that returned it, possibly without reaping it (WNOWAIT): the caller, the call, and when it returned.
    pub(super) candidate: Option<(ProcessKey, WaitCall, BootNs)>,
}

/// A zombie that was seen to be reaped.
#[derive(Clone, Debug, PartialEq)]
pub struct Released {
    /// What it was.
    pub zombie: Zombie,
    pub(super) release: Release,
}

/// What is known about a reap without a visible wait call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Release {
    /// When; without a reaper, when its memory was freed, a grace period of RCU later.
    pub(super) time: BootNs,
    /// The process that ran when it happened; `None` if only the freeing of the memory was seen.
    pub(super) reaper: Option<ProcessKey>,
    /// The reaper was exiting, so it did not wait.
    pub(super) by_kernel: bool,
    pub(super) reaper_is_init: bool,
    /// The parent was notified, and discards the statuses of its children.
    pub(super) discarded: bool,
}

/// A death notification to a parent or tracer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announcement {
    pub(super) time: BootNs,
    /// The process notified.
    pub(super) target: ProcessKey,
    pub(super) current: ProcessKey,
    /// Sent by a thread of the dead process itself.
    pub(super) by_itself: bool,
    /// The signal is SIGCHLD, and the target ignores it or has `SA_NOCLDWAIT`.
    pub(super) discards: bool,
    pub(super) outcome: (SignalOutcome, Handler, bool),
    /// When events were last lost.
    pub(super) last_loss: Option<BootNs>,
}

/// What a wait call did to the process it returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// It was not about the death.
    Nothing,
    /// It handed the zombie over to the real parent.
    HandedOver,
    /// It may not have reaped it.
    MayHaveLooked,
    /// It reaped it.
    Reaped,
}

/// What decides whether a tracer's wait hands a zombie over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handing {
    /// When events were last lost.
    pub(super) last_loss: Option<BootNs>,
    /// The real parent at its death is dead.
    pub(super) parent_is_dead: bool,
}

/// The state of a process before it was gone.
#[derive(Debug)]
pub(super) enum Past {
    /// Alive, as far as was seen, or gone already.
    NotDead,
    /// Dead and never a zombie.
    Exiting(Box<Exiting>),
    /// A zombie.
    Zombie(Box<Zombie>),
}

impl Life {
    /// How it died, if it is dead and not yet gone.
    #[must_use]
    pub fn death(&self) -> Option<&Death> {
        match self {
            Self::Exiting(exiting) => Some(&exiting.death),
            Self::Zombie(zombie) => Some(&zombie.death),
            Self::Released(released) => Some(&released.zombie.death),
            Self::Alive | Self::LeaderGone(_) | Self::Gone { .. } => None,
        }
    }

    /// Whether it is a zombie of which only the freeing of its memory was seen.
    pub(super) fn is_freed(&self) -> bool {
        self.release().is_some_and(|release| release.reaper.is_none())
    }

    /// The zombie, if it is one. A reaped one counts until it is known how it was reaped.
    #[must_use]
    pub fn zombie(&self) -> Option<&Zombie> {
        match self {
            Self::Zombie(zombie) => Some(zombie),
            Self::Released(released) => Some(&released.zombie),
            Self::Alive | Self::LeaderGone(_) | Self::Exiting(_) | Self::Gone { .. } => None,
        }
    }

    pub(super) fn zombie_mut(&mut self) -> Option<&mut Zombie> {
        match self {
            Self::Zombie(zombie) => Some(zombie),
            Self::Released(released) => Some(&mut released.zombie),
            Self::Alive | Self::LeaderGone(_) | Self::Exiting(_) | Self::Gone { .. } => None,
        }
    }

    /// A release that was seen but is not yet explained by a wait call.
    pub(super) fn release(&self) -> Option<Release> {
        match self {
            Self::Released(released) => Some(released.release),
            _ => None,
        }
    }

    /// Whether all its threads have exited.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        !matches!(self, Self::Alive | Self::LeaderGone(_))
    }

    /// Whether it was reaped.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. })
    }

    /// The numbers by which it is found; a live process is not found by number.
    pub(super) fn numbers(&self) -> [NsPid; 4] {
        match self {
            Self::LeaderGone(gone) => gone.numbers,
            _ => self.death().map_or([NsPid { nr: 0, inum: 0 }; 4], |death| death.numbers),
        }
    }

    /// Sets the numbers of a process found in `/proc`, unless they are known. Returns whether they are new.
    pub(super) fn set_numbers(&mut self, numbers: [NsPid; 4]) -> bool {
        let known = match self {
            Self::LeaderGone(gone) => &mut gone.numbers,
            Self::Exiting(exiting) => &mut exiting.death.numbers,
            Self::Zombie(zombie) => &mut zombie.death.numbers,
            Self::Released(released) => &mut released.zombie.death.numbers,
            Self::Alive | Self::Gone { .. } => return false,
        };
        let is_new = known.iter().all(|it| it.nr == 0);
        if is_new {
            *known = numbers;
        }
        is_new
    }

    fn is_exit_seen(&self) -> bool {
        self.death().is_some_and(|death| death.exit_seen)
    }

    /// When it exited, and how; `None` if that was not seen.
    #[must_use]
    pub fn end(&self) -> Option<(BootNs, ExitStatus)> {
        match self {
            Self::Gone { end } => *end,
            _ => self.death().filter(|death| death.exit_seen).and_then(|death| Some((death.exited, death.status?))),
        }
    }
}

impl Death {
    /// For the next file of a recording.
    pub(super) fn known(&self) -> KnownDeath {
        KnownDeath {
            exited: self.exited,
            status: self.status,
            is_seen: self.exit_seen,
            exit_signal: self.exit_signal,
            child_signal: self.child_signal.map(|(outcome, handler, blocked)| (outcome, handler as u32, blocked)),
            numbers: self.numbers.iter().filter(|it| it.nr != 0).map(|it| (it.nr, it.inum)).collect(),
        }
    }

    /// Takes in what another reader knew, without the parent and the tracer, which `/proc` has shown since.
    fn recall(&mut self, known: &KnownDeath) {
        self.exited = known.exited;
        self.status = known.status.or(self.status);
        self.exit_seen = known.is_seen;
        self.exit_signal = known.exit_signal;
        self.child_signal = known
            .child_signal
            .map(|(outcome, handler, blocked)| (outcome, Handler::from_u32(handler), blocked))
            .or(self.child_signal);
        if !known.numbers.is_empty() {
            self.numbers = [NsPid { nr: 0, inum: 0 }; 4];
            for (slot, &(nr, inum)) in self.numbers.iter_mut().zip(&known.numbers) {
                *slot = NsPid { nr, inum };
            }
        }
    }
}

impl Zombie {
    /// Age at this time, ns.
    #[must_use]
    pub fn age(&self, now: BootNs) -> u64 {
        now.saturating_sub(self.since)
    }

    /// The process that can reap it now: the parent, the adopter, or the tracer.
    #[must_use]
    pub fn waiter(&self) -> ProcessKey {
        self.stints.current().process
    }

    /// Since when its present waiter could have reaped it.
    #[must_use]
    pub fn waits_since(&self) -> BootNs {
        self.stints.current().since
    }

    /// Whether it has reached the minimum age with its present waiter.
    #[must_use]
    pub fn is_aged(&self) -> bool {
        self.stints.current().aged
    }

    /// Whether it was a zombie before it was first seen.
    #[must_use]
    pub fn preexisting(&self) -> bool {
        self.begin == Begin::Found
    }

    /// Whether a wait call returned it that may not have reaped it.
    #[must_use]
    pub fn may_be_gone(&self) -> bool {
        self.candidate.is_some()
    }

    /// Whether a tracer other than the parent has to wait first.
    #[must_use]
    pub fn is_held_by_tracer(&self) -> bool {
        let waiter = self.waiter().pid;
        self.death.tracer == Some(waiter) && waiter != self.death.parent.pid
    }
}

/// The parent that discards the status of a process which never becomes a zombie, for counting.
pub(super) fn discarded_by(life: &Life) -> Option<ProcessKey> {
    match life {
        Life::Exiting(exiting) if exiting.discarded => Some(exiting.death.parent),
        _ => None,
    }
}

/// The current stint of a zombie, for counting.
pub(super) fn current_stint(life: &Life) -> Option<Stint> {
    life.zombie().map(|zombie| zombie.stints.current())
}
