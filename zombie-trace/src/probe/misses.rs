//! Runs of programs that the kernel left out.
//!
//! A tracing program does not run where it is running already on the same processor: the kernel counts a miss instead
//! (`kernel/trace/bpf_trace.c`, `__bpf_trace_run`). Where tracepoints may be preempted, as in Linux 7, that befalls
//! whichever task comes next on the processor, and what it would have told is lost like an event that found no room,
//! unless a backup program at the same hook did the work: those runs are recovered, and the backup counts them.

use std::{
    fs::File,
    os::{
        fd::{AsRawFd as _, BorrowedFd},
        unix::fs::FileExt as _,
    },
    thread,
    time::{Duration, Instant},
};

use log::debug;

/// How long a miss may take to be recovered: only a few instructions of one thread, but others may run before it does.
const RECOVERY_TIMEOUT: Duration = Duration::from_millis(100);
/// Between two looks meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(1);
/// After a timeout nothing is waited for, for this long: where much is lost, a reader that waits would lose more.
const BACKOFF: Duration = Duration::from_secs(1);

/// What the kernel says of some programs.
#[derive(Debug, Default)]
pub(super) struct Misses {
    programs: Vec<(&'static str, File)>,
    /// Those from before all programs were attached: of two the one was there before the other.
    before: u64,
    lost: u64,
    /// When a recovery was last waited for until the timeout.
    timed_out: Option<Instant>,
}

/// What the kernel says of a program. To be opened once: reading anew is cheap, and needs no privilege. `None` where
/// it does not say, as a machine without `/proc`.
pub(super) fn open(program: BorrowedFd<'_>) -> Option<File> {
    File::open(format!("/proc/self/fdinfo/{}", program.as_raw_fd())).ok()
}

impl Misses {
    /// Counts for the program of this name as well.
    pub(super) fn watch(&mut self, name: &'static str, program: File) {
        self.programs.push((name, program));
    }

    /// Counts from here on.
    pub(super) fn begin(&mut self, recovered: impl Fn() -> u64) {
        self.before = self.unrecovered(0, recovered);
    }

    /// How many runs were missed so far and not recovered by a backup; `recovered` tells how many were, up to now.
    pub(super) fn lost(&mut self, recovered: impl Fn() -> u64) -> u64 {
        let lost = self.unrecovered(self.before + self.lost, &recovered).saturating_sub(self.before);
        if lost > self.lost {
            self.lost = lost;
            let each = self.programs.iter().map(|(name, program)| format!("{name} {}", misses_of(program)));
            debug!("left out: {}; recovered: {}", each.collect::<Vec<_>>().join(", "), recovered());
        }
        self.lost
    }

    /// All misses that were not recovered, of which `known` are known.
    fn unrecovered(&mut self, known: u64, recovered: impl Fn() -> u64) -> u64 {
        // In this order: what was recovered was missed before.
        let misses: u64 = self.programs.iter().map(|(_, program)| misses_of(program)).sum();
        let began = Instant::now();
        let waits = self.timed_out.is_none_or(|at| began.duration_since(at) >= BACKOFF);
        loop {
            let unrecovered = misses.saturating_sub(recovered());
            if unrecovered <= known || !waits {
                return unrecovered;
            }
            if began.elapsed() >= RECOVERY_TIMEOUT {
                self.timed_out = Some(Instant::now());
                return unrecovered;
            }
            thread::sleep(POLL_INTERVAL);
        }
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
    use std::{cell::Cell, io::Write as _};

    use super::*;

    fn program(misses: u64) -> File {
        let mut file = tempfile::tempfile().unwrap();
        write!(file, "prog_type:\t5\nrecursion_misses:\t{misses}\nverified_insns:\t9\n").unwrap();
        file
    }

    #[test]
    fn misses_are_read_from_what_the_kernel_says_of_a_program() {
        let text = "pos:\t0\nflags:\t02000002\nprog_type:\t17\nrun_cnt:\t0\nrecursion_misses:\t7\nverified_insns:\t9\n";
        assert_eq!(misses(text), Some(7));
        assert_eq!(misses("pos:\t0\nprog_type:\t17\n"), None);
    }

    #[test]
    fn what_was_recovered_is_not_lost() {
        let mut misses = Misses::default();
        misses.watch("exit", program(5));
        misses.watch("exec", program(2));
        assert_eq!(misses.lost(|| 7), 0);
        assert_eq!(misses.lost(|| 6), 1);
        // The next that is recovered was missed after the look.
        assert_eq!(misses.lost(|| 8), 1);
    }

    #[test]
    fn misses_before_the_beginning_are_not_lost() {
        let mut misses = Misses::default();
        misses.watch("exit", program(5));
        misses.begin(|| 2);
        assert_eq!(misses.lost(|| 2), 0);
        misses.watch("exec", program(4));
        assert_eq!(misses.lost(|| 5), 1);
    }

    #[test]
    fn what_is_being_recovered_is_not_lost() {
        let mut misses = Misses::default();
        misses.watch("exit", program(3));
        let looks = Cell::new(0);
        let recovered = || if looks.replace(looks.get() + 1) < 3 { 2 } else { 3 };
        assert_eq!(misses.lost(recovered), 0);
    }

    #[test]
    fn who_waited_timed_out_does_not_wait_again_at_once() {
        let mut misses = Misses::default();
        misses.watch("exit", program(3));
        let looks = Cell::new(0);
        let recovered = |most| {
            let looks = &looks;
            move || {
                looks.set(looks.get() + 1);
                most
            }
        };
        assert_eq!(misses.lost(recovered(2)), 1);
        assert!(looks.take() > 2);
        assert_eq!(misses.lost(recovered(1)), 2);
        // The look itself, and perhaps what is written down of it.
        assert!(looks.take() <= 2);
    }
}
