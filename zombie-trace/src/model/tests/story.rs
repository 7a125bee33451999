//! A small language for streams of events: who does what at which millisecond, and what the model made of it.

use crate::event::{
    BootNs, ChildSignal, Comm, Deliver, Event, Evidence, Exec, Exit, ExitStatus, Fact, Fork, Handler, NsPid, ProcFacts,
    ProcessKey, Release, Seed, Selector, Signal, SignalOutcome, Wait, WaitActivity, WaitCall, WaitReport, What,
};
use crate::model::{Config, DropReason, Ended, Model, ModelEvent, ParentState, Query, Zombie};

pub(super) const MS: u64 = 1_000_000;
/// Inode of the initial pid namespace.
pub(super) const ROOT: u32 = 1;
/// Inode of a nested one.
pub(super) const NESTED: u32 = 2;
pub(super) const SIGTERM: u32 = 15;
pub(super) const SIGCHLD: u32 = 17;
/// The length of a clock tick, ns.
pub(super) const TICK: u64 = 10 * MS;

pub(super) const INIT: ProcessKey = process(1);
pub(super) const PARENT: ProcessKey = process(10);
pub(super) const CHILD: ProcessKey = process(20);
pub(super) const OTHER: ProcessKey = process(30);
pub(super) const TRACER: ProcessKey = process(40);

/// The first process with this pid. Starts are not whole ticks.
pub(super) const fn process(pid: u32) -> ProcessKey {
    ProcessKey { pid, start_ns: TICK * pid as u64 + 1234 }
}

/// The process as `/proc` shows it: its start rounded down to a tick.
pub(super) const fn rounded(process: ProcessKey) -> ProcessKey {
    ProcessKey { start_ns: process.start_ns / TICK * TICK, ..process }
}

pub(super) fn comm(name: &str) -> Comm {
    let mut comm = [0; 16];
    comm[..name.len()].copy_from_slice(name.as_bytes());
    comm
}

/// Stories begin 1000 s after boot.
pub(super) const fn ms(ms: u64) -> BootNs {
    1_000_000 * MS + ms * MS
}

pub(super) fn exit(process: ProcessKey, parent: ProcessKey) -> Exit {
    let none = NsPid { nr: 0, inum: 0 };
    Exit {
        process,
        thread: process.pid,
        parent,
        tracer: None,
        group_dead: true,
        status: ExitStatus::Code(0),
        exit_signal: 17,
        parent_discards: Some(false),
        is_init: process.pid == 1,
        is_subreaper: false,
        parent_is_init: parent.pid == 1,
        reaps_itself: false,
        is_oom_victim: Some(false),
        parent_is_subreaper: false,
        level: 0,
        ns: [NsPid { nr: process.pid, inum: ROOT }, none, none, none],
        uid: 0,
        cgroup: 0,
        comm: comm("child"),
        parent_comm: comm("parent"),
    }
}

/// `child` itself, dying, tells `target`.
pub(super) fn child_signal(child: ProcessKey, target: ProcessKey) -> ChildSignal {
    ChildSignal {
        current: child,
        child_is_current: true,
        child_nr: child.pid,
        target,
        target_comm: comm("parent"),
        target_ns: NsPid { nr: target.pid, inum: ROOT },
        target_level: 0,
        target_is_init: target.pid == 1,
        target_is_subreaper: false,
        target_exiting: false,
        signal: SIGCHLD,
        outcome: SignalOutcome::Delivered,
        handler: Handler::Default,
        nocldwait: false,
        blocked: false,
    }
}

pub(super) fn wait(reaper: ProcessKey, child: ProcessKey) -> Wait {
    Wait {
        reaper,
        thread: reaper.pid,
        ns: ROOT,
        child_nr: Some(child.pid),
        errno: 0,
        call: WaitCall::Wait4,
        selector: Selector::Any,
        options: Some(0),
        report: WaitReport::Dead,
    }
}

pub(super) fn fork(forker: ProcessKey, child: ProcessKey) -> Fork {
    Fork {
        forker,
        child,
        parent_pid: forker.pid,
        ns: NsPid { nr: child.pid, inum: ROOT },
        level: 0,
        cgroup: 0,
        uid: 0,
        comm: comm("child"),
    }
}

pub(in crate::model) fn seed(process: ProcessKey, parent_pid: u32) -> Seed {
    Seed {
        process: rounded(process),
        tick_ns: TICK,
        parent_pid,
        tracer: None,
        comm: comm("seed"),
        is_zombie: false,
        threads: 1,
        status: None,
        ns_pids: vec![process.pid],
        pid_ns: ROOT,
        uid: 0,
        cgroup: 0,
        exe: None,
        cmdline: Vec::new(),
    }
}

pub(super) fn zombie_seed(process: ProcessKey, parent_pid: u32) -> Seed {
    let status = Some(ExitStatus::Code(3));
    Seed { is_zombie: true, status, pid_ns: 0, ..seed(process, parent_pid) }
}

/// `sender` kills the init of the nested namespace, which has no handler.
pub(in crate::model) fn signal(number: u32) -> Signal {
    Signal {
        target: PARENT,
        target_comm: comm("init"),
        target_ns: NsPid { nr: 1, inum: NESTED },
        target_level: 1,
        target_cgroup: 0,
        target_is_init: true,
        unkillable: true,
        target_exiting: false,
        target_traced: false,
        group: true,
        sender: OTHER,
        sender_thread: OTHER.pid,
        sender_comm: comm("kill"),
        sender_ns: NsPid { nr: OTHER.pid, inum: ROOT },
        sender_uid: 1000,
        sender_inside: false,
        from_kernel: false,
        sender_exiting: false,
        signal: number,
        code: 0,
        outcome: SignalOutcome::Ignored,
        handler: Handler::Default,
        blocked: false,
    }
}

pub(super) struct Story {
    pub(super) model: Model,
    time: BootNs,
    news: Vec<ModelEvent>,
    pub(super) queries: Vec<Query>,
}

impl Story {
    /// Of a model that tells of zombies that are 100 ms old.
    pub(super) fn new() -> Self {
        Self::with(Config { min_age_ns: 100 * MS, started: ms(0), ..Config::default() })
    }

    /// Of a model that tells of every zombie.
    pub(super) fn of_all() -> Self {
        Self::with(Config { min_age_ns: 0, started: ms(0), ..Config::default() })
    }

    pub(super) fn with(config: Config) -> Self {
        Self { model: Model::new(config), time: config.started, news: Vec::new(), queries: Vec::new() }
    }

    /// What follows happens this many ms into the story.
    pub(super) fn at(&mut self, at: u64) -> &mut Self {
        self.time = ms(at);
        self
    }

    pub(super) fn tell(&mut self, what: What) -> &mut Self {
        self.model.apply(&Event { time: self.time, what });
        self.news.extend(std::iter::from_fn(|| self.model.next_event()));
        self.queries.extend(std::iter::from_fn(|| self.model.next_query()));
        self
    }

    pub(super) fn forks(&mut self, forker: ProcessKey, child: ProcessKey) -> &mut Self {
        self.tell(What::Fork(fork(forker, child)))
    }

    pub(super) fn execs(&mut self, process: ProcessKey, old_thread: u32) -> &mut Self {
        self.tell(What::Exec(Exec { process, old_thread, uid: 0, cgroup: 0, comm: comm("new"), sigchld: None }))
    }

    pub(super) fn exits(&mut self, child: ProcessKey, parent: ProcessKey) -> &mut Self {
        self.tell(What::Exit(exit(child, parent)))
    }

    /// The dying child tells its parent.
    pub(super) fn notifies(&mut self, child: ProcessKey, target: ProcessKey) -> &mut Self {
        self.tell(What::ChildSignal(child_signal(child, target)))
    }

    /// Somebody else tells of a dead child.
    pub(super) fn notifies_of(&mut self, who: ProcessKey, child: ProcessKey, target: ProcessKey) -> &mut Self {
        let by_other = ChildSignal { current: who, child_is_current: false, ..child_signal(child, target) };
        self.tell(What::ChildSignal(by_other))
    }

    pub(super) fn dies(&mut self, child: ProcessKey, parent: ProcessKey) -> &mut Self {
        self.exits(child, parent).notifies(child, parent)
    }

    pub(super) fn reaps(&mut self, reaper: ProcessKey, child: ProcessKey) -> &mut Self {
        self.tell(What::Wait(wait(reaper, child)))
    }

    /// The reap is seen from within, outside every wait call that is followed.
    pub(super) fn releases(&mut self, reaper: ProcessKey, process: ProcessKey) -> &mut Self {
        let release = Release { process, reaper, reaper_exiting: false, reaper_is_init: false };
        self.tell(What::Release(release))
    }

    pub(super) fn frees(&mut self, process: ProcessKey) -> &mut Self {
        self.tell(What::Free(process))
    }

    /// Nothing more comes.
    pub(super) fn concludes(&mut self) -> &mut Self {
        self.model.conclude();
        self.news.extend(std::iter::from_fn(|| self.model.next_event()));
        self
    }

    pub(super) fn loses(&mut self, events: u64) -> &mut Self {
        self.tell(What::Loss { events })
    }

    pub(super) fn finds(&mut self, seed: Seed) -> &mut Self {
        self.tell(What::Fact(Fact::Seed(Box::new(seed))))
    }

    /// A scan of `/proc` that began at this ms ends.
    pub(super) fn has_scanned_since(&mut self, began: u64) -> &mut Self {
        self.tell(What::Fact(Fact::SeedDone { began: ms(began) }))
    }

    pub(super) fn ticks(&mut self) -> &mut Self {
        self.tell(What::Tick)
    }

    pub(super) fn signals(&mut self, signal: Signal) -> &mut Self {
        self.tell(What::Signal(signal))
    }

    pub(super) fn delivers(&mut self, target: ProcessKey, signal: u32) -> &mut Self {
        self.tell(What::Deliver(Deliver { target, signal, code: 0, traced: false }))
    }

    /// The answer: the process never called wait.
    pub(super) fn answers(&mut self, process: ProcessKey) -> &mut Self {
        self.answers_with(process, ProcFacts { state: 'S', ..ProcFacts::default() })
    }

    pub(super) fn answers_with(&mut self, process: ProcessKey, facts: ProcFacts) -> &mut Self {
        let waits = Some(WaitActivity { recent_complete: true, ..WaitActivity::default() });
        let evidence =
            Evidence { process, observed_since: ms(0), waits, proc: Some(facts), gaps: Vec::new(), doing: Vec::new() };
        self.tell(What::Fact(Fact::Evidence(Box::new(evidence))))
    }

    pub(super) fn zombie(&self, process: ProcessKey) -> Option<&Zombie> {
        self.model.process(process)?.zombie()
    }

    /// Since which ms it is a zombie.
    pub(super) fn zombie_since(&self, process: ProcessKey) -> Option<u64> {
        self.zombie(process).map(|zombie| (zombie.since - ms(0)) / MS)
    }

    /// The process that could reap a zombie.
    pub(super) fn waiter(&self, process: ProcessKey) -> Option<ProcessKey> {
        self.zombie(process).map(Zombie::waiter)
    }

    pub(super) fn parenting(&self, process: ProcessKey) -> ParentState {
        self.model.process(process).and_then(|it| it.parenting.as_deref()).cloned().unwrap_or_default()
    }

    pub(super) fn cause(&self, zombie: ProcessKey) -> Option<&'static str> {
        let process = self.model.process(zombie)?;
        crate::diagnosis::judge(&self.model, process).map(|verdict| verdict.cause.id())
    }

    pub(super) fn stuck_cause(&self, process: ProcessKey) -> Option<&'static str> {
        let process = self.model.process(process)?;
        crate::diagnosis::judge_stuck(&self.model, process).map(|verdict| verdict.cause.id())
    }

    pub(super) fn news(&self) -> &[ModelEvent] {
        &self.news
    }

    pub(super) fn ended(&self) -> Vec<&Ended> {
        self.news.iter().filter_map(|it| if let ModelEvent::Ended(it) = it { Some(&**it) } else { None }).collect()
    }

    pub(super) fn only_end(&self) -> &Ended {
        let ended = self.ended();
        assert_eq!(ended.len(), 1, "one zombie ends: {:?}", self.news);
        ended[0]
    }

    pub(super) fn aged(&self) -> Vec<ProcessKey> {
        self.news.iter().filter_map(|it| if let ModelEvent::Aged(it) = it { Some(*it) } else { None }).collect()
    }

    pub(super) fn auto_reaped(&self) -> Vec<ProcessKey> {
        let each = self.news.iter();
        each.filter_map(|it| if let ModelEvent::AutoReaped(it) = it { Some(it.process) } else { None }).collect()
    }

    pub(super) fn drops(&self) -> Vec<(u32, DropReason)> {
        let each = self.news.iter();
        each.filter_map(|it| if let ModelEvent::Dropped(it) = it { Some((it.signal, it.reason)) } else { None })
            .collect()
    }

    /// Whose status was stolen, from which thread and by which.
    pub(super) fn thefts(&self) -> Vec<(ProcessKey, u32, u32)> {
        let each = self.news.iter();
        let theft = |it: &ModelEvent| {
            if let ModelEvent::Stolen(it) = it { Some((it.process, it.loser, it.taker)) } else { None }
        };
        each.filter_map(theft).collect()
    }

    pub(super) fn inquiries_after(&self, process: ProcessKey) -> usize {
        self.queries.iter().filter(|&&it| it == Query::Process(process)).count()
    }

    /// Nothing is remembered of what is gone.
    pub(super) fn assert_forgotten(&self, process: ProcessKey) {
        assert!(self.model.process(process).is_none());
        assert!(!self.model.by_number.values().any(|&it| it == process));
    }
}
