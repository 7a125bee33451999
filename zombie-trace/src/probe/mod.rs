//! The kernel side, from userspace: which probes there are, loading and attaching them, reading their maps, and giving
//! up the privileges that only this took.

mod counters;
mod fullness;
mod load;
mod misses;
mod privileges;
mod sizes;
mod table;

pub use counters::CounterValues;
pub use fullness::Fullness;
pub use load::{LoadError, Loaded, Options, Trial, load, try_all};
pub use privileges::{KEPT, confine, drop_privileges, keep_only};
pub use table::{Hook, Need, PROBES, Probe, required_tracepoints};
