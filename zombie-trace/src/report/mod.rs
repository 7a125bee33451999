//! From the model to what is told: notices while events come in, and the report at the end.
//!
//! The records here are the machine output, version 1; scripts rely on their names. They keep moments, causes and reasons
//! as they are; `output` gives them their ids and writes times in RFC 3339. Durations are in ns and end in `_ns`, pids are
//! the host's. Names of processes are made safe to show already here, so no format can forget to.

mod bounds;
mod clients;
mod consequences;
mod containers;
mod coverage;
#[cfg(test)]
mod coverage_tests;
mod describe;
mod doing;
mod drops;
mod ended;
mod findings;
mod follow;
mod following;
mod following_records;
mod grades;
mod impact;
mod loss;
mod moment;
mod process;
mod program;
mod records;
mod replay;
mod scope;
mod session;
mod shortage;
mod state;
mod stints;
mod stop_path;
mod summary;
mod waiters;

pub use bounds::Bounds;
pub(crate) use consequences::describe_fork;
pub(crate) use consequences::describe_killed_without_term;
pub use containers::{ContainerRecord, ContainerStop, Doubts};
pub use coverage::{Coverage, Open};
pub use doing::DoingRecord;
pub(crate) use drops::describe_reason;
pub use ended::ends_by_concern;
pub use findings::{Finding, FindingKind, Severity};
pub use following::{Chosen, Following, How};
pub use grades::{Grade, Graded};
pub use impact::{DamageRecord, EndedRecord, ForkFailureRecord, LimitUsageRecord, PathRecord, StopRecord};
pub use loss::{BusyWorkload, Loss};
pub use moment::{Clock, Moment};
pub use process::{ExitRecord, ParentName, ProcessRecord};
pub use records::{
    Command, Drop, LatencyRecord, Notice, ParentRecord, Report, SenderCount, StuckRecord, TotalsRecord, Window,
    ZombieRecord,
};
pub use replay::{Replay, ReportWindow};
pub use scope::Scope;
pub use shortage::{DeadPidNs, FilledBy, Shortage};
pub(crate) use shortage::{ForkFailureContext, explain_fork_failure};
pub use state::Session;
pub use waiters::{PassedOn, WaiterRecord};
