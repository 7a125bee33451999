//! The events that the probes make of it, and what a filter lets through.

use std::collections::BTreeSet;

use super::{Disposition, Kernel, Life, TICK};
use crate::event::{
    ChildSignal, Event, Exit, ExitStatus, Fact, Handler, NsPid, ProcessKey, Release, Seed, SignalOutcome, Wait, What,
};
use crate::model::tests::story;

impl Kernel {
    pub(super) fn emit_exit(&mut self, key: ProcessKey, thread: u32, group_dead: bool) {
        let life = &self.lives[&key];
        let parent = &self.lives[&life.parent];
        let parent_ns = *parent.ns.last().expect("everybody has a number");
        let mut ns = [NsPid { nr: 0, inum: 0 }; 4];
        ns[..life.ns.len()].copy_from_slice(&life.ns);
        let exit = Exit {
            thread,
            group_dead,
            tracer: life.threads[0].tracer.map(|tracer| tracer.pid),
            exit_signal: life.exit_signal,
            parent_discards: Some(parent.sigchld != Disposition::Default),
            is_init: life.ns.last().is_some_and(|it| it.nr == 1),
            is_subreaper: life.is_subreaper,
            parent_is_init: parent_ns.nr == 1,
            reaps_itself: false,
            parent_is_subreaper: parent.is_subreaper,
            level: u32::try_from(life.ns.len() - 1).unwrap_or(0),
            ns,
            ..story::exit(key, life.parent)
        };
        self.emit(What::Exit(exit));
    }

    /// A signal tells `target` of the death of a process.
    pub(super) fn tell(&mut self, current: ProcessKey, child: ProcessKey, target: ProcessKey, signal: i32) {
        let child_nr = self.number_in(child, self.innermost(target).inum);
        // The probe knows only that `current` is exiting and who it is.
        let child_is_current = current == child;
        self.emit_signal(current, child_is_current, child_nr, target, signal);
    }

    /// A signal tells a tracer of the death of a thread.
    pub(super) fn tell_of_thread(&mut self, key: ProcessKey, tid: u32, tracer: ProcessKey) {
        self.emit_signal(key, false, tid, tracer, 17);
    }

    fn emit_signal(
        &mut self,
        current: ProcessKey,
        child_is_current: bool,
        child_nr: u32,
        target: ProcessKey,
        signal: i32,
    ) {
        let receiver = &self.lives[&target];
        let own = receiver.ns[receiver.ns.len() - 1];
        let is_chld = signal == 17;
        let (handler, outcome) = match receiver.sigchld {
            Disposition::Ignore if is_chld => (Handler::Ignore, SignalOutcome::Ignored),
            Disposition::NoChildWait if is_chld => (Handler::Function, SignalOutcome::Delivered),
            _ => (Handler::Default, SignalOutcome::Ignored),
        };
        let told = ChildSignal {
            current,
            child_is_current,
            child_nr,
            target_ns: own,
            target_level: u32::try_from(receiver.ns.len() - 1).unwrap_or(0),
            target_is_init: own.nr == 1,
            target_is_subreaper: receiver.is_subreaper,
            target_exiting: receiver.exited.is_some(),
            signal: signal.unsigned_abs(),
            handler,
            outcome,
            nocldwait: receiver.sigchld == Disposition::NoChildWait,
            ..story::child_signal(current, target)
        };
        self.emit(What::ChildSignal(told));
    }

    pub(super) fn emit_wait(&mut self, reaper: ProcessKey, child: ProcessKey, child_nr: u32) {
        let ns = self.innermost(reaper).inum;
        self.emit(What::Wait(Wait { ns, child_nr: Some(child_nr), ..story::wait(reaper, child) }));
    }

    /// What the probe of `release_task` tells, where there is one.
    pub(super) fn tell_release(&mut self, process: ProcessKey, reaper: ProcessKey, reaper_exiting: bool) {
        if self.traits.has_fentry {
            let reaper_is_init = self.lives.get(&reaper).and_then(|it| it.ns.last()).is_some_and(|it| it.nr == 1);
            self.emit(What::Release(Release { process, reaper, reaper_exiting, reaper_is_init }));
        }
    }

    /// What `/proc` shows now.
    pub(super) fn seeds(&self) -> Vec<Event> {
        let time = self.now;
        self.lives
            .iter()
            .map(|(&key, life)| Event { time, what: What::Fact(Fact::Seed(Box::new(seed(key, life)))) })
            .collect()
    }
}

fn seed(key: ProcessKey, life: &Life) -> Seed {
    let is_zombie = life.threads[0].has_exited;
    Seed {
        process: ProcessKey { start_ns: key.start_ns / TICK * TICK, ..key },
        tick_ns: TICK,
        is_zombie,
        tracer: life.threads[0].tracer.map(|tracer| tracer.pid),
        threads: u32::try_from(life.threads.len()).unwrap_or(1),
        status: is_zombie.then_some(ExitStatus::Code(0)),
        ns_pids: life.ns.iter().map(|it| it.nr).collect(),
        // Hidden for a zombie, but one without an inner number can only be in the outermost.
        pid_ns: if is_zombie && life.ns.len() > 1 { 0 } else { life.ns.last().map_or(0, |it| it.inum) },
        ..story::seed(key, life.parent.pid)
    }
}

/// A process and all that descend from it by birth.
pub(in crate::model::tests) fn followed(events: &[Event], root: ProcessKey) -> BTreeSet<ProcessKey> {
    let mut followed = BTreeSet::from([root]);
    for event in events {
        if let What::Fork(fork) = &event.what
            && followed.contains(&fork.forker)
        {
            followed.insert(fork.child);
        }
    }
    followed
}

/// What the kernel's filter lets through: all of who is followed; and of who has a parent, adopter or tracer that is,
/// from its exit on.
pub(in crate::model::tests) fn of_followed(events: &[Event], followed: &BTreeSet<ProcessKey>) -> Vec<Event> {
    let mut told = followed.clone();
    let has = |key: &ProcessKey| followed.contains(key);
    // The pid of a tracer is one of a process that lives: the newest.
    let is_tracer = |pid: u32, time: u64| {
        let newest = followed.iter().filter(|it| it.pid == pid && it.start_ns <= time).max();
        newest.is_some()
    };
    let mut passed = Vec::new();
    for event in events {
        let passes = match &event.what {
            What::Fork(it) => has(&it.forker),
            What::Exec(it) => has(&it.process),
            What::Exit(it) => {
                has(&it.process) || has(&it.parent) || it.tracer.is_some_and(|pid| is_tracer(pid, event.time))
            }
            What::ChildSignal(it) => has(&it.current) || has(&it.target),
            What::Wait(it) => has(&it.reaper),
            What::Release(it) => told.contains(&it.process),
            What::Free(it) => told.contains(it),
            _ => true,
        };
        if passes {
            match &event.what {
                What::Exit(it) => told.extend([it.process]),
                What::ChildSignal(it) => told.extend([it.current, it.target]),
                _ => {}
            }
            passed.push(event.clone());
        }
    }
    passed
}
