//! The kernel side, from userspace: the probes, loading and attaching them, reading their maps, and dropping the
//! privileges that only this required.

mod attach;
mod counters;
mod error;
mod fullness;
mod load;
mod misses;
mod parting;
mod privileges;
mod sizes;
mod table;

pub use counters::CounterValues;
pub use error::LoadError;
pub use fullness::Fullness;
pub use load::{Loaded, Options, Trial, load, try_all};
pub use privileges::{KEPT, confine, drop_privileges, keep_only};
pub use table::{Hook, Need, PROBES, Probe, required_tracepoints};
