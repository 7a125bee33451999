//! A small kernel: random but true histories of processes and threads, with exactly the events that a real one would
//! emit.
//!
//! It models `do_exit`, `exit_notify`, `do_notify_parent`, `forget_original_parent`, `wait_task_zombie`,
//! `release_task`, `ptrace_attach` and `de_thread` of Linux, without the locks.

mod events;
mod exits;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

pub(super) use events::{followed, of_followed};

use super::story::{ROOT, ms};
use crate::event::{BootNs, Event, NsPid, ProcessKey, What};

/// Few pids, so that they are reused all the time.
const PIDS: std::ops::RangeInclusive<u32> = 2..=14;
/// Threads other than the main one have numbers from here on, the same in all namespaces.
const FIRST_THREAD: u32 = 1_000;
const MAX_THREADS: usize = 3;
/// The tick to which `/proc` rounds starts down here: finer than a real one, because pids are reused faster.
pub(super) const TICK: u64 = 1_000;
const MAX_LEVEL: usize = 3;

pub(in crate::model::tests) const INIT: ProcessKey = ProcessKey { pid: 1, start_ns: 77 };

/// Something that happens, with what it happens to picked from what there is.
#[derive(Clone, Copy, Debug)]
pub(in crate::model::tests) struct Step {
    pub(in crate::model::tests) kind: u8,
    pub(in crate::model::tests) pick: u16,
    pub(in crate::model::tests) how: u8,
    pub(in crate::model::tests) gap_us: u32,
}

/// How kernels differ.
#[derive(Clone, Copy, Debug)]
pub(in crate::model::tests) struct Traits {
    /// The probe of `release_task` is there.
    pub(in crate::model::tests) has_fentry: bool,
    /// Whether the group is dead is read from a count, which several threads may see at zero.
    pub(in crate::model::tests) repeats_exits: bool,
}

/// What a process does with SIGCHLD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disposition {
    Default,
    Ignore,
    NoChildWait,
}

#[derive(Clone, Copy, Debug)]
struct Thread {
    tid: u32,
    /// It has begun to exit.
    has_exited: bool,
    /// It has told, or would have, and stays until it is waited for.
    is_zombie: bool,
    tracer: Option<ProcessKey>,
}

#[derive(Clone, Debug)]
struct Life {
    parent: ProcessKey,
    /// Namespaces and numbers, outermost first.
    ns: Vec<NsPid>,
    exit_signal: i32,
    sigchld: Disposition,
    is_subreaper: bool,
    /// The main thread, then those others that were not released.
    threads: Vec<Thread>,
    /// All threads have exited; `None` if one lives.
    exited: Option<BootNs>,
    zombie: Option<Waiting>,
    /// The main thread told its tracer when a dead thread was still held by one.
    was_told_early: bool,
    /// When it exited its parent was about to discard it.
    was_unwanted: bool,
}

#[derive(Clone, Debug)]
struct Waiting {
    since: BootNs,
    was_told: bool,
    /// Who could reap it since when.
    stints: Vec<(ProcessKey, BootNs)>,
}

/// How a zombie truly ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::model::tests) struct TrueEnd {
    pub(in crate::model::tests) zombie_ns: u64,
    /// Who could reap it since when.
    pub(in crate::model::tests) stints: Vec<(ProcessKey, BootNs)>,
    /// The reaper, if its wait call is seen.
    pub(in crate::model::tests) seen_reaper: Option<ProcessKey>,
    /// The reaper, unless it was reaped for nobody.
    pub(in crate::model::tests) reaper: Option<ProcessKey>,
    /// Its parent got a signal.
    pub(in crate::model::tests) was_told: bool,
    /// Its tracer got one before it was a zombie.
    pub(in crate::model::tests) was_told_early: bool,
}

/// A zombie that truly is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::model::tests) struct TrueZombie {
    pub(in crate::model::tests) waiter: ProcessKey,
    pub(in crate::model::tests) since: BootNs,
    pub(in crate::model::tests) was_told: bool,
    pub(in crate::model::tests) was_told_early: bool,
}

/// What happened in one step, and what there is after it.
#[derive(Clone, Debug)]
pub(in crate::model::tests) struct Chapter {
    pub(in crate::model::tests) events: Vec<Event>,
    pub(in crate::model::tests) seeds: Vec<Event>,
    pub(in crate::model::tests) zombies: BTreeMap<ProcessKey, TrueZombie>,
    /// Dead, told to the main thread's tracer, and not zombies before another thread is waited for.
    pub(in crate::model::tests) told_early: BTreeSet<ProcessKey>,
}

#[derive(Debug)]
pub(in crate::model::tests) struct Kernel {
    pub(in crate::model::tests) now: BootNs,
    lives: BTreeMap<ProcessKey, Life>,
    /// Reaped, memory not yet freed.
    unfreed: Vec<ProcessKey>,
    numbers: BTreeSet<(u32, u32)>,
    next_ns: u32,
    next_thread: u32,
    events: Vec<Event>,
    traits: Traits,
    pub(in crate::model::tests) chapters: Vec<Chapter>,
    pub(in crate::model::tests) ends: BTreeMap<ProcessKey, TrueEnd>,
    pub(in crate::model::tests) exits: u64,
    /// Those that were discarded and of which anything tells: the signal to their parent, or their exit.
    pub(in crate::model::tests) auto_reaped: u64,
}

impl Kernel {
    pub(in crate::model::tests) fn run(steps: &[Step], traits: Traits) -> Self {
        let init = Life {
            parent: ProcessKey { pid: 0, start_ns: 0 },
            ns: vec![NsPid { nr: 1, inum: ROOT }],
            exit_signal: 17,
            sigchld: Disposition::Default,
            is_subreaper: false,
            threads: vec![Thread { tid: 1, has_exited: false, is_zombie: false, tracer: None }],
            exited: None,
            zombie: None,
            was_told_early: false,
            was_unwanted: false,
        };
        let mut kernel = Self {
            now: ms(0),
            lives: BTreeMap::from([(INIT, init)]),
            unfreed: Vec::new(),
            numbers: BTreeSet::from([(ROOT, 1)]),
            next_ns: 100,
            next_thread: FIRST_THREAD,
            events: Vec::new(),
            traits,
            chapters: Vec::new(),
            ends: BTreeMap::new(),
            exits: 0,
            auto_reaped: 0,
        };
        for step in steps {
            kernel.step(*step);
        }
        kernel
    }

    pub(in crate::model::tests) fn zombies(&self) -> BTreeMap<ProcessKey, TrueZombie> {
        let zombie = |(&key, life): (&ProcessKey, &Life)| {
            let Waiting { since, was_told, .. } = *life.zombie.as_ref()?;
            let was_told_early = life.was_told_early;
            Some((key, TrueZombie { waiter: self.waiter(key), since, was_told, was_told_early }))
        };
        self.lives.iter().filter_map(zombie).collect()
    }

    pub(in crate::model::tests) fn events(&self) -> Vec<Event> {
        self.chapters.iter().flat_map(|it| it.events.clone()).collect()
    }

    /// All processes but the first exit, are reaped, and freed; then the first is freed, too.
    pub(in crate::model::tests) fn wind_up(&mut self) {
        while let Some(key) = self.alive().into_iter().find(|&it| it != INIT) {
            self.tick(1_000);
            self.let_go_inside(key);
            self.die(key, 0);
            self.end_chapter();
        }
        while let Some((key, index)) = self.held_thread(|_| true) {
            self.tick(1_000);
            self.wait_for_thread(key, index, true);
            self.end_chapter();
        }
        while let Some(&zombie) = self.zombies().keys().next() {
            self.tick(1_000);
            self.reap(zombie, true);
            self.end_chapter();
        }
        // The last to die is freed first: the kernel guarantees no order.
        self.unfreed.reverse();
        self.unfreed.push(INIT);
        for key in std::mem::take(&mut self.unfreed) {
            self.tick(1_000);
            self.emit(What::Free(key));
        }
        self.end_chapter();
    }

    fn end_chapter(&mut self) {
        self.now += 500;
        let events = std::mem::take(&mut self.events);
        let told_early =
            self.lives.iter().filter(|(_, life)| life.was_told_early && life.zombie.is_none()).map(|(&key, _)| key);
        let told_early = told_early.collect();
        self.chapters.push(Chapter { seeds: self.seeds(), events, zombies: self.zombies(), told_early });
    }

    fn tick(&mut self, ns: u64) {
        self.now += ns;
    }

    fn emit(&mut self, what: What) {
        self.now += 300;
        self.events.push(Event { time: self.now, what });
    }

    /// Those of which a thread lives.
    fn alive(&self) -> Vec<ProcessKey> {
        self.lives.iter().filter(|(_, life)| life.exited.is_none()).map(|(&key, _)| key).collect()
    }

    fn life(&mut self, key: ProcessKey) -> &mut Life {
        self.lives.get_mut(&key).expect("it is there")
    }

    /// Who can reap it, now or when it is a zombie.
    fn waiter(&self, key: ProcessKey) -> ProcessKey {
        let life = &self.lives[&key];
        life.threads[0].tracer.unwrap_or(life.parent)
    }

    fn innermost(&self, key: ProcessKey) -> NsPid {
        *self.lives[&key].ns.last().expect("everybody has a number")
    }

    fn number_in(&self, key: ProcessKey, inum: u32) -> u32 {
        self.lives[&key].ns.iter().find(|it| it.inum == inum).map_or(0, |it| it.nr)
    }

    fn is_nested_init(&self, key: ProcessKey) -> bool {
        let own = self.innermost(key);
        own.nr == 1 && own.inum != ROOT
    }

    fn is_inside(&self, key: ProcessKey, inum: u32) -> bool {
        self.lives[&key].ns.iter().any(|it| it.inum == inum)
    }

    /// A dead thread that its tracer has yet to wait for, and that is not a main thread.
    fn held_thread(&self, wanted: impl Fn(ProcessKey) -> bool) -> Option<(ProcessKey, usize)> {
        self.lives.iter().filter(|(key, _)| wanted(**key)).find_map(|(&key, life)| {
            let index = life.threads.iter().skip(1).position(|thread| thread.is_zombie)?;
            Some((key, index + 1))
        })
    }
}
