//! How things are printed: one trait, one file per format, and what makes hostile names safe.

pub mod check;
mod html;
pub mod init_check;
mod json;
mod perfetto;
mod replayed;
pub mod scan;
mod style;
mod text;
mod timeline;

#[cfg(test)]
mod tests;

use std::io;

pub use html::Html;
pub use json::JsonLines;
pub use perfetto::Perfetto;
pub use replayed::{Replayed, Summaries};
pub use style::Palette;
pub use text::Text;

use crate::{
    recording::Status,
    report::{Notice, Report},
};

/// A format in which a live run is told.
pub trait Output {
    /// Something has happened.
    ///
    /// # Errors
    /// It could not be written.
    fn notice(&mut self, notice: &Notice) -> io::Result<()>;

    /// Some time has passed: what was held back to be told together is told.
    ///
    /// # Errors
    /// It could not be written.
    fn settle(&mut self) -> io::Result<()>;

    /// So many events were seen.
    fn events(&mut self, _count: u64) {}

    /// A recording is made beside, and is so far.
    ///
    /// # Errors
    /// It could not be written.
    fn recorded(&mut self, _status: Status) -> io::Result<()> {
        Ok(())
    }

    /// The run is over.
    ///
    /// # Errors
    /// It could not be written.
    fn summary(&mut self, report: &Report) -> io::Result<()>;
}
