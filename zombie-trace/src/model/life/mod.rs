//! The life of one process: one state, with what is known of how it died, and the [transitions] between states.

mod transitions;

use super::stints::{Stint, Stints};
use crate::event::{BootNs, ExitStatus, Handler, KnownDeath, NsPid, ProcessKey, SignalOutcome, WaitCall};

pub(super) const SIGCHLD: i32 = 17;

/// The state of a process.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Life {
    /// It runs, or nothing else is known.
    #[default]
    Alive,
    /// Its main thread has exited, and other threads live on: `ps` shows `Z`, nobody can reap it yet.
    LeaderGone(LeaderGone),
    /// All its threads have exited, and it is not yet a zombie; if its parent discards the status it never becomes one.
    Exiting(Box<Exiting>),
    /// It can be reaped.
    Zombie(Box<Zombie>),
    /// It was seen to be reaped; by which call may yet come to be known.
    Released(Box<Released>),
    /// It was reaped; only its memory is still to be freed.
    Gone {
        /// When it exited, and how; `None` if the exit was not seen.
        end: Option<(BootNs, ExitStatus)>,
    },
}

/// The main thread has exited, and others live on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderGone {
    /// Since when.
    pub since: BootNs,
    /// The tracer of the main thread, which is told of that thread's exit as if it were the process's.
    pub(super) tracer: Option<u32>,
    /// It was found so in `/proc`: that the others exited may have been lost.
    pub(super) is_found: bool,
    pub(super) numbers: [NsPid; 4],
}

/// What is known of how a process died.
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
    /// The parent discarded the statuses of its children at that time.
    pub(super) parent_discards: bool,
    /// Its exit was seen.
    pub(super) exit_seen: bool,
    pub(super) numbers: [NsPid; 4],
}

/// A process all of whose threads have exited, and which is not a zombie.
#[derive(Clone, Debug, PartialEq)]
pub struct Exiting {
    /// How it died.
    pub death: Death,
    /// Who can wait for it once it is a zombie.
    pub waiter: ProcessKey,
    /// The parent discards the status: there will be no zombie.
    pub discarded: bool,
}

/// How well the begin of a zombie is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// It is the moment itself.
    Exact,
    /// It is the exit, a little before.
    Exit,
    /// The zombie was there when it was first seen: it is older.
    Found,
}

/// A process that can be reaped.
#[derive(Clone, Debug, PartialEq)]
pub struct Zombie {
    /// How it died.
    pub death: Death,
    /// Since when it is a zombie.
    pub since: BootNs,
    /// How well that is known.
    pub begin: Begin,
    /// Who could have reaped it, from when to when.
    pub stints: Stints,
    /// A wait call that returned it, but might only have looked: by whom, which, and when it returned.
    pub(super) candidate: Option<(ProcessKey, WaitCall, BootNs)>,
}

/// A zombie that was seen to be reaped.
#[derive(Clone, Debug, PartialEq)]
pub struct Released {
    /// What it was.
    pub zombie: Zombie,
    pub(super) release: Release,
}

/// What is known of a reap that no wait call shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Release {
    pub(super) time: BootNs,
    /// The process that ran in the kernel when it happened.
    pub(super) reaper: ProcessKey,
    /// The reaper was exiting, so it did not wait.
    pub(super) by_kernel: bool,
    pub(super) reaper_is_init: bool,
    /// The parent was told, and discards the statuses of its children.
    pub(super) discarded: bool,
}

/// A parent or tracer is told of a death.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announcement {
    pub(super) time: BootNs,
    /// Who is told.
    pub(super) target: ProcessKey,
    /// Who runs.
    pub(super) current: ProcessKey,
    /// A thread of the dead process itself tells.
    pub(super) by_itself: bool,
    /// The signal is SIGCHLD, and the target ignores it or has `SA_NOCLDWAIT`.
    pub(super) discards: bool,
    pub(super) outcome: (SignalOutcome, Handler, bool),
    /// When events were last lost.
    pub(super) last_loss: Option<BootNs>,
}

/// What a wait call that returned a process did to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// It was not about the death.
    Nothing,
    /// It handed the zombie over to the real parent.
    HandedOver,
    /// It may have looked only.
    MayHaveLooked,
    /// It reaped it.
    Reaped,
}

/// What else decides whether a tracer's wait hands a zombie over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handing {
    /// When events were last lost.
    pub(super) last_loss: Option<BootNs>,
    /// The real parent that it died with is dead.
    pub(super) parent_is_dead: bool,
}

/// What a process was before it was gone.
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

    /// The zombie that it is. One that was seen to be reaped counts until the way of it is settled.
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

    /// The release that was seen and whose way is not settled.
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

    /// By which numbers it is found: all but those that live are.
    pub(super) fn numbers(&self) -> [NsPid; 4] {
        match self {
            Self::LeaderGone(gone) => gone.numbers,
            _ => self.death().map_or([NsPid { nr: 0, inum: 0 }; 4], |death| death.numbers),
        }
    }

    /// Sets the numbers of one that was found in `/proc`, unless they are known. Returns whether they are news.
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

    /// What another reader knew. Who the parent and the tracer are, `/proc` has told since.
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

    /// Who can reap it now: the parent, the adopter, or the tracer.
    #[must_use]
    pub fn waiter(&self) -> ProcessKey {
        self.stints.current().process
    }

    /// Since when its present waiter could have reaped it.
    #[must_use]
    pub fn waits_since(&self) -> BootNs {
        self.stints.current().since
    }

    /// It has reached the minimum age with its present waiter.
    #[must_use]
    pub fn is_aged(&self) -> bool {
        self.stints.current().aged
    }

    /// It was a zombie before it was first seen.
    #[must_use]
    pub fn preexisting(&self) -> bool {
        self.begin == Begin::Found
    }

    /// A wait call returned it, and it is not known whether that only looked.
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

/// Who will have discarded the status of a process that is about to go without being a zombie, for counting.
pub(super) fn discarded_by(life: &Life) -> Option<ProcessKey> {
    match life {
        Life::Exiting(exiting) if exiting.discarded => Some(exiting.death.parent),
        _ => None,
    }
}

/// The stint that a zombie is in, for counting.
pub(super) fn current_stint(life: &Life) -> Option<Stint> {
    life.zombie().map(|zombie| zombie.stints.current())
}
