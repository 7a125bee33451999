//! One process.

use super::{Asked, Death, Fatal, Heritage, Identity, Life, ParentState, SignalTally, Zombie, entered::Entered};
use crate::event::{
    BootNs, Comm, Exec, ExitStatus, Fork, FullPidNs, NsPid, PidLimits, ProcFacts, ProcessKey, Seed, SigchldAtExec,
};

/// A process that is alive, dying or a zombie.
#[derive(Debug)]
pub struct Process {
    /// Its unique key.
    pub key: ProcessKey,
    /// Its name, for people.
    pub identity: Identity,
    /// The last known real parent.
    pub parent: Option<ProcessKey>,
    /// The process that called fork. `None` if that was before tracing began.
    pub forker: Option<ProcessKey>,
    /// Its first known parent: the one at its birth, or when it was found in `/proc`. A different parent later means
    /// that this one died and the other adopted it.
    pub origin: Option<ProcessKey>,
    /// It started before tracing.
    pub preexisting: bool,
    /// It is the init of its pid namespace.
    pub is_init: bool,
    /// It is a subreaper, as last known.
    pub is_subreaper: bool,
    /// Its state, from alive to gone.
    pub life: Life,
    /// What it is to its children; absent until needed.
    pub parenting: Option<Box<ParentState>>,
    /// Signals sent to it as an init of a pid namespace.
    pub signals: Option<Box<SignalTally>>,
    /// What it has from before its last exec.
    pub heritage: Heritage,
    /// Its pid limits, as last read.
    pub limits: Option<(BootNs, Box<PidLimits>)>,
    /// The pid namespace that had no number for its fork, until the failure is reported.
    pub full_pid_ns: Option<Box<(BootNs, FullPidNs)>>,
    /// The last stop signal sent to it (HUP, INT, QUIT or TERM).
    pub(super) asked: Option<Box<Asked>>,
    /// Signals that may end it.
    pub(super) fatal: Option<Box<Fatal>>,
    /// The pid namespaces that it came into from outside.
    pub(super) entered: Option<Entered>,
    /// Its death by SIGKILL was counted for the stops of its namespaces.
    pub(super) is_counted_killed: bool,
    /// How many of the children it forked are still in the table.
    pub(super) children: u32,
    /// When an event last named it.
    pub(super) last_seen: BootNs,
}

impl Process {
    pub(super) fn new(key: ProcessKey, time: BootNs) -> Self {
        Self {
            key,
            identity: Identity::default(),
            parent: None,
            forker: None,
            origin: None,
            preexisting: false,
            is_init: false,
            is_subreaper: false,
            life: Life::default(),
            parenting: None,
            signals: None,
            heritage: Heritage::default(),
            limits: None,
            full_pid_ns: None,
            asked: None,
            fatal: None,
            entered: None,
            is_counted_killed: false,
            children: 0,
            last_seen: time,
        }
    }

    /// What it is to its children, made on first use.
    pub(super) fn parenting_mut(&mut self) -> &mut ParentState {
        self.parenting.get_or_insert_default()
    }

    pub(super) fn forked(&mut self, fork: &Fork, parent: ProcessKey) {
        self.identity.comm = fork.comm;
        self.identity.ns = Some(fork.ns);
        self.identity.level = fork.level;
        self.identity.cgroup = fork.cgroup;
        self.identity.uid = Some(fork.uid);
        self.forker = Some(fork.forker);
        self.parent = Some(parent);
        self.origin = Some(parent);
        self.is_init = fork.ns.nr == 1;
        self.preexisting = false;
    }

    pub(super) fn executed(&mut self, time: BootNs, exec: &Exec) {
        self.heritage.executes(time, exec, self.identity.comm, self.children > 0);
        self.identity.comm = exec.comm;
        self.identity.cgroup = exec.cgroup;
        self.identity.uid = Some(exec.uid);
        self.identity.exe = None;
        self.identity.cmdline = None;
        if let Some(signals) = &mut self.signals {
            signals.begin_program();
        }
        if let Some(parenting) = &mut self.parenting {
            parenting.begin_anew();
        }
    }

    pub(super) fn seeded(&mut self, seed: &Seed) {
        self.identity.comm = seed.comm;
        self.identity.uid = Some(seed.uid);
        if let Some(&nr) = seed.ns_pids.last() {
            let inum = if seed.pid_ns != 0 { seed.pid_ns } else { self.identity.ns.map_or(0, |ns| ns.inum) };
            self.identity.ns = Some(NsPid { nr, inum });
            self.identity.level = u32::try_from(seed.ns_pids.len() - 1).unwrap_or(0);
            self.is_init = nr == 1;
        }
        if seed.cgroup != 0 {
            self.identity.cgroup = seed.cgroup;
        }
        if seed.exe.is_some() {
            self.identity.exe = seed.exe.as_deref().map(Into::into);
        }
        if !seed.cmdline.is_empty() {
            self.identity.cmdline = Some(seed.cmdline.clone().into());
        }
    }

    pub(super) fn learn(&mut self, facts: &ProcFacts) {
        if facts.exe.is_some() {
            self.identity.exe = facts.exe.as_deref().map(Into::into);
        }
        if !facts.cmdline.is_empty() {
            self.identity.cmdline = Some(facts.cmdline.clone().into());
        }
        if self.identity.ns.is_none()
            && let Some(&nr) = facts.ns_pids.last()
        {
            self.identity.ns = Some(NsPid { nr, inum: facts.pid_ns });
            self.is_init = nr == 1;
        }
    }

    /// Whether it exits, is a zombie or was reaped.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.life.is_dead()
    }

    /// How it died, if it is dead and not yet gone.
    #[must_use]
    pub fn death(&self) -> Option<&Death> {
        self.life.death()
    }

    /// The zombie that it is.
    #[must_use]
    pub fn zombie(&self) -> Option<&Zombie> {
        self.life.zombie()
    }

    /// When it exited, and how; `None` if that was not seen.
    #[must_use]
    pub fn end(&self) -> Option<(BootNs, ExitStatus)> {
        self.life.end()
    }

    /// Whether it has begun to exit and cannot be reaped yet: its main thread has exited and other threads live, or it
    /// is the init of a namespace that still has processes, or a tracer holds one of its threads.
    #[must_use]
    pub fn is_dying(&self) -> bool {
        self.dying_since().is_some()
    }

    /// Since when [it is dying](Self::is_dying).
    #[must_use]
    pub fn dying_since(&self) -> Option<BootNs> {
        match &self.life {
            Life::LeaderGone(gone) => Some(gone.since),
            Life::Exiting(exiting) if !exiting.discarded || self.is_nested_init() => Some(exiting.death.exited),
            Life::Alive | Life::Exiting(_) | Life::Zombie(_) | Life::Released(_) | Life::Gone { .. } => None,
        }
    }

    /// Depth of its pid namespace, if known.
    pub(super) fn known_level(&self) -> Option<u32> {
        self.identity.ns.map(|_| self.identity.level)
    }

    /// Whether it is the init of a pid namespace other than the first.
    #[must_use]
    pub fn is_nested_init(&self) -> bool {
        self.is_init && self.identity.level > 0
    }

    /// Whether a report mentions it after it is gone.
    pub(super) fn is_reportable(&self) -> bool {
        self.parenting.as_ref().is_some_and(|it| it.zombies_aged > 0 || it.stolen > 0)
            || self.signals.as_ref().is_some_and(|it| it.is_reportable())
    }
}

/// A process that forked others: alive, or dead and kept because its children live.
#[derive(Clone, Copy, Debug)]
pub enum Ancestor<'a> {
    /// Still in the table.
    Alive(&'a Process),
    /// Gone.
    Dead(&'a ExitedProcess),
}

/// What is kept of a dead process as long as its children live.
#[derive(Clone, Debug)]
pub struct ExitedProcess {
    /// Who.
    pub key: ProcessKey,
    /// Its name.
    pub comm: Comm,
    /// When it exited, and how; `None` if the exit was not seen.
    pub end: Option<(BootNs, ExitStatus)>,
    /// Its own first parent.
    pub origin: Option<ProcessKey>,
    /// How its last exec left SIGCHLD, where that was seen.
    pub sigchld: Option<SigchldAtExec>,
    pub(super) children: u32,
}
