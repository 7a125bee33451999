//! Stops told by streams of events.

mod bounds;
mod looks;
mod outcomes;
mod received;
mod rotation;
mod victims;

use super::*;
use crate::{
    event::{ChildSignal, Comm, Deliver, Doing, Event, Evidence, Exec, Fact, Fork, Handler, ProcFacts, What},
    model::{Config, Query, tests::story},
    signal,
};

pub(crate) const SECOND: u64 = 1_000_000_000;
const NAMESPACE: u32 = 77;
const INNER_NAMESPACE: u32 = 78;
pub(crate) const INIT: ProcessKey = ProcessKey { pid: 100, start_ns: 1 };
pub(crate) const CHILD: ProcessKey = ProcessKey { pid: 101, start_ns: 2 };
pub(crate) const SHIM: ProcessKey = ProcessKey { pid: 50, start_ns: 3 };
pub(crate) const OTHER: ProcessKey = ProcessKey { pid: 51, start_ns: 4 };

pub(crate) fn comm(name: &str) -> Comm {
    let mut comm = Comm::default();
    comm[..name.len()].copy_from_slice(name.as_bytes());
    comm
}

fn exit(process: ProcessKey, status: ExitStatus, ns: &[NsPid]) -> Exit {
    let mut numbers = [NsPid { nr: 0, inum: 0 }; 4];
    numbers[..ns.len()].copy_from_slice(ns);
    Exit {
        process,
        thread: process.pid,
        parent: if process == INIT { SHIM } else { INIT },
        tracer: None,
        group_dead: true,
        status,
        exit_signal: 17,
        parent_discards: Some(false),
        is_init: ns.len() > 1 && ns[ns.len() - 1].nr == 1,
        is_subreaper: false,
        parent_is_init: process != INIT,
        reaps_itself: false,
        is_oom_victim: Some(false),
        parent_is_subreaper: false,
        level: 1,
        ns: numbers,
        uid: 0,
        cgroup: 0,
        comm: comm(if process == INIT { "app" } else { "worker" }),
        parent_comm: comm("shim"),
    }
}

/// A namespace with an init and a child, stopped by a shim from outside.
pub(crate) struct Story {
    pub(crate) model: Model,
}

impl Story {
    pub(crate) fn new() -> Self {
        Self { model: Model::new(Config::default()) }
    }

    pub(crate) fn event(&mut self, time: u64, what: What) -> &mut Self {
        self.model.apply(&Event { time, what });
        self
    }

    pub(crate) fn signal(&mut self, time: u64, number: u32, change: impl FnOnce(&mut Signal)) -> &mut Self {
        let mut signal = Signal {
            target: INIT,
            target_comm: comm("app"),
            target_ns: NsPid { nr: 1, inum: NAMESPACE },
            sender: SHIM,
            sender_comm: comm("shim"),
            sender_ns: NsPid { nr: 50, inum: 1 },
            sender_uid: 0,
            outcome: SignalOutcome::Delivered,
            handler: Handler::Function,
            ..story::signal(number)
        };
        change(&mut signal);
        self.event(time, What::Signal(signal))
    }

    /// To the init, which has a handler.
    pub(crate) fn handled(&mut self, time: u64, number: u32) -> &mut Self {
        self.signal(time, number, |_| ())
    }

    /// To the init, which has none.
    pub(crate) fn dropped(&mut self, time: u64, number: u32) -> &mut Self {
        self.signal(time, number, |signal| {
            signal.outcome = SignalOutcome::Ignored;
            signal.handler = Handler::Default;
        })
    }

    /// SIGKILL from outside.
    pub(crate) fn kill(&mut self, time: u64) -> &mut Self {
        self.signal(time, SIGKILL, |signal| {
            signal.handler = Handler::Default;
            signal.target_exiting = true;
        })
    }

    /// To the child, as the init forwards it.
    pub(crate) fn forwarded(&mut self, time: u64, number: u32) -> &mut Self {
        self.signal(time, number, |signal| {
            (signal.target, signal.target_comm) = (CHILD, comm("worker"));
            signal.target_ns = NsPid { nr: 2, inum: NAMESPACE };
            (signal.target_is_init, signal.unkillable) = (false, false);
            (signal.sender, signal.sender_inside) = (INIT, true);
        })
    }

    /// The exit of the init or of the child.
    pub(crate) fn exit_of(&self, process: ProcessKey, status: ExitStatus) -> Exit {
        let number = if process == INIT { 1 } else { 2 };
        exit(process, status, &[NsPid { nr: process.pid, inum: 1 }, NsPid { nr: number, inum: NAMESPACE }])
    }

    pub(crate) fn exit(&mut self, time: u64, process: ProcessKey, status: ExitStatus, ns: &[NsPid]) -> &mut Self {
        self.event(time, What::Exit(exit(process, status, ns)))
    }

    pub(crate) fn child_exits(&mut self, time: u64, status: ExitStatus) -> &mut Self {
        let host = NsPid { nr: CHILD.pid, inum: 1 };
        self.exit(time, CHILD, status, &[host, NsPid { nr: 2, inum: NAMESPACE }])
    }

    /// The init exits and, when its namespace is gone, becomes a zombie.
    pub(crate) fn init_exits(&mut self, time: u64, status: ExitStatus) -> &mut Self {
        self.exit(time, INIT, status, &[NsPid { nr: INIT.pid, inum: 1 }, NsPid { nr: 1, inum: NAMESPACE }])
    }

    pub(crate) fn init_is_zombie(&mut self, time: u64) -> &mut Self {
        let signal = ChildSignal {
            current: INIT,
            child_is_current: true,
            child_nr: INIT.pid,
            target: SHIM,
            target_comm: comm("shim"),
            target_ns: NsPid { nr: SHIM.pid, inum: 1 },
            target_level: 0,
            target_is_init: false,
            target_is_subreaper: false,
            target_exiting: false,
            signal: 17,
            outcome: SignalOutcome::Delivered,
            handler: Handler::Function,
            nocldwait: false,
            blocked: false,
        };
        self.event(time, What::ChildSignal(signal))
    }

    pub(crate) fn killed_init(&mut self, time: u64) -> &mut Self {
        self.kill(time).init_exits(time + 1, KILLED)
    }

    /// What `/proc` says of the init: SIGTERM is blocked, and pending or not.
    pub(crate) fn looks(&mut self, time: u64, is_pending: bool) -> &mut Self {
        let bit = signal::bit(SIGTERM);
        let facts = ProcFacts { blocked: bit, pending: if is_pending { bit } else { 0 }, ..ProcFacts::default() };
        self.seen(time, INIT, facts, None)
    }

    /// What `/proc` says of a process, and what its leader does.
    pub(crate) fn seen(&mut self, time: u64, process: ProcessKey, proc: ProcFacts, doing: Option<Doing>) -> &mut Self {
        self.event(time, What::Tick);
        let evidence = Evidence {
            process,
            observed_since: 0,
            waits: None,
            proc: Some(proc),
            gaps: Vec::new(),
            doing: doing.into_iter().collect(),
        };
        self.event(time, What::Fact(Fact::Evidence(Box::new(evidence))))
    }

    /// The parent, a process of the namespace, starts another one.
    pub(crate) fn forks(&mut self, time: u64, parent: ProcessKey, child: ProcessKey, nr: u32, name: &str) -> &mut Self {
        let fork = Fork {
            forker: parent,
            child,
            parent_pid: parent.pid,
            ns: NsPid { nr, inum: NAMESPACE },
            level: 1,
            cgroup: 0,
            uid: 0,
            comm: comm(name),
        };
        self.event(time, What::Fork(fork))
    }

    /// The init becomes another program.
    pub(crate) fn execs(&mut self, time: u64, name: &str) -> &mut Self {
        let exec = Exec { process: INIT, old_thread: INIT.pid, uid: 0, cgroup: 0, comm: comm(name), sigchld: None };
        self.event(time, What::Exec(exec))
    }

    /// Processes that the model would like to look at.
    pub(crate) fn asked_after(&mut self) -> Vec<ProcessKey> {
        std::iter::from_fn(|| self.model.next_query())
            .filter_map(|query| match query {
                Query::StopMember(process) => Some(process),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn blocked(&mut self, time: u64) -> &mut Self {
        self.signal(time, SIGTERM, |signal| (signal.handler, signal.blocked) = (Handler::Default, true))
    }

    /// The one stop there was.
    pub(crate) fn only(&self) -> &Stop {
        assert_eq!(self.model.stops().len(), 1, "{:#?}", self.model.stops());
        &self.model.stops()[0]
    }

    pub(crate) fn told(&mut self) -> Vec<Stop> {
        std::iter::from_fn(|| self.model.next_event())
            .filter_map(|outcome| match outcome {
                ModelEvent::StopFailed(stop) => Some(*stop),
                _ => None,
            })
            .collect()
    }
}

pub(crate) const KILLED: ExitStatus = ExitStatus::Signal { signal: 9, core_dumped: false };
