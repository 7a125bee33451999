//! Detects times in which nothing ran: the machine was suspended, or the virtual machine paused.

use std::time::Duration;

use super::PATIENCE;
use crate::{event::BootNs, source::proc::Clocks};

/// The clocks cannot be read at the same moment, so a smaller difference is not a suspend, ns.
const MIN_SUSPEND_NS: u64 = 50_000_000;
/// If this reader, which sleeps for at most [`PATIENCE`], was away for this long, ns, others may not have run either.
const MIN_ABSENCE_NS: u64 = 2_000_000_000;

/// A possible pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    from: BootNs,
    until: BootNs,
    /// The kernel says so.
    is_suspend: bool,
}

/// Checks the clocks each time the ring is drained.
#[derive(Debug)]
pub(super) struct Watch {
    last: Clocks,
}

impl Watch {
    pub(super) fn new(now: Clocks) -> Self {
        Self { last: now }
    }

    /// Call it with the clocks as read after the ring was drained.
    pub(super) fn observe(&mut self, now: Clocks) -> Option<Pause> {
        let from = self.last.boot;
        let suspended = now.suspended.saturating_sub(self.last.suspended);
        self.last = now;
        if suspended >= MIN_SUSPEND_NS {
            // The ring is drained often, so the suspend began soon after the last time.
            return Some(Pause { from, until: from.saturating_add(suspended), is_suspend: true });
        }
        let is_long = now.boot.saturating_sub(from) >= MIN_ABSENCE_NS + as_ns(PATIENCE);
        is_long.then_some(Pause { from, until: now.boot, is_suspend: false })
    }
}

impl Pause {
    /// When nothing ran, given the times of the events that came meanwhile: without the kernel's word and with events,
    /// it is the longest time without events. `None` if that is not long.
    #[must_use]
    pub fn between(self, events: impl Iterator<Item = BootNs>) -> Option<(BootNs, BootNs)> {
        if self.is_suspend {
            return Some((self.from, self.until));
        }
        let mut longest = (self.from, self.from);
        let mut last = self.from;
        for time in events.filter(|time| (self.from..self.until).contains(time)).chain([self.until]) {
            if time.saturating_sub(last) > longest.1 - longest.0 {
                longest = (last, time);
            }
            last = last.max(time);
        }
        (longest.1 - longest.0 >= MIN_ABSENCE_NS).then_some(longest)
    }
}

fn as_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    const S: u64 = 1_000_000_000;

    fn clocks(boot: u64, suspended: u64) -> Clocks {
        Clocks { boot, suspended }
    }

    #[test]
    fn a_suspend_is_as_long_as_the_clocks_say_whatever_happened_after_it() {
        let mut watch = Watch::new(clocks(10 * S, 3 * S));
        assert_eq!(watch.observe(clocks(10 * S + S / 10, 3 * S + 1_000_000)), None);
        let pause = watch.observe(clocks(20 * S, 11 * S)).unwrap();
        assert_eq!(pause.between([19 * S].into_iter()), Some((10 * S + S / 10, 18 * S + S / 10 - 1_000_000)));
        assert_eq!(watch.observe(clocks(20 * S + 1, 11 * S)), None);
    }

    #[test]
    fn a_long_absence_is_a_pause_if_nobody_did_anything() {
        let mut watch = Watch::new(clocks(10 * S, 0));
        assert_eq!(watch.observe(clocks(12 * S, 0)), None);
        let pause = watch.observe(clocks(20 * S, 0)).unwrap();
        assert_eq!(pause.between(iter::empty()), Some((12 * S, 20 * S)));
        assert_eq!(pause.between([13 * S, 19 * S].into_iter()), Some((13 * S, 19 * S)));
        assert_eq!(pause.between((12..20).map(|s| s * S)), None, "only the tracer did not run");
    }
}
