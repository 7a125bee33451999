//! Deadlines, and the boot clock against the wall clock.

use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime, clock_settime};

/// How long a test waits for something that normally happens at once.
///
/// `ZT_DEADLINE_SCALE` multiplies it on emulated machines.
pub fn deadline() -> Duration {
    scaled(Duration::from_secs(10))
}

/// Start of a panic message that is only about time: something did not come in time, but nothing was wrong. The runner
/// treats such failures separately, because an overcommitted emulator may be too slow.
pub const OUT_OF_TIME: &str = "out of time: ";

/// A time limit, multiplied on slow machines.
pub fn scaled(limit: Duration) -> Duration {
    limit * scale()
}

/// This many rounds of work, or fewer on slow machines, to take no longer.
pub fn rounds(count: u32) -> u32 {
    // Emulated machines do the work of two CPUs on one.
    if scale() == 1 { count } else { count / (scale() * 2) }
}

fn scale() -> u32 {
    std::env::var("ZT_DEADLINE_SCALE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1).max(1)
}

/// The wall-clock time, in nanoseconds since the epoch, of a moment on the boot clock.
///
/// Correct unless the clock is set between the moment and the call.
pub fn wall_time(boot_ns: u64) -> i128 {
    // The test may not run between two readings.
    let looks = std::iter::repeat_with(|| {
        let before = now(ClockId::CLOCK_BOOTTIME);
        let wall = now(ClockId::CLOCK_REALTIME);
        let after = now(ClockId::CLOCK_BOOTTIME);
        (after - before, wall - i128::midpoint(before, after))
    });
    let (_, offset) = looks.take(8).min().expect("eight are more than none");
    offset + i128::from(boot_ns)
}

/// The boot clock, ns.
pub fn boot_now() -> u64 {
    u64::try_from(now(ClockId::CLOCK_BOOTTIME)).unwrap_or(0)
}

/// How long the machine has been suspended since boot, ns: the difference of the two clocks.
pub fn slept() -> u64 {
    let monotonic = u64::try_from(now(ClockId::CLOCK_MONOTONIC)).unwrap_or(0);
    boot_now().saturating_sub(monotonic)
}

/// Sets the wall clock forward, or back by a negative number of seconds.
///
/// # Panics
/// If it cannot be set.
pub fn step_wall_clock(seconds: i64) {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).expect("the kernel has this clock");
    let then = TimeSpec::new(now.tv_sec() + seconds, now.tv_nsec());
    clock_settime(ClockId::CLOCK_REALTIME, then).expect("the clock of the test's own machine can be set");
}

fn now(clock: ClockId) -> i128 {
    let time = clock_gettime(clock).expect("the kernel has both clocks");
    i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec())
}
