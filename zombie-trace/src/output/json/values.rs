//! What records keep as it is, as the machine output has it: stable ids, and times in RFC 3339.

use serde::{Serialize, Serializer};

use crate::{
    diagnosis::{Cause, EndWay, StopCause},
    model::{LimitKind, Precision, StopOutcome, Via},
    output::time::rfc3339,
    report::Moment,
};

macro_rules! by_id {
    ($($kind:ty),+ $(,)?) => {$(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.id())
            }
        }
    )+};
}

by_id!(Cause, EndWay, LimitKind, Precision, StopCause, StopOutcome, Via);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rfc3339(*self))
    }
}
