//! Runs of programs that the kernel left out.
//!
//! A tracing program does not run where it is running already on the same processor: the kernel counts a miss instead
//! (`kernel/trace/bpf_trace.c`, `__bpf_trace_run`). Where tracepoints may be preempted, as in Linux 7, that befalls
//! whichever task comes next on the processor, and what it would have told is lost like an event that found no room -
//! unless a second program at the same hook did the work.

use std::{
    fs::File,
    os::{
        fd::{AsRawFd as _, BorrowedFd},
        unix::fs::FileExt as _,
    },
};

/// The misses of some programs, and of those that come after them.
#[derive(Debug, Default)]
pub(super) struct Misses {
    single: Vec<File>,
    pairs: Vec<(File, File, Pair)>,
    lost_by_pairs: u64,
}

/// What the kernel says of a program. To be opened once: reading anew is cheap, and needs no privilege. `None` where
/// it does not say, as a machine without `/proc`.
pub(super) fn open(program: BorrowedFd<'_>) -> Option<File> {
    File::open(format!("/proc/self/fdinfo/{}", program.as_raw_fd())).ok()
}

impl Misses {
    /// Counts for this program; `again` does its work when it is left out.
    pub(super) fn watch(&mut self, first: File, again: Option<File>) {
        match again {
            None => self.single.push(first),
            Some(again) => self.pairs.push((first, again, Pair::default())),
        }
    }

    /// How many runs were left out so far and not made good, at the most.
    pub(super) fn count(&mut self) -> u64 {
        for (first, again, pair) in &mut self.pairs {
            self.lost_by_pairs += pair.lost(misses_of(first), misses_of(again));
        }
        self.lost_by_pairs + self.single.iter().map(misses_of).sum::<u64>()
    }
}

/// Two programs at one hook, of which the second does what the first was left out for.
#[derive(Debug, Default)]
struct Pair {
    /// The misses of each at the last look.
    seen: [u64; 2],
    /// Of each, those that the other had no counterpart for at the last look: it may have come since.
    alone: [u64; 2],
}

impl Pair {
    /// How many runs both were left out for since the last look, at the most. Such a run shows in both counts, close
    /// together: misses of one alone were made good.
    fn lost(&mut self, first: u64, again: u64) -> u64 {
        let new = [first.saturating_sub(self.seen[0]), again.saturating_sub(self.seen[1])];
        let all = [new[0] + self.alone[0], new[1] + self.alone[1]];
        let lost = all[0].min(all[1]);
        self.alone = [new[0].min(all[0] - lost), new[1].min(all[1] - lost)];
        self.seen = [first, again];
        lost
    }
}

fn misses_of(program: &File) -> u64 {
    let mut text = [0; 1024];
    let read = program.read_at(&mut text, 0).ok().and_then(|length| text.get(..length));
    // Kernels before 5.12 do not say.
    read.and_then(|text| misses(std::str::from_utf8(text).ok()?)).unwrap_or(0)
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

    #[test]
    fn what_one_of_two_programs_did_is_not_lost() {
        let mut pair = Pair::default();
        assert_eq!(pair.lost(5, 0), 0);
        assert_eq!(pair.lost(5, 0), 0);
        // Long after those of the first: they have nothing to do with each other.
        assert_eq!(pair.lost(5, 3), 0);
        assert_eq!(pair.lost(5, 3), 0);
        assert_eq!(pair.lost(7, 4), 1);
    }

    #[test]
    fn a_run_that_both_were_left_out_for_is_lost_also_between_two_looks() {
        let mut pair = Pair::default();
        assert_eq!(pair.lost(1, 1), 1);
        // The second's miss comes just after the look.
        assert_eq!(pair.lost(2, 1), 0);
        assert_eq!(pair.lost(2, 2), 1);
        assert_eq!(pair.lost(2, 2), 0);
    }
}
