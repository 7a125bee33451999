//! Where events come from.

pub mod live;
pub mod proc;
