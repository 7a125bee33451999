//! Limits on memory (`mm/memcontrol.c`, `mm/page_counter.c`).

use zombie_trace_ebpf::abi::{ABSENT, NO_MEMORY_LIMIT};

use super::{
    memory::read_untyped,
    settings::{offset, page_shift},
    task::Task,
};

/// Maximum number of cgroups that are looked at: the own one and those above it.
const MAX_CGROUPS: u32 = 16;

/// The lowest limit that holds for a process.
#[derive(Clone, Copy)]
pub(crate) struct MemoryLimit {
    /// Bytes, or [`NO_MEMORY_LIMIT`].
    pub(crate) bytes: u64,
    /// How many levels above its own cgroup it is set.
    pub(crate) levels_above: u32,
}

/// Whether the kernel has all fields. A frozen constant.
#[inline(always)]
fn is_readable() -> bool {
    offset!(mem_cgroup_css) != ABSENT
        && offset!(mem_cgroup_memory) != ABSENT
        && offset!(page_counter_max) != ABSENT
        && offset!(page_counter_parent) != ABSENT
        && offset!(cgroup_root) != ABSENT
}

impl MemoryLimit {
    /// `None` where it cannot be read.
    #[inline(always)]
    pub(crate) fn of(leader: Task) -> Option<Self> {
        let state = leader.memory_subsys();
        if state == 0 || !is_readable() {
            return None;
        }
        let own = state.wrapping_sub(offset!(mem_cgroup_css).into()).wrapping_add(offset!(mem_cgroup_memory).into());
        let mut counter = own;
        let (mut lowest, mut pages) = (own, u64::MAX);
        for _ in 0..MAX_CGROUPS {
            let max = read_untyped(counter, offset!(page_counter_max));
            if max < pages {
                (lowest, pages) = (counter, max);
            }
            counter = read_untyped(counter, offset!(page_counter_parent));
            if counter == 0 {
                break;
            }
        }
        // `PAGE_COUNTER_MAX` (`include/linux/page_counter.h`)
        if pages < i64::MAX as u64 >> page_shift() {
            let state =
                lowest.wrapping_sub(offset!(mem_cgroup_memory).into()).wrapping_add(offset!(mem_cgroup_css).into());
            return Some(Self { bytes: pages << page_shift(), levels_above: leader.levels_to(state) });
        }
        // Those that were not looked at may have one.
        if counter == 0 { Some(Self { bytes: NO_MEMORY_LIMIT, levels_above: 0 }) } else { None }
    }
}
