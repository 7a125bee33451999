//! The live source: the ring buffer, and answers to what the model asks.
//!
//! It provides bytes as the kernel wrote them, for recording, and context events. The [asker](crate::source::asker)
//! answers queries later: nothing here reads another process.

mod answers;
mod pause;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::abi::Counter;
use bytes::{Bytes, BytesMut};
use log::warn;
use thiserror::Error;
use tokio::{io::unix::AsyncFd, time::timeout};

pub use self::pause::Pause;
use super::{
    asker::{Asker, Question, Scan},
    cgroups::Cgroups,
    proc::{Clocks, ProcError, boot_clock_now, wall_clock_offset},
};
use crate::{
    event::{BootNs, Event, Fact, KernelMap, ProcessKey, Seed, What},
    kernel::{
        Btf, BtfError, OffsetError, Resolved,
        facts::TypeInfo,
        preflight::{self, Check},
        resolve,
    },
    model::Query,
    probe::{self, CounterValues, Fullness, LoadError, Loaded},
};

/// Maximum sleep of the reader when nothing wakes it: the delay of live output.
const PATIENCE: Duration = Duration::from_millis(100);
/// The same where short-lived processes are asked after: a client of a container runtime lives for tens of
/// milliseconds.
const HASTE: Duration = Duration::from_millis(5);
/// At most so often what exists is read again after losses.
const RESCAN_EVERY: Duration = Duration::from_secs(1);
/// Maximum number of bytes handed over at a time.
const BATCH_BYTES: usize = 1 << 20;

/// Why there is no live source.
#[derive(Debug, Error)]
pub enum LiveError {
    /// The kernel's type information cannot be read.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// It lacks something.
    #[error(transparent)]
    Offsets(#[from] OffsetError),
    /// A check before loading shows that this machine does not allow tracing.
    #[error("{}: {}", .0.name, .0.detail)]
    Obstacle(Check),
    /// The probes cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// `/proc` cannot be read.
    #[error("the processes that exist cannot be listed")]
    Proc(#[from] ProcError),
    /// The ring buffer cannot be polled.
    #[error("the ring buffer cannot be polled")]
    Poll(#[source] std::io::Error),
}

/// What a live source adds to the bytes.
#[derive(Debug)]
pub struct Batch {
    /// When it was taken: all earlier events are in it or in an earlier one.
    pub time: BootNs,
    /// Wire events, back to back.
    pub bytes: Bytes,
    /// Events that did not fit into the ring since the last batch.
    pub lost: u64,
    /// What the kernel's maps refused since the last batch.
    pub full: Vec<(KernelMap, u64)>,
    /// A possible pause before it was taken.
    pub pause: Option<Pause>,
    /// More is available at once.
    pub more: bool,
}

/// Attached probes, read by one task.
#[expect(missing_debug_implementations, reason = "aya's maps have none")]
pub struct Live {
    loaded: Loaded,
    wakeups: AsyncFd<RingFd>,
    asker: Asker,
    cgroups: Cgroups,
    /// Events were lost: a new scan is needed.
    rescan_wanted: bool,
    /// When the last scan ended.
    scanned: Option<Instant>,
    started: BootNs,
    lost: u64,
    fullness: Fullness,
    pauses: pause::Watch,
    buffer: BytesMut,
    patience: Duration,
}

/// The ring's descriptor, duplicated for polling: the ring itself is read elsewhere.
type RingFd = std::os::fd::OwnedFd;

impl Live {
    /// Resolves the fields, and loads and attaches the probes. Call it within a tokio runtime.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub fn start(options: probe::Options) -> Result<Self, LiveError> {
        let resolved: Resolved = resolve(&Btf::running()?)?;
        if let Some(check) = preflight::obstacle(TypeInfo::from(&resolved), &probe::required_tracepoints()) {
            return Err(LiveError::Obstacle(check));
        }
        let loaded = probe::load(&resolved, options)?;
        let descriptor = std::os::fd::AsFd::as_fd(&loaded.events).try_clone_to_owned().map_err(LiveError::Poll)?;
        // SAFETY: an `OwnedFd` keeps its descriptor open, and always the same one, for as long as it lives.
        let wakeups = unsafe { AsyncFd::register_with_interest(descriptor, tokio::io::Interest::READABLE) }
            .map_err(|error| LiveError::Poll(error.into()))?;
        let started = boot_clock_now();
        Ok(Self {
            loaded,
            wakeups,
            asker: Asker::new(),
            cgroups: Cgroups::default(),
            rescan_wanted: false,
            scanned: None,
            started,
            lost: 0,
            fullness: Fullness::new(started),
            pauses: pause::Watch::new(Clocks::now()),
            buffer: BytesMut::new(),
            patience: PATIENCE,
        })
    }

    /// Has what waits looked at soon: processes are to be asked after that do not live long.
    pub fn hurry(&mut self) {
        self.patience = HASTE;
    }

    /// When tracing began, ns of the boot clock.
    #[must_use]
    pub fn started(&self) -> BootNs {
        self.started
    }

    /// Added to a boot-clock time gives wall-clock time, ns.
    #[must_use]
    pub fn wall_clock_offset(&self) -> i64 {
        wall_clock_offset()
    }

    /// Begins a scan, even if none is due. Events drained before it is [taken](Self::take_scan) must wait: a process
    /// that is gone by then must not come back.
    ///
    /// # Errors
    /// `/proc` cannot be listed.
    pub fn begin_scan(&mut self) -> Result<(), LiveError> {
        self.rescan_wanted = false;
        Ok(self.asker.begin_scan()?)
    }

    /// Begins a scan if events were lost, at most once a second. Call it when the ring is empty, so that a loss does
    /// not cause another.
    pub fn rescan_if_due(&mut self) {
        let is_due = self.scanned.is_none_or(|since| since.elapsed() >= RESCAN_EVERY);
        if self.rescan_wanted
            && is_due
            && let Err(error) = self.begin_scan()
        {
            self.scanned = Some(Instant::now());
            warn!("{error}: lost events cannot be recovered");
        }
    }

    /// Whether a scan is under way.
    #[must_use]
    pub fn is_scanning(&self) -> bool {
        self.asker.is_scanning()
    }

    /// The scan, once it is done, or what there is of it if `end`.
    pub fn take_scan(&mut self, end: bool) -> Option<Scan> {
        let mut scan = if end { self.asker.end_scan() } else { self.asker.take_scan() }?;
        self.scanned = Some(Instant::now());
        let starts: BTreeMap<u32, BootNs> =
            seeds(&scan.seeds).map(|seed| (seed.process.pid, seed.process.start_ns)).collect();
        // Zombies outside the filter are dropped; living processes are kept for their identity.
        let loaded = &mut self.loaded;
        let mut is_late = false;
        scan.seeds.retain(|event| match &event.what {
            What::Fact(Fact::Seed(seed)) => {
                let ProcessKey { pid, start_ns } = seed.process;
                let parent = starts.get(&seed.parent_pid).map(|&start| (seed.parent_pid, start));
                !seed.is_zombie
                    || loaded.is_followed(pid, start_ns)
                    // Adopted by a followed process.
                    || parent.is_some_and(|(parent, start)| {
                        let is_adopted = loaded.is_followed(parent, start) && loaded.follow(pid, start_ns).is_ok();
                        is_late |= is_adopted;
                        is_adopted
                    })
            }
            _ => true,
        });
        if is_late {
            // It may have been reaped before it was followed, without an event.
            (self.rescan_wanted, self.scanned) = (true, None);
        }
        Some(scan)
    }

    /// Follows this process and its present and future descendants. Does nothing if there is no such process.
    ///
    /// # Errors
    /// The map is full.
    pub fn follow_tree(&mut self, root: u32) -> Result<(), LiveError> {
        let mut followed = std::collections::BTreeSet::from([root]);
        let mut is_first = true;
        // A descendant may fork after it was read and before it is followed; the next round finds that child, and the
        // kernel follows later ones.
        loop {
            let events = self.asker.scan()?.seeds;
            let known: BTreeMap<u32, &Seed> = seeds(&events).map(|seed| (seed.process.pid, seed)).collect();
            let before = followed.len();
            // Parents may have higher pids than their children, so repeat until nothing is added.
            loop {
                let size = followed.len();
                followed.extend(
                    known
                        .values()
                        .filter(|it| followed.contains(&it.parent_pid))
                        .map(|it| it.process.pid)
                        .collect::<Vec<_>>(),
                );
                if followed.len() == size {
                    break;
                }
            }
            for seed in followed.iter().filter_map(|pid| known.get(pid)) {
                self.loaded.follow(seed.process.pid, seed.process.start_ns)?;
            }
            if let Some(parent) = known.get(&root).and_then(|root| known.get(&root.parent_pid)) {
                self.loaded.watch_reaper(parent.process.pid, parent.process.start_ns)?;
            }
            // Done when a round that began with all of them followed finds no other.
            if followed.len() == before && !is_first {
                return Ok(());
            }
            is_first = false;
        }
    }

    /// Waits until there may be something to read or an answer, or for a little while.
    pub async fn ready(&mut self) {
        let something = async {
            tokio::select! {
                guard = self.wakeups.readable() => if let Ok(mut guard) = guard {
                    guard.clear_ready();
                },
                () = self.asker.news() => {}
            }
        };
        // Without either in time it is looked for all the same.
        let _ = timeout(self.patience, something).await;
    }

    /// Only waits for an answer, up to this long.
    pub fn wait(&self, patience: Duration) {
        self.asker.wait(patience);
    }

    /// Takes what is in the ring, up to a limit.
    pub fn drain(&mut self) -> Batch {
        let time = boot_clock_now();
        self.buffer.reserve(BATCH_BYTES.min(64 * 1024));
        let mut more = false;
        while let Some(item) = self.loaded.events.next() {
            self.buffer.extend_from_slice(&item);
            if self.buffer.len() >= BATCH_BYTES {
                more = true;
                break;
            }
        }
        let pause = self.pauses.observe(Clocks::now());
        let counters = self.counters();
        self.fullness.observe(&counters, boot_clock_now());
        let full = self.fullness.news();
        let lost = counters.get(Counter::Lost) + self.loaded.missed_runs();
        let lost_now = lost.saturating_sub(self.lost);
        self.lost = lost.max(self.lost);
        if let Some(warnings) = &mut self.loaded.warnings {
            warnings.flush();
        }
        Batch { time, bytes: self.buffer.split().freeze(), lost: lost_now, full, pause, more }
    }

    /// What the programs counted.
    pub fn counters(&self) -> CounterValues {
        self.loaded.counters()
    }

    /// Missing optional probes, with what is lost without them.
    pub fn missing(&self) -> impl Iterator<Item = &'static probe::Probe> {
        self.loaded.missing.iter().copied()
    }

    /// Starts the lookup for a query. The answer is among the [answers](Self::answers) later.
    pub fn ask(&mut self, query: Query) {
        match query {
            Query::Process(process) | Query::StopMember(process) => self.asker.ask(Question::Process(process)),
            Query::Limits { process, cgroup, failed } => {
                self.asker.ask(Question::Limits { process, cgroup, failed });
            }
            Query::Cgroup(id) => self.asker.ask(Question::Cgroup(id)),
            Query::Rescan => self.rescan_wanted = true,
        }
    }

    /// The answers since the last call, at least one event per query.
    pub fn answers(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for (question, outcome) in self.asker.answers() {
            self.answer(&question, outcome, &mut events);
        }
        let now = boot_clock_now();
        if let Some(paths) = self.cgroups.paths_to_ask(now) {
            self.asker.ask(Question::Containers(paths));
        }
        while let Some(id) = self.cgroups.id_to_ask(now) {
            self.asker.ask(Question::Cgroup(id));
        }
        events
    }

    /// Whether all queries have been answered and nothing is being read.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.asker.is_idle() && !self.asker.is_scanning()
    }
}

fn seeds(events: &[Event]) -> impl Iterator<Item = &Seed> {
    events.iter().filter_map(|event| match &event.what {
        What::Fact(Fact::Seed(seed)) => Some(&**seed),
        _ => None,
    })
}
