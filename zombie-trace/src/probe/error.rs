//! Why the kernel does not take the programs.

use std::sync::Arc;

use aya::{EbpfError, maps::MapError, programs::ProgramError};
use thiserror::Error;

/// Why tracing could not begin.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The object was rejected: a map could not be created, or bpf() is not allowed.
    #[error("the kernel does not take the eBPF object")]
    Object(#[source] Box<EbpfError>),
    /// A required program was rejected by the verifier, or the kernel lacks its type.
    #[error("the kernel does not load the probe {probe}")]
    Load {
        /// Its hook.
        probe: String,
        /// The kernel's error, which a program has at each of its hooks.
        #[source]
        source: Arc<ProgramError>,
    },
    /// A required program could not be attached.
    #[error("the probe {probe} cannot be attached")]
    Attach {
        /// Its hook.
        probe: String,
        /// The kernel's error.
        #[source]
        source: Box<ProgramError>,
    },
    /// The object lacks a program or a map, or has it with another type: it is from another build.
    #[error("the eBPF object has no proper {0}")]
    Inconsistent(&'static str),
    /// A map could not be used.
    #[error("the map {map} cannot be used")]
    Map {
        /// Its name.
        map: &'static str,
        /// The kernel's error.
        #[source]
        source: Box<MapError>,
    },
}
