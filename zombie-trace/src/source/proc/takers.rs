//! Which threads take signals without a handler.
//!
//! A program may block a signal and fetch it by a signalfd, `sigwait` or the like. The masks in `status` do not show
//! that: while a thread is inside `rt_sigtimedwait` the kernel *un*blocks the signals it waits for (`kernel/signal.c`,
//! `do_sigtimedwait`; the old mask is in `real_blocked`, which `/proc` does not show), so that an idle tini seems
//! neither to block nor to handle anything.

use std::{fs::File, io::Read, os::unix::fs::FileExt};

use serde::{Deserialize, Serialize};

use crate::{event::ProcessKey, signal};

use super::{Depth, ProcReader};

/// `rt_sigtimedwait` of 64-bit programs.
#[cfg(target_arch = "x86_64")]
const NATIVE: &[u64] = &[128];
/// `rt_sigtimedwait` of 64-bit programs, the generic number.
#[cfg(not(target_arch = "x86_64"))]
const NATIVE: &[u64] = &[137];

/// `rt_sigtimedwait` and `rt_sigtimedwait_time64` of 32-bit programs, i386 and arm.
const COMPAT: &[u64] = &[177, 421];

/// Maximum number of threads and of descriptors looked at.
const LIMIT: usize = 4096;

/// The signals that a process fetches itself. Masks as in `/proc/PID/status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalReaders {
    /// Those that the main thread is waiting for now, which are blocked although they do not seem so; `None` if
    /// unknown.
    pub main_thread: Option<u64>,
    /// Those that any thread is waiting for right now.
    pub threads: u64,
    /// Those of its signalfds; `None` if the descriptors could not be read.
    pub signalfd: Option<u64>,
}

impl ProcReader {
    /// Which signals the process fetches itself; `None` if it is gone.
    ///
    /// Needs the permission to trace it, but neither traces nor stops it.
    #[must_use]
    pub fn signal_takers(&self, process: ProcessKey, depth: Depth, alive: &mut dyn FnMut()) -> Option<SignalReaders> {
        let directory = self.directory(process.pid);
        let numbers = if depth == Depth::Full && self.is_32bit(process.pid) == Some(true) { COMPAT } else { NATIVE };
        let waited = |thread: &str| self.waited_for(process.pid, thread, numbers, depth);
        let main_thread = waited(&process.pid.to_string());
        let mut threads = main_thread.unwrap_or(0);
        for entry in std::fs::read_dir(directory.join("task")).ok()?.flatten().take(LIMIT) {
            alive();
            threads |= entry.file_name().to_str().and_then(waited).unwrap_or(0);
        }
        let signalfd = std::fs::read_dir(directory.join("fd")).ok().map(|entries| {
            let names = entries.flatten().take(LIMIT).filter(|entry| {
                alive();
                std::fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == "anon_inode:[signalfd]")
            });
            names.map(|entry| signalfd_mask(&directory.join("fdinfo").join(entry.file_name()))).fold(0, |a, b| a | b)
        });
        // Read without an open descriptor: checks that it was the same process all along.
        self.file(process, "stat")?;
        Some(SignalReaders { main_thread, threads, signalfd })
    }

    /// What a thread waits for, 0 if it is not in such a call; `None` if unknown.
    fn waited_for(&self, pid: u32, thread: &str, numbers: &[u64], depth: Depth) -> Option<u64> {
        let directory = self.directory(pid).join("task").join(thread);
        let call = std::fs::read_to_string(directory.join("syscall")).ok()?;
        // "NUMBER ARGUMENTS… SP PC", "-1 SP PC", or "running".
        let mut fields = call.split_ascii_whitespace();
        let is_waiting = fields.next()?.parse().is_ok_and(|number| numbers.contains(&number));
        if !is_waiting {
            return Some(0);
        }
        // Reading its memory may stall.
        if depth == Depth::Brief {
            return None;
        }
        let address = u64::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok()?;
        let mut set = [0; 8];
        File::open(directory.join("mem")).ok()?.read_exact_at(&mut set, address).ok()?;
        Some(u64::from_ne_bytes(set))
    }
}

fn signalfd_mask(fdinfo: &std::path::Path) -> u64 {
    let mut text = String::new();
    let Ok(_) = File::open(fdinfo).and_then(|file| file.take(4096).read_to_string(&mut text)) else { return 0 };
    let mask = text.lines().find_map(|line| line.strip_prefix("sigmask:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

impl SignalReaders {
    /// How the signal is fetched, if it is.
    #[must_use]
    pub fn way(&self, number: u32) -> Option<&'static str> {
        let bit = signal::bit(number);
        if self.threads & bit != 0 {
            Some("sigwait")
        } else if self.signalfd.unwrap_or(0) & bit != 0 {
            Some("signalfd")
        } else {
            None
        }
    }
}
