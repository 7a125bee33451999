//! Statuses that one thread takes and another misses.
//!
//! A thread that waits for one child and gets ECHILD, because another thread of its process has reaped that child in a
//! wait for any, has lost the status. The two events come in either order, because both calls end at the same time.
//!
//! A thread loses a status to itself if its SIGCHLD handler reaps all children while the interrupted code waits for
//! one.

use std::collections::VecDeque;

use super::{Identity, Model, ModelEvent};
use crate::event::{BootNs, ExitStatus, ProcessKey, Selector, Wait};

/// Programs in which one part reaps all children and passes the statuses on. The receiver may still wait for the child,
/// to clean up, and get ECHILD: nothing is lost (containerd, `pkg/sys/reaper`: `Monitor.Wait` calls `Cmd.Wait` when it
/// has the status; runc, `signals.go`: `signalHandler.forward` calls `Process.Wait` then). Full names, of which the
/// kernel keeps 15 bytes.
const HAND_ON: &[&[u8]] = &[b"containerd-shim", b"runc"];
const WNOHANG: u32 = 1;
/// Maximum number of reaps and of misses remembered per parent.
const REMEMBERED: usize = 8;
/// How long after the miss the reap may still arrive, ns.
const OUT_OF_ORDER_NS: u64 = 100_000_000;

/// A child whose status did not reach the thread that waited for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stolen {
    /// When the thread was told that there is no such child.
    pub time: BootNs,
    /// The child.
    pub process: ProcessKey,
    /// The child, for people.
    pub identity: Identity,
    /// The process of both threads.
    pub parent: ProcessKey,
    /// The thread that waited for the child.
    pub loser: u32,
    /// The thread that reaped it.
    pub taker: u32,
    /// When it did.
    pub taken: BootNs,
    /// How the child had ended; `None` if that was not seen.
    pub status: Option<ExitStatus>,
}

/// What a parent's threads recently took and missed.
#[derive(Clone, Debug, Default)]
pub(super) struct RecentWaits {
    taken: VecDeque<Taken>,
    missed: VecDeque<Missed>,
}

#[derive(Clone, Debug)]
struct Taken {
    time: BootNs,
    status: Option<ExitStatus>,
    /// It was taken without blocking, after a handler got the child's SIGCHLD.
    by_handler: bool,
    number: (u32, u32),
    thread: u32,
    process: ProcessKey,
    identity: Identity,
}

#[derive(Clone, Copy, Debug)]
struct Missed {
    time: BootNs,
    number: (u32, u32),
    thread: u32,
}

impl Model {
    /// A wait for one child failed with ECHILD.
    pub(super) fn on_missed(&mut self, time: BootNs, wait: &Wait) {
        let Selector::Pid(number) = wait.selector else { return };
        let parent = self.table.canonical(wait.reaper);
        let Some(process) = self.table.get_mut(parent) else { return };
        let missed = Missed { time, number: (wait.ns, number), thread: wait.thread };
        let statuses = &mut process.parenting_mut().statuses;
        let taken = statuses.taken.iter().rfind(|taken| taken.number == missed.number).cloned();
        match taken {
            Some(taken) => self.tell_stolen(parent, &taken, missed),
            None => push(&mut statuses.missed, missed),
        }
    }

    /// A wait for any child, or any of a group, reaped this one.
    pub(super) fn on_taken(&mut self, time: BootNs, wait: &Wait, process: ProcessKey, identity: &Identity) {
        let Some(number) = wait.child_nr else { return };
        let parent = self.table.canonical(wait.reaper);
        let end = match self.table.get(process) {
            Some(child) => child.end(),
            None => None,
        };
        let Some(parent_process) = self.table.get_mut(parent) else { return };
        let parenting = parent_process.parenting_mut();
        let is_signalled = end.is_some_and(|(died, _)| parenting.last_handled >= Some(died));
        let by_handler = is_signalled
            && wait.selector == Selector::Any
            && wait.options.is_some_and(|options| options & WNOHANG != 0);
        let statuses = &mut parenting.statuses;
        // The number now belongs to another child.
        statuses.taken.retain(|taken| taken.number != (wait.ns, number));
        if !matches!(wait.selector, Selector::Any | Selector::Pgid(_)) {
            return;
        }
        let (number, status) = ((wait.ns, number), end.map(|(_, status)| status));
        let taken =
            Taken { time, status, by_handler, number, thread: wait.thread, process, identity: identity.clone() };
        let missed = statuses.missed.iter().position(|missed| missed.number == taken.number);
        match missed.and_then(|index| statuses.missed.remove(index)) {
            Some(missed) if time.saturating_sub(missed.time) <= OUT_OF_ORDER_NS => {
                self.tell_stolen(parent, &taken, missed);
            }
            _ => push(&mut statuses.taken, taken),
        }
    }

    fn tell_stolen(&mut self, parent: ProcessKey, taken: &Taken, missed: Missed) {
        // A thread that waits for a child it has reaped itself has lost nothing, unless its handler reaped it.
        if taken.thread == missed.thread && !taken.by_handler {
            return;
        }
        if let Some(parent) = self.table.get_mut(parent) {
            let comm = parent.identity.comm.split(|&byte| byte == 0).next().unwrap_or_default();
            if HAND_ON.contains(&comm) {
                return;
            }
            parent.parenting_mut().stolen += 1;
        }
        self.news.push_back(ModelEvent::Stolen(Box::new(Stolen {
            time: missed.time,
            process: taken.process,
            identity: taken.identity.clone(),
            parent,
            loser: missed.thread,
            taker: taken.thread,
            taken: taken.time,
            status: taken.status,
        })));
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() == REMEMBERED {
        queue.pop_front();
    }
    queue.push_back(item);
}
