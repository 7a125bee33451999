//! Settings of the programs, made by userspace before the load.

#[cfg(not(target_arch = "bpf"))]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The frozen global `SETTINGS`. 8 bytes.
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
    pub syscalls_have_backup: u16,
    /// The reader is woken when this many bytes wait in the ring buffer.
    pub wakeup_bytes: u32,
}
