//! Runs of programs that the kernel left out.
//!
//! A tracing program does not run where it is running already on the same processor: the kernel counts a miss instead
//! (`kernel/trace/bpf_trace.c`, `__bpf_trace_run`). Where tracepoints may be preempted, as in Linux 7, that befalls
//! whichever task comes next on the processor, and what it would have told is lost like an event that found no room.

use std::{
    fs::File,
    os::{
        fd::{AsRawFd as _, BorrowedFd},
        unix::fs::FileExt as _,
    },
};

/// The counts of some programs, by what the kernel says of their descriptors.
#[derive(Debug, Default)]
pub(super) struct Misses(Vec<File>);

impl Misses {
    /// To be opened once: reading anew is cheap, and needs no privilege.
    pub(super) fn watch(&mut self, program: BorrowedFd<'_>) {
        // Kernels before 5.12 do not say; nor does a machine without /proc.
        self.0.extend(File::open(format!("/proc/self/fdinfo/{}", program.as_raw_fd())));
    }

    /// How many runs were left out so far.
    pub(super) fn count(&self) -> u64 {
        let mut text = [0; 1024];
        let mut of = |file: &File| {
            let length = file.read_at(&mut text, 0).ok()?;
            misses(std::str::from_utf8(text.get(..length)?).ok()?)
        };
        self.0.iter().filter_map(&mut of).sum()
    }
}

fn misses(fdinfo: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misses_are_read_from_what_the_kernel_says_of_a_program() {
        let text = "pos:\t0\nflags:\t02000002\nprog_type:\t17\nrun_cnt:\t0\nrecursion_misses:\t7\nverified_insns:\t9\n";
        assert_eq!(misses(text), Some(7));
        assert_eq!(misses("pos:\t0\nprog_type:\t17\n"), None);
    }
}
