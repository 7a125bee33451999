//! The clocks. All times are of the boot clock; the wall clock only dates the output.
//!
//! In a time namespace this process sees a boot clock with an offset, in `clock_gettime` and in `/proc/PID/stat`
//! (time_namespaces(7)); the probes do not. All times here are without the offset.

use std::{fs, io, os::fd::AsFd, path::Path, sync::LazyLock};

use rustix::{
    thread::{LinkNameSpaceType, move_into_link_name_space},
    time::{ClockId, clock_gettime},
};

use crate::event::BootNs;

/// Now, ns of the kernel's boot clock: the clock of its events and of a process's start.
#[must_use]
pub fn boot_clock_now() -> BootNs {
    u64::try_from(boot_clock()).unwrap_or(0)
}

fn boot_clock() -> i64 {
    static SET_OFF_BY: LazyLock<i64> = LazyLock::new(|| set_off_by(Path::new("/proc")));
    nanoseconds(ClockId::Boottime) - *SET_OFF_BY
}

/// Enters the time namespace for this process's children, if it differs from its own: the program that started it
/// called `unshare`, and kernels such as 5.10 and 6.1 do not enter the new namespace at exec. Otherwise it could start
/// neither threads nor programs by `vfork` (`kernel/fork.c`, `copy_process`), and `/proc` would show the offsets of the
/// other namespace. Call it before there are threads.
///
/// # Errors
/// The kernel refuses.
pub fn enter_time_namespace() -> io::Result<()> {
    let (own, of_children) = (Path::new("/proc/self/ns/time"), Path::new("/proc/self/ns/time_for_children"));
    let (Ok(here), Ok(there)) = (fs::read_link(own), fs::read_link(of_children)) else { return Ok(()) };
    if here == there {
        return Ok(());
    }
    let namespace = fs::File::open(of_children)?;
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Time))?)
}

/// Offset of the boot clock for readers of this `/proc`, ns; 0 without time namespaces.
pub(super) fn set_off_by(proc: &Path) -> i64 {
    let offsets = fs::read_to_string(proc.join("self/timens_offsets")).unwrap_or_default();
    offsets.lines().find_map(boot_offset).unwrap_or(0)
}

/// `boottime SECONDS NANOSECONDS`; only the seconds may be negative.
fn boot_offset(line: &str) -> Option<i64> {
    let mut fields = line.split_ascii_whitespace();
    // Before Linux 5.7 the clocks were numbers.
    fields.next().filter(|clock| matches!(*clock, "boottime" | "7"))?;
    let (seconds, nanoseconds) = (fields.next()?.parse::<i64>().ok()?, fields.next()?.parse::<i64>().ok()?);
    seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}

/// Added to a boot-clock time gives ns since the Unix epoch.
///
/// The two clocks cannot be read at once, so the closest pair of a few tries is taken.
#[must_use]
pub fn wall_clock_offset() -> i64 {
    let mut best = (i64::MAX, 0);
    for _ in 0..8 {
        let before = boot_clock();
        let wall = nanoseconds(ClockId::Realtime);
        let gap = boot_clock() - before;
        if gap < best.0 {
            best = (gap, wall - (before + gap / 2));
        }
    }
    best.1
}

/// The boot clock, and how much of it the machine was suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// Now, ns of the boot clock.
    pub boot: BootNs,
    /// How far the monotonic clock, which stops during suspend, is behind, ns; comparable within one process.
    pub suspended: u64,
}

impl Clocks {
    /// The current values.
    #[must_use]
    pub fn now() -> Self {
        let (mut narrowest, mut suspended) = (i64::MAX, 0);
        for _ in 0..8 {
            let before = nanoseconds(ClockId::Monotonic);
            let boot = nanoseconds(ClockId::Boottime);
            let gap = nanoseconds(ClockId::Monotonic) - before;
            if gap < narrowest {
                (narrowest, suspended) = (gap, boot - before);
            }
            if gap < ENOUGH_NS {
                break;
            }
        }
        Self { boot: boot_clock_now(), suspended: u64::try_from(suspended).unwrap_or(0) }
    }
}

/// Clocks read within this time count as read at once, ns.
const ENOUGH_NS: i64 = 1_000_000;

/// Names this boot: the boot clock counts from it. `None` if `/proc` does not show it.
#[must_use]
pub fn boot_id() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
}

fn nanoseconds(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_of_a_time_namespace_is_read() {
        assert_eq!(boot_offset("boottime       100000         5"), Some(100_000_000_000_005));
        assert_eq!(boot_offset("7 -1 999999999"), Some(-1));
        assert_eq!(boot_offset("monotonic      100000         0"), None);
        assert_eq!(set_off_by(Path::new("/no/such/proc")), 0);
    }

    #[test]
    fn boot_clock_plus_offset_is_the_wall_clock() {
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64;
        let ours = boot_clock_now() as i64 + wall_clock_offset();
        assert!((ours - wall).abs() < 1_000_000_000, "{ours} against {wall}");
    }
}
