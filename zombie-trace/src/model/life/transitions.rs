//! What each event means in each state.
//!
//! Every transition is a function that names all states. None looks at other processes: `Model::transit` counts what a
//! transition changes for parents and in the totals, from the states before and after it.
//!
//! The facts behind the branches are in `exit_notify`, `do_notify_parent`, `wait_consider_task`, `wait_task_zombie` and
//! `release_task` (`kernel/exit.c`, `kernel/signal.c`), unchanged in what matters here from 5.10 to 7.2.

use super::{
    Announcement, Begin, Death, Exiting, Handing, LeaderGone, Life, Past, Release, Released, SIGCHLD, Waited, Zombie,
};
use crate::{
    event::{BootNs, Exit, ExitStatus, KnownZombie, NsPid, ProcessKey, WaitCall},
    model::stints::Stints,
};

impl Life {
    /// The main thread exits while others live. Returns whether that is new.
    pub(in crate::model) fn leader_exits(&mut self, time: BootNs, tracer: Option<u32>, numbers: [NsPid; 4]) -> bool {
        match self {
            Self::Alive => {
                *self = Self::LeaderGone(LeaderGone { since: time, tracer, is_found: false, numbers });
                true
            }
            // Reported again, or found by a scan before.
            Self::LeaderGone(gone) => {
                (gone.tracer, gone.numbers) = (tracer, numbers);
                false
            }
            // Two threads exit on two CPUs: this event is late.
            Self::Exiting(_) | Self::Zombie(_) | Self::Released(_) | Self::Gone { .. } => false,
        }
    }

    /// `/proc` shows a dead main thread and other threads. Returns whether that is new.
    pub(in crate::model) fn leader_found_dead(&mut self, time: BootNs, tracer: Option<u32>) -> bool {
        let numbers = self.numbers();
        match self {
            Self::LeaderGone(_) | Self::Released(_) | Self::Gone { .. } => false,
            // The other threads are dead, too, but a tracer holds them.
            Self::Exiting(_) | Self::Zombie(_) if self.is_exit_seen() => false,
            // Only the tracer of the main thread was notified.
            Self::Alive | Self::Exiting(_) | Self::Zombie(_) => {
                *self = Self::LeaderGone(LeaderGone { since: time, tracer, is_found: true, numbers });
                true
            }
        }
    }

    /// Whether a live main thread in `/proc` at `time` contradicts this state: then only a tracer was notified, about
    /// the main thread before exec, or the exec was lost.
    pub(in crate::model) fn is_refuted_at(&self, time: BootNs) -> bool {
        match self {
            Self::LeaderGone(gone) => gone.since < time,
            Self::Exiting(_) | Self::Zombie(_) => self.death().is_some_and(|it| !it.exit_seen && it.exited < time),
            Self::Alive | Self::Released(_) | Self::Gone { .. } => false,
        }
    }

    /// A thread calls exec: it becomes the main thread and all others are gone.
    pub(in crate::model) fn executes(&mut self) {
        match self {
            Self::Alive | Self::LeaderGone(_) => *self = Self::Alive,
            // The former main thread's tracer was notified of its exit.
            Self::Exiting(_) | Self::Zombie(_) if !self.is_exit_seen() => *self = Self::Alive,
            Self::Exiting(_) | Self::Zombie(_) | Self::Released(_) | Self::Gone { .. } => {}
        }
    }

    /// All threads have exited. Returns whether this is the first report of it: several threads may each see that no
    /// other lives. `torn_down`: the parent is the init of a namespace, and exits.
    pub(in crate::model) fn group_exits(
        &mut self,
        time: BootNs,
        exit: &Exit,
        parent: ProcessKey,
        waiter: ProcessKey,
        torn_down: bool,
    ) -> bool {
        let parent_discards = exit.parent_discards == Some(true) && !torn_down;
        let death = Death {
            exited: time,
            status: Some(exit.status),
            exit_signal: exit.exit_signal,
            parent,
            tracer: exit.tracer,
            child_signal: None,
            parent_discards,
            exit_seen: true,
            numbers: exit.ns,
        };
        match self {
            Self::Alive | Self::LeaderGone(_) => {
                let exiting = Exiting {
                    death,
                    waiter,
                    discarded: exit.tracer.is_none() && exit.exit_signal == SIGCHLD && parent_discards,
                };
                // Only a tracer other than the parent is notified of a child without exit signal. If the parent has
                // called exec since the fork, it is notified, too, and that corrects this. A child created with
                // CLONE_AUTOREAP is never a zombie.
                *self = if exit.exit_signal == 0 && waiter == parent && !exit.reaps_itself {
                    Self::Zombie(Box::new(exiting.into_zombie(time, Begin::Exit)))
                } else {
                    Self::Exiting(Box::new(exiting))
                };
                true
            }
            Self::Exiting(exiting) if !exiting.death.exit_seen => {
                exiting.death = Death { child_signal: exiting.death.child_signal, ..death };
                true
            }
            // Found as a zombie before its exit was read: it became one at about the exit.
            Self::Zombie(zombie) if !zombie.death.exit_seen => {
                zombie.death = Death { child_signal: zombie.death.child_signal, ..death };
                if zombie.begin == Begin::Found {
                    zombie.restart(time, Begin::Exit);
                }
                true
            }
            Self::Exiting(_) | Self::Zombie(_) | Self::Released(_) | Self::Gone { .. } => false,
        }
    }

    /// A parent or tracer is notified of the death. Returns whether it was this process's death.
    pub(in crate::model) fn announced(&mut self, told: &Announcement) -> bool {
        let mut exiting = match self {
            Self::Alive => Exiting::unseen(told.time, told.target),
            // A tracer is notified of each thread. The exit of the others would have been seen; if it was lost, a scan
            // will show it.
            Self::LeaderGone(gone) if told.by_itself && gone.tracer == Some(told.target.pid) => return false,
            // Other processes notify only of a dead group, whose exit would have been seen unless it was lost: this one
            // is forged.
            Self::LeaderGone(gone)
                if !told.by_itself && !gone.is_found && told.last_loss.is_none_or(|lost| lost < gone.since) =>
            {
                return false;
            }
            Self::LeaderGone(gone) => {
                let unseen = Exiting::unseen(told.time, told.target);
                Exiting { death: Death { numbers: gone.numbers, ..unseen.death }, ..unseen }
            }
            Self::Exiting(exiting) => (**exiting).clone(),
            Self::Zombie(zombie) => {
                if zombie.announced(told) {
                    let release = Release {
                        time: told.time,
                        reaper: Some(told.current),
                        by_kernel: false,
                        reaper_is_init: false,
                        discarded: true,
                    };
                    *self = Self::Released(Box::new(Released { zombie: (**zombie).clone(), release }));
                }
                return true;
            }
            Self::Released(_) | Self::Gone { .. } => return false,
        };
        exiting.death.is_told(told, false);
        if exiting.death.is_discarded_by(told, false) {
            exiting.discarded = true;
            *self = Self::Exiting(Box::new(exiting));
            return true;
        }
        // If another process sends this and events were lost since the exit, the first signal may be among them.
        let is_first = told.by_itself || told.last_loss.is_none_or(|lost| lost < exiting.death.exited);
        let (since, begin) = if is_first { (told.time, Begin::Exact) } else { (exiting.death.exited, Begin::Exit) };
        if is_first {
            exiting.waiter = told.target;
        }
        let mut zombie = exiting.into_zombie(since, begin);
        zombie.stints.pass(told.time, told.target);
        *self = Self::Zombie(Box::new(zombie));
        true
    }

    /// `/proc` shows a zombie without other threads. `waiter` is `None` if nothing is known of that process. Returns
    /// whether it is still one.
    pub(in crate::model) fn found_zombie(
        &mut self,
        time: BootNs,
        parent: ProcessKey,
        tracer: Option<u32>,
        waiter: Option<ProcessKey>,
        status: Option<ExitStatus>,
    ) -> bool {
        let mut zombie = match self {
            Self::Alive | Self::LeaderGone(_) => {
                let numbers = self.numbers();
                let mut found = Exiting::unseen(time, waiter.unwrap_or(parent)).into_zombie(time, Begin::Found);
                found.death.numbers = numbers;
                found
            }
            Self::Exiting(exiting) => {
                let begin = if exiting.death.exit_seen { Begin::Exit } else { Begin::Found };
                (**exiting).clone().into_zombie(exiting.death.exited, begin)
            }
            Self::Zombie(zombie) => (**zombie).clone(),
            Self::Released(_) | Self::Gone { .. } => return false,
        };
        // The scan is newer than all earlier events: an adoption or a hand-over may have been lost.
        zombie.death.parent = parent;
        zombie.death.tracer = tracer;
        zombie.death.status = zombie.death.status.or(status);
        if let Some(waiter) = waiter {
            zombie.stints.pass(time, waiter);
        }
        // It outlasted a wait call that returned before, which therefore did not reap it.
        zombie.candidate = zombie.candidate.filter(|&(.., returned)| returned >= time);
        *self = Self::Zombie(Box::new(zombie));
        true
    }

    /// Takes in the age that the recorder knew before `/proc` was read again. Returns whether the zombie is older than
    /// was thought.
    pub(in crate::model) fn recall_zombie(&mut self, known: &KnownZombie, begin: Begin, waiter: ProcessKey) -> bool {
        let &KnownZombie { since, waits_since, .. } = known;
        match self {
            Self::Zombie(zombie) if zombie.begin == Begin::Found && since < zombie.since => {
                zombie.since = since;
                zombie.begin = begin;
                zombie.death.exited = zombie.death.exited.min(since);
                if let Some(death) = &known.death {
                    zombie.death.recall(death);
                }
                let stint = zombie.stints.current_mut();
                // Another process may have adopted it meanwhile.
                let is_older = stint.process == waiter && waits_since.max(since) < stint.since;
                if is_older {
                    stint.since = waits_since.max(since);
                }
                is_older
            }
            Self::Alive
            | Self::LeaderGone(_)
            | Self::Exiting(_)
            | Self::Zombie(_)
            | Self::Released(_)
            | Self::Gone { .. } => false,
        }
    }

    /// A wait call for exited children returned this process.
    pub(in crate::model) fn waited_for(
        &mut self,
        time: BootNs,
        reaper: ProcessKey,
        call: WaitCall,
        may_have_looked: bool,
        handing: Handing,
    ) -> Waited {
        let zombie = match self {
            // The call is about a stop or continue.
            Self::Alive | Self::LeaderGone(_) | Self::Exiting(_) | Self::Gone { .. } => return Waited::Nothing,
            Self::Zombie(zombie) if zombie.since <= time => zombie,
            Self::Released(released) if released.zombie.since <= time => {
                if !may_have_looked {
                    return Waited::Reaped;
                }
                released.zombie.candidate = Some((reaper, call, time));
                return Waited::MayHaveLooked;
            }
            Self::Zombie(_) | Self::Released(_) => return Waited::Nothing,
        };
        if zombie.is_handed_over_by(reaper, handing) {
            let parent = zombie.death.parent;
            zombie.death.tracer = None;
            zombie.stints.pass(time, parent);
            return Waited::HandedOver;
        }
        if may_have_looked {
            zombie.candidate = Some((reaper, call, time));
            return Waited::MayHaveLooked;
        }
        Waited::Reaped
    }

    /// The tracer that held the zombie exits without any notification.
    pub(in crate::model) fn passes_to_parent(&mut self, time: BootNs) {
        match self {
            Self::Zombie(zombie) => {
                zombie.stints.pass(time, zombie.death.parent);
                zombie.death.tracer = None;
            }
            Self::Alive | Self::LeaderGone(_) | Self::Exiting(_) | Self::Released(_) | Self::Gone { .. } => {}
        }
    }

    /// It is reaped, but not by a visible wait call. Returns whether that is new.
    pub(in crate::model) fn released(&mut self, release: Release) -> bool {
        match self {
            Self::Zombie(zombie) if zombie.since <= release.time => {
                *self = Self::Released(Box::new(Released { zombie: (**zombie).clone(), release }));
                true
            }
            // The parent discards it, and the tracer's wait call releases it.
            Self::Released(released) if released.release.discarded && !release.by_kernel => {
                released.release = release;
                false
            }
            // Without a zombie, the end is the freeing of its memory.
            Self::Alive | Self::LeaderGone(_) | Self::Exiting(_) | Self::Zombie(_) => false,
            Self::Released(_) | Self::Gone { .. } => false,
        }
    }

    /// The memory of a zombie is freed, whose reap was not seen. Returns whether it was one.
    pub(in crate::model) fn freed(&mut self, time: BootNs) -> bool {
        match self {
            Self::Zombie(zombie) if zombie.candidate.is_none() && zombie.since <= time => {
                let release = Release { time, reaper: None, by_kernel: false, reaper_is_init: false, discarded: false };
                *self = Self::Released(Box::new(Released { zombie: (**zombie).clone(), release }));
                true
            }
            // It is known who reaped it, or who may have.
            Self::Zombie(_) | Self::Released(_) => false,
            Self::Alive | Self::LeaderGone(_) | Self::Exiting(_) | Self::Gone { .. } => false,
        }
    }

    /// It is gone. Returns what it was.
    pub(in crate::model) fn leave(&mut self) -> Past {
        let end = self.end();
        match std::mem::replace(self, Self::Gone { end }) {
            Self::Alive | Self::LeaderGone(_) | Self::Gone { .. } => Past::NotDead,
            Self::Exiting(exiting) => Past::Exiting(exiting),
            Self::Zombie(zombie) => Past::Zombie(zombie),
            Self::Released(released) => Past::Zombie(Box::new(released.zombie)),
        }
    }
}

impl Exiting {
    /// A death of which only this is known: `waiter` could wait at `time`.
    fn unseen(time: BootNs, waiter: ProcessKey) -> Self {
        let death = Death {
            exited: time,
            status: None,
            exit_signal: SIGCHLD,
            parent: waiter,
            tracer: None,
            child_signal: None,
            parent_discards: false,
            exit_seen: false,
            numbers: [NsPid { nr: 0, inum: 0 }; 4],
        };
        Self { death, waiter, discarded: false }
    }

    fn into_zombie(self, since: BootNs, begin: Begin) -> Zombie {
        let stints = Stints::first(self.waiter, since);
        Zombie { death: self.death, since, begin, stints, candidate: None }
    }
}

impl Death {
    /// `let_go`: its tracer has already handed it over.
    fn is_told(&mut self, told: &Announcement, let_go: bool) {
        let to_tracer = !let_go && self.tracer == Some(told.target.pid) && self.parent.pid != told.target.pid;
        if !to_tracer {
            self.parent = told.target;
        }
        self.child_signal = Some(told.outcome);
    }

    /// `do_notify_parent` discards no traced process, even if its own parent traces it.
    fn is_discarded_by(&self, told: &Announcement, let_go: bool) -> bool {
        told.discards && (let_go || self.tracer != Some(told.target.pid))
    }
}

impl Zombie {
    /// It became a zombie at another time than was thought, and has had one waiter since.
    fn restart(&mut self, since: BootNs, begin: Begin) {
        self.stints = Stints::first(self.waiter(), since);
        (self.since, self.begin) = (since, begin);
    }

    /// Returns whether the notified process discards it.
    fn announced(&mut self, told: &Announcement) -> bool {
        let let_go = self.was_let_go();
        self.death.is_told(told, let_go);
        if self.death.is_discarded_by(told, let_go) {
            return true;
        }
        if told.by_itself {
            // The last of its threads sends this; an earlier signal was about one thread only.
            self.restart(told.time, Begin::Exact);
        }
        self.stints.pass(told.time, told.target);
        false
    }

    /// Whether a tracer that held it has handed it over to the parent. The tracer may still adopt it later.
    fn was_let_go(&self) -> bool {
        self.death.tracer.is_some_and(|tracer| tracer != self.death.parent.pid) && self.waiter() == self.death.parent
    }

    /// A tracer's wait hands the zombie to the real parent (`EXIT_TRACE`), which is notified within that call. If the
    /// parent discards the status, nobody is notified and the call reaps.
    fn is_handed_over_by(&self, reaper: ProcessKey, handing: Handing) -> bool {
        let is_tracer = self.death.tracer == Some(reaper.pid) && self.death.parent.pid != reaper.pid;
        if !is_tracer {
            return false;
        }
        let parent_was_told = self.waiter().pid != reaper.pid;
        let is_certain = handing.last_loss.is_none_or(|lost| lost < self.death.exited);
        // When a process exits, the exit signal of its children becomes SIGCHLD.
        let exit_signal = if handing.parent_is_dead { SIGCHLD } else { self.death.exit_signal };
        let discards = exit_signal == SIGCHLD && (is_certain || self.death.parent_discards);
        parent_was_told || !discards
    }
}
