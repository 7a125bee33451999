//! The clocks. Everything is counted on the boot clock; the wall clock only dates what is printed.

use rustix::time::{ClockId, clock_gettime};

use crate::event::BootNs;

/// Now, ns of the boot clock: the clock of the kernel's events and of a process's start.
#[must_use]
pub fn boot_clock_now() -> BootNs {
    u64::try_from(nanoseconds(ClockId::Boottime)).unwrap_or(0)
}

/// What to add to a time of the boot clock to get ns since the Unix epoch.
///
/// The two clocks cannot be read at once: of a few tries the one with the least time between them is taken.
#[must_use]
pub fn wall_clock_offset() -> i64 {
    let mut best = (i64::MAX, 0);
    for _ in 0..8 {
        let before = nanoseconds(ClockId::Boottime);
        let wall = nanoseconds(ClockId::Realtime);
        let gap = nanoseconds(ClockId::Boottime) - before;
        if gap < best.0 {
            best = (gap, wall - (before + gap / 2));
        }
    }
    best.1
}

/// Names this boot: the boot clock counts from it. `None` where `/proc` does not tell.
#[must_use]
pub fn boot_id() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
}

fn nanoseconds(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_clock_plus_offset_is_the_wall_clock() {
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64;
        let ours = boot_clock_now() as i64 + wall_clock_offset();
        assert!((ours - wall).abs() < 1_000_000_000, "{ours} against {wall}");
    }
}
