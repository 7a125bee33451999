//! The live source: the ring buffer, and answers to what the model asks.
//!
//! It hands out bytes as the kernel wrote them (so that they can be recorded as they are) and context events. The one
//! rule about order: what was read from `/proc` goes to the model before anything that is drained from the ring
//! afterwards, so a seed never brings a process back that is already gone.

use std::{collections::BTreeMap, path::Path, time::Duration};

use bytes::{Bytes, BytesMut};
use log::{debug, warn};
use thiserror::Error;
use tokio::{io::unix::AsyncFd, time::timeout};
use zombie_trace_ebpf::abi::{Counter, RECENT_SELECTORS, WaitStats};

use super::{
    cgroups::Cgroups,
    proc::{Census, ProcError, ProcReader, boot_clock_now, wall_clock_offset},
};
use crate::{
    event::{BootNs, Event, Evidence, Fact, ProcessKey, Seed, WaitActivity, What},
    kernel::{
        Btf, BtfError, OffsetError, Resolved,
        facts::TypeInfo,
        preflight::{self, Check},
        resolve,
    },
    model::Inquiry,
    probe::{self, CounterValues, LoadError, Loaded},
};

/// How long the reader sleeps at the most when nothing wakes it: the delay of what a person sees.
const PATIENCE: Duration = Duration::from_millis(100);
/// So many bytes are handed over at a time.
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
    /// It can be told before loading that this machine does not let us trace.
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
    /// When it was taken: everything that happened before is in it or in an earlier one.
    pub time: BootNs,
    /// Wire events, back to back.
    pub bytes: Bytes,
    /// Events that did not fit into the ring since the last batch.
    pub lost: u64,
    /// There is more to be had at once.
    pub more: bool,
}

/// Attached probes, read by one task.
#[expect(missing_debug_implementations, reason = "aya's maps have none")]
pub struct Live {
    loaded: Loaded,
    wakeups: AsyncFd<RingFd>,
    proc: ProcReader,
    cgroups: Cgroups,
    census: Census,
    started: BootNs,
    lost: u64,
    buffer: BytesMut,
    sees_all_waits: bool,
}

/// The ring's descriptor, duplicated for polling: the ring itself is read elsewhere.
type RingFd = std::os::fd::OwnedFd;

impl Live {
    /// Resolves the fields, loads and attaches the probes. Call it within a tokio runtime.
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
        let sees_all_waits = !loaded.missing.iter().any(|probe| probe.program == "sched_process_wait");
        Ok(Self {
            loaded,
            wakeups,
            proc: ProcReader::new("/proc".into()),
            cgroups: Cgroups::new(Path::new("/")),
            census: Census::default(),
            started: boot_clock_now(),
            lost: 0,
            buffer: BytesMut::new(),
            sees_all_waits,
        })
    }

    /// When tracing began, ns of the boot clock.
    #[must_use]
    pub fn started(&self) -> BootNs {
        self.started
    }

    /// What to add to a time of the boot clock to get the wall clock's, ns.
    #[must_use]
    pub fn wall_clock_offset(&self) -> i64 {
        wall_clock_offset()
    }

    /// What exists now, as events.
    ///
    /// # Errors
    /// `/proc` cannot be listed.
    pub fn seed(&mut self) -> Result<Vec<Event>, LiveError> {
        let mut events = self.proc.seed_all()?;
        let starts: BTreeMap<u32, BootNs> =
            seeds(&events).map(|seed| (seed.process.pid, seed.process.start_ns)).collect();
        // Zombies outside the filter are none of its business; living processes are who somebody is.
        let loaded = &mut self.loaded;
        events.retain(|event| match &event.what {
            What::Fact(Fact::Seed(seed)) => {
                let ProcessKey { pid, start_ns } = seed.process;
                let parent = starts.get(&seed.parent_pid).map(|&start| (seed.parent_pid, start));
                !seed.is_zombie
                    || loaded.is_followed(pid, start_ns)
                    // Adopted as a zombie.
                    || parent.is_some_and(|(parent, start)| {
                        loaded.is_followed(parent, start) && loaded.follow(pid, start_ns).is_ok()
                    })
            }
            _ => true,
        });
        Ok(events)
    }

    /// Follows this process, what descends from it now, and what will. Nothing if there is no such process.
    ///
    /// # Errors
    /// The map is full.
    pub fn follow_tree(&mut self, root: u32) -> Result<(), LiveError> {
        let mut followed = std::collections::BTreeSet::from([root]);
        let mut is_first = true;
        // A descendant may fork between the reading and the following; what it forked is found by the next round,
        // and what it forks after that is followed by the kernel.
        loop {
            let events = self.proc.seed_all()?;
            let known: BTreeMap<u32, &Seed> = seeds(&events).map(|seed| (seed.process.pid, seed)).collect();
            let before = followed.len();
            // Parents may have higher pids than their children, so until nothing is added.
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
            // Until a round that began with all of them followed has found no other.
            if followed.len() == before && !is_first {
                return Ok(());
            }
            is_first = false;
        }
    }

    /// Waits until there may be something to read, or for a little while.
    pub async fn ready(&mut self) {
        if let Ok(Ok(mut guard)) = timeout(PATIENCE, self.wakeups.readable()).await {
            guard.clear_ready();
        }
    }

    /// Takes out what waits in the ring, up to a limit.
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
        let lost = self.counters().get(Counter::Lost) + self.loaded.missed_runs();
        let lost_now = lost.saturating_sub(self.lost);
        self.lost = lost.max(self.lost);
        if let Some(warnings) = &mut self.loaded.warnings {
            warnings.flush();
        }
        Batch { time, bytes: self.buffer.split().freeze(), lost: lost_now, more }
    }

    /// What the programs counted.
    pub fn counters(&self) -> CounterValues {
        self.loaded.counters()
    }

    /// Optional probes that are not there, as sentences on what is lost.
    pub fn missing(&self) -> impl Iterator<Item = &'static probe::Probe> {
        self.loaded.missing.iter().copied()
    }

    /// Looks up what the model asks for.
    pub fn answer(&mut self, inquiry: Inquiry) -> Vec<Event> {
        match inquiry {
            Inquiry::Process(key) => {
                let limits = self.proc.limits(key, 0, &mut self.census);
                let time = boot_clock_now();
                vec![
                    // First, since the evidence is what the model waits for.
                    Event { time, what: What::Fact(Fact::Limits(Box::new(limits))) },
                    Event { time, what: What::Fact(Fact::Evidence(Box::new(self.evidence(key)))) },
                ]
            }
            Inquiry::Limits { process, cgroup } => {
                let limits = self.proc.limits(process, cgroup, &mut self.census);
                vec![Event { time: boot_clock_now(), what: What::Fact(Fact::Limits(Box::new(limits))) }]
            }
            Inquiry::Rescan => match self.seed() {
                Ok(events) => events,
                Err(error) => {
                    warn!("{error}: what was lost cannot be repaired");
                    Vec::new()
                }
            },
            Inquiry::Cgroup(id) => {
                let Some(path) = self.proc.cgroup_path(id) else {
                    debug!("cgroup {id} is gone");
                    return Vec::new();
                };
                vec![self.cgroups.tell(id, path, boot_clock_now())]
            }
        }
    }

    /// What has become known since it was asked for.
    pub fn tell_later(&mut self) -> Vec<Event> {
        self.cgroups.tell_later(boot_clock_now())
    }

    fn evidence(&self, process: ProcessKey) -> Evidence {
        let proc = self.proc.facts(process.pid, process.start_ns);
        let counted = self.loaded.wait_stats(process.pid).unwrap_or_else(|error| {
            warn!("{error}");
            None
        });
        let waits = match counted {
            // It may reap without a system call: what was counted is not all there is.
            _ if self.proc.uses_io_uring(process.pid) != Some(false) => None,
            Some(stats) if is_same(stats.start_ns, process.start_ns) => Some(activity(&stats)),
            // Of another process that had the pid before, or of none.
            _ => self.absence(process.pid),
        };
        Evidence { process, observed_since: self.started.max(process.start_ns), waits, proc }
    }

    /// What it means that no wait call of a process was counted.
    fn absence(&self, pid: u32) -> Option<WaitActivity> {
        let counted_all = self.counters().get(Counter::WaitStatsFull) == 0;
        let visible = self.sees_all_waits || self.proc.is_32bit(pid) == Some(false);
        (counted_all && visible).then(|| WaitActivity { recent_complete: true, ..WaitActivity::default() })
    }
}

fn seeds(events: &[Event]) -> impl Iterator<Item = &Seed> {
    events.iter().filter_map(|event| match &event.what {
        What::Fact(Fact::Seed(seed)) => Some(&**seed),
        _ => None,
    })
}

/// Whether a start from the kernel and one that may be rounded down to a clock tick are of one process.
fn is_same(exact: BootNs, maybe_rounded: BootNs) -> bool {
    exact >= maybe_rounded && exact - maybe_rounded < 10_000_000
}

fn activity(stats: &WaitStats) -> WaitActivity {
    let written = usize::try_from(stats.recent_count).unwrap_or(usize::MAX);
    let mut recent: Vec<i32> = stats.recent.iter().copied().take(written).collect();
    recent.sort_unstable();
    recent.dedup();
    WaitActivity {
        calls: stats.calls,
        successes: stats.successes,
        empty: stats.empty,
        no_child: stats.no_child,
        any_calls: stats.any_calls,
        pgid_calls: stats.pgid_calls,
        pid_calls: stats.pid_calls,
        first_call_ns: stats.first_call_ns,
        last_call_ns: stats.last_call_ns,
        last_any_ns: stats.last_any_ns,
        last_success_ns: stats.last_success_ns,
        sigchld_delivered: stats.sigchld_delivered,
        last_sigchld_ns: stats.last_sigchld_ns,
        options_seen: stats.options_seen,
        options_always: stats.options_always,
        in_progress: stats.in_progress,
        recent,
        recent_complete: written <= RECENT_SELECTORS,
    }
}
