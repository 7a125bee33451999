//! The counters of the programs, read where the programs write them.
//!
//! The map's memory is mapped (`BPF_F_MMAPABLE`) to read it without a system call: while `bpf()` reads a map, the
//! kernel runs no program of a classic tracepoint on that CPU (`kernel/bpf/syscall.c`, `bpf_disable_instrumentation`),
//! and the losses are read with every batch of events.

use std::{
    io,
    os::fd::AsFd,
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::abi::{Counter, CounterRow};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// What the programs counted since they were attached, summed over all CPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CounterValues([u64; Counter::COUNT]);

impl CounterValues {
    /// The value of one counter.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    /// Values as if they had been counted; the others are 0.
    #[cfg(test)]
    pub(super) fn of(values: &[(Counter, u64)]) -> Self {
        let mut all = Self::default();
        values.iter().for_each(|&(counter, value)| all.0[counter as usize] = value);
        all
    }
}

/// The mapped memory of the map `COUNTERS`: one row per possible CPU.
#[derive(Debug)]
pub(super) struct Counters {
    rows: NonNull<AtomicRow>,
    cpus: usize,
}

/// A [`CounterRow`] written by others.
type AtomicRow = [AtomicU64; CounterRow::LEN];

// SAFETY: the memory is only read, and only as atomics; it belongs to no thread.
unsafe impl Send for Counters {}

impl Counters {
    /// Maps the memory of the map behind this descriptor, which has `cpus` rows, one for each CPU.
    ///
    /// # Errors
    /// The error of `mmap`, `EINVAL` if the map has fewer rows.
    pub(super) fn map(map: impl AsFd, cpus: usize) -> io::Result<Self> {
        let length = cpus * size_of::<AtomicRow>();
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let address =
            unsafe { mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, map, 0) }?.cast::<AtomicRow>();
        let rows = NonNull::new(address).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { rows, cpus })
    }

    /// The current values; different counters may be read at slightly different times.
    pub(super) fn read(&self) -> CounterValues {
        // SAFETY: `cpus` rows are mapped for as long as `self` lives, on a page's boundary, and any bytes are a `u64`.
        let rows = unsafe { slice::from_raw_parts(self.rows.as_ptr(), self.cpus) };
        let sum = |counter: usize| rows.iter().map(|row| row[counter].load(Ordering::Relaxed)).sum();
        CounterValues(std::array::from_fn(sum))
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length; nothing that is borrowed from it is left.
        let unmapped = unsafe { munmap(self.rows.as_ptr().cast(), self.cpus * size_of::<AtomicRow>()) };
        debug_assert!(unmapped.is_ok(), "what was mapped can be unmapped");
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::FileExt as _};

    use super::*;

    #[test]
    fn values_are_summed_over_the_cpus() {
        // A file in place of the map's memory.
        let file: File = tempfile::tempfile().unwrap();
        let write = |cpu: usize, counter: Counter, value: u64| {
            let place = cpu * size_of::<CounterRow>() + counter as usize * size_of::<u64>();
            file.write_all_at(&value.to_ne_bytes(), place as u64).unwrap();
        };
        write(0, Counter::Lost, 3);
        write(1, Counter::FollowedFull, 5);
        write(2, Counter::Lost, 4);
        let counters = Counters::map(&file, 3).unwrap();
        let values = counters.read();
        assert_eq!((values.get(Counter::Lost), values.get(Counter::FollowedFull)), (7, 5));
        assert_eq!(values.get(Counter::WaitStatsFull), 0);
        // It is read again each time.
        write(1, Counter::Lost, 9);
        assert_eq!(counters.read().get(Counter::Lost), 16);
    }
}
