//! Why recording stops early: what the writer says and the recorder passes on.

use std::{io, sync::Arc};

use thiserror::Error;

/// Why recording has stopped early.
#[derive(Clone, Debug, Error)]
pub enum Stop {
    /// The disk is as full as it may get.
    #[error("recording stopped: only {free} bytes free on disk, below --min-free {floor}")]
    DiskFloor {
        /// Bytes that are free.
        free: u64,
        /// Bytes that are to be left free.
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
