//! Small words for evidence.

pub(super) use crate::text::{duration, plural, times};

use crate::text::escape;

/// Where in the kernel: ` in nfs_wait`. Symbols of modules and of `/proc` fixtures are text like any other.
pub(super) fn function(name: &str) -> String {
    format!(" in {}", escape::text(name.as_bytes()))
}
