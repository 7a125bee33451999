//! Why recording stops early: what the writer says and the recorder passes on.

use std::{io, sync::Arc};

use thiserror::Error;

/// Why recording has stopped early.
#[derive(Clone, Debug, Error)]
pub enum Stop {
    /// Free disk space reached the minimum.
    #[error("recording stopped: only {free} bytes free on disk, below --min-free {floor}")]
    DiskFloor {
        /// Free bytes.
        free: u64,
        /// Minimum of free bytes.
        floor: u64,
    },
    /// A file could not be written.
    #[error("recording stopped: {source}")]
    Write {
        /// Why.
        source: Arc<io::Error>,
    },
}

impl Stop {
    pub(super) fn write(error: io::Error) -> Self {
        Self::Write { source: Arc::new(error) }
    }
}
