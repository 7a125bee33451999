use super::*;
use crate::{
    event::{Event, Exit, Handler, MemoryLimit, NsPid, ProcessKey, Signal, SignalOutcome, What},
    model::{
        Config, Ending, Model, ModelEvent,
        stop_story::{CHILD, INIT, OTHER, SHIM, Story},
    },
    signal::{SIGTERM, SIGUSR1},
};

const MS: u64 = 1_000_000;
const NAMESPACE: u32 = 77;

fn killed(signal: u32) -> ExitStatus {
    ExitStatus::Signal { signal: signal.try_into().unwrap(), core_dumped: false }
}

/// A model that tells of all ends, in which events come at these times.
struct Tale(Story);

impl Tale {
    fn new() -> Self {
        let mut story = Story::new();
        story.model = Model::new(Config { ends: true, ..Config::default() });
        Self(story)
    }

    /// A fatal signal to PID 1, sent by the shim from outside unless changed.
    fn fatal(mut self, time: u64, signal: u32, change: impl FnOnce(&mut Signal)) -> Self {
        self.0.signal(time, signal, |signal| {
            (signal.handler, signal.target_exiting) = (Handler::Default, true);
            change(signal);
        });
        self
    }

    /// The same to the child.
    fn fatal_to_child(self, time: u64, signal: u32, change: impl FnOnce(&mut Signal)) -> Self {
        self.fatal(time, signal, |signal| {
            signal.target = CHILD;
            signal.target_ns = NsPid { nr: 2, inum: NAMESPACE };
            (signal.target_is_init, signal.unkillable) = (false, false);
            change(signal);
        })
    }

    /// The OOM killer chose PID 1, whose memory limit is this.
    fn limited(mut self, time: u64, limit: MemoryLimit) -> Self {
        self.0.model.apply(&Event { time, what: What::MemoryLimit { process: INIT, limit } });
        self
    }

    fn ends(self, time: u64, status: ExitStatus) -> (Ending, EndVerdict) {
        self.ends_as(INIT, time, status, |_| ())
    }

    fn child_ends(self, time: u64, status: ExitStatus) -> (Ending, EndVerdict) {
        self.ends_as(CHILD, time, status, |_| ())
    }

    fn ends_as(
        mut self,
        who: ProcessKey,
        time: u64,
        status: ExitStatus,
        change: impl FnOnce(&mut Exit),
    ) -> (Ending, EndVerdict) {
        let mut exit = self.0.exit_of(who, status);
        change(&mut exit);
        self.0.model.apply(&Event { time, what: What::Exit(exit) });
        let model = &self.0.model;
        let ending = model.endings().iter().find(|it| it.process == who).expect("it is told").clone();
        let verdict = judge_ending(model, &ending);
        (ending, verdict)
    }
}

fn by_kernel(signal: &mut Signal) {
    (signal.from_kernel, signal.code) = (true, SI_KERNEL);
}

fn by_itself(signal: &mut Signal) {
    (signal.sender, signal.sender_inside) = (signal.target, true);
}

#[track_caller]
fn is(told: &(Ending, EndVerdict), way: EndWay, words: &str) {
    let said = told.1.evidence.join("; ");
    assert_eq!(told.1.way, way, "{said}");
    assert!(said.contains(words), "{said}");
}

#[test]
fn each_way_has_an_id_of_its_own() {
    let ids: std::collections::BTreeSet<_> = EndWay::ALL.iter().map(|way| way.id()).collect();
    assert_eq!(ids.len(), EndWay::ALL.len());
}

#[test]
fn a_pid_1_that_exits_ended_by_itself_and_what_it_took_before_is_told() {
    let mut tale = Tale::new();
    tale.0.handled(5, SIGTERM);
    let told = tale.ends(5 + 3 * MS, ExitStatus::Code(143));
    is(&told, EndWay::Exit, "it had been sent SIGTERM 3.0 ms before by shim (50), outside");
    assert_eq!(shown_status(told.0.status), 143);
    is(&Tale::new().ends(9, ExitStatus::Code(3)), EndWay::Exit, "");
}

#[test]
fn who_killed_it_from_where_is_told() {
    let told = Tale::new().fatal(5, SIGKILL, |_| ()).ends(9, killed(SIGKILL));
    is(&told, EndWay::Outside, "shim (50) sent it SIGKILL");
    assert_eq!(shown_status(told.0.status), 137);
    let inside = |signal: &mut Signal| (signal.sender, signal.sender_inside) = (OTHER, true);
    is(
        &Tale::new().fatal_to_child(5, SIGTERM, inside).child_ends(9, killed(SIGTERM)),
        EndWay::Inside,
        "sent it SIGTERM",
    );
    let raised = Tale::new().fatal_to_child(5, SIGUSR1, by_itself).child_ends(9, killed(SIGUSR1));
    is(&raised, EndWay::Itself, "by itself");
}

#[test]
fn what_pid_1_was_sent_and_sends_on_is_passed_on() {
    let by_init = |signal: &mut Signal| {
        (signal.sender, signal.sender_inside) = (INIT, true);
        signal.sender_ns = NsPid { nr: 1, inum: NAMESPACE };
    };
    let mut tale = Tale::new();
    tale.0.handled(5, SIGTERM);
    let told = tale.fatal_to_child(6, SIGTERM, by_init).child_ends(9, killed(SIGTERM));
    is(&told, EndWay::PassedOn, "which had been sent the same by shim (50), outside");
    let of_its_own = Tale::new().fatal_to_child(6, SIGTERM, by_init).child_ends(9, killed(SIGTERM));
    is(&of_its_own, EndWay::Inside, "sent it SIGTERM");
}

#[test]
fn what_the_kernel_sends_in_a_process_s_stead_is_not_kill() {
    let one_thread = |signal: &mut Signal| signal.group = false;
    is(&Tale::new().fatal(5, SIGKILL, one_thread).ends(9, killed(SIGKILL)), EndWay::CgroupKill, "shim (50) wrote to");
    let traced = |signal: &mut Signal| (signal.group, signal.target_traced) = (false, true);
    let told = Tale::new().fatal(5, SIGKILL, traced).ends(9, killed(SIGKILL));
    is(&told, EndWay::Unknown, "");
    assert!(told.1.would_decide.is_some(), "{told:?}");
    let pipe = |signal: &mut Signal| {
        by_itself(signal);
        signal.group = false;
    };
    is(&Tale::new().fatal_to_child(5, SIGPIPE, pipe).child_ends(9, killed(SIGPIPE)), EndWay::ClosedPipe, "");
    is(&Tale::new().fatal_to_child(5, SIGPIPE, by_itself).child_ends(9, killed(SIGPIPE)), EndWay::Itself, "");
    is(
        &Tale::new().fatal_to_child(5, SIGXFSZ, pipe).child_ends(9, killed(SIGXFSZ)),
        EndWay::ResourceLimit,
        "RLIMIT_FSIZE",
    );
    let dying = |signal: &mut Signal| (signal.sender_exiting, signal.sender_thread) = (true, 53);
    let told = Tale::new().fatal(5, SIGKILL, dying).ends(9, killed(SIGKILL));
    is(&told, EndWay::ParentDeath, "thread 53 of shim (50)");
    assert!(told.1.advice.is_some_and(|it| it.contains("LockOSThread")));
}

#[test]
fn what_the_kernel_sends_is_told_apart() {
    let by_code = |code| move |signal: &mut Signal| (signal.from_kernel, signal.code) = (true, code);
    for (signal, code, way) in [
        (SIGINT, SI_KERNEL, EndWay::Terminal),
        (SIGHUP, SI_KERNEL, EndWay::Terminal),
        (SIGALRM, SI_KERNEL, EndWay::Timer),
        (SIGUSR1, SI_TIMER, EndWay::Timer),
        (SIGXCPU, SI_KERNEL, EndWay::ResourceLimit),
        (SIGSYS, SYS_SECCOMP, EndWay::Seccomp),
        (SIGSYS, 2, EndWay::Kernel),
        (SIGSEGV, 1, EndWay::Fault),
        (SIGSEGV, SI_KERNEL, EndWay::Fault),
        (SIGFPE, 1, EndWay::Fault),
        (SIGUSR1, SI_KERNEL, EndWay::Kernel),
    ] {
        is(
            &Tale::new().fatal_to_child(5, signal, by_code(code)).child_ends(9, killed(signal)),
            way,
            "the kernel sent it",
        );
    }
}

#[test]
fn a_fault_after_an_abort_that_was_dropped_is_the_abort() {
    let dropped = |signal: &mut Signal| {
        by_itself(signal);
        (signal.outcome, signal.target_exiting) = (SignalOutcome::Ignored, false);
    };
    let fault = |signal: &mut Signal| {
        by_kernel(signal);
        signal.sender = signal.target;
    };
    let told = Tale::new().fatal(5, SIGABRT, dropped).fatal(6, SIGSEGV, fault).ends(9, killed(SIGSEGV));
    is(&told, EndWay::Abort, "the exit status 139 stands for 134");
    let much_later = Tale::new().fatal(5, SIGABRT, dropped).fatal(6 + 2 * ABORT_NS, SIGSEGV, fault);
    is(&much_later.ends(9 + 2 * ABORT_NS, killed(SIGSEGV)), EndWay::Fault, "");
    let killed_then = Tale::new().fatal(5, SIGABRT, dropped).fatal(6, SIGKILL, |_| ()).ends(9, killed(SIGKILL));
    is(&killed_then, EndWay::Outside, "shim");
    let other = Tale::new().fatal_to_child(5, SIGABRT, by_itself).child_ends(9, killed(SIGABRT));
    is(&other, EndWay::Abort, "it called abort()");
    assert!(other.1.evidence[0].starts_with("it was sent SIGABRT by itself"), "{:?}", other.1);
    assert!(told.1.evidence[0].starts_with("the kernel sent it SIGSEGV"), "{:?}", told.1);
    assert_eq!(other.1.advice, None);
}

#[test]
fn the_memory_limit_is_told_of_what_the_oom_killer_chose_only() {
    let end = |limit, known| {
        let tale = Tale::new().fatal(5, SIGKILL, by_kernel).limited(9, limit);
        tale.ends_as(INIT, 9, killed(SIGKILL), |exit| exit.is_oom_victim = known)
    };
    let bytes = |levels_above| MemoryLimit::Bytes { bytes: 64 << 20, levels_above };
    let is_told = |limit, words| is(&end(limit, Some(true)), EndWay::OutOfMemory, words);
    is_told(bytes(0), "the OOM killer chose it; the memory limit of its cgroup is 64 MiB");
    is_told(bytes(1), "the memory limit of the cgroup 1 level above its own is 64 MiB");
    is_told(bytes(2), "2 levels above its own is 64 MiB");
    is_told(MemoryLimit::None, "neither its cgroup nor one above it has a memory limit");
    assert!(!end(bytes(0), None).1.evidence.join("; ").contains("64 MiB"));
}

#[test]
fn a_sigkill_of_the_kernel_is_of_the_oom_killer_only_if_that_chose_it() {
    let itself = |signal: &mut Signal| {
        by_kernel(signal);
        signal.sender = signal.target;
    };
    let victim = |known| move |exit: &mut Exit| exit.is_oom_victim = known;
    let end = |tale: Tale, known| tale.ends_as(INIT, 9, killed(SIGKILL), victim(known));
    is(&end(Tale::new().fatal(5, SIGKILL, by_kernel), Some(true)), EndWay::OutOfMemory, "the OOM killer chose it");
    is(&end(Tale::new().fatal(5, SIGKILL, itself), Some(true)), EndWay::OutOfMemory, "");
    is(&end(Tale::new().fatal(5, SIGKILL, itself), Some(false)), EndWay::ResourceLimit, "CPU time");
    let unread = end(Tale::new().fatal(5, SIGKILL, itself), None);
    is(&unread, EndWay::Kernel, "");
    assert!(unread.1.would_decide.is_some_and(|it| it.contains("OOM killer or a limit")));
    let soft_limit = |signal: &mut Signal| {
        itself(signal);
        (signal.handler, signal.target_exiting) = (Handler::Unknown, false);
    };
    let both = Tale::new().fatal(4, SIGXCPU, soft_limit).fatal(5, SIGKILL, itself);
    is(&end(both, None), EndWay::ResourceLimit, "(SIGXCPU)");
    is(&end(Tale::new().fatal(5, SIGKILL, by_kernel), Some(false)), EndWay::Kernel, "the kernel sent it SIGKILL");
    let exit_kill = |signal: &mut Signal| {
        by_kernel(signal);
        (signal.sender_exiting, signal.target_traced) = (true, true);
    };
    is(&end(Tale::new().fatal(5, SIGKILL, exit_kill), Some(false)), EndWay::Tracer, "its tracer ended");
}

#[test]
fn a_kill_that_nobody_sent_is_of_pid_1_that_ended_before_or_not_known() {
    let mut tale = Tale::new();
    tale.0.init_exits(5, ExitStatus::Code(0));
    is(&tale.child_ends(9, killed(SIGKILL)), EndWay::NamespaceEnd, "app (100), PID 1 of its pid namespace");
    let told = Tale::new().child_ends(9 + BLIND, killed(SIGKILL));
    is(&told, EndWay::Unknown, "");
    assert!(told.1.would_decide.is_some());
    is(&Tale::new().child_ends(9 + BLIND, killed(SIGSYS)), EndWay::Seccomp, "");
    let traced = Tale::new().ends_as(CHILD, 9 + BLIND, killed(SIGTERM), |exit| exit.tracer = Some(77));
    is(&traced, EndWay::Tracer, "process 77");
}

/// So long after tracing began everything was seen.
const BLIND: u64 = 10_000_000_000;

#[test]
fn nothing_is_concluded_from_what_was_not_seen_where_events_are_missing() {
    let lossy = || {
        let mut tale = Tale::new();
        tale.0.event(BLIND, What::Loss { events: 3 });
        tale
    };
    for (signal, tracer) in [(SIGSYS, None), (SIGTERM, Some(77)), (SIGKILL, None)] {
        let told = lossy().ends_as(CHILD, BLIND + 9, killed(signal), |exit| exit.tracer = tracer);
        is(&told, EndWay::Unknown, "not all signals before its end were seen");
        assert!(told.0.is_blind);
    }
    is(&lossy().fatal(BLIND + 5, SIGKILL, |_| ()).ends(BLIND + 9, killed(SIGKILL)), EndWay::Outside, "shim");
}

#[test]
fn the_signal_that_ends_it_is_the_first_that_could() {
    let again = |signal: &mut Signal| (signal.sender, signal.sender_comm) = (OTHER, *b"other\0\0\0\0\0\0\0\0\0\0\0");
    let told = Tale::new().fatal(5, SIGKILL, |_| ()).fatal(6, SIGKILL, again).ends(9, killed(SIGKILL));
    is(&told, EndWay::Outside, "shim (50)");
    let survived = |signal: &mut Signal| signal.target_exiting = false;
    let told = Tale::new().fatal(5, SIGTERM, survived).fatal(6, SIGTERM, again).ends(9, killed(SIGTERM));
    is(&told, EndWay::Outside, "other (51)");
    let pending = |signal: &mut Signal| {
        again(signal);
        signal.outcome = SignalOutcome::AlreadyPending;
    };
    let told = Tale::new().fatal(5, SIGTERM, survived).fatal(6, SIGTERM, pending).ends(9, killed(SIGTERM));
    is(&told, EndWay::Outside, "shim (50)");
}

#[test]
fn ends_for_which_the_report_has_no_room_are_told_all_the_same() {
    const KEPT: u32 = 10_000;
    let mut tale = Tale::new();
    for number in 0..KEPT + 5 {
        let process = ProcessKey { pid: 1_000 + number, start_ns: CHILD.start_ns };
        let exit = tale.0.exit_of(process, killed(SIGTERM));
        tale.0.model.apply(&Event { time: 9, what: What::Exit(exit) });
    }
    let told = std::iter::from_fn(|| tale.0.model.next_event()).filter(|it| matches!(it, ModelEvent::Ends(_))).count();
    assert_eq!((told, tale.0.model.endings().len()), (KEPT as usize + 5, KEPT as usize));
}

#[test]
fn of_others_than_pid_1_nothing_is_told_unless_that_is_asked_for() {
    let mut story = Story::new();
    story.signal(5, SIGKILL, |signal| {
        (signal.target, signal.target_is_init, signal.unkillable) = (CHILD, false, false);
    });
    story.child_exits(9, killed(SIGKILL)).init_exits(10, ExitStatus::Code(0));
    assert_eq!(story.model.endings().iter().map(|it| it.process).collect::<Vec<_>>(), [INIT]);
    let told = std::iter::from_fn(|| story.model.next_event()).filter(|it| matches!(it, ModelEvent::Ends(_))).count();
    assert_eq!(told, 1);
    let _ = SHIM;
}
