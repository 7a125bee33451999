//! Wall-clock times.

use crate::event::BootNs;

/// Turns times of the boot clock into wall-clock times.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Wall clock minus boot clock, ns.
    pub offset_ns: i64,
}

impl Clock {
    /// The wall-clock time.
    #[must_use]
    pub fn moment(self, time: BootNs) -> Moment {
        Moment(i128::from(time) + i128::from(self.offset_ns))
    }
}

/// A wall-clock time: ns since 1970. It may be one that no calendar has, if a recording says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(i128);

impl Moment {
    /// The time that is so many ns after 1970.
    #[must_use]
    pub const fn from_nanoseconds(nanoseconds: i128) -> Self {
        Self(nanoseconds)
    }

    /// Ns since 1970.
    #[must_use]
    pub const fn nanoseconds(self) -> i128 {
        self.0
    }
}
