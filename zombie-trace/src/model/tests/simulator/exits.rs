//! How a thread exits, and a process with its last one.

use super::{Disposition, INIT, Kernel, Waiting};
use crate::event::ProcessKey;
use crate::model::tests::story::ROOT;

impl Kernel {
    /// `exit_group`: all threads exit, in one order or another.
    pub(super) fn die(&mut self, key: ProcessKey, how: u8) {
        loop {
            let Some(life) = self.lives.get(&key) else { return };
            let live: Vec<usize> = (0..life.threads.len()).filter(|&it| !life.threads[it].has_exited).collect();
            let Some(&index) = (if how.is_multiple_of(2) { live.first() } else { live.last() }) else { return };
            self.exit_thread(key, index);
        }
    }

    /// `do_exit` with all that follows from it.
    pub(super) fn exit_thread(&mut self, key: ProcessKey, index: usize) {
        let (is_main, thread) = (index == 0, self.lives[&key].threads[index]);
        self.life(key).threads[index].has_exited = true;
        let is_group_dead = self.lives[&key].threads.iter().all(|it| it.has_exited);
        let mut held = Vec::new();
        if is_group_dead {
            self.emit_exit(key, thread.tid, true);
            if self.traits.repeats_exits && self.lives[&key].threads.len() > 1 {
                let another = self.lives[&key].threads[usize::from(is_main)].tid;
                self.emit_exit(key, another, true);
            }
            self.exits += 1;
            let (now, is_unwanted) = (self.now, self.is_unwanted(key));
            let life = self.life(key);
            // Without a signal its exit stands for the begin, though a dead thread of it may be held.
            life.was_told_early = life.exit_signal == 0 && life.threads.len() > 1;
            life.was_unwanted = is_unwanted;
            life.exited = Some(now);
            if self.is_nested_init(key) {
                self.tear_down(key);
            }
            held = self.leave_tracees(key);
            self.leave_children(key);
        } else if is_main {
            self.emit_exit(key, thread.tid, false);
        }
        self.exit_notify(key, thread.tid, is_group_dead);
        self.release_held(held, key);
    }

    /// `exit_notify` from where the children have their new parent.
    fn exit_notify(&mut self, key: ProcessKey, tid: u32, is_group_dead: bool) {
        // Those that died with it may have been its tracers.
        let Some(index) = self.lives.get(&key).and_then(|life| life.threads.iter().position(|it| it.tid == tid)) else {
            return;
        };
        let is_main = index == 0;
        self.life(key).threads[index].is_zombie = true;
        let tracer = self.lives[&key].threads[index].tracer;
        let is_alone = self.lives[&key].threads.len() == 1;
        match tracer {
            Some(tracer) if is_main && !is_alone => {
                self.life(key).was_told_early |= is_group_dead;
                self.tell(key, key, tracer, 17);
            }
            Some(tracer) if !is_main => self.tell_of_thread(key, tid, tracer),
            // It is told what the parent would be.
            Some(_) => {
                self.notify(key, key);
            }
            None if is_main && is_alone => {
                if self.notify(key, key) {
                    self.release(key, None, None);
                }
            }
            None if is_main => {}
            None => self.release_thread(key, index, key),
        }
    }

    /// Whether its exit says that its parent will discard it: nothing else need tell of that.
    fn is_unwanted(&self, key: ProcessKey) -> bool {
        let life = &self.lives[&key];
        let parent_discards = self.lives[&life.parent].sigchld != Disposition::Default;
        life.threads[0].tracer.is_none() && life.exit_signal == 17 && parent_discards
    }

    /// `release_task` of a thread. With the last one the main thread's death is told.
    pub(super) fn release_thread(&mut self, key: ProcessKey, index: usize, current: ProcessKey) {
        self.life(key).threads.remove(index);
        let threads = &self.lives[&key].threads;
        if threads.len() == 1 && threads[0].is_zombie && self.notify(current, key) {
            // Within the call that released the thread, so the probe at its entry tells nothing.
            self.release(key, None, None);
        }
    }

    /// `do_notify_parent` of a process without other threads: it is a zombie from now on, or another's. Returns whether
    /// it is to be released at once.
    pub(super) fn notify(&mut self, current: ProcessKey, child: ProcessKey) -> bool {
        let target = self.waiter(child);
        let life = &self.lives[&child];
        let (is_traced, is_first) = (life.threads[0].tracer.is_some(), life.zombie.is_none());
        let signal = if is_traced && target != life.parent { 17 } else { life.exit_signal };
        let receiver = &self.lives[&target];
        let is_torn = receiver.exited.is_some() && self.is_nested_init(target);
        let sigchld = receiver.sigchld;
        let is_discarded = !is_traced && signal == 17 && sigchld != Disposition::Default;
        let signal_is_sent = signal != 0 && !(is_discarded && sigchld == Disposition::Ignore);
        if signal_is_sent {
            self.tell(current, child, target, signal);
        }
        let now = self.now;
        if is_discarded {
            if is_first && self.lives[&child].was_told_early {
                // It passed for a zombie since its tracer was told, and nothing need tell that it is gone.
                self.life(child).zombie = Some(Waiting { since: now, was_told: false, stints: Vec::new() });
            } else if is_first && !is_torn && (signal_is_sent || self.lives[&child].was_unwanted) {
                self.auto_reaped += 1;
            }
            return true;
        }
        let waiting = self.life(child).zombie.get_or_insert_with(|| Waiting {
            since: now,
            was_told: signal != 0,
            stints: Vec::new(),
        });
        if waiting.stints.last().is_none_or(|last| last.0 != target) {
            waiting.stints.push((target, now));
        }
        false
    }

    /// `zap_pid_ns_processes`
    fn tear_down(&mut self, init: ProcessKey) {
        let inum = self.innermost(init).inum;
        self.life(init).sigchld = Disposition::Ignore;
        while let Some(victim) = self.alive().into_iter().find(|&it| self.is_inside(it, inum)) {
            self.die(victim, 0);
        }
        let left: Vec<ProcessKey> =
            self.lives.keys().copied().filter(|&key| key != init && self.is_inside(key, inum)).collect();
        for key in left {
            self.tell_release(key, init, true);
            self.release(key, None, Some(init));
        }
    }

    /// `exit_ptrace`. Returns the dead threads that it held, which are released last of all.
    fn leave_tracees(&mut self, dead: ProcessKey) -> Vec<(ProcessKey, u32)> {
        let mut held = Vec::new();
        let tracees: Vec<ProcessKey> = self
            .lives
            .iter()
            .filter(|(_, life)| life.threads.iter().any(|thread| thread.tracer == Some(dead)))
            .map(|(&key, _)| key)
            .collect();
        for key in tracees {
            let life = &self.lives[&key];
            let was_its_zombie = life.threads[0].tracer == Some(dead) && life.zombie.is_some();
            for (index, thread) in self.life(key).threads.iter_mut().enumerate() {
                if thread.tracer == Some(dead) {
                    thread.tracer = None;
                    if index > 0 && thread.is_zombie {
                        held.push((key, thread.tid));
                    }
                }
            }
            if !was_its_zombie {
                continue;
            }
            let is_own = self.lives[&key].parent == dead;
            let is_released =
                if is_own { self.lives[&dead].sigchld != Disposition::Default } else { self.notify(dead, key) };
            if is_released {
                self.tell_release(key, dead, true);
                self.release(key, None, None);
            }
        }
        held
    }

    /// The end of `exit_notify`: by now the children have their new parents, and it is those who are told. The process
    /// itself has told of its own death before, and may be released.
    fn release_held(&mut self, held: Vec<(ProcessKey, u32)>, dead: ProcessKey) {
        for (key, tid) in held {
            let index = self.lives.get(&key).and_then(|life| life.threads.iter().position(|it| it.tid == tid));
            if let Some(index) = index {
                self.release_thread(key, index, dead);
            }
        }
    }

    /// `forget_original_parent`
    fn leave_children(&mut self, dead: ProcessKey) {
        let children: Vec<ProcessKey> =
            self.lives.iter().filter(|(_, life)| life.parent == dead).map(|(&key, _)| key).collect();
        let adopter = self.adopter(dead);
        for child in children {
            let life = self.life(child);
            life.parent = adopter;
            life.exit_signal = 17;
            let is_reapable = life.zombie.is_some() && life.threads[0].tracer.is_none();
            if is_reapable && self.notify(dead, child) {
                self.tell_release(child, dead, true);
                self.release(child, None, None);
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
        let is_init = |key: ProcessKey| self.innermost(key).inum == inum && self.innermost(key).nr == 1;
        self.lives.keys().copied().find(|&key| is_init(key)).unwrap_or(INIT)
    }
}
