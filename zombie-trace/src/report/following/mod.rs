//! Which containers belong to a command: a runtime's daemon starts their processes, so they do not descend from it.
//!
//! No runtime is asked. The whole machine is traced, and what is known of each container (its cgroup, its runtime, its name,
//! its first process) is held against the clients that ran: programs such as `docker`, of the command and of others, from
//! when to when, and what they asked for on their command lines. [`decide`] makes of that which containers are the
//! command's, and how sure that is. Where several clients could have started one, it says that it cannot tell.

mod decide;
mod facts;
mod how;
mod observe;
mod request;
#[cfg(test)]
mod tests;

pub(super) use decide::{Followed, Group, decide};
pub use facts::{Chosen, Following};
pub use how::How;
