//! What processes do: fork, start threads, call exec, trace, wait, exit.

use std::collections::BTreeSet;

use super::{Disposition, INIT, Kernel, Life, MAX_LEVEL, MAX_THREADS, PIDS, Step, Thread, TrueEnd};
use crate::event::{Exec, Fork, NsPid, ProcessKey, What};
use crate::model::tests::story::{ROOT, comm, fork};

impl Step {
    /// Whether a tracer begins in it.
    pub(in crate::model::tests) fn attaches(&self) -> bool {
        matches!(self.kind % 24, 18 | 19)
    }
}

impl Kernel {
    pub(super) fn step(&mut self, step: Step) {
        self.tick(2_000 + 1_000 * u64::from(step.gap_us));
        let alive = self.alive();
        let actor = alive[usize::from(step.pick) % alive.len()];
        let other = alive[usize::from(step.how) % alive.len()];
        match step.kind % 24 {
            0..=5 => self.fork(actor, step.how),
            6..=7 if actor != INIT => {
                self.let_go_inside(actor);
                self.die(actor, step.how);
            }
            8 if actor != INIT => self.thread_exits(actor, step.how),
            9..=11 => {
                let zombies: Vec<ProcessKey> = self.zombies().into_keys().collect();
                if !zombies.is_empty() {
                    self.reap(zombies[usize::from(step.pick) % zombies.len()], !step.how.is_multiple_of(4));
                }
            }
            12 if actor != INIT => {
                self.life(actor).sigchld = match step.how % 4 {
                    0 => Disposition::Ignore,
                    1 => Disposition::NoChildWait,
                    _ => Disposition::Default,
                };
            }
            13 if actor != INIT => self.life(actor).is_subreaper = step.how.is_multiple_of(2),
            14 | 15 if !self.unfreed.is_empty() => {
                let key = self.unfreed.remove(usize::from(step.pick) % self.unfreed.len());
                self.emit(What::Free(key));
            }
            16 | 17 if actor != INIT => self.start_thread(actor),
            18 | 19 => self.attach(other, actor, step.pick),
            20 => self.detach(actor),
            21 if actor != INIT => self.exec(actor, step.how),
            22 => {
                if let Some((key, index)) = self.held_thread(|_| true) {
                    self.wait_for_thread(key, index, !step.how.is_multiple_of(4));
                }
            }
            _ => {}
        }
        self.end_chapter();
    }

    fn fork(&mut self, forker: ProcessKey, how: u8) {
        let taken: BTreeSet<u32> = self.lives.keys().map(|it| it.pid).collect();
        let Some(pid) = PIDS.into_iter().find(|it| !taken.contains(it)) else { return };
        let child = ProcessKey { pid, start_ns: self.now };
        let caller = self.lives[&forker].clone();
        // CLONE_PARENT; an init may not.
        let is_sibling = how.is_multiple_of(6)
            && self.innermost(forker).nr != 1
            && self.innermost(forker).inum == self.innermost(caller.parent).inum;
        let parent = if is_sibling { caller.parent } else { forker };
        let mut spaces: Vec<u32> = caller.ns[1..].iter().map(|it| it.inum).collect();
        if how.is_multiple_of(5) && !is_sibling && spaces.len() + 1 < MAX_LEVEL {
            spaces.push(self.next_ns);
            self.next_ns += 1;
        }
        let mut ns = vec![NsPid { nr: pid, inum: ROOT }];
        for inum in spaces {
            let nr = (1..).find(|&nr| !self.numbers.contains(&(inum, nr))).unwrap_or(1);
            ns.push(NsPid { nr, inum });
        }
        self.numbers.extend(ns.iter().map(|it| (it.inum, it.nr)));
        let exit_signal = match how % 7 {
            _ if is_sibling => caller.exit_signal,
            0 => 0,
            _ => 17,
        };
        let life = Life {
            parent,
            exit_signal,
            sigchld: caller.sigchld,
            is_subreaper: false,
            threads: vec![Thread { tid: pid, has_exited: false, is_zombie: false, tracer: None }],
            exited: None,
            zombie: None,
            was_told_early: false,
            was_unwanted: false,
            ns: ns.clone(),
        };
        self.lives.insert(child, life);
        let level = u32::try_from(ns.len() - 1).unwrap_or(0);
        let parent_pid = parent.pid;
        self.emit(What::Fork(Fork { parent_pid, ns: ns[ns.len() - 1], level, ..fork(forker, child) }));
    }

    fn start_thread(&mut self, key: ProcessKey) {
        let tid = self.next_thread;
        let life = self.life(key);
        let is_silent = life.exit_signal == 0 && life.threads[0].tracer.is_some();
        if life.threads.len() < MAX_THREADS && !life.threads[0].has_exited && !is_silent {
            life.threads.push(Thread { tid, has_exited: false, is_zombie: false, tracer: None });
            self.next_thread += 1;
        }
    }

    /// One thread calls `exit`, the main one as a rule.
    fn thread_exits(&mut self, key: ProcessKey, how: u8) {
        let threads = &self.lives[&key].threads;
        let live: Vec<usize> = (0..threads.len()).filter(|&index| !threads[index].has_exited).collect();
        let index = if how.is_multiple_of(3) { live[usize::from(how) % live.len()] } else { live[0] };
        if live.len() == 1 {
            self.let_go_inside(key);
        }
        self.exit_thread(key, index);
    }

    /// `PTRACE_SEIZE`
    fn attach(&mut self, tracer: ProcessKey, key: ProcessKey, pick: u16) {
        let sees = self.is_inside(key, self.innermost(tracer).inum);
        // An init whose tracer it takes down with itself is too odd.
        let is_own_init = self.is_nested_init(key) && self.is_inside(tracer, self.innermost(key).inum);
        // Of several threads of one without exit signal, nothing would tell of the last.
        let life = &self.lives[&key];
        let is_silent = life.exit_signal == 0 && life.threads.len() > 1;
        if key == INIT || key == tracer || !sees || is_own_init || is_silent {
            return;
        }
        let threads = &mut self.life(key).threads;
        let index = usize::from(pick) % threads.len();
        let thread = &mut threads[index];
        if !thread.has_exited && thread.tracer.is_none() {
            thread.tracer = Some(tracer);
        }
    }

    /// `PTRACE_DETACH`: what is dead stays as it is.
    fn detach(&mut self, key: ProcessKey) {
        for thread in self.life(key).threads.iter_mut().filter(|thread| !thread.has_exited) {
            thread.tracer = None;
        }
    }

    /// `de_thread`: whichever thread calls it, all others are gone afterwards, and it is the main one.
    fn exec(&mut self, key: ProcessKey, how: u8) {
        let threads = self.lives[&key].threads.clone();
        let live: Vec<usize> = (0..threads.len()).filter(|&index| !threads[index].has_exited).collect();
        let caller = live[usize::from(how) % live.len()];
        // It would wait for the tracer of another thread.
        if threads.iter().enumerate().skip(1).any(|(index, it)| index != caller && it.tracer.is_some()) {
            return;
        }
        let (main, caller) = (threads[0], threads[caller]);
        if caller.tid != main.tid && !main.has_exited {
            self.emit_exit(key, main.tid, false);
            if let Some(tracer) = main.tracer {
                self.tell(key, key, tracer, 17);
            }
        }
        let life = self.life(key);
        life.threads = vec![Thread { tid: main.tid, has_exited: false, is_zombie: false, tracer: caller.tracer }];
        let old_thread = caller.tid;
        self.emit(What::Exec(Exec { process: key, old_thread, uid: 0, cgroup: 0, comm: comm("new"), sigchld: None }));
    }

    /// Before an init dies, tracers let go of what is in its namespace: it would wait for them.
    pub(super) fn let_go_inside(&mut self, init: ProcessKey) {
        if !self.is_nested_init(init) {
            return;
        }
        let inum = self.innermost(init).inum;
        let inside = |kernel: &Self, key: ProcessKey| key != init && kernel.is_inside(key, inum);
        while let Some((key, index)) = self.held_thread(|key| inside(self, key)) {
            self.wait_for_thread(key, index, true);
        }
        let traced: Vec<ProcessKey> = self.lives.keys().copied().filter(|&key| inside(self, key)).collect();
        for key in traced {
            self.detach(key);
            if self.lives[&key].zombie.is_some() && self.lives[&key].threads[0].tracer.is_some() {
                self.reap(key, true);
            }
        }
    }

    /// The process that can waits for a zombie.
    pub(super) fn reap(&mut self, zombie: ProcessKey, is_seen: bool) {
        let reaper = self.waiter(zombie);
        let child_nr = self.number_in(zombie, self.innermost(reaper).inum);
        let is_reparented = reaper != self.lives[&zombie].parent;
        // Nothing but the call would tell of it.
        let is_seen = is_seen || is_reparented && self.lives[&zombie].exit_signal == 0;
        if is_reparented {
            self.life(zombie).threads[0].tracer = None;
            if !self.notify(reaper, zombie) {
                // Handed over to the parent.
                if is_seen {
                    self.emit_wait(reaper, zombie, child_nr);
                }
                return;
            }
        }
        if is_seen {
            self.emit_wait(reaper, zombie, child_nr);
        } else {
            self.tell_release(zombie, reaper, false);
        }
        self.release(zombie, is_seen.then_some(reaper), Some(reaper));
    }

    /// A tracer waits for a dead thread that it traces.
    pub(super) fn wait_for_thread(&mut self, key: ProcessKey, index: usize, is_seen: bool) {
        let thread = self.lives[&key].threads[index];
        let Some(tracer) = thread.tracer else { return };
        self.release_thread(key, index, tracer);
        if is_seen {
            self.emit_wait(tracer, key, thread.tid);
        }
    }

    /// `release_task`
    pub(super) fn release(&mut self, key: ProcessKey, seen_reaper: Option<ProcessKey>, reaper: Option<ProcessKey>) {
        let Some(life) = self.lives.remove(&key) else { return };
        for number in &life.ns {
            self.numbers.remove(&(number.inum, number.nr));
        }
        self.unfreed.push(key);
        if let Some(zombie) = life.zombie {
            let end = TrueEnd {
                zombie_ns: self.now - zombie.since,
                stints: zombie.stints,
                seen_reaper,
                reaper,
                was_told: zombie.was_told,
                was_told_early: life.was_told_early,
            };
            self.ends.insert(key, end);
        }
    }
}
