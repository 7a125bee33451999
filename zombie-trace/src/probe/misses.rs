//! Runs of programs that the kernel left out.
//!
//! A tracing program does not run where it is running already on the same processor: the kernel counts a miss instead
//! (`kernel/trace/bpf_trace.c`, `__bpf_trace_run`). Where tracepoints may be preempted, as in Linux 7, that befalls
//! whichever task comes next on the processor, and what it would have told is lost like an event that found no room -
//! unless a second program at the same hook did the work, which that one counts.

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

/// Between a miss and its being made good lie a few instructions of one thread, but others may run before it does.
const PATIENCE: Duration = Duration::from_millis(100);
/// Between two looks meanwhile.
const MOMENT: Duration = Duration::from_millis(1);
/// After patience in vain there is none for so long: where much is lost, a reader that waits would lose more.
const REST: Duration = Duration::from_secs(1);

/// What the kernel says of some programs.
#[derive(Debug, Default)]
pub(super) struct Misses {
    programs: Vec<(&'static str, File)>,
    /// Those of before all programs were attached: of two the one was there before the other.
    before: u64,
    lost: u64,
    /// When something was last waited for in vain.
    in_vain: Option<Instant>,
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
    pub(super) fn begin(&mut self, made_good: impl Fn() -> u64) {
        self.before = self.left(0, made_good);
    }

    /// How many runs were left out so far that no second program made good; `made_good` tells how many were, up to now.
    pub(super) fn lost(&mut self, made_good: impl Fn() -> u64) -> u64 {
        let lost = self.left(self.before + self.lost, &made_good).saturating_sub(self.before);
        if lost > self.lost {
            self.lost = lost;
            let each = self.programs.iter().map(|(name, program)| format!("{name} {}", misses_of(program)));
            debug!("left out: {}; made good: {}", each.collect::<Vec<_>>().join(", "), made_good());
        }
        self.lost
    }

    /// All that were never made good, of which so many are known.
    fn left(&mut self, known: u64, made_good: impl Fn() -> u64) -> u64 {
        // In this order: what was made good was missed before.
        let misses: u64 = self.programs.iter().map(|(_, program)| misses_of(program)).sum();
        let began = Instant::now();
        let is_patient = self.in_vain.is_none_or(|at| began.duration_since(at) >= REST);
        loop {
            let left = misses.saturating_sub(made_good());
            if left <= known || !is_patient {
                return left;
            }
            if began.elapsed() >= PATIENCE {
                self.in_vain = Some(Instant::now());
                return left;
            }
            thread::sleep(MOMENT);
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
    fn what_was_made_good_is_not_lost() {
        let mut misses = Misses::default();
        misses.watch("exit", program(5));
        misses.watch("exec", program(2));
        assert_eq!(misses.lost(|| 7), 0);
        assert_eq!(misses.lost(|| 6), 1);
        // The next that is made good was missed after the look.
        assert_eq!(misses.lost(|| 8), 1);
    }

    #[test]
    fn what_was_left_out_before_the_beginning_is_not_lost() {
        let mut misses = Misses::default();
        misses.watch("exit", program(5));
        misses.begin(|| 2);
        assert_eq!(misses.lost(|| 2), 0);
        misses.watch("exec", program(4));
        assert_eq!(misses.lost(|| 5), 1);
    }

    #[test]
    fn what_is_being_made_good_is_not_lost() {
        let mut misses = Misses::default();
        misses.watch("exit", program(3));
        let looks = Cell::new(0);
        let made_good = || if looks.replace(looks.get() + 1) < 3 { 2 } else { 3 };
        assert_eq!(misses.lost(made_good), 0);
    }

    #[test]
    fn who_waited_in_vain_does_not_wait_again_at_once() {
        let mut misses = Misses::default();
        misses.watch("exit", program(3));
        let looks = Cell::new(0);
        let made_good = |most| {
            let looks = &looks;
            move || {
                looks.set(looks.get() + 1);
                most
            }
        };
        assert_eq!(misses.lost(made_good(2)), 1);
        assert!(looks.take() > 2);
        assert_eq!(misses.lost(made_good(1)), 2);
        // The look itself, and perhaps what is written down of it.
        assert!(looks.take() <= 2);
    }
}
