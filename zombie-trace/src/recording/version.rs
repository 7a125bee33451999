//! Which recordings this version writes and reads; decided only here.
//!
//! # Changes of the format
//!
//! | format | since | what is new |
//! | --- | --- | --- |
//! | 1 | 0.1 | the first |
//! | 2 | 0.1 | columns of the event `Release` (kind 10), behind the others; the flag `REAPED` of `Wait` |
//! | 3 | 0.1 | columns of the event `FullPidNs` (kind 11), behind the others |
//! | 4 | 0.1 | columns of the event `MemoryLimit` (kind 12), behind the others |
//!
//! Additions to the JSON of headers and context events do not change the format: readers skip what they do not know,
//! and missing fields have defaults. Changes of the frames, the columns or the wire events do.

use std::ops::RangeInclusive;

use crate::abi::ABI_VERSION;
use thiserror::Error;

/// The format that is written.
pub const FORMAT: u16 = 4;
/// The formats that are read.
pub const READABLE_FORMATS: RangeInclusive<u16> = 1..=FORMAT;
/// The layouts of wire events that are read.
pub const READABLE_ABIS: RangeInclusive<u32> = 1..=ABI_VERSION;

/// A recording of another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VersionError {
    /// Of the format.
    #[error("it has format {found}; this zombie-trace reads {}", range(.readable))]
    Format {
        /// What the file says.
        found: u16,
        /// What would do.
        readable: (u16, u16),
    },
    /// Of the wire events.
    #[error("its events have layout {found}; this zombie-trace reads {}", range(.readable))]
    Abi {
        /// What the file says.
        found: u32,
        /// What would do.
        readable: (u32, u32),
    },
}

fn range<T: std::fmt::Display + PartialEq>((first, last): &(T, T)) -> String {
    if first == last { first.to_string() } else { format!("{first} to {last}") }
}

/// Checks that frames of this format can be read.
///
/// # Errors
/// They cannot.
pub fn check_format(found: u16) -> Result<(), VersionError> {
    if READABLE_FORMATS.contains(&found) {
        return Ok(());
    }
    Err(VersionError::Format { found, readable: (*READABLE_FORMATS.start(), *READABLE_FORMATS.end()) })
}

/// Checks that wire events of this layout can be read.
///
/// # Errors
/// They cannot.
pub fn check_abi(found: u32) -> Result<(), VersionError> {
    if READABLE_ABIS.contains(&found) {
        return Ok(());
    }
    Err(VersionError::Abi { found, readable: (*READABLE_ABIS.start(), *READABLE_ABIS.end()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_refused_with_those_that_would_do() {
        assert_eq!(check_format(FORMAT), Ok(()));
        assert_eq!(check_abi(ABI_VERSION), Ok(()));
        assert_eq!(check_format(9).unwrap_err().to_string(), "it has format 9; this zombie-trace reads 1 to 4");
        assert!(check_abi(0).is_err());
    }
}
