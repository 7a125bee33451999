//! Where events come from.

pub mod explain;
pub mod live;
pub mod proc;
