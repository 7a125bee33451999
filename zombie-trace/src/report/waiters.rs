//! Records of who could have reaped a zombie, one after the other.

use serde::Serialize;

use super::{moment::Moment, process::ProcessRecord};
use crate::diagnosis::Cause;

/// Who could have reaped a zombie for some time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WaiterRecord {
    /// Who; null if nothing is known of it any more.
    pub process: Option<ProcessRecord>,
    /// Since when.
    pub since: Moment,
    /// Until when; null if it still can.
    pub until: Option<Moment>,
    /// Why it did not, if the zombie had waited for it for the minimum age; null if not.
    pub cause: Option<Cause>,
}

/// Zombies that a parent had for the minimum age and that another process has now, or had after it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PassedOn {
    /// How many.
    pub count: u64,
    /// Who got the last of them; null if nothing is known of it any more.
    pub to: Option<ProcessRecord>,
}
