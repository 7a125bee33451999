//! The state derived from events: processes, zombies, waits, signals.
//!
//! Pure state. Events go in, [`ModelEvent`]s come out, and [`Query`]s ask for more: the live source answers them with
//! context events, and a replay finds the answers in the recording. There is no clock here: time is the time of the
//! events.
//!
//! Not here: causes and advice (`diagnosis`), and how things are printed (`output`).

mod asked;
mod busiest;
mod cgroups;
mod deaths;
mod dropped;
mod drops;
mod endings;
mod ends;
mod entered;
mod evidence;
mod fatal;
mod fork_failures;
mod full_maps;
mod growth;
mod heritage;
mod identity;
mod inits;
mod latency;
mod life;
mod limits;
mod overflow;
mod parenting;
mod pauses;
mod pending;
mod process;
mod query;
mod recall;
mod repair;
mod retired;
mod review;
mod rhythm;
mod shares;
mod snapshot;
mod sources;
mod steals;
mod stints;
mod stops;
mod stuck;
mod table;
#[cfg(test)]
mod tests;
mod timers;
mod totals;
mod weight;
mod window;

pub use asked::{Asked, Disposition};
pub use dropped::{DropReason, DroppedSignal, Relation, Sender};
pub use drops::{SignalTally, Tally};
pub use endings::Ending;
pub use ends::{Ended, Precision, Via};
use fatal::Fatal;
pub use fork_failures::{DeadInit, ForkFailure};
pub use full_maps::FullMaps;
pub use growth::ZombieGrowth;
pub use heritage::{Heritage, Kept, Source};
pub use identity::Identity;
pub use latency::Latency;
pub use life::{Begin, Death, Exiting, LeaderGone, Life, Released, Zombie};
pub(crate) use limits::all as all_limits;
pub use limits::{Limit, LimitKind};
pub use overflow::{Bounded, Overflows};
pub use parenting::{ParentState, RunState};
pub use process::{Ancestor, Process};
pub use query::Query;
pub use rhythm::ReapPattern;
pub use shares::Share;
pub use steals::Stolen;
pub use stints::{Stint, Stints};
#[cfg(test)]
pub(crate) use stops::tests as stop_story;
pub use stops::{KilledProcess, Look, Member, Stop, StopOutcome};
pub use stuck::{Holdout, HoldoutState, Teardown};
pub use table::Table;
pub use totals::Totals;
pub use weight::{Origin, Weight};

use std::collections::{BTreeMap, VecDeque};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::event::{BootNs, Event, Fact, ProcessKey, What};

/// What the model is told before the first event.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Minimum age of zombies that are reported, ns.
    pub min_age_ns: u64,
    /// When tracing began; older facts are known only in part.
    pub started: BootNs,
    /// Maximum number of processes kept. Those that do not fit are counted in [`Totals::overflows`].
    pub max_processes: usize,
    /// Tell of every process that a signal ends, not of PID 1s alone.
    pub ends: bool,
    /// Pid of a command that is followed amid the whole machine: it and what descends from it is marked, and counted
    /// apart.
    pub command: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Self { min_age_ns: 1_000_000_000, started: 0, max_processes: 1 << 20, ends: false, command: None }
    }
}

/// Something worth reporting. The details are in the model.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelEvent {
    /// A zombie has reached the minimum age, and all that can be known about its parent is known.
    Aged(ProcessKey),
    /// A zombie reported by [`Self::Aged`] has grown much older, and there is fresh evidence on its parent.
    Reviewed(ProcessKey),
    /// A zombie that had reached the minimum age is gone.
    Ended(Box<Ended>),
    /// A child was reaped by the kernel at once because its parent discards the status.
    AutoReaped(Box<Ended>),
    /// A thread did not get the status of the child it waited for: another thread took it.
    Stolen(Box<Stolen>),
    /// A process may be stuck while exiting, and all that can be known about it is known.
    Stuck(ProcessKey),
    /// A signal did not reach an init.
    Dropped(Box<DroppedSignal>),
    /// An init that got a stop signal had to be killed.
    StopFailed(Box<Stop>),
    /// A PID 1 has ended, or another process whose end was asked for.
    Ends(Box<Ending>),
    /// A process could not fork, for the first time for this limit.
    ForkFailed(Box<ForkFailure>),
    /// Events were lost.
    Lost(u64),
}

/// How long after a reap, ns, its wait call may still turn up: one that began before tracing is seen only when it
/// returns.
const RELEASE_GRACE_NS: u64 = 100_000_000;
/// The same after the freeing of the memory, if the reap was not seen: the thread that reaped lost the CPU before its call
/// returned, or waits for a page that is written with the status. Nothing is known until then, so this may take longer.
const FREE_GRACE_NS: u64 = 1_000_000_000;
/// Evidence younger than this, ns, is not asked for again.
const EVIDENCE_FRESH_NS: u64 = 250_000_000;

/// Maximum number of timers.
const MAX_TIMERS: usize = 1 << 16;

/// Key of a timer: when it expires, and how many were set before.
type TimerKey = (BootNs, u64);

/// Something to look at later.
#[derive(Clone, Debug)]
enum Timer {
    /// What happened to the signals of this init?
    Signals(ProcessKey),
    /// Is this parent still not running?
    Still(ProcessKey),
    /// Is the namespace of this dying init gone?
    Stop(ProcessKey),
    /// What has the parent of this old zombie done since?
    Review(review::Review),
}

/// The model. See the module.
#[derive(Debug)]
pub struct Model {
    config: Config,
    now: BootNs,
    table: Table,
    /// Dying processes and zombies by (pid namespace, number in it), for every level.
    by_number: FxHashMap<(u32, u32), ProcessKey>,
    /// Zombies by when their waiter could first reap them, to find those that reach the minimum age. Some may be gone.
    ageing: VecDeque<(BootNs, ProcessKey)>,
    /// Reaped zombies whose wait call may still turn up, in order of reaping. Some may be gone.
    released: VecDeque<(BootNs, ProcessKey)>,
    /// Zombies whose memory was freed, and when, whose reap may yet be seen.
    freed: VecDeque<(BootNs, ProcessKey)>,
    timers: BTreeMap<TimerKey, Timer>,
    timer_count: u64,
    /// Aged zombies waiting for an answer about their parent, by parent.
    awaiting: FxHashMap<ProcessKey, Vec<ProcessKey>>,
    /// Old zombies waiting for another answer about their parent, by parent.
    awaiting_review: FxHashMap<ProcessKey, review::Review>,
    /// Processes that began to exit, by time.
    dying: VecDeque<(BootNs, ProcessKey)>,
    /// Length at which those that have exited are removed.
    max_dying: usize,
    /// Those that were asked about because they take so long.
    awaiting_dying: FxHashSet<ProcessKey>,
    /// The inits among them, reported when more is known.
    awaiting_rest: FxHashMap<ProcessKey, stuck::Rest>,
    /// Failed forks whose limit was asked for.
    awaiting_limits: FxHashMap<ProcessKey, fork_failures::Pending>,
    fork_failures: BTreeMap<(ProcessKey, LimitKind), ForkFailure>,
    /// Failures not reported yet, and until when they wait.
    unnamed_failures: VecDeque<(BootNs, Box<ForkFailure>)>,
    /// The last inits of pid namespaces that have exited.
    dead_inits: VecDeque<DeadInit>,
    stops: stops::Stops,
    endings: Vec<Ending>,
    /// Parents that are gone and left something to tell.
    retired: retired::Retired,
    cgroups: FxHashMap<u64, Option<crate::event::Cgroup>>,
    /// Number of cgroups at which unused ones are forgotten.
    max_cgroups: usize,
    totals: Totals,
    latency: Latency,
    shares: shares::Shares,
    busiest: busiest::Busiest,
    /// A scan was requested, but the query was not taken yet.
    rescan_wanted: bool,
    /// Processes found in `/proc` whose parents may not be known yet, and when they were read.
    unlinked: BTreeMap<ProcessKey, (BootNs, crate::event::Seed)>,
    last_loss: Option<BootNs>,
    /// Until when events were missing for good.
    gap: Option<BootNs>,
    /// Nothing has happened yet, or not since a gap: what another reader knew is news.
    is_blank: bool,
    pauses: pauses::Pauses,
    news: VecDeque<ModelEvent>,
    queries: VecDeque<Query>,
}

impl Model {
    /// Creates an empty model.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            now: config.started,
            table: Table::new(config.max_processes),
            by_number: FxHashMap::default(),
            ageing: VecDeque::new(),
            released: VecDeque::new(),
            freed: VecDeque::new(),
            timers: BTreeMap::new(),
            timer_count: 0,
            awaiting: FxHashMap::default(),
            awaiting_review: FxHashMap::default(),
            dying: VecDeque::new(),
            max_dying: stuck::MIN_DYING,
            awaiting_dying: FxHashSet::default(),
            awaiting_rest: FxHashMap::default(),
            awaiting_limits: FxHashMap::default(),
            fork_failures: BTreeMap::new(),
            unnamed_failures: VecDeque::new(),
            dead_inits: VecDeque::new(),
            stops: stops::Stops::default(),
            endings: Vec::new(),
            retired: retired::Retired::default(),
            cgroups: FxHashMap::default(),
            max_cgroups: cgroups::MIN_CGROUPS,
            totals: Totals::default(),
            latency: Latency::of_all(),
            shares: shares::Shares::default(),
            busiest: busiest::Busiest::default(),
            rescan_wanted: false,
            unlinked: BTreeMap::new(),
            last_loss: None,
            gap: None,
            is_blank: true,
            pauses: pauses::Pauses::default(),
            news: VecDeque::new(),
            queries: VecDeque::new(),
        }
    }

    /// Takes one event in. Events are expected nearly in the order of their time.
    ///
    /// Facts do not advance the time; see [`Fact`].
    pub fn apply(&mut self, event: &Event) {
        if let Some(time) = event.clock() {
            self.advance(time);
            self.is_blank = matches!(event.what, What::Loss { events: 0 });
        }
        match &event.what {
            What::Exit(exit) => self.on_exit(event.time, exit),
            What::ChildSignal(signal) => self.on_child_signal(event.time, signal),
            What::Wait(wait) => self.on_wait(event.time, wait),
            What::Release(release) => self.on_release(event.time, release),
            What::Free(process) => self.on_free(event.time, *process),
            What::Fork(fork) => self.on_fork(event.time, fork),
            What::Exec(exec) => self.on_exec(event.time, exec),
            What::FullPidNs(full) => self.on_full_pid_ns(event.time, full),
            What::MemoryLimit { process, limit } => self.note_memory_limit(event.time, *process, *limit),
            What::ForkFailed(failed) => self.on_fork_failed(event.time, failed),
            What::Signal(signal) => self.on_signal(event.time, signal),
            What::Deliver(deliver) => self.on_deliver(event.time, deliver),
            What::Loss { events } => self.on_loss(event.time, *events),
            What::Full { map, refused } => self.totals.full.add(*map, *refused),
            What::Tick => {}
            What::Fact(fact) => self.learn(event.time, fact),
        }
    }

    /// Takes in what was looked up at `time`, which may be ahead of the model's own.
    fn learn(&mut self, time: BootNs, fact: &Fact) {
        match fact {
            Fact::Seed(seed) => self.on_seed(time, seed),
            Fact::SeedDone { began } => self.on_seed_done(time, *began),
            Fact::Zombie(known) => self.on_known_zombie(known),
            Fact::Process(known) => self.on_known_process(known),
            Fact::Stop(known) => self.on_known_stop(known),
            Fact::Paused { from, until } => self.on_paused(*from, *until),
            Fact::Cgroup(cgroup) => {
                self.cgroups.insert(cgroup.id, Some(cgroup.clone()));
                self.tell_fork_failures();
            }
            Fact::Evidence(evidence) => self.on_evidence(time, evidence),
            Fact::Limits(limits) => self.on_limits(time, limits),
        }
    }

    /// The next thing worth reporting.
    pub fn next_event(&mut self) -> Option<ModelEvent> {
        self.news.pop_front()
    }

    /// The next thing the model would like to know.
    pub fn next_query(&mut self) -> Option<Query> {
        let query = self.queries.pop_front();
        if query == Some(Query::Rescan) {
            // That scan may miss what is lost from now on, or fail: the next loss asks again.
            self.rescan_wanted = false;
        }
        query
    }

    /// Asks about every parent that has zombies now, so that the final report has fresh evidence.
    pub fn query_all_parents(&mut self) {
        let mut parents: Vec<ProcessKey> = self
            .table
            .iter()
            .filter(|process| process.parenting.as_ref().is_some_and(|it| it.zombies_now > 0))
            .map(|process| process.key)
            .collect();
        parents.sort_unstable();
        self.queries.extend(parents.into_iter().map(Query::Process));
    }

    /// Nothing more comes: what waits for something is judged by what there is.
    pub fn conclude(&mut self) {
        self.settle_reaped(0, 0);
        self.judge_unanswered_failures(0);
    }

    /// The time of the newest event, ns of the boot clock.
    #[must_use]
    pub fn now(&self) -> BootNs {
        self.now
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Sums so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = self.totals;
        totals.overflows.set(Bounded::Processes, self.table.evicted());
        totals
    }

    /// When events were last lost.
    #[must_use]
    pub fn last_loss(&self) -> Option<BootNs> {
        self.last_loss
    }

    /// Time to reap of all zombies whose start and end are known exactly.
    #[must_use]
    pub fn latency(&self) -> &Latency {
        &self.latency
    }

    /// A process that is known: alive, dying or a zombie.
    #[must_use]
    pub fn process(&self, key: ProcessKey) -> Option<&Process> {
        self.table.get(key)
    }

    /// The process that has this pid now, if it has not begun to exit.
    #[must_use]
    pub fn living(&self, pid: u32) -> Option<&Process> {
        self.table.get(self.table.by_pid(pid)?).filter(|process| !process.is_dead())
    }

    /// A process that is known, or gone but in the report.
    #[must_use]
    pub fn remembered(&self, key: ProcessKey) -> Option<&Process> {
        self.table.get(key).or_else(|| self.retired.get(key))
    }

    /// A process, alive or (as long as its children live) dead.
    #[must_use]
    pub fn ancestor(&self, key: ProcessKey) -> Option<Ancestor<'_>> {
        self.table.ancestor(key)
    }

    /// All known processes, and those that are gone but in the report, in no order.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.table.iter().chain(self.retired.iter())
    }

    /// The cgroup with most events when most events were lost, and how many were lost then; `None` if none stands out.
    #[must_use]
    pub fn busiest_at_loss(&self) -> Option<(u64, u64)> {
        self.busiest.when_lost()
    }

    /// The path of a cgroup id, if known.
    #[must_use]
    pub fn cgroup(&self, id: u64) -> Option<&crate::event::Cgroup> {
        self.cgroups.get(&id)?.as_ref()
    }

    fn advance(&mut self, time: BootNs) {
        self.now = self.now.max(time);
        while let Some(&(since, key)) = self.ageing.front() {
            if self.ran_ns(since, self.now) < self.config.min_age_ns {
                break;
            }
            self.ageing.pop_front();
            self.reach_min_age(since, key);
        }
        self.settle_reaped(RELEASE_GRACE_NS, FREE_GRACE_NS);
        self.run_timers();
        self.look_at_stops();
        self.look_at_dying();
        self.judge_unanswered_failures(fork_failures::ANSWER_NS);
        self.tell_fork_failures();
    }
}
