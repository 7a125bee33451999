//! What a run costs that goes on for long: no more than a short one.

use std::io;

use tempfile::TempDir;
use zerocopy::IntoBytes;
use zombie_trace::abi::{
    ChildSignalEvent, Comm, ExitEvent, ForkEvent, FreeEvent, Handler, SignalEvent, TaskKey, WaitEvent, child_flags,
    exit_flags, signal_flags, wait_flags,
};
use zombie_trace::decode;
use zombie_trace::event::{Cgroup, Event, Evidence, Fact, ProcFacts, ProcessKey, WaitActivity, What};
use zombie_trace::model::{Config, Query};
use zombie_trace::output::{Palette, Reporter, Text};
use zombie_trace::recording::{Ended, Header, Limits, Recorder};
use zombie_trace::report::{Clock, Scope, Session};

use super::counting::{held, peak_of};
use super::hostile::{head, task, told_of, zeroed};

/// Lives after which every table has all that it will ever hold.
const BEFORE: u32 = 1_000_000;
/// How much more a run may hold at the most after any number of further lives, bytes.
const MORE: usize = 2 << 20;
/// Children of one parent: more than are remembered one by one, and the first waits until the last is gone.
const CHILDREN: u32 = 14;
/// Between two lives, ns.
const STEP_NS: u64 = 100_000_000;
const ROOT: u32 = 7;
const SIGKILL: u32 = 9;
const SIGTERM: u32 = 15;
const SIGCHLD: u32 = 17;

/// A run as `live` has it, without a kernel. A recorder hands all that it is given to a thread of its own, whose memory is
/// not counted here.
struct Run {
    session: Session,
    text: Text<io::Sink>,
    time: u64,
    lives: u32,
    next_pid: u32,
    zombies: u64,
    recorder: Option<Recorder>,
}

fn name(number: u32) -> Comm {
    let mut comm = [0; 16];
    let text = format!("app-{number}");
    comm[..text.len()].copy_from_slice(text.as_bytes());
    comm
}

impl Run {
    fn new() -> Self {
        Self {
            session: Session::new(Config::default(), Scope::default(), Clock::default()),
            text: Text::new(io::sink(), Palette::default()),
            time: 1_000_000_000,
            lives: 0,
            next_pid: 2,
            zombies: 0,
            recorder: None,
        }
    }

    fn wire(&mut self, bytes: &[u8]) {
        self.time += 1_000;
        if let Some(recorder) = &mut self.recorder {
            recorder.wire(bytes);
        }
        for event in decode::events(bytes) {
            self.session.apply(&event.expect("it is an event"));
        }
    }

    /// What the loop of a run does from time to time.
    fn step(&mut self) {
        while let Some(query) = self.session.next_query() {
            let fact = match query {
                Query::Process(process) | Query::StopMember(process) => Fact::Evidence(Box::new(evidence(process))),
                Query::Cgroup(id) => Fact::Cgroup(Cgroup::new(id, format!("/pod-{id}"), None)),
                Query::Rescan | Query::Limits { .. } => continue,
            };
            let event = Event { time: self.time, what: What::Fact(fact) };
            if let Some(recorder) = &mut self.recorder {
                recorder.context(&event);
            }
            self.session.apply(&event);
        }
        while let Some(notice) = self.session.next_notice() {
            self.zombies += u64::from(matches!(notice, zombie_trace::report::Notice::Zombie(_)));
            self.text.notice(&notice).expect("nothing is written");
        }
        self.text.flush_suppressed().expect("nothing is written");
        if let Some(recorder) = &mut self.recorder {
            recorder.settle().expect("there is room");
        }
    }

    fn fork(&mut self, parent: TaskKey, level: u32) -> TaskKey {
        let child = TaskKey { start_ns: self.time, ..task(self.next_pid) };
        self.next_pid = if self.next_pid == 4_000_000 { 2 } else { self.next_pid + 1 };
        let mut fork: ForkEvent = zeroed();
        fork.header = head(7, size_of::<ForkEvent>(), self.time);
        (fork.forker, fork.child, fork.parent_tgid, fork.level) = (parent, child, parent.tgid, level);
        (fork.ns.nr, fork.ns.inum) = if level == 0 { (child.tgid, ROOT) } else { (1, 1_000 + child.tgid) };
        (fork.comm, fork.cgroup_id) = (name(self.lives / CHILDREN), u64::from(self.lives / CHILDREN));
        self.wire(fork.as_bytes());
        self.lives += 1;
        child
    }

    fn exit(&mut self, child: TaskKey, parent: TaskKey, flags: u32) {
        let mut exit: ExitEvent = zeroed();
        exit.header = head(1, size_of::<ExitEvent>(), self.time);
        (exit.process, exit.parent, exit.exit_signal, exit.flags) =
            (child, parent, 17, exit_flags::GROUP_DEAD | exit_flags::LEADER | flags);
        (exit.ns[0].nr, exit.ns[0].inum) = (child.tgid, ROOT);
        (exit.comm, exit.parent_comm) = (name(self.lives), name(self.lives / CHILDREN));
        (exit.exit_code, exit.level) = if flags == 0 { (0, 0) } else { (SIGKILL, 1) };
        self.wire(exit.as_bytes());
        let mut told: ChildSignalEvent = zeroed();
        told.header = head(2, size_of::<ChildSignalEvent>(), self.time);
        (told.current, told.target, told.child_nr, told.target_ns) = (child, parent, child.tgid, ROOT);
        (told.signal, told.code, told.handler) = (SIGCHLD, 1, Handler::Default as u32);
        told.flags = child_flags::CURRENT_EXITING | child_flags::CHILD_IS_CURRENT;
        self.wire(told.as_bytes());
    }

    fn reap(&mut self, child: TaskKey, parent: TaskKey) {
        let mut wait: WaitEvent = zeroed();
        wait.header = head(5, size_of::<WaitEvent>(), self.time);
        (wait.reaper, wait.child_nr, wait.ns) = (parent, child.tgid, ROOT);
        (wait.selector, wait.flags) = (1, wait_flags::ARGS_KNOWN | wait_flags::STATUS_KNOWN);
        self.wire(wait.as_bytes());
        let free = FreeEvent { header: head(6, size_of::<FreeEvent>(), self.time), process: child };
        self.wire(free.as_bytes());
    }

    fn signal(&mut self, target: TaskKey, signal: u32) {
        let mut sent: SignalEvent = zeroed();
        sent.header = head(3, size_of::<SignalEvent>(), self.time);
        (sent.target, sent.sender, sent.signal) = (target, task(1), signal);
        (sent.result, sent.handler) = (u32::from(signal != SIGKILL), Handler::Default as u32);
        (sent.target_nr, sent.target_ns, sent.target_level) = (1, 1_000 + target.tgid, 1);
        sent.flags = signal_flags::TARGET_INIT | signal_flags::UNKILLABLE | signal_flags::GROUP;
        self.wire(sent.as_bytes());
    }

    /// A parent that lets one child wait, and a PID 1 of a container that does not heed its stop signal.
    fn parent(&mut self) {
        let parent = self.fork(task(1), 0);
        let late = self.fork(parent, 0);
        self.exit(late, parent, 0);
        for number in 0..CHILDREN {
            let child = self.fork(parent, 0);
            self.time += STEP_NS;
            self.exit(child, parent, 0);
            self.time += u64::from(number) * 1_000_000;
            self.reap(child, parent);
        }
        self.step();
        self.reap(late, parent);
        self.exit(parent, task(1), 0);
        self.reap(parent, task(1));
        let init = self.fork(task(1), 1);
        self.signal(init, SIGTERM);
        self.time += 100 * STEP_NS;
        self.signal(init, SIGKILL);
        self.exit(init, task(1), exit_flags::NS_INIT | exit_flags::GROUP_EXIT);
        self.reap(init, task(1));
        self.step();
    }

    fn live_on(&mut self, lives: u32) {
        while self.lives < lives {
            self.parent();
        }
    }
}

fn evidence(process: ProcessKey) -> Evidence {
    let waits = Some(WaitActivity { recent_complete: true, ..WaitActivity::default() });
    Evidence { process, observed_since: 0, waits, proc: None::<ProcFacts>, gaps: Vec::new(), doing: Vec::new() }
}

fn is_flat(lives: u32) {
    let mut run = Run::new();
    run.live_on(BEFORE);
    let before = held();
    let ((), peak) = peak_of(|| run.live_on(lives));
    let after = held();
    println!("{BEFORE} lives: {before} bytes, {lives} lives: {after} bytes, at most {peak} more");
    let totals = run.session.model().totals();
    assert!(totals.exits >= u64::from(lives) && run.zombies > u64::from(lives / 100), "{totals:?} {}", run.zombies);
    assert!(peak <= MORE, "{peak} bytes more for {} more lives", lives - BEFORE);
}

/// A recording of this many lives: its length, and what a report on it costs.
fn reported(lives: u32) -> (u64, usize) {
    let folder = TempDir::new().expect("there is room for a folder");
    let path = folder.path().join("trace.zt");
    let mut recorder = Recorder::create(path.clone(), &Limits::default()).expect("the folder is ours");
    recorder.begin(Header::of_this_version()).expect("there is room");
    let mut run = Run { recorder: Some(recorder), ..Run::new() };
    run.live_on(lives);
    let recorder = run.recorder.take().expect("it has one");
    recorder.finish(Ended::default()).expect("there is room");
    drop(run);
    let length = std::fs::metadata(&path).expect("it was written").len();
    let told = told_of(&path);
    assert!(told.report.totals.exits >= u64::from(lives) && told.report.loss.events == 0, "{:?}", told.report.totals);
    (length, told.peak)
}

/// Lives after which a report has all that it will ever tell: of ten thousand parents that are gone, and of as many stops.
const TELLS_ALL: u32 = 200_000;

#[test]
fn a_report_on_ten_times_as_much_costs_no_more() {
    let ((short, before), (long, after)) = (reported(TELLS_ALL), reported(10 * TELLS_ALL));
    println!("{short} bytes: at most {before}; {long} bytes: at most {after}");
    assert!(long > 9 * short, "{long} bytes are not ten times {short}");
    assert!(after <= before + MORE, "{after} bytes for a recording of {long}, and {before} for one of {short}");
}

#[test]
fn two_million_lives_cost_no_more_than_one() {
    is_flat(2 * BEFORE);
}

#[test]
#[ignore = "takes half a minute of a processor: .ci/run runs it by itself"]
fn ten_million_lives_cost_no_more_than_one() {
    is_flat(10 * BEFORE);
}
