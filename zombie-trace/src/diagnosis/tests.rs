//! The rules on streams of events: each speaks where its evidence is there, and is silent where a piece of it is not.

use super::{Cause, judge, judge_past, judge_stuck, may_be_meant};
use crate::{
    event::{
        BootNs, ChildSignal, Comm, Event, Evidence, Exit, ExitStatus, Fact, Fork, Handler, NsPid, ProcFacts,
        ProcessKey, Runtime, Selector, SignalOutcome, Task, Wait, WaitActivity, WaitCall, WaitReport, What,
    },
    model::{Config, Model, Outcome},
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
    parent_ns: NsPid,
    parent_level: u32,
    child_level: u32,
    subreaper: bool,
    exit_signal: i32,
    name: &'static str,
    outcomes: Vec<Outcome>,
}

impl Scene {
    fn new() -> Self {
        let facts = ProcFacts { state: 'S', threads: 1, exe: Some("/bin/app".into()), ..ProcFacts::default() };
        Self {
            model: Model::new(Config { min_age_ns: 100 * MS, ..Config::default() }),
            time: 0,
            waits: WaitActivity { recent_complete: true, ..WaitActivity::default() },
            facts,
            parent_ns: NsPid { nr: PARENT.pid, inum: ROOT_NS },
            parent_level: 0,
            child_level: 0,
            subreaper: false,
            exit_signal: 17,
            name: "app",
            outcomes: Vec::new(),
        }
    }

    /// The parent is PID 1 of a namespace, in which its children are.
    fn of_init() -> Self {
        let parent_ns = NsPid { nr: 1, inum: INNER_NS };
        Self { parent_ns, parent_level: 1, child_level: 1, ..Self::new() }
    }

    fn tell(&mut self, at: u64, what: What) -> &mut Self {
        self.time = at * MS;
        self.model.apply(&Event { time: self.time, what });
        self.outcomes.extend(std::iter::from_fn(|| self.model.next_outcome()));
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
            signal: 17,
            outcome,
            handler: Handler::Default,
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

    fn reap(&mut self, at: u64, child: ProcessKey, selector: Selector, thread: u32) -> &mut Self {
        self.wait(at, Some(child), selector, thread)
    }

    /// What is known of the parent at this time.
    fn look(&mut self, at: u64) -> &mut Self {
        self.look_at(at, PARENT)
    }

    fn look_at(&mut self, at: u64, process: ProcessKey) -> &mut Self {
        let (waits, proc) = (Some(self.waits.clone()), Some(self.facts.clone()));
        let evidence = Evidence { process, observed_since: 0, waits, proc };
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
        self.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Stolen(_))).count()
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
fn one_wait_for_one_of_several_coalesced_signals() {
    let mut scene = Scene::new();
    scene.facts.caught = CHLD;
    scene.dies();
    for pid in 21..24 {
        scene.fork(11, PARENT, key(pid), "child").exit(12, key(pid), PARENT, true);
        scene.notify(12, key(pid), PARENT, SignalOutcome::AlreadyPending);
    }
    scene.reap(20, key(21), Selector::Any, 10);
    scene.waits = called(20, WaitActivity { successes: 1, any_calls: 1, last_any_ns: 20 * MS, ..Default::default() });
    scene.look(120);
    assert_eq!(scene.cause(), Cause::OneWaitPerSigchld);
    assert!(scene.evidence().contains("1 time while 4 children died"), "{}", scene.evidence());
    // A loop makes one call more than it reaps.
    scene.waits.calls = 2;
    scene.waits.any_calls = 2;
    scene.look(130);
    assert_ne!(scene.cause(), Cause::OneWaitPerSigchld);
}

#[test]
fn a_blocked_sigchld_is_the_cause_only_while_it_is_pending() {
    let mut scene = Scene::new();
    (scene.facts.blocked, scene.facts.pending) = (CHLD, CHLD);
    scene.dies().look(120);
    assert_eq!(scene.cause(), Cause::SigchldBlocked);
    scene.facts.pending = 0;
    scene.look(130);
    assert_eq!(scene.cause(), Cause::NeverWaits, "somebody fetches it");
}

#[test]
fn a_handler_that_does_not_wait_is_the_cause_unless_it_is_the_runtimes() {
    let mut scene = Scene::new();
    scene.facts.caught = CHLD;
    scene.dies().look(120);
    assert_eq!(scene.cause(), Cause::HandlerIgnoresChildren);
    scene.facts.runtime = Some(Runtime::Go);
    scene.look(130);
    assert_eq!(scene.cause(), Cause::NeverWaits);
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
fn a_child_with_another_exit_signal_is_seen_by_special_waits_only() {
    let mut scene = Scene::new();
    scene.exit_signal = 10;
    scene.dies();
    scene.waits = called(20, WaitActivity { any_calls: 1, last_any_ns: 20 * MS, ..Default::default() });
    scene.look(120);
    assert_eq!(scene.cause(), Cause::NeedsWclone);
    scene.waits.options_seen = 0x4000_0000;
    scene.look(130);
    assert_eq!(scene.cause(), Cause::Unknown);
}

#[test]
fn two_looks_without_a_switch_between_them_tell_that_a_parent_cannot_run() {
    for (state, frozen) in [('T', None), ('t', None), ('D', None), ('S', Some("/cold".to_owned()))] {
        let mut scene = Scene::new();
        scene.facts = ProcFacts { state, frozen_by: frozen, switches: 7, ..scene.facts };
        scene.dies().look(120);
        assert_eq!(scene.cause(), Cause::Unknown, "{state}: one look");
        scene.look(230);
        assert_eq!(scene.cause(), Cause::ParentCannotRun, "{state}: two");
        scene.facts.switches = 8;
        scene.look(340);
        assert_eq!(scene.cause(), Cause::NeverWaits, "{state}: it has run since");
    }
}

#[test]
fn a_parent_that_is_ready_to_run_and_never_does_gets_no_processor() {
    let mut scene = Scene::new();
    scene.facts = ProcFacts { state: 'R', ran_ns: Some(5), ..scene.facts };
    scene.dies().look(120).look(230);
    assert_eq!(scene.cause(), Cause::Unknown, "the time that it ran may not be up to date");
    assert!(scene.evidence().contains("was ready to run"), "{}", scene.evidence());
    scene.look(1_330);
    assert_eq!(scene.cause(), Cause::ParentCannotRun);
    assert!(scene.evidence().contains("gets no processor"), "{}", scene.evidence());
    scene.facts.ran_ns = Some(6);
    scene.look(1_440);
    assert_eq!(scene.cause(), Cause::NeverWaits, "it has run since");
}

#[test]
fn no_zombie_is_told_between_two_looks_at_its_parent() {
    let told = |scene: &Scene| scene.outcomes.iter().filter(|it| matches!(it, Outcome::Aged(_))).count();
    let mut scene = Scene::new();
    scene.facts = ProcFacts { state: 'R', ran_ns: Some(5), ..scene.facts };
    scene.fork(1, PARENT, MIDDLE, "child").dies();
    scene.exit(30, MIDDLE, PARENT, true).notify(30, MIDDLE, PARENT, SignalOutcome::Delivered).look(115);
    // The second one comes of age.
    scene.tell(140, What::Tick);
    assert_eq!(told(&scene), 0, "{:?}", scene.outcomes);
    scene.facts.ran_ns = Some(6);
    scene.look(220);
    assert_eq!(told(&scene), 2, "{:?}", scene.outcomes);
}

#[test]
fn who_perhaps_could_not_run_is_not_lazy() {
    for (state, is_lazy) in [('R', false), ('D', false), ('S', true)] {
        let mut scene = Scene::new();
        scene.facts = ProcFacts { state, ran_ns: (state == 'R').then_some(5), ..scene.facts };
        scene.dies().look(120).reap(200, ZOMBIE, Selector::Any, 10);
        assert_eq!(judge_past(scene.model.process(PARENT).unwrap()).is_some(), is_lazy, "{state}");
    }
}

#[test]
fn a_thread_that_runs_can_wait() {
    let mut scene = Scene::new();
    let task = |tid, state| Task { tid, state, comm: comm("t"), wait_channel: None };
    scene.facts = ProcFacts { state: 'D', threads: 2, tasks: vec![task(10, 'D'), task(11, 'S')], ..scene.facts };
    scene.dies().look(120).look(230);
    assert_eq!(scene.cause(), Cause::NeverWaits);
}

#[test]
fn an_application_as_pid_1_is_told_apart_from_one_that_replaced_an_init() {
    let mut scene = Scene::of_init();
    scene.is_adopted().look(120);
    assert_eq!(scene.cause(), Cause::InitDoesNotReap);
    scene.facts.inits_in_image = vec!["/sbin/tini".into()];
    scene.look(130);
    assert_eq!(scene.cause(), Cause::InitBypassed);
    assert!(scene.advice().contains(r#"["/sbin/tini", "--"]"#), "{}", scene.advice());
    scene.facts.exe = Some("/sbin/tini".into());
    scene.look(140);
    assert_ne!(scene.cause(), Cause::InitBypassed, "the init itself has bypassed none");
}

#[test]
fn an_init_below_the_adopter_is_not_pid_1() {
    let mut scene = Scene::of_init();
    scene.fork(0, PARENT, key(12), "tini").fork(1, key(12), MIDDLE, "sh").fork(2, MIDDLE, ZOMBIE, "child");
    scene.name = "tini";
    scene.exit(3, MIDDLE, key(12), true);
    scene.name = "app";
    scene.exit(10, ZOMBIE, PARENT, true).notify(10, ZOMBIE, PARENT, SignalOutcome::Delivered).look(120);
    assert_eq!(scene.cause(), Cause::InitNotPid1);
    assert!(scene.evidence().contains("tini runs as pid 12"), "{}", scene.evidence());
}

#[test]
fn a_subreaper_is_no_init() {
    let mut scene = Scene::new();
    scene.subreaper = true;
    scene.is_adopted().look(120);
    assert_eq!(scene.cause(), Cause::SubreaperDoesNotReap);
}

#[test]
fn a_runtime_outside_the_namespace_is_known_by_name_and_place() {
    for (name, child_level, expected) in [
        ("containerd-shim", 1, Cause::ShimOrRuntime),
        ("containerd-shim", 0, Cause::NeverWaits),
        ("app", 1, Cause::NeverWaits),
    ] {
        let mut scene = Scene::new();
        (scene.name, scene.child_level) = (name, child_level);
        scene.dies().look(120);
        assert_eq!(scene.cause(), expected, "{name} at {child_level}");
    }
}

#[test]
fn a_dying_init_that_waits_in_the_kernel_is_not_negligent() {
    let mut scene = Scene::of_init();
    scene.dies();
    scene.exit(20, PARENT, key(1), true);
    scene.facts.wait_channel = Some("zap_pid_ns_processes".into());
    scene.look(700);
    assert_eq!(scene.cause(), Cause::NamespaceTeardownStuck);
    let init = scene.model.process(PARENT).unwrap();
    let verdict = judge_stuck(&scene.model, init).unwrap();
    assert_eq!(verdict.cause, Cause::NamespaceTeardownStuck);
    assert!(verdict.evidence.join("; ").contains("(pid 20) is a zombie"), "{:?}", verdict.evidence);
    assert!(!may_be_meant(init));
    scene.facts.wait_channel = Some("do_exit".into());
    scene.look(800);
    assert!(judge_stuck(&scene.model, scene.model.process(PARENT).unwrap()).is_none());
}

#[test]
fn where_the_kernel_does_not_tell_a_dying_init_that_sleeps_waits_for_its_namespace() {
    let mut scene = Scene::of_init();
    scene.dies();
    scene.exit(20, PARENT, key(1), true);
    (scene.facts.wait_channel, scene.facts.state) = (None, 'S');
    scene.look(700);
    let verdict = judge_stuck(&scene.model, scene.model.process(PARENT).unwrap());
    assert_eq!(verdict.map(|it| it.cause), Some(Cause::NamespaceTeardownStuck));
    // It may still be on its way out.
    scene.facts.state = 'D';
    scene.look(800);
    assert!(judge_stuck(&scene.model, scene.model.process(PARENT).unwrap()).is_none());
}

#[test]
fn threads_that_outlive_their_leader_are_named() {
    let mut scene = Scene::new();
    scene.fork(1, PARENT, ZOMBIE, "child").exit(10, ZOMBIE, PARENT, false);
    let task = |tid, state, place: &str| Task { tid, state, comm: comm("t"), wait_channel: Some(place.into()) };
    scene.facts =
        ProcFacts { state: 'Z', threads: 2, tasks: vec![task(20, 'Z', ""), task(21, 'S', "futex")], ..scene.facts };
    scene.tell(600, What::Tick).look_at(600, ZOMBIE);
    assert_eq!(scene.outcomes, [Outcome::Stuck(ZOMBIE)]);
    let process = scene.model.process(ZOMBIE).unwrap();
    let verdict = judge_stuck(&scene.model, process).unwrap();
    assert_eq!(verdict.evidence[1], "thread 21 (t) is in state S in futex");
    assert!(may_be_meant(process));
    scene.facts.tasks[1] = task(21, 'D', "nfs_wait");
    scene.look_at(700, ZOMBIE);
    assert!(!may_be_meant(scene.model.process(ZOMBIE).unwrap()));
}

#[test]
fn a_group_that_exits_leader_first_is_not_stuck() {
    let mut scene = Scene::new();
    scene.fork(1, PARENT, ZOMBIE, "child").exit(10, ZOMBIE, PARENT, false);
    scene.exit(11, ZOMBIE, PARENT, true).notify(11, ZOMBIE, PARENT, SignalOutcome::Delivered);
    scene.reap(12, ZOMBIE, Selector::Any, 10).tell(600, What::Tick);
    assert_eq!(scene.outcomes, []);
}

#[test]
fn a_status_is_stolen_by_another_threads_wait_for_any_in_either_order() {
    let own = Selector::Pid(ZOMBIE.pid);
    let mut scene = Scene::new();
    scene.dies().reap(20, ZOMBIE, Selector::Any, 11).wait(21, None, own, 10);
    assert_eq!(scene.stolen(), 1);
    let mut scene = Scene::new();
    scene.dies().wait(20, None, own, 10).reap(20, ZOMBIE, Selector::Any, 11);
    assert_eq!(scene.stolen(), 1, "the calls end at once");
    let mut scene = Scene::new();
    scene.dies().reap(20, ZOMBIE, Selector::Any, 10).wait(21, None, own, 10);
    assert_eq!(scene.stolen(), 0, "one thread has it already");
    let mut scene = Scene::new();
    scene.dies().reap(20, ZOMBIE, own, 11).wait(21, None, own, 10);
    assert_eq!(scene.stolen(), 0, "who asks for this very child does not take it by accident");
    let mut scene = Scene::new();
    scene.dies().wait(20, None, own, 10).reap(500, ZOMBIE, Selector::Any, 11);
    assert_eq!(scene.stolen(), 0, "it was somebody else's then");
}

#[test]
fn a_shim_that_hands_statuses_on_loses_none() {
    let mut scene = Scene { name: "containerd-shim", ..Scene::new() };
    scene.dies().reap(20, ZOMBIE, Selector::Any, 11).wait(21, None, Selector::Pid(ZOMBIE.pid), 10);
    assert_eq!(scene.stolen(), 0);
}

#[test]
fn what_a_program_did_before_exec_is_not_the_next_ones() {
    let mut scene = Scene::new();
    scene.fork(1, PARENT, MIDDLE, "child").exit(2, MIDDLE, PARENT, true);
    scene.notify(2, MIDDLE, PARENT, SignalOutcome::Delivered).reap(200, MIDDLE, Selector::Any, 10);
    assert!(judge_past(scene.model.process(PARENT).unwrap()).is_some(), "it reaped late");
    let exec = crate::event::Exec { process: PARENT, old_thread: 10, uid: 0, cgroup: 0, comm: comm("next") };
    scene.tell(201, What::Exec(exec));
    assert!(judge_past(scene.model.process(PARENT).unwrap()).is_none());
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
