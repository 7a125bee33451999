//! The rules on streams of events: each matches if its evidence is complete, and not if a piece is missing.

mod adopters;
mod blocked;
mod handlers;
mod rhythms;
mod signals;
mod stuck;
mod thefts;

use super::{Cause, judge, judge_reaped_parent, judge_stuck, may_be_intentional};
use crate::{
    event::{
        BootNs, ChildSignal, Comm, Doing, Event, Evidence, Exit, ExitStatus, Fact, Fork, Handler, NsPid, Object,
        ProcFacts, ProcessKey, Runtime, Selector, SignalOutcome, Task, Wait, WaitActivity, WaitCall, WaitReport, What,
    },
    model::{Config, Model, ModelEvent},
};

const MS: u64 = 1_000_000;
const CHLD: u64 = 1 << 16;
const ROOT_NS: u32 = 1;
const INNER_NS: u32 = 2;
const NOBODY: NsPid = NsPid { nr: 0, inum: 0 };

const PARENT: ProcessKey = key(10);
const ZOMBIE: ProcessKey = key(20);
const MIDDLE: ProcessKey = key(15);

const fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid, start_ns: pid as u64 }
}

fn comm(name: &str) -> Comm {
    let mut comm = [0; 16];
    comm[..name.len()].copy_from_slice(name.as_bytes());
    comm
}

/// One parent and what it does; times are ms.
struct Scene {
    model: Model,
    time: BootNs,
    waits: WaitActivity,
    facts: ProcFacts,
    doing: Vec<Doing>,
    parent_ns: NsPid,
    parent_level: u32,
    child_level: u32,
    subreaper: bool,
    exit_signal: i32,
    /// What the parent does with the signal.
    handler: Handler,
    name: &'static str,
    news: Vec<ModelEvent>,
}

impl Scene {
    fn new() -> Self {
        let facts = ProcFacts { state: 'S', threads: 1, exe: Some("/bin/app".into()), ..ProcFacts::default() };
        Self {
            model: Model::new(Config { min_age_ns: 100 * MS, ..Config::default() }),
            time: 0,
            waits: WaitActivity { recent_complete: true, ..WaitActivity::default() },
            facts,
            doing: Vec::new(),
            parent_ns: NsPid { nr: PARENT.pid, inum: ROOT_NS },
            parent_level: 0,
            child_level: 0,
            subreaper: false,
            exit_signal: 17,
            handler: Handler::Default,
            name: "app",
            news: Vec::new(),
        }
    }

    /// The parent is PID 1 of a namespace, which its children are in.
    fn of_init() -> Self {
        let parent_ns = NsPid { nr: 1, inum: INNER_NS };
        Self { parent_ns, parent_level: 1, child_level: 1, ..Self::new() }
    }

    fn tell(&mut self, at: u64, what: What) -> &mut Self {
        self.time = at * MS;
        self.model.apply(&Event { time: self.time, what });
        self.news.extend(std::iter::from_fn(|| self.model.next_event()));
        self
    }

    fn fork(&mut self, at: u64, forker: ProcessKey, child: ProcessKey, name: &str) -> &mut Self {
        let ns = NsPid { nr: child.pid, inum: if self.child_level == 0 { ROOT_NS } else { INNER_NS } };
        let level = self.child_level;
        let fork = Fork { forker, child, parent_pid: forker.pid, ns, level, cgroup: 0, uid: 0, comm: comm(name) };
        self.tell(at, What::Fork(fork))
    }

    fn exit(&mut self, at: u64, child: ProcessKey, parent: ProcessKey, group_dead: bool) -> &mut Self {
        let outer = NsPid { nr: child.pid, inum: ROOT_NS };
        let own_nr = if child == PARENT { self.parent_ns.nr } else { child.pid };
        let inner = if self.child_level == 0 { NOBODY } else { NsPid { nr: own_nr, inum: INNER_NS } };
        let exit = Exit {
            process: child,
            thread: child.pid,
            parent,
            tracer: None,
            group_dead,
            status: ExitStatus::Code(0),
            exit_signal: self.exit_signal,
            parent_discards: Some(false),
            is_init: own_nr == 1,
            is_subreaper: false,
            parent_is_init: parent == PARENT && self.parent_ns.nr == 1,
            reaps_itself: false,
            is_oom_victim: Some(false),
            parent_is_subreaper: self.subreaper,
            level: self.child_level,
            ns: [outer, inner, NOBODY, NOBODY],
            uid: 0,
            cgroup: 0,
            comm: comm("child"),
            parent_comm: comm(self.name),
        };
        self.tell(at, What::Exit(exit))
    }

    fn notify(&mut self, at: u64, child: ProcessKey, target: ProcessKey, outcome: SignalOutcome) -> &mut Self {
        let signal = ChildSignal {
            current: child,
            child_is_current: true,
            child_nr: child.pid,
            target,
            target_comm: comm(self.name),
            target_ns: self.parent_ns,
            target_level: self.parent_level,
            target_is_init: self.parent_ns.nr == 1,
            target_is_subreaper: self.subreaper,
            target_exiting: false,
            signal: self.exit_signal.unsigned_abs(),
            outcome,
            handler: self.handler,
            nocldwait: false,
            blocked: false,
        };
        self.tell(at, What::ChildSignal(signal))
    }

    /// The parent forks the zombie, which dies at ms 10.
    fn dies(&mut self) -> &mut Self {
        self.fork(1, PARENT, ZOMBIE, "child");
        self.exit(10, ZOMBIE, PARENT, true).notify(10, ZOMBIE, PARENT, SignalOutcome::Delivered)
    }

    /// The zombie was forked by another process, which is gone.
    fn is_adopted(&mut self) -> &mut Self {
        self.fork(1, PARENT, MIDDLE, "middle").fork(2, MIDDLE, ZOMBIE, "child");
        self.exit(3, MIDDLE, PARENT, true).notify(3, MIDDLE, PARENT, SignalOutcome::Delivered);
        self.reap(4, MIDDLE, Selector::Pid(MIDDLE.pid), 1);
        self.exit(10, ZOMBIE, PARENT, true).notify(10, ZOMBIE, PARENT, SignalOutcome::Delivered)
    }

    fn wait(&mut self, at: u64, child: Option<ProcessKey>, selector: Selector, thread: u32) -> &mut Self {
        let wait = Wait {
            reaper: PARENT,
            thread,
            ns: self.parent_ns.inum,
            child_nr: child.map(|child| child.pid),
            errno: if child.is_some() { 0 } else { 10 },
            call: WaitCall::Wait4,
            selector,
            options: Some(0),
            report: if child.is_some() { WaitReport::Dead } else { WaitReport::Unknown },
        };
        self.tell(at, What::Wait(wait))
    }

    /// A call for any child that does not wait reaps this one.
    fn poll(&mut self, at: u64, child: ProcessKey, thread: u32) -> &mut Self {
        let wait = Wait {
            reaper: PARENT,
            thread,
            ns: self.parent_ns.inum,
            child_nr: Some(child.pid),
            errno: 0,
            call: WaitCall::Wait4,
            selector: Selector::Any,
            options: Some(1),
            report: WaitReport::Dead,
        };
        self.tell(at, What::Wait(wait))
    }

    fn reap(&mut self, at: u64, child: ProcessKey, selector: Selector, thread: u32) -> &mut Self {
        self.wait(at, Some(child), selector, thread)
    }

    /// What is known of the parent at this time.
    fn look(&mut self, at: u64) -> &mut Self {
        self.look_at(at, PARENT)
    }

    fn look_at(&mut self, at: u64, process: ProcessKey) -> &mut Self {
        let (waits, proc) = (Some(self.waits.clone()), Some(self.facts.clone()));
        let evidence =
            Evidence { process, observed_since: 0, waits, proc, gaps: Vec::new(), doing: self.doing.clone() };
        self.tell(at, What::Tick).tell(at, What::Fact(Fact::Evidence(Box::new(evidence))))
    }

    fn cause(&self) -> Cause {
        judge(&self.model, self.model.process(ZOMBIE).unwrap()).unwrap().cause
    }

    fn evidence(&self) -> String {
        judge(&self.model, self.model.process(ZOMBIE).unwrap()).unwrap().evidence.join("; ")
    }

    fn advice(&self) -> String {
        judge(&self.model, self.model.process(ZOMBIE).unwrap()).unwrap().advice
    }

    fn stolen(&self) -> usize {
        self.news.iter().filter(|outcome| matches!(outcome, ModelEvent::Stolen(_))).count()
    }
}

/// Calls that began at this ms.
fn called(at: u64, waits: WaitActivity) -> WaitActivity {
    WaitActivity { calls: 1, last_call_ns: at * MS, recent_complete: true, ..waits }
}

#[test]
fn a_parent_that_never_waits_never_waits() {
    let mut scene = Scene::new();
    scene.dies().look(120);
    assert_eq!(scene.cause(), Cause::NeverWaits);
}

#[test]
fn nothing_is_said_where_wait_calls_are_not_seen_or_events_were_lost() {
    let mut scene = Scene::new();
    scene.dies();
    assert_eq!(scene.cause(), Cause::Unknown, "nothing was found out");
    scene.look(120).tell(121, What::Loss { events: 1 });
    assert_eq!(scene.cause(), Cause::Unknown, "a wait may have been lost");
}

#[test]
fn the_advice_is_in_the_language_of_the_parent() {
    for (runtime, word) in [
        (Runtime::Go, "cmd.Wait()"),
        (Runtime::Python, "os.waitpid()"),
        (Runtime::Node, "child_process"),
        (Runtime::Java, "ProcessBuilder"),
        (Runtime::Shell, "`wait`"),
    ] {
        let mut scene = Scene::new();
        scene.facts.runtime = Some(runtime);
        scene.dies().look(120);
        assert!(scene.advice().contains(word), "{runtime:?}: {}", scene.advice());
    }
}

#[test]
fn waits_that_left_the_zombie_there_were_for_others() {
    let mut scene = Scene::new();
    scene.dies();
    let others = WaitActivity { pid_calls: 1, in_progress: 1, recent: vec![33], ..Default::default() };
    scene.waits = called(20, others);
    scene.look(120);
    assert_eq!(scene.cause(), Cause::WaitsForOthers);
    assert!(scene.evidence().contains("pid 33"), "{}", scene.evidence());
    let only_looks = WaitActivity { options_seen: 0x0100_0000, ..scene.waits.clone() };
    let for_any = WaitActivity { any_calls: 1, pid_calls: 0, last_any_ns: 20 * MS, ..scene.waits.clone() };
    let unseen = WaitActivity { pid_calls: 0, ..scene.waits.clone() };
    for doubtful in [only_looks, for_any, unseen] {
        scene.waits = doubtful;
        scene.look(scene.time / MS + 10);
        assert_eq!(scene.cause(), Cause::Unknown, "{:?}", scene.waits);
    }
}

#[test]
fn what_a_program_did_before_exec_is_not_the_next_ones() {
    let mut scene = Scene::new();
    scene.fork(1, PARENT, MIDDLE, "child").exit(2, MIDDLE, PARENT, true);
    scene.notify(2, MIDDLE, PARENT, SignalOutcome::Delivered).look(150).reap(200, MIDDLE, Selector::Any, 10);
    assert!(judge_reaped_parent(scene.model.process(PARENT).unwrap()).is_some(), "it reaped late");
    let exec =
        crate::event::Exec { process: PARENT, old_thread: 10, uid: 0, cgroup: 0, comm: comm("next"), sigchld: None };
    scene.tell(201, What::Exec(exec));
    assert!(judge_reaped_parent(scene.model.process(PARENT).unwrap()).is_none());
    scene.fork(202, PARENT, ZOMBIE, "child").exit(210, ZOMBIE, PARENT, true);
    scene.notify(210, ZOMBIE, PARENT, SignalOutcome::Delivered).look(320);
    assert_eq!(scene.cause(), Cause::NeverWaits);
}

#[test]
fn a_great_many_zombies_are_judged_in_no_time() {
    let mut scene = Scene::new();
    for pid in 0..20_000 {
        let (parent, child) = (key(10 + pid % 200), key(1_000 + pid));
        scene.fork(1, parent, child, "child").exit(10, child, parent, true);
        scene.notify(10, child, parent, SignalOutcome::Delivered);
    }
    for parent in 0..200 {
        scene.look_at(120, key(10 + parent));
    }
    let began = std::time::Instant::now();
    let verdicts = scene.model.processes().filter_map(|process| judge(&scene.model, process));
    let causes: Vec<Cause> = verdicts.map(|verdict| verdict.cause).collect();
    println!("{} judged in {:?}", causes.len(), began.elapsed());
    assert_eq!(causes, vec![Cause::NeverWaits; 20_000]);
}
