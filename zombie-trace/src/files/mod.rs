//! Files that others supply and files that we write, as untrusted as the folders they lie in.
//!
//! The tracer runs as root, often in a checkout that a pull request filled or in a folder that a traced command may
//! write to. So a file that is read is a regular one of bounded size ([`read`]), and a file that is written is never
//! written through a symbolic link ([`write`]).
//!
//! Not its business: what stands in the files.

pub mod read;
pub mod write;
#[cfg(test)]
mod write_tests;

use std::path::Path;

use crate::text::escape;

/// A path, made safe to show.
#[must_use]
pub fn shown(path: &Path) -> String {
    escape::text(path.as_os_str().as_encoded_bytes()).into_owned()
}
