//! Loading the eBPF object and attaching its programs.

use std::{
    collections::BTreeSet,
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use crate::abi::{Counter, Followed, Settings, WaitStats, follow_key, follow_role};
use aya::{
    Btf, Ebpf, EbpfLoader, Endianness,
    maps::{HashMap, Map, MapData, MapError, RingBuf},
    util::nr_cpus,
};
use aya_log::EbpfLogger;
use log::{debug, warn};
use zerocopy::{FromBytes, IntoBytes};

use super::{
    attach,
    counters::{CounterValues, Counters},
    error::LoadError,
    misses::{self, Misses},
    parting::Parting,
    sizes::Sizes,
    table::{Need, PROBES, Probe},
};
use crate::kernel::{
    Resolved,
    differences::{Differences, Feature},
    hook_btf,
};

static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("ZOMBIE_TRACE_BPF_OBJECT"));

/// Default size of the ring buffer, bytes: enough if the reader stalls for a second in a storm.
const RING_BYTES: u32 = 8 * 1024 * 1024;

/// Options of the programs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Only processes that [`Loaded::follow`] names, and their descendants, send events.
    pub follow: bool,
    /// Tell of every signal that ends a process.
    pub ends: bool,
    /// Size of the ring buffer, bytes; a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// The reader is woken when this many bytes are waiting.
    pub wakeup_bytes: u32,
    /// Also attach the probes that only improve precision, if the kernel allows it.
    pub extras: bool,
    /// Entries of each map of processes and of wait calls; `None` to size them for the machine.
    pub map_entries: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            follow: false,
            ends: false,
            ring_bytes: RING_BYTES,
            wakeup_bytes: 64 * 1024,
            extras: true,
            map_entries: None,
        }
    }
}

/// Attached programs and their maps. Dropping it detaches everything, which the kernel may do a moment later.
pub struct Loaded {
    /// The ring buffer of events.
    pub events: RingBuf<MapData>,
    /// Warnings of the programs, if they could be set up.
    pub warnings: Option<Warnings>,
    /// Optional probes that are missing.
    pub missing: Vec<&'static Probe>,
    counters: Counters,
    wait_stats: HashMap<MapData, u32, [u8; size_of::<WaitStats>()]>,
    followed: HashMap<MapData, u64, [u64; 2]>,
    follows: bool,
    misses: Misses,
    /// Holds the programs and their links.
    _ebpf: Ebpf,
    /// Holds the links beyond the end of the process.
    _parting: Option<Parting>,
}

/// Rare warnings of the programs themselves, by aya-log.
pub struct Warnings(EbpfLogger<&'static dyn log::Log>);

impl Warnings {
    /// Passes pending warnings to the logger.
    pub fn flush(&mut self) {
        self.0.flush();
    }
}

/// Loads the object with the offsets of this kernel and attaches every probe of the table.
///
/// # Errors
/// A required probe could not be loaded or attached, or the kernel rejected the object.
pub fn load(resolved: &Resolved, options: Options) -> Result<Loaded, LoadError> {
    match load_as(resolved, options) {
        // Such as by a compiler that says of pointers in the kernel's structures that they may be null.
        Err(error @ LoadError::Load { .. }) if resolved.differences.has(Feature::TasksAreTyped) => {
            let log = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            // The verifier's last lines are its verdict.
            let verdict: Vec<&str> = log.lines().rev().take(4).collect();
            debug!("{error}: fields are read by a helper instead of plain loads: {verdict:?}");
            load_as(&untyped(resolved), options)
        }
        result => result,
    }
}

/// The same kernel, as if its verifier did not know the types of tasks.
fn untyped(resolved: &Resolved) -> Resolved {
    let by_helper = resolved.differences.with(Feature::TasksAreTyped, false).with(Feature::RegistersHaveHelper, false);
    Resolved { differences: by_helper, ..resolved.clone() }
}

fn load_as(resolved: &Resolved, options: Options) -> Result<Loaded, LoadError> {
    let mut ebpf = take_object(resolved, options)?;
    let warnings = match EbpfLogger::init(&mut ebpf) {
        Ok(logger) => Some(Warnings(logger)),
        Err(error) => {
            debug!("no warnings from the eBPF programs: {error}");
            None
        }
    };

    let types = types_of_hooks(resolved)?;
    let wanted = || PROBES.iter().filter(|probe| options.extras || !probe.improves_precision_only());
    let loaded = attach::load(&mut ebpf, resolved, &types, wanted());
    let mut missing = Vec::new();
    for probe in wanted() {
        match (loaded.attach(&mut ebpf, resolved, probe), probe.need) {
            (Ok(()), _) => debug!("attached {}", probe.on(resolved.differences).hook.name()),
            (Err(error), Need::Required) => return Err(error),
            // The helper may read what plain loads may not.
            (Err(error @ LoadError::Load { .. }), Need::Optional(_))
                if resolved.differences.has(Feature::TasksAreTyped) =>
            {
                return Err(error);
            }
            (Err(error), Need::Optional(lost)) => {
                warn!("{error}: {lost}");
                missing.push(probe);
            }
            (Err(error), Need::Precision(lost)) => debug!("{error}: {lost}"),
        }
    }

    let mut misses = watch(&ebpf, resolved, &missing);
    let events = RingBuf::try_from(take(&mut ebpf, "EVENTS")?).map_err(|source| map_error("EVENTS", source))?;
    let Map::Array(counters) = take(&mut ebpf, "COUNTERS")? else { return Err(LoadError::Inconsistent("COUNTERS")) };
    let counters = Counters::map(counters.fd(), cpus()?).map_err(counters_error)?;
    misses.begin(|| counters.read().get(Counter::Recovered));
    let wait_stats =
        HashMap::try_from(take(&mut ebpf, "WAIT_STATS")?).map_err(|source| map_error("WAIT_STATS", source))?;
    let followed = HashMap::try_from(take(&mut ebpf, "FOLLOWED")?).map_err(|source| map_error("FOLLOWED", source))?;
    Ok(Loaded {
        events,
        warnings,
        missing,
        counters,
        wait_stats,
        followed,
        follows: options.follow,
        misses,
        _ebpf: ebpf,
        _parting: Parting::with_links(),
    })
}

/// The result for each probe of the table, and how long starting them took.
#[derive(Debug)]
pub struct Trial {
    /// In the order of the table.
    pub probes: Vec<(&'static Probe, Result<(), LoadError>)>,
    /// The kernel, as the probes were made for it: `TasksAreTyped` only if its verifier agrees.
    pub differences: Differences,
    /// From the object to the last probe.
    pub took: Duration,
}

/// Attaches every probe of the table like [`load`], without stopping at a rejected one, and detaches all again.
///
/// # Errors
/// The kernel rejected the object.
pub fn try_all(resolved: &Resolved, options: Options) -> Result<Trial, LoadError> {
    let trial = try_all_as(resolved, options)?;
    let is_rejected = |(probe, result): &(&Probe, Result<(), LoadError>)| {
        !probe.improves_precision_only() && matches!(result, Err(LoadError::Load { .. }))
    };
    if trial.probes.iter().any(is_rejected) && trial.differences.has(Feature::TasksAreTyped) {
        return try_all_as(&untyped(resolved), options);
    }
    Ok(trial)
}

fn try_all_as(resolved: &Resolved, options: Options) -> Result<Trial, LoadError> {
    let started = Instant::now();
    let mut ebpf = take_object(resolved, options)?;
    let types = types_of_hooks(resolved)?;
    let loaded = attach::load(&mut ebpf, resolved, &types, PROBES.iter());
    let probes = PROBES.iter().map(|probe| (probe, loaded.attach(&mut ebpf, resolved, probe))).collect();
    Ok(Trial { probes, differences: resolved.differences, took: started.elapsed() })
}

/// All that aya would look up in the kernel's BTF; reading that takes a fifth of the start time.
fn types_of_hooks(resolved: &Resolved) -> Result<Btf, LoadError> {
    Btf::parse(&hook_btf::of_hooks(resolved), Endianness::default())
        .map_err(|error| LoadError::Object(Box::new(error.into())))
}

fn take_object(resolved: &Resolved, options: Options) -> Result<Ebpf, LoadError> {
    let settings = Settings {
        follow: u8::from(options.follow),
        ends: u8::from(options.ends),
        syscalls_have_backup: u8::from(resolved.differences.has(Feature::SyscallsArePreempted)),
        tasks_are_typed: u8::from(resolved.differences.has(Feature::TasksAreTyped)),
        registers_have_helper: u8::from(resolved.differences.has(Feature::RegistersHaveHelper)),
        page_shift: u8::try_from(rustix::param::page_size().trailing_zeros()).unwrap_or_default(),
        reserved: [0; 6],
        wakeup_bytes: options.wakeup_bytes,
    };
    let sizes = options.map_entries.map_or_else(Sizes::of_this_machine, Sizes::all);
    let mut loader = EbpfLoader::new();
    loader
        .override_global("OFFSETS", resolved.offsets.as_bytes(), true)
        .override_global("SETTINGS", settings.as_bytes(), true)
        .map_max_entries("EVENTS", options.ring_bytes)
        .map_max_entries("COUNTERS", u32::try_from(cpus()?).unwrap_or(u32::MAX))
        .map_max_entries("WAIT_STATS", sizes.wait_stats)
        .map_max_entries("FOLLOWED", if options.follow { sizes.followed } else { 1 });
    loader.load(OBJECT).map_err(|error| LoadError::Object(Box::new(error)))
}

/// Number of possible CPUs.
fn cpus() -> Result<usize, LoadError> {
    nr_cpus().map_err(|(_, error)| counters_error(error))
}

fn counters_error(error: std::io::Error) -> LoadError {
    map_error("COUNTERS", error.into())
}

fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<Map, LoadError> {
    ebpf.take_map(name).ok_or(LoadError::Inconsistent(name))
}

fn map_error(map: &'static str, source: MapError) -> LoadError {
    LoadError::Map { map, source: Box::new(source) }
}

/// Reads the kernel's miss counts of the programs of each attached probe.
fn watch(ebpf: &Ebpf, resolved: &Resolved, missing: &[&Probe]) -> Misses {
    let mut misses = Misses::default();
    let open = |name| ebpf.program(name).and_then(|program| misses::open(program.fd().ok()?.as_fd()));
    let can_lose = |probe: &&Probe| probe.can_lose_events() && !missing.iter().any(|it| it.hook == probe.hook);
    // A program may serve several hooks.
    let names: BTreeSet<_> = PROBES.iter().filter(can_lose).map(|it| it.on(resolved.differences).primary).collect();
    for name in names {
        if let Some(program) = open(name) {
            misses.watch(name, program);
        }
    }
    misses
}

impl Loaded {
    /// All counters, summed over the CPUs.
    #[must_use]
    pub fn counters(&self) -> CounterValues {
        self.counters.read()
    }

    /// How many times so far the kernel ran neither a program nor its backup.
    pub fn missed_runs(&mut self) -> u64 {
        let counters = &self.counters;
        self.misses.lost(|| counters.read().get(Counter::Recovered))
    }

    /// How this process waits; `None` if it made no wait call since tracing began, or the map was full then.
    ///
    /// # Errors
    /// The map could not be read.
    pub fn wait_stats(&self, pid: u32) -> Result<Option<WaitStats>, LoadError> {
        match self.wait_stats.get(&pid, 0) {
            Ok(bytes) => Ok(WaitStats::read_from_bytes(&bytes).ok()),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(source) => Err(map_error("WAIT_STATS", source)),
        }
    }

    /// Whether this process is followed; without a filter all are. Its start may be rounded down to a clock tick.
    #[must_use]
    pub fn is_followed(&self, pid: u32, start_ns: u64) -> bool {
        !self.follows || self.entry(pid, start_ns).is_some_and(|entry| entry.role == follow_role::FOLLOWED)
    }

    /// Follows this process, which started in this clock tick, and its future children.
    ///
    /// # Errors
    /// The map is full or could not be written.
    pub fn follow(&mut self, pid: u32, start_ns: u64) -> Result<(), LoadError> {
        match self.entry(pid, start_ns) {
            Some(Followed { role: follow_role::FOLLOWED, .. }) => Ok(()),
            Some(known) => self.enter(pid, start_ns, Followed { role: follow_role::FOLLOWED, ..known }),
            None => self.enter(pid, start_ns, Followed { start_ns: 0, role: follow_role::FOLLOWED }),
        }
    }

    /// Makes this process, which reaps a followed one, send the wait calls that name a child.
    ///
    /// # Errors
    /// The map is full or could not be written.
    pub fn watch_reaper(&mut self, pid: u32, start_ns: u64) -> Result<(), LoadError> {
        if self.entry(pid, start_ns).is_some() {
            return Ok(());
        }
        self.enter(pid, start_ns, Followed { start_ns: 0, role: follow_role::REAPER })
    }

    fn entry(&self, pid: u32, start_ns: u64) -> Option<Followed> {
        self.followed.get(&follow_key(pid, start_ns), 0).ok().map(Followed::from_words)
    }

    fn enter(&mut self, pid: u32, start_ns: u64, entry: Followed) -> Result<(), LoadError> {
        let key = follow_key(pid, start_ns);
        self.followed.insert(key, entry.to_words(), 0).map_err(|source| map_error("FOLLOWED", source))
    }
}
