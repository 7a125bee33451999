//! What records keep as it is, as the machine output has it: stable ids.

use serde::{Serialize, Serializer};

use crate::{
    diagnosis::Cause,
    model::{DropReason, LimitKind, Precision, Relation, StopOutcome, Via},
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

by_id!(Cause, DropReason, LimitKind, Precision, Relation, StopOutcome, Via);
