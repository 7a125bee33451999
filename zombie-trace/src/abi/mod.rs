//! The wire ABI between the eBPF programs and userspace: one file per event, plus the shared header, field offsets and
//! counters.
//!
//! `zombie-trace-ebpf` compiles the same files for the kernel, without `std`. Layout rules: `repr(C)`, fixed-width
//! integers, explicit padding, no `bool`, no `Option`, no enum that carries data. Every size and every offset that
//! userspace relies on is asserted at compile time.
//!
//! All times are nanoseconds of the boot clock (`bpf_ktime_get_boot_ns`), the clock of `task_struct.start_boottime`.
//! All pids are the host's unless a field is called `ns_…` or `nr`.

mod child;
mod counters;
mod exec;
mod exit;
mod follow;
mod fork;
mod fork_failed;
mod free;
mod full_pid_ns;
mod header;
mod kind;
mod memory_limit;
mod offsets;
mod release;
mod settings;
mod signal;
mod wait;

pub use child::{ChildSignalEvent, child_flags};
pub use counters::{Counter, CounterRow};
pub use exec::{ExecEvent, exec_flags};
pub use exit::{ExitEvent, exit_flags};
pub use follow::{Followed, TICK_NS, follow_key, follow_role};
pub use fork::ForkEvent;
pub use fork_failed::{ForkFailedEvent, fork_call};
pub use free::FreeEvent;
pub use full_pid_ns::{FullPidNsEvent, RESERVED_PIDS};
pub use header::{Comm, Header, MAX_EVENT_LEN, MAX_LEVEL, NS_LEVELS, NsPid, TaskKey};
pub use kind::EventKind;
pub use memory_limit::{MemoryLimitEvent, NO_MEMORY_LIMIT};
pub use offsets::{ABSENT, Offsets};
pub use release::{ReleaseEvent, release_flags};
pub use settings::Settings;
pub use signal::{DeliverEvent, Handler, SignalEvent, signal_flags};
pub use wait::{NO_SELECTOR, RECENT_SELECTORS, WaitEvent, WaitStats, selector, wait_flags};

/// Version of the layout of every event. A recording names the version it was written with; any change to the layout of
/// an event, or a new event, needs a new version. Maps and settings are not part of it, because they are never
/// recorded.
pub const ABI_VERSION: u32 = 4;

// `IntoBytes` on every layout proves that there is no implicit padding; recordings depend on the sizes.
macro_rules! assert_sizes {
    ($($type:ty = $size:literal),* $(,)?) => {$(
        const _: () = assert!(core::mem::size_of::<$type>() == $size);
        const _: () = assert!(core::mem::size_of::<$type>() <= MAX_EVENT_LEN && $size % 8 == 0);
    )*};
}

assert_sizes! {
    Header = 16,
    TaskKey = 16,
    NsPid = 8,
    ExitEvent = 144,
    ChildSignalEvent = 112,
    SignalEvent = 144,
    DeliverEvent = 48,
    WaitEvent = 64,
    FreeEvent = 32,
    ForkEvent = 96,
    ExecEvent = 72,
    ForkFailedEvent = 88,
    ReleaseEvent = 56,
    FullPidNsEvent = 48,
    MemoryLimitEvent = 48,
    WaitStats = 152,
    CounterRow = 64,
    Settings = 16,
    Followed = 16,
}

const _: () = {
    assert!(core::mem::offset_of!(Header, kind) == 8);
    assert!(core::mem::offset_of!(Header, len) == 10);
    assert!(core::mem::offset_of!(ExitEvent, process) == 16);
    assert!(core::mem::offset_of!(ExitEvent, ns) == 80);
    assert!(core::mem::offset_of!(ExitEvent, comm) == 112);
    assert!(core::mem::offset_of!(ChildSignalEvent, child_nr) == 48);
    assert!(core::mem::offset_of!(SignalEvent, signal) == 80);
    assert!(core::mem::offset_of!(WaitEvent, child_nr) == 32);
    assert!(core::mem::offset_of!(ForkFailedEvent, error) == 32);
    assert!(core::mem::offset_of!(ReleaseEvent, reaper) == 32);
    assert!(core::mem::offset_of!(WaitStats, recent) == 112);
};
