//! Deadlines, and the boot clock against the wall clock.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// How long a test waits for something that happens at once when all is well.
///
/// `ZT_DEADLINE_SCALE` multiplies it where the machine is an emulated one.
pub fn deadline() -> Duration {
    scaled(Duration::from_secs(10))
}

/// A time limit, multiplied on slow machines.
pub fn scaled(limit: Duration) -> Duration {
    let scale = std::env::var("ZT_DEADLINE_SCALE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1);
    limit * scale
}

/// The wall-clock time, in nanoseconds since the epoch, of a moment on the boot clock.
///
/// Right as long as nobody sets the clock between the moment and the call.
pub fn wall_time(boot_ns: u64) -> i128 {
    now(ClockId::CLOCK_REALTIME) - now(ClockId::CLOCK_BOOTTIME) + i128::from(boot_ns)
}

/// The boot clock, ns.
pub fn boot_now() -> u64 {
    u64::try_from(now(ClockId::CLOCK_BOOTTIME)).unwrap_or(0)
}

fn now(clock: ClockId) -> i128 {
    let time = clock_gettime(clock).expect("the kernel has both clocks");
    i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec())
}
