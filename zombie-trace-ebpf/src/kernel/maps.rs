//! All maps, and what happens when they are full. Sizes are defaults; userspace may change them.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, HashMap, LruHashMap, RingBuf},
};
use zombie_trace_ebpf::abi::{CounterRow, Followed, TaskKey, WaitStats};

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

/// Wait calls in progress that may block: a byte for each possible thread id, 1 in such a call that the process's
/// [`WaitStats`] count. It cannot be full.
#[map]
pub(crate) static WAITING: Array<[u8; 1 << WAITING_BITS]> = Array::with_max_entries(PID_MAX_LIMIT >> WAITING_BITS, 0);

const WAITING_BITS: u32 = 6;
/// No thread's id is larger (`include/linux/threads.h`).
const PID_MAX_LIMIT: u32 = 4 << 20;

/// The byte of a thread in [`WAITING`].
#[inline(always)]
pub(crate) fn waiting(tid: u32) -> Option<*mut u8> {
    let row = WAITING.get_ptr_mut(tid >> WAITING_BITS)?;
    // SAFETY: inside the row of a live map value.
    Some(unsafe { (&raw mut (*row)[0]).add((tid & ((1 << WAITING_BITS) - 1)) as usize) })
}

/// The child that a thread has reaped in its present wait call: the thread's id, and the child's number in the caller's
/// pid namespace. By the last [`REAPED_BITS`] of the id: if two threads share a place in the microseconds between reap and
/// return, the call is told as one that was not seen to reap.
#[map]
pub(crate) static REAPED: Array<u64> = Array::with_max_entries(1 << REAPED_BITS, 0);

const REAPED_BITS: u32 = 14;

/// The place of a thread in [`REAPED`].
#[inline(always)]
pub(crate) fn reaped_place(tid: u32) -> u32 {
    tid & ((1 << REAPED_BITS) - 1)
}

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
pub(crate) static CLAIMED: Array<u64> = Array::with_max_entries(5 << CLAIM_BITS, 0);

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
