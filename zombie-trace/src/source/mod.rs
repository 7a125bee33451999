//! Where events come from.

pub mod asker;
mod cgroups;
pub mod explain;
pub mod live;
pub mod proc;
