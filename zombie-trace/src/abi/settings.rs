//! Settings of the programs, made by userspace before the load.

#[cfg(not(target_arch = "bpf"))]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The frozen global `SETTINGS`. 16 bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "bpf"), derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct Settings {
    /// 1: only processes in the map `FOLLOWED` and their descendants send events; 0: all do.
    pub follow: u8,
    /// 1: every signal that ends a process is reported; 0: for processes that are not inits, only those that ask for an
    /// end, and SIGKILL.
    pub ends: u8,
    /// 1: at system calls a backup does what the primary program was left out for; 0: there is no backup.
    pub syscalls_have_backup: u8,
    /// 1: the verifier knows the type behind the pointers to tasks, so fields are read by plain loads; 0: by a helper.
    pub tasks_are_typed: u8,
    /// 1: a helper says where the running thread's registers are, by a typed pointer; 0: they are at the end of its stack.
    pub registers_have_helper: u8,
    /// Binary logarithm of the size of a page in bytes.
    pub page_shift: u8,
    /// Always zero.
    pub reserved: [u8; 6],
    /// The reader is woken when this many bytes wait in the ring buffer.
    pub wakeup_bytes: u32,
}
