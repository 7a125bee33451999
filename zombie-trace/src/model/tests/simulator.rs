//! A kernel in small: random but true histories of processes, and exactly the events that a real one would emit.

use std::collections::{BTreeMap, BTreeSet};

use super::story::{ROOT, SIGCHLD, child_signal, exit, fork, ms, wait};
use crate::event::{
    BootNs, ChildSignal, Event, Exit, ExitStatus, Fact, Fork, NsPid, ProcessKey, Release, Seed, Wait, What,
};

/// So few pids that they are reused all the time.
const PIDS: std::ops::RangeInclusive<u32> = 2..=14;
/// What `/proc` rounds starts down to here: finer than a real tick, as pids are reused so much faster.
const TICK: u64 = 1_000;
const MAX_LEVEL: usize = 3;

pub(super) const INIT: ProcessKey = ProcessKey { pid: 1, start_ns: 77 };

/// Something that happens, with what it happens to picked from what there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) kind: u8,
    pub(super) pick: u16,
    pub(super) how: u8,
    pub(super) gap_us: u32,
}

#[derive(Clone, Debug)]
struct Life {
    parent: ProcessKey,
    /// Namespaces and numbers, outermost first.
    ns: Vec<NsPid>,
    exit_signal: i32,
    ignores: bool,
    is_subreaper: bool,
    /// It is exiting; `None` if it lives.
    exited: Option<BootNs>,
    zombie_since: Option<BootNs>,
    parent_since: BootNs,
}

/// How a zombie truly ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TrueEnd {
    pub(super) zombie_ns: u64,
    /// How long the last of those who could reap it could.
    pub(super) waited_ns: u64,
    /// The reaper, if its wait call is seen.
    pub(super) seen_reaper: Option<ProcessKey>,
    /// The reaper, unless it was reaped for nobody.
    pub(super) reaper: Option<ProcessKey>,
    /// Its parent got a signal.
    pub(super) was_told: bool,
}

/// A zombie that truly is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TrueZombie {
    pub(super) parent: ProcessKey,
    pub(super) since: BootNs,
    pub(super) was_told: bool,
}

/// What happened in one step, and what `/proc` shows after it.
#[derive(Clone, Debug)]
pub(super) struct Chapter {
    pub(super) events: Vec<Event>,
    pub(super) seeds: Vec<Event>,
}

#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) now: BootNs,
    lives: BTreeMap<ProcessKey, Life>,
    /// Reaped, memory not yet freed.
    unfreed: Vec<ProcessKey>,
    numbers: BTreeSet<(u32, u32)>,
    next_ns: u32,
    events: Vec<Event>,
    /// The probe of `release_task` is there.
    has_fentry: bool,
    pub(super) chapters: Vec<Chapter>,
    pub(super) ends: BTreeMap<ProcessKey, TrueEnd>,
    pub(super) exits: u64,
    pub(super) auto_reaped: u64,
}

impl Kernel {
    pub(super) fn run(steps: &[Step], has_fentry: bool) -> Self {
        let init = Life {
            parent: ProcessKey { pid: 0, start_ns: 0 },
            ns: vec![NsPid { nr: 1, inum: ROOT }],
            exit_signal: 17,
            ignores: false,
            is_subreaper: false,
            exited: None,
            zombie_since: None,
            parent_since: 0,
        };
        let mut kernel = Self {
            now: ms(0),
            lives: BTreeMap::from([(INIT, init)]),
            unfreed: Vec::new(),
            numbers: BTreeSet::from([(ROOT, 1)]),
            next_ns: 100,
            events: Vec::new(),
            has_fentry,
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

    pub(super) fn zombies(&self) -> BTreeMap<ProcessKey, TrueZombie> {
        let zombie = |(&key, life): (&ProcessKey, &Life)| {
            let zombie = TrueZombie { parent: life.parent, since: life.zombie_since?, was_told: life.exit_signal != 0 };
            Some((key, zombie))
        };
        self.lives.iter().filter_map(zombie).collect()
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.chapters.iter().flat_map(|it| it.events.clone()).collect()
    }

    /// Everybody but the first process ends, is reaped, and freed; then that one is freed, too.
    pub(super) fn wind_up(&mut self) {
        while let Some(key) = self.alive().into_iter().find(|&it| it != INIT) {
            self.tick(1_000);
            self.die(key);
            self.end_chapter();
        }
        while let Some(&zombie) = self.zombies().keys().next() {
            self.tick(1_000);
            self.reap(zombie, true);
            self.end_chapter();
        }
        self.unfreed.push(INIT);
        for key in std::mem::take(&mut self.unfreed) {
            self.tick(1_000);
            self.emit(What::Free(key));
        }
        self.end_chapter();
    }

    fn step(&mut self, step: Step) {
        self.tick(2_000 + 1_000 * u64::from(step.gap_us));
        let alive = self.alive();
        let actor = alive[usize::from(step.pick) % alive.len()];
        match step.kind % 16 {
            0..=5 => self.fork(actor, step.how),
            6..=8 if actor != INIT => self.die(actor),
            9..=11 => {
                let zombies: Vec<ProcessKey> = self.zombies().into_keys().collect();
                if !zombies.is_empty() {
                    self.reap(zombies[usize::from(step.pick) % zombies.len()], !step.how.is_multiple_of(4));
                }
            }
            12 if actor != INIT => self.life(actor).ignores = step.how.is_multiple_of(3),
            13 if actor != INIT => self.life(actor).is_subreaper = step.how.is_multiple_of(2),
            14 | 15 if !self.unfreed.is_empty() => {
                let key = self.unfreed.remove(usize::from(step.pick) % self.unfreed.len());
                self.emit(What::Free(key));
            }
            _ => {}
        }
        self.end_chapter();
    }

    fn end_chapter(&mut self) {
        self.now += 500;
        let events = std::mem::take(&mut self.events);
        let time = self.now;
        let seeds = self
            .lives
            .iter()
            .map(|(&key, life)| Event { time, what: What::Fact(Fact::Seed(Box::new(seed(key, life)))) });
        self.chapters.push(Chapter { seeds: seeds.collect(), events });
    }

    fn tick(&mut self, ns: u64) {
        self.now += ns;
    }

    fn emit(&mut self, what: What) {
        self.now += 300;
        self.events.push(Event { time: self.now, what });
    }

    fn alive(&self) -> Vec<ProcessKey> {
        self.lives.iter().filter(|(_, life)| life.exited.is_none()).map(|(&key, _)| key).collect()
    }

    fn life(&mut self, key: ProcessKey) -> &mut Life {
        self.lives.get_mut(&key).expect("it is there")
    }

    fn fork(&mut self, forker: ProcessKey, how: u8) {
        let taken: BTreeSet<u32> = self.lives.keys().map(|it| it.pid).collect();
        let Some(pid) = PIDS.into_iter().find(|it| !taken.contains(it)) else { return };
        let child = ProcessKey { pid, start_ns: self.now };
        let parent = &self.lives[&forker];
        let mut spaces: Vec<u32> = parent.ns[1..].iter().map(|it| it.inum).collect();
        if how.is_multiple_of(5) && spaces.len() + 1 < MAX_LEVEL {
            spaces.push(self.next_ns);
            self.next_ns += 1;
        }
        let mut ns = vec![NsPid { nr: pid, inum: ROOT }];
        for inum in spaces {
            let nr = (1..).find(|&nr| !self.numbers.contains(&(inum, nr))).unwrap_or(1);
            ns.push(NsPid { nr, inum });
        }
        self.numbers.extend(ns.iter().map(|it| (it.inum, it.nr)));
        let life = Life {
            parent: forker,
            exit_signal: if how.is_multiple_of(7) { 0 } else { 17 },
            ignores: parent.ignores,
            is_subreaper: false,
            exited: None,
            zombie_since: None,
            parent_since: 0,
            ns: ns.clone(),
        };
        self.lives.insert(child, life);
        let level = u32::try_from(ns.len() - 1).unwrap_or(0);
        self.emit(What::Fork(Fork { ns: ns[ns.len() - 1], level, ..fork(forker, child) }));
    }

    /// `do_exit` with all that follows from it.
    fn die(&mut self, key: ProcessKey) {
        self.emit_exit(key);
        self.exits += 1;
        let now = self.now;
        let life = self.life(key);
        life.exited = Some(now);
        let own_space = *life.ns.last().expect("everybody has a number");
        if own_space.nr == 1 && own_space.inum != ROOT {
            self.tear_down(key, own_space.inum);
        }
        self.leave_children(key);
        let parent = self.lives[&key].parent;
        self.notify(key, key, parent);
    }

    /// `zap_pid_ns_processes`
    fn tear_down(&mut self, init: ProcessKey, inum: u32) {
        self.life(init).ignores = true;
        let inside = |life: &Life| life.ns.iter().any(|it| it.inum == inum);
        while let Some(victim) = self.alive().into_iter().find(|it| inside(&self.lives[it])) {
            self.die(victim);
        }
        let left: Vec<ProcessKey> =
            self.lives.iter().filter(|&(&key, life)| key != init && inside(life)).map(|(&key, _)| key).collect();
        for key in left {
            self.tell_release(key, init, true);
            self.release(key, None, Some(init));
        }
    }

    /// `forget_original_parent`
    fn leave_children(&mut self, dead: ProcessKey) {
        let children: Vec<ProcessKey> =
            self.lives.iter().filter(|(_, life)| life.parent == dead).map(|(&key, _)| key).collect();
        let adopter = self.adopter(dead);
        for child in children {
            self.life(child).parent = adopter;
            if self.lives[&child].zombie_since.is_some() {
                self.life(child).exit_signal = 17;
                self.notify(dead, child, adopter);
            } else {
                self.life(child).exit_signal = 17;
            }
        }
    }

    fn adopter(&self, dead: ProcessKey) -> ProcessKey {
        let inum = self.lives[&dead].ns.last().map_or(ROOT, |it| it.inum);
        let mut ancestor = self.lives[&dead].parent;
        while let Some(life) = self.lives.get(&ancestor).filter(|it| it.ns.last().is_some_and(|it| it.inum == inum)) {
            if life.is_subreaper && life.exited.is_none() {
                return ancestor;
            }
            ancestor = life.parent;
        }
        let is_init = |life: &Life| life.ns.last().is_some_and(|it| it.inum == inum && it.nr == 1);
        self.lives.iter().find(|(_, life)| is_init(life)).map_or(INIT, |(&key, _)| key)
    }

    /// `do_notify_parent`
    fn notify(&mut self, current: ProcessKey, child: ProcessKey, parent: ProcessKey) {
        let (exit_signal, first) = (self.lives[&child].exit_signal, self.lives[&child].zombie_since.is_none());
        let target = self.lives[&parent].clone();
        let torn = target.exited.is_some() && target.ns.last().is_some_and(|it| it.nr == 1 && it.inum != ROOT);
        if exit_signal == 17 && target.ignores {
            self.auto_reaped += u64::from(first && !torn);
            if current != child {
                self.tell_release(child, current, true);
            }
            self.release(child, None, None);
            return;
        }
        if exit_signal == 17 {
            let own = target.ns[target.ns.len() - 1];
            let told = ChildSignal {
                current,
                child_is_current: current == child,
                child_nr: self.number_in(child, own.inum),
                target_ns: own,
                target_level: u32::try_from(target.ns.len() - 1).unwrap_or(0),
                target_is_init: own.nr == 1,
                target_is_subreaper: target.is_subreaper,
                target_exiting: target.exited.is_some(),
                signal: SIGCHLD,
                ..child_signal(child, parent)
            };
            self.emit(What::ChildSignal(told));
        }
        let now = self.now;
        let life = self.life(child);
        life.zombie_since.get_or_insert(now);
        life.parent_since = now;
    }

    fn number_in(&self, key: ProcessKey, inum: u32) -> u32 {
        self.lives[&key].ns.iter().find(|it| it.inum == inum).map_or(0, |it| it.nr)
    }

    /// Its parent waits for it.
    fn reap(&mut self, zombie: ProcessKey, is_seen: bool) {
        let parent = self.lives[&zombie].parent;
        let own = *self.lives[&parent].ns.last().expect("everybody has a number");
        let child_nr = Some(self.number_in(zombie, own.inum));
        if is_seen {
            self.emit(What::Wait(Wait { ns: own.inum, child_nr, ..wait(parent, zombie) }));
        } else {
            self.tell_release(zombie, parent, false);
        }
        self.release(zombie, is_seen.then_some(parent), Some(parent));
    }

    /// What the probe of `release_task` tells, where there is one.
    fn tell_release(&mut self, process: ProcessKey, reaper: ProcessKey, reaper_exiting: bool) {
        if self.has_fentry {
            let own = self.lives[&reaper].ns.last();
            let reaper_is_init = own.is_some_and(|it| it.nr == 1);
            self.emit(What::Release(Release { process, reaper, reaper_exiting, reaper_is_init }));
        }
    }

    /// `release_task`
    fn release(&mut self, key: ProcessKey, seen_reaper: Option<ProcessKey>, reaper: Option<ProcessKey>) {
        let Some(life) = self.lives.remove(&key) else { return };
        for number in &life.ns {
            self.numbers.remove(&(number.inum, number.nr));
        }
        self.unfreed.push(key);
        if let Some(since) = life.zombie_since {
            let end = TrueEnd {
                zombie_ns: self.now - since,
                waited_ns: self.now - life.parent_since,
                seen_reaper,
                reaper,
                was_told: life.exit_signal != 0,
            };
            self.ends.insert(key, end);
        }
    }

    fn emit_exit(&mut self, key: ProcessKey) {
        let life = self.lives[&key].clone();
        let parent = &self.lives[&life.parent];
        let parent_ns = *parent.ns.last().expect("everybody has a number");
        let mut ns = [NsPid { nr: 0, inum: 0 }; 4];
        ns[..life.ns.len()].copy_from_slice(&life.ns);
        let exit = Exit {
            exit_signal: life.exit_signal,
            parent_discards: Some(parent.ignores),
            is_init: life.ns.last().is_some_and(|it| it.nr == 1),
            is_subreaper: life.is_subreaper,
            parent_is_init: parent_ns.nr == 1,
            parent_is_subreaper: parent.is_subreaper,
            level: u32::try_from(life.ns.len() - 1).unwrap_or(0),
            ns,
            ..exit(key, life.parent)
        };
        self.emit(What::Exit(exit));
    }
}

fn seed(key: ProcessKey, life: &Life) -> Seed {
    let is_zombie = life.zombie_since.is_some();
    Seed {
        process: ProcessKey { start_ns: key.start_ns / TICK * TICK, ..key },
        tick_ns: TICK,
        is_zombie,
        status: is_zombie.then_some(ExitStatus::Code(0)),
        ns_pids: life.ns.iter().map(|it| it.nr).collect(),
        pid_ns: if is_zombie { 0 } else { life.ns.last().map_or(0, |it| it.inum) },
        ..super::story::seed(key, life.parent.pid)
    }
}
