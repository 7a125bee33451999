//! The filter: whether a process is one of those that userspace asked to follow.

use zombie_trace_ebpf::abi::Counter;

use super::{emit::count, maps::FOLLOWED, settings::follows};

/// Whether events about this process are wanted.
#[inline(always)]
pub(crate) fn wanted(tgid: u32) -> bool {
    // SAFETY: the value is not kept.
    !follows() || unsafe { FOLLOWED.get(tgid) }.is_some()
}

/// A child of a followed process is followed.
#[inline(always)]
pub(crate) fn inherit(forker: u32, child: u32) {
    if !follows() || !wanted(forker) {
        return;
    }
    if FOLLOWED.insert(child, 1, 0).is_err() {
        count(Counter::FollowedFull);
    }
}

/// A process is gone; its pid may be used again.
#[inline(always)]
pub(crate) fn forget(tgid: u32) {
    if follows() {
        // Absent is fine: most processes are not followed.
        let _ = FOLLOWED.remove(tgid);
    }
}
