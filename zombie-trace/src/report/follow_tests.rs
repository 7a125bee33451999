//! Who is followed, by events as the kernel writes them.

use crate::abi::{
    ChildSignalEvent, EventKind, ExitEvent, ForkEvent, FreeEvent, Header, TaskKey, child_flags, exit_flags,
};
use zerocopy::{FromBytes, IntoBytes};

use super::*;
use crate::decode;

const ROOT: u32 = 10;
const NAMESPACE: u32 = 4_026_531_836;

fn zeroed<T: FromBytes>() -> T {
    T::read_from_bytes(&vec![0; size_of::<T>()]).expect("all zeroes are any of these")
}

fn task(pid: u32, start_ns: u64) -> TaskKey {
    TaskKey { start_ns, tgid: pid, tid: pid }
}

fn head(kind: EventKind, time_ns: u64) -> Header {
    Header { time_ns, kind: kind as u16, len: u16::try_from(kind.size()).expect("events are short"), cpu: 0 }
}

/// The filter, and what it passed on.
struct Passed {
    filter: ProcessFilter,
    events: Vec<Event>,
    time: u64,
}

impl Passed {
    fn new() -> Self {
        Self { filter: ProcessFilter::new(ROOT), events: Vec::new(), time: 1_000 }
    }

    fn give(&mut self, bytes: &[u8]) {
        for event in decode::events(bytes) {
            let events = &mut self.events;
            self.filter.forward(&event.expect("it is one"), |event| events.push(event.clone()));
        }
    }

    fn next(&mut self) -> u64 {
        self.time += 1_000;
        self.time
    }

    fn fork(&mut self, forker: TaskKey, child: TaskKey) {
        let mut fork: ForkEvent = zeroed();
        fork.header = head(EventKind::Fork, self.next());
        (fork.forker, fork.child, fork.parent_tgid) = (forker, child, forker.tgid);
        (fork.ns.nr, fork.ns.inum) = (child.tgid, NAMESPACE);
        self.give(fork.as_bytes());
    }

    fn exit(&mut self, process: TaskKey, parent: TaskKey) {
        let mut exit: ExitEvent = zeroed();
        exit.header = head(EventKind::Exit, self.next());
        (exit.process, exit.parent, exit.exit_signal, exit.flags) = (process, parent, 17, exit_flags::GROUP_DEAD);
        (exit.ns[0].nr, exit.ns[0].inum) = (process.tgid, NAMESPACE);
        self.give(exit.as_bytes());
    }

    /// `teller` tells `target` that `child` is dead.
    fn tell(&mut self, teller: TaskKey, child: TaskKey, target: TaskKey) {
        let mut signal: ChildSignalEvent = zeroed();
        signal.header = head(EventKind::ChildSignal, self.next());
        (signal.current, signal.target, signal.child_nr) = (teller, target, child.tgid);
        (signal.signal, signal.target_ns, signal.target_nr) = (17, NAMESPACE, target.tgid);
        signal.flags = if teller == child { child_flags::CHILD_IS_CURRENT } else { 0 };
        self.give(signal.as_bytes());
    }

    fn free(&mut self, process: TaskKey) {
        let free = FreeEvent { header: head(EventKind::Free, self.next()), process };
        self.give(free.as_bytes());
    }

    /// How many events were passed on since this was last asked.
    fn count(&mut self) -> usize {
        std::mem::take(&mut self.events).len()
    }
}

#[test]
fn a_pid_that_is_used_again_is_another_process() {
    let mut passed = Passed::new();
    let (root, stranger) = (task(ROOT, 5), task(99, 6));
    let (child, namesake) = (task(20, 100), task(20, 200));
    passed.fork(root, child);
    passed.exit(child, root);
    assert_eq!(passed.count(), 2);
    // Reaped, and not yet freed.
    passed.fork(stranger, namesake);
    passed.fork(namesake, task(21, 300));
    assert_eq!(passed.count(), 0);
    passed.free(child);
    assert_eq!(passed.count(), 1);
    passed.exit(namesake, stranger);
    passed.free(namesake);
    assert_eq!(passed.count(), 0);
    // And the other way about: freed only after a descendant got its pid.
    passed.fork(stranger, task(30, 400));
    passed.fork(root, task(30, 500));
    passed.free(task(30, 400));
    passed.exit(task(30, 500), root);
    assert_eq!(passed.count(), 2);
}

#[test]
fn an_adopted_child_is_told_whole() {
    let mut passed = Passed::new();
    let (root, stranger, child) = (task(ROOT, 5), task(99, 6), task(20, 100));
    passed.fork(stranger, child);
    assert_eq!(passed.count(), 0);
    passed.exit(child, root);
    passed.tell(child, child, root);
    passed.free(child);
    assert_eq!(passed.count(), 3);
    assert!(passed.filter.wards.is_empty() && passed.filter.followed.is_empty());
}

#[test]
fn a_zombie_that_is_adopted_is_told_from_its_death_on() {
    let mut passed = Passed::new();
    let (root, stranger, child) = (task(ROOT, 5), task(99, 6), task(20, 100));
    passed.fork(stranger, child);
    passed.exit(child, stranger);
    passed.tell(child, child, stranger);
    assert_eq!(passed.count(), 0);
    // Its parent exits, and the root gets it.
    passed.tell(stranger, child, root);
    let told: Vec<bool> = passed.events.iter().map(|event| matches!(event.what, What::Exit(_))).collect();
    assert_eq!(told, [true, false, false]);
    passed.events.clear();
    passed.free(child);
    assert_eq!(passed.count(), 1);
    assert!(passed.filter.held.is_empty() && passed.filter.by_number.is_empty());
}

#[test]
fn strangers_leave_nothing_behind() {
    let mut passed = Passed::new();
    for pid in 100..200 {
        let (stranger, child) = (task(99, 6), task(pid, u64::from(pid)));
        passed.fork(stranger, child);
        passed.exit(child, stranger);
        passed.tell(child, child, stranger);
        passed.free(child);
    }
    assert_eq!(passed.count(), 0);
    assert!(passed.filter.held.is_empty() && passed.filter.by_number.is_empty());
}
