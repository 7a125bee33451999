//! Files that others supply and files that we write, in untrusted folders.
//!
//! The tracer runs as root, often in a pull request's checkout or in a folder that a traced command may write to. So it
//! reads only regular files of bounded size ([`read`]), and never writes through a symbolic link ([`write`]).
//!
//! Not here: the content of the files.

pub mod read;
pub mod write;
#[cfg(test)]
mod write_tests;

use std::path::Path;

use crate::text::escape;

/// A path, escaped for output.
#[must_use]
pub fn shown(path: &Path) -> String {
    escape::text(path.as_os_str().as_encoded_bytes()).into_owned()
}
