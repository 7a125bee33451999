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
use zombie_trace_ebpf::abi::{Counter, NO_SELECTOR, RECENT_SELECTORS, WaitStats};

use super::{
    cgroups::Cgroups,
    proc::{Census, ProcError, ProcReader, boot_clock_now, wall_clock_offset},
};
use crate::{
    event::{BootNs, Event, Evidence, Fact, KernelMap, ProcessKey, Seed, WaitActivity, What},
    kernel::{
        Btf, BtfError, OffsetError, Resolved,
        facts::TypeInfo,
        preflight::{self, Check},
        resolve,
    },
    model::Inquiry,
    probe::{self, CounterValues, Fullness, LoadError, Loaded},
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
    /// What the kernel's maps refused since the last batch.
    pub full: Vec<(KernelMap, u64)>,
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
    fullness: Fullness,
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
        let started = boot_clock_now();
        Ok(Self {
            loaded,
            wakeups,
            proc: ProcReader::new("/proc".into()),
            cgroups: Cgroups::new(Path::new("/")),
            census: Census::default(),
            started,
            lost: 0,
            fullness: Fullness::new(started),
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
        let counters = self.counters();
        self.fullness.observe(&counters, boot_clock_now());
        let full = self.fullness.news();
        let lost = counters.get(Counter::Lost) + self.loaded.missed_runs();
        let lost_now = lost.saturating_sub(self.lost);
        self.lost = lost.max(self.lost);
        if let Some(warnings) = &mut self.loaded.warnings {
            warnings.flush();
        }
        Batch { time, bytes: self.buffer.split().freeze(), lost: lost_now, full, more }
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

    fn evidence(&mut self, process: ProcessKey) -> Evidence {
        let proc = self.proc.facts(process.pid, process.start_ns);
        let counted = self.loaded.wait_stats(process.pid).unwrap_or_else(|error| {
            warn!("{error}");
            None
        });
        // Of another process that had the pid before, it is none.
        let counted = counted.filter(|stats| is_same(stats.start_ns, process.start_ns));
        let first_call = counted.as_ref().map(|stats| stats.first_call_ns);
        self.fullness.observe(&self.loaded.counters(), boot_clock_now());
        let waits = match counted {
            // It may reap without a system call: what was counted is not all there is.
            _ if self.proc.uses_io_uring(process.pid) != Some(false) => None,
            _ if self.fullness.hides_calls(process.start_ns, first_call) => None,
            Some(stats) => activity(&stats),
            None => self.absence(process.pid),
        };
        Evidence { process, observed_since: self.started.max(process.start_ns), waits, proc }
    }

    /// What it means that no wait call of a process was counted.
    fn absence(&self, pid: u32) -> Option<WaitActivity> {
        let visible = self.sees_all_waits || self.proc.is_32bit(pid) == Some(false);
        visible.then(|| WaitActivity { recent_complete: true, ..WaitActivity::default() })
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

/// How a process waits; `None` while it may be in a call of which nothing is known but that it began.
fn activity(stats: &WaitStats) -> Option<WaitActivity> {
    if stats.untracked_begun > stats.untracked_ended {
        return None;
    }
    let written = usize::try_from(stats.recent_count).unwrap_or(usize::MAX);
    let places: Vec<i32> = stats.recent.iter().copied().take(written).collect();
    // Two threads that took one place left another one out.
    let recent_complete = written <= RECENT_SELECTORS && !places.contains(&NO_SELECTOR);
    let mut recent: Vec<i32> = places.into_iter().filter(|&selector| selector != NO_SELECTOR).collect();
    recent.sort_unstable();
    recent.dedup();
    Some(WaitActivity {
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
        options_seen: stats.options_seen,
        // Read while they are written: the ends may be newer than the begins.
        in_progress: u32::try_from(stats.begun.saturating_sub(stats.ended)).unwrap_or(u32::MAX),
        recent,
        recent_complete,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a process that has called wait twice, for two children.
    fn stats() -> WaitStats {
        let mut recent = [NO_SELECTOR; RECENT_SELECTORS];
        recent[..2].copy_from_slice(&[31, 30]);
        WaitStats {
            start_ns: 1,
            calls: 2,
            successes: 0,
            empty: 0,
            no_child: 0,
            any_calls: 0,
            pgid_calls: 0,
            pid_calls: 2,
            begun: 2,
            ended: 1,
            untracked_begun: 0,
            untracked_ended: 0,
            recent_count: 2,
            first_call_ns: 5,
            last_call_ns: 6,
            last_any_ns: 0,
            recent,
            options_seen: 0,
            last_no_child_id: 0,
        }
    }

    #[test]
    fn calls_in_progress_are_those_that_have_not_ended() {
        let waits = activity(&stats()).unwrap();
        assert_eq!((waits.in_progress, waits.recent, waits.recent_complete), (1, vec![30, 31], true));
        // The ends were read after the begins.
        assert_eq!(activity(&WaitStats { ended: 3, ..stats() }).unwrap().in_progress, 0);
    }

    #[test]
    fn a_call_without_arguments_may_be_for_anybody_until_it_returns() {
        assert!(activity(&WaitStats { untracked_begun: 2, untracked_ended: 1, ..stats() }).is_none());
        assert!(activity(&WaitStats { untracked_begun: 2, untracked_ended: 2, ..stats() }).is_some());
    }

    #[test]
    fn selectors_are_not_complete_where_one_was_overwritten() {
        // Two threads wrote the third at once, and both counted it.
        let mut raced = WaitStats { recent_count: 4, ..stats() };
        raced.recent[2] = 33;
        let waits = activity(&raced).unwrap();
        assert_eq!((waits.recent, waits.recent_complete), (vec![30, 31, 33], false));
        let wrapped = WaitStats { recent_count: 9, recent: [7; RECENT_SELECTORS], ..stats() };
        assert!(!activity(&wrapped).unwrap().recent_complete);
    }
}
