//! From the model to what is told: notices while events come in, and the report at the end.
//!
//! The records here are the machine output, version 1; scripts rely on their names. Times are RFC 3339 UTC with
//! nanoseconds, durations are in ns and end in `_ns`, pids are the host's. Names of processes are made safe to show
//! already here, so no format can forget to.

mod describe;
mod follow;
mod grades;
mod harm;
mod impact;
mod process;
mod records;
mod replay;
mod scope;
mod session;
mod state;
mod summary;

pub use grades::{Grade, Graded};
pub(crate) use harm::{ForkStory, reason_in_words, unasked_in_words, why_no_fork};
pub use impact::{DamageRecord, ForkFailureRecord, HeldRecord, StopRecord};
pub use process::{ExitRecord, ParentName, ProcessRecord};
pub use records::{
    Command, Drop, Finding, FindingKind, LatencyRecord, Loss, Notice, ParentRecord, Report, SenderCount, Severity,
    StuckRecord, TotalsRecord, Window, ZombieRecord,
};
pub use replay::{Replay, ReportWindow};
pub use scope::Scope;
pub use state::Session;

use crate::event::BootNs;

/// Turns times of the boot clock into wall-clock times.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Wall clock minus boot clock, ns.
    pub offset_ns: i64,
}

impl Clock {
    /// RFC 3339 in UTC with nanoseconds.
    #[must_use]
    pub fn rfc3339(self, time: BootNs) -> String {
        let wall = i128::from(time) + i128::from(self.offset_ns);
        jiff::Timestamp::from_nanosecond(wall).map_or_else(|_| wall.to_string(), |it| format!("{it:.9}"))
    }
}
