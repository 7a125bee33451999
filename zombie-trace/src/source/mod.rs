//! Where events come from.

mod cgroups;
pub mod explain;
pub mod live;
pub mod proc;
