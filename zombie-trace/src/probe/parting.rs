//! Leaves the detaching of the probes to the kernel.
//!
//! The last close of a classic tracepoint's link waits for all CPUs (`kernel/trace/trace_event_perf.c`,
//! `perf_trace_event_unreg`: a grace period of each kind of RCU), one link after the other: whoever waits for this process
//! would wait for that, too, most of a second. A ring of io_uring that holds the links lets them go in a worker of the
//! kernel, after the process is gone (`io_uring/io_uring.c`, `io_ring_exit_work`).
//!
//! It is only an acceleration: where there is no io_uring, the process detaches by itself.

use std::{fs, io, os::fd::RawFd};

use io_uring::IoUring;
use log::debug;

/// A ring that holds what the process opened; it can do nothing else, as it is never enabled.
pub(super) struct Parting {
    _ring: IoUring,
}

impl Parting {
    /// Holds the links that this process has now; `None` if that is not possible, or there are none.
    pub(super) fn with_links() -> Option<Self> {
        let held = links().and_then(|links| {
            let ring = IoUring::builder().setup_r_disabled().build(1)?;
            ring.submitter().register_files(&links)?;
            Ok(Self { _ring: ring })
        });
        held.inspect_err(|error| debug!("probes are detached before the end: {error}")).ok()
    }
}

/// The descriptors of this process through which classic tracepoints are attached: links since Linux 5.15, events before.
fn links() -> io::Result<Vec<RawFd>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let Ok(kind) = fs::read_link(entry.path()) else { continue };
        let is_link = ["anon_inode:bpf_link", "anon_inode:[perf_event]"].iter().any(|it| kind.as_os_str() == *it);
        if let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse().ok()).filter(|_| is_link) {
            found.push(fd);
        }
    }
    Ok(found)
}
