//! All maps, and what happens when they are full. Sizes are defaults; userspace may change them.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, HashMap, LruHashMap, RingBuf},
};
use zombie_trace_ebpf::abi::{CounterRow, Followed, TaskKey, WaitStats, selector};

/// Events to userspace. Of the sizes tried, only 8 MiB was enough for a reader stopped for a second at 80,000 events
/// per second. Full: the event is counted as lost.
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(8 * 1024 * 1024, 0);

/// Counters, by CPU; userspace sizes it for all CPUs and maps the memory.
#[map]
pub(crate) static COUNTERS: Array<CounterRow> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// How each process waits, by tgid; removed at exit or exec. Full: counted, and userspace must not say "never waits"
/// about a process that lived then.
#[map]
pub(crate) static WAIT_STATS: HashMap<u32, WaitStats> = HashMap::with_max_entries(16 * 1024, 0);

/// Arguments of wait calls in progress, by thread id. Full: counted, also for the process, and the call's return has no
/// arguments.
#[map]
pub(crate) static WAITING: HashMap<u32, WaitArgs> = HashMap::with_max_entries(16 * 1024, 0);

/// Processes that userspace asked to follow, their descendants, and their reapers, by [`follow_key`]; removed when they
/// are freed. Full: counted, and userspace must not say that it saw all.
///
/// [`follow_key`]: zombie_trace_ebpf::abi::follow_key
#[map]
pub(crate) static FOLLOWED: HashMap<u64, Followed> = HashMap::with_max_entries(64 * 1024, 0);

/// Processes whose death was reported, for kernels that do not say which thread is the last: several may see that no
/// other lives. Full: the least recently used is forgotten; entries matter only for moments.
#[map]
pub(crate) static TOLD_DEATHS: LruHashMap<TaskKey, u32> = LruHashMap::with_max_entries(4096, 0);

/// Failed forks by tgid, so that a loop of them does not flood the ring. Full: the least recently used is forgotten,
/// and its next failure is reported at once.
#[map]
pub(crate) static FORK_FAILURES: LruHashMap<u32, ForkFailures> = LruHashMap::with_max_entries(1024, 0);

/// The work that a primary program has done for a thread, for its backup: by the thread's activity and the last
/// [`CLAIM_BITS`] of its id. An array, because that makes programs shorter and so less often preempted. If two threads
/// share a place, work may be reported twice.
#[map]
pub(crate) static CLAIMED: Array<u64> = Array::with_max_entries(4 << CLAIM_BITS, 0);

/// See [`CLAIMED`].
pub(crate) const CLAIM_BITS: u32 = 14;

/// Failed forks of one process.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct ForkFailures {
    /// When one was last reported.
    pub(crate) last_ns: u64,
    /// How many failed since.
    pub(crate) unsent: u32,
    pub(crate) reserved: u32,
}

/// Arguments of a wait call between its entry and its return.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct WaitArgs {
    /// User address of the status word (`wait4`) or of the siginfo (`waitid`); 0 if not wanted.
    pub(crate) status_address: u64,
    pub(crate) selector: u32,
    pub(crate) id: u32,
    pub(crate) options: u32,
    /// The child that the call has reaped, in the caller's pid namespace; 0 for none, or without the optional probe.
    pub(crate) reaped_nr: u32,
    /// 1 if the process's [`WaitStats`] count it.
    pub(crate) is_counted: u32,
    pub(crate) reserved: u32,
}

impl WaitArgs {
    /// For a call with unknown arguments.
    pub(crate) const NONE: Self = Self {
        status_address: 0,
        selector: selector::UNKNOWN,
        id: 0,
        options: 0,
        reaped_nr: 0,
        is_counted: 0,
        reserved: 0,
    };
}
