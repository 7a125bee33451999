//! Runs of programs that the kernel skipped.
//!
//! A tracing program does not run if it is already running on the same CPU: the kernel counts a miss instead
//! (`kernel/trace/bpf_trace.c`, `__bpf_trace_run`). If tracepoints may be preempted, as in Linux 7, this happens to the
//! next task on the CPU, and its event is lost, unless a backup program at the same hook does the work: those runs are
//! recovered, and the backup counts them.

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

/// How long a recovery may take: it needs only a few instructions of one thread, but others may run first.
const RECOVERY_TIMEOUT: Duration = Duration::from_millis(100);
const POLL_INTERVAL: Duration = Duration::from_millis(1);
/// How long not to wait again after a timeout: if much is lost, a waiting reader would lose more.
const BACKOFF: Duration = Duration::from_secs(1);

/// The kernel's miss counts of some programs.
#[derive(Debug, Default)]
pub(super) struct Misses {
    programs: Vec<(&'static str, File)>,
    /// Misses before all programs were attached, when backups may still have been missing.
    before: u64,
    lost: u64,
    /// When waiting for a recovery last timed out.
    timed_out: Option<Instant>,
}

/// The `fdinfo` of a program, opened once: reading it again is cheap and needs no privilege. `None` if unavailable, as
/// without `/proc`.
pub(super) fn open(program: BorrowedFd<'_>) -> Option<File> {
    File::open(format!("/proc/self/fdinfo/{}", program.as_raw_fd())).ok()
}

impl Misses {
    /// Also counts the program of this name.
    pub(super) fn watch(&mut self, name: &'static str, program: File) {
        self.programs.push((name, program));
    }

    /// Starts counting.
    pub(super) fn begin(&mut self, recovered: impl Fn() -> u64) {
        self.before = self.unrecovered(0, recovered);
    }

    /// How many runs were missed so far and not recovered; `recovered` returns how many were recovered.
    pub(super) fn lost(&mut self, recovered: impl Fn() -> u64) -> u64 {
        let lost = self.unrecovered(self.before + self.lost, &recovered).saturating_sub(self.before);
        if lost > self.lost {
            self.lost = lost;
            let each = self.programs.iter().map(|(name, program)| format!("{name} {}", misses_of(program)));
            debug!("left out: {}; recovered: {}", each.collect::<Vec<_>>().join(", "), recovered());
        }
        self.lost
    }

    /// All misses that were not recovered; `known` of them are already known.
    fn unrecovered(&mut self, known: u64, recovered: impl Fn() -> u64) -> u64 {
        // Order matters: a run is missed before it is recovered.
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
    // Kernels before 5.12 do not have this line.
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
        // The next one recovered was missed after the look.
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
        // The look itself, and perhaps its record.
        assert!(looks.take() <= 2);
    }
}
