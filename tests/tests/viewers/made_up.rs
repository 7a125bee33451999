//! A recording that nobody made: more zombies than a test can bring about, and names that no kernel test dares.

use std::path::{Path, PathBuf};

use zerocopy::{FromBytes, IntoBytes};
use zombie_trace::abi::{ChildSignalEvent, ExitEvent, ForkEvent, FreeEvent, Header as WireHeader, TaskKey, WaitEvent};
use zombie_trace::event::{Cgroup, Event, Fact, ProcessKey, Seed, What};
use zombie_trace::recording::{Ended, Header, Limits, Recorder};

const SECOND: u64 = 1_000_000_000;
const STARTED: u64 = 100 * SECOND;
const ROOT_NS: u32 = 4_026_531_836;

/// Names of parents, and with them of their children: what a page must not obey.
pub(crate) const NAMES: [&str; 4] = ["</script>", "<img src=x>", "<!--<script>", "worker"];
/// The arguments of every parent. What would run says so in the page.
pub(crate) const HOSTILE: &str =
    "</script><script>document.title='obeyed'</script><img src=x onerror=\"document.title='obeyed'\">\u{2028}&lt;";

/// What is in the recording.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Story {
    pub(crate) parents: u32,
    pub(crate) zombies: u32,
    /// Every so many is never reaped.
    pub(crate) left_every: u32,
    /// From one death to the next.
    pub(crate) every_ns: u64,
}

impl Story {
    /// Zombies that are there at the end.
    pub(crate) fn left(&self) -> u32 {
        self.zombies.div_ceil(self.left_every)
    }

    /// Writes it down.
    pub(crate) fn record(&self, folder: &Path) -> PathBuf {
        self.record_as(folder, "<b>made-up</b>")
    }

    /// Writes it down as what happened on this host.
    pub(crate) fn record_as(&self, folder: &Path, host: &str) -> PathBuf {
        let path = folder.join("made-up.zt");
        let mut recorder =
            Recorder::create(path.clone(), &Limits { min_free: 0, ..Limits::default() }).expect("a new file");
        let header = Header {
            host: host.to_owned(),
            kernel: "6.1".to_owned(),
            boot_id: "1".to_owned(),
            started: STARTED,
            opened: STARTED,
            clock_offset_ns: 1_700_000_000_000_000_000,
            ..Header::of_this_version()
        };
        recorder.begin(header).expect("there is room");
        for parent in 0..self.parents {
            let cgroup = Cgroup {
                container: None,
                id: 1_000 + u64::from(parent % 3),
                path: format!("/docker/{:064x}", parent % 3 + 10),
                pod: None,
                namespace: None,
            };
            recorder.context(&Event { time: STARTED, what: What::Fact(Fact::Cgroup(cgroup)) });
            recorder.context(&Event { time: STARTED, what: What::Fact(Fact::Seed(Box::new(seed(parent)))) });
        }
        recorder.context(&Event { time: STARTED, what: What::Fact(Fact::SeedDone { began: STARTED }) });
        let mut events = self.events();
        events.sort_by_key(|(time, _)| *time);
        for some in events.chunks(32) {
            some.iter().for_each(|(_, bytes)| recorder.wire(bytes));
            // Whoever was asked after has been looked at, as a recorder does all the time.
            recorder.settle().expect("there is room");
        }
        let end = events.last().map_or(STARTED, |(time, _)| *time) + 10 * SECOND;
        recorder.context(&Event { time: end, what: What::Tick });
        recorder.settle().expect("there is room");
        recorder.finish(Ended::default()).expect("there is room");
        path
    }

    fn events(&self) -> Vec<(u64, Vec<u8>)> {
        let mut events = Vec::new();
        for number in 0..self.zombies {
            // Deaths of one parent overlap: each zombie waits a second to a minute.
            let parent = number * 7 % self.parents;
            let died = STARTED + SECOND + u64::from(number) * self.every_ns;
            let reaped = died + SECOND + u64::from(number) * 7_919_000_003 % (60 * SECOND);
            let reaped = (number % self.left_every != 0).then_some(reaped);
            life(10_000 + number, parent, died, reaped, &mut events);
        }
        events
    }
}

fn parent_key(parent: u32) -> TaskKey {
    TaskKey { start_ns: 10 * SECOND, tgid: 100 + parent, tid: 100 + parent }
}

fn comm(parent: u32) -> [u8; 16] {
    let name = NAMES[parent as usize % NAMES.len()];
    let mut comm = [0; 16];
    comm[..name.len()].copy_from_slice(name.as_bytes());
    comm
}

fn seed(parent: u32) -> Seed {
    let key = parent_key(parent);
    Seed {
        process: ProcessKey { pid: key.tgid, start_ns: key.start_ns },
        tick_ns: 1,
        parent_pid: 1,
        tracer: None,
        comm: comm(parent),
        is_zombie: false,
        threads: 1,
        status: None,
        ns_pids: vec![key.tgid],
        pid_ns: ROOT_NS,
        uid: 0,
        cgroup: 1_000 + u64::from(parent % 3),
        exe: None,
        cmdline: vec![HOSTILE.to_owned()],
    }
}

fn zeroed<T: FromBytes>() -> T {
    T::read_from_bytes(&vec![0; size_of::<T>()]).expect("all zeroes are any of these")
}

/// A process from its fork to its reaping, or to its death if nobody reaps it.
fn life(pid: u32, parent: u32, died: u64, reaped: Option<u64>, events: &mut Vec<(u64, Vec<u8>)>) {
    let (cgroup, name, parent) = (1_000 + u64::from(parent % 3), comm(parent), parent_key(parent));
    let head = |time_ns, kind, len| WireHeader { time_ns, kind, len, cpu: 0 };
    let process = TaskKey { start_ns: died - 2_000_000, tgid: pid, tid: pid };
    let mut fork: ForkEvent = zeroed();
    (fork.header, fork.forker, fork.child, fork.parent_tgid, fork.comm) =
        (head(died - 1_000_000, 7, 96), parent, process, parent.tgid, name);
    (fork.ns.nr, fork.ns.inum, fork.cgroup_id) = (pid, ROOT_NS, cgroup);
    let mut exit: ExitEvent = zeroed();
    (exit.header, exit.process, exit.parent, exit.comm, exit.parent_comm) =
        (head(died - 1_000, 1, 144), process, parent, name, name);
    (exit.ns[0].nr, exit.ns[0].inum, exit.exit_signal, exit.flags, exit.cgroup_id) = (pid, ROOT_NS, 17, 3, cgroup);
    let mut signal: ChildSignalEvent = zeroed();
    (signal.header, signal.current, signal.target, signal.child_nr) = (head(died, 2, 112), process, parent, pid);
    (signal.signal, signal.code, signal.flags, signal.target_comm) = (17, 1, 0x30, name);
    (signal.target_ns, signal.target_nr) = (ROOT_NS, parent.tgid);
    for (time, bytes) in [
        (fork.header.time_ns, fork.as_bytes()),
        (exit.header.time_ns, exit.as_bytes()),
        (signal.header.time_ns, signal.as_bytes()),
    ] {
        events.push((time, bytes.to_vec()));
    }
    let Some(time) = reaped else { return };
    let mut wait: WaitEvent = zeroed();
    (wait.header, wait.reaper, wait.child_nr, wait.ns) = (head(time, 5, 64), parent, pid, ROOT_NS);
    let free = FreeEvent { header: head(time + 1, 6, 32), process };
    events.push((time, wait.as_bytes().to_vec()));
    events.push((time + 1, free.as_bytes().to_vec()));
}
