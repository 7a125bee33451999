//! The start of every event.

#[cfg(not(target_arch = "bpf"))]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Number of pid namespace levels with pid numbers in an event, outermost first. The kernel allows 33, 0 to
/// [`MAX_LEVEL`]; deeper processes keep the outermost number and the three innermost ones.
pub const NS_LEVELS: usize = 4;

/// The maximum level of a pid namespace (`MAX_PID_NS_LEVEL`); the initial one has level 0.
pub const MAX_LEVEL: u32 = 32;

/// Maximum length of an event, in bytes.
pub const MAX_EVENT_LEN: usize = 256;

/// A process name as the kernel keeps it: at most 15 bytes and a NUL, any bytes at all.
pub type Comm = [u8; 16];

/// Start of every event. 16 bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "bpf"), derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct Header {
    /// Boot-clock time of the event, in ns.
    pub time_ns: u64,
    /// An [`EventKind`](super::EventKind) as a number.
    pub kind: u16,
    /// Length of the whole event in bytes, header included; a multiple of 8.
    pub len: u16,
    /// The CPU the event happened on.
    pub cpu: u32,
}

/// A unique process: pids are reused, but not the pair of thread-group id and start time. An exec by a non-leader
/// thread keeps both (`fs/exec.c`, `de_thread`). 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "bpf"), derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct TaskKey {
    /// `start_boottime` of the thread-group leader, in ns; 0 if it could not be read.
    pub start_ns: u64,
    /// Thread-group id in the initial pid namespace; 0 means "no process".
    pub tgid: u32,
    /// The thread (`task->pid`) that acted, if the event is about a thread's action; else equal to `tgid` or 0.
    pub tid: u32,
}

/// A pid number within one pid namespace. 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "bpf"), derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct NsPid {
    /// The number that processes of the namespace see.
    pub nr: u32,
    /// Inode number of the pid namespace; 0 if absent.
    pub inum: u32,
}
