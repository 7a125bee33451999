//! Errors in BTF.

use std::{io, path::PathBuf};

/// Why bytes are not usable as BTF.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The file could not be read; a missing file means a kernel without `CONFIG_DEBUG_INFO_BTF`.
    #[error("cannot read the kernel's type information from {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The bytes are shorter than the header says, or than a header.
    #[error("BTF is truncated: {what} ends beyond its {len} bytes")]
    Truncated {
        /// The part that does not fit.
        what: &'static str,
        /// How many bytes there are.
        len: usize,
    },
    /// The bytes do not begin with BTF's magic number.
    #[error("not BTF: the magic number is {0:#06x}, not 0xeb9f")]
    Magic(u16),
    /// BTF of a big-endian kernel; only little-endian machines are supported.
    #[error("BTF is big-endian; zombie-trace supports little-endian kernels only")]
    BigEndian,
    /// A newer version of the format.
    #[error("BTF version {0} is not supported, only version 1")]
    Version(u8),
    /// A newer kind of type: its length is unknown, so the walk ends here.
    #[error("BTF type {id} is of kind {kind}, which is not supported")]
    Kind {
        /// Number of the type.
        id: u32,
        /// The unknown kind.
        kind: u8,
    },
}
