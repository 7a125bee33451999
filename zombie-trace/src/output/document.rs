//! What is one value and no run, a scan or grades: printed for people, or as one JSON object.

use std::io::{self, Write};

use serde::Serialize;

use super::{Palette, Reporter};

/// For people. What is printed is said beside each kind of document.
#[derive(Debug)]
pub struct Plain<W> {
    pub(super) out: W,
    pub(super) palette: Palette,
}

impl<W: Write> Plain<W> {
    /// Writes to `out` in these styles.
    pub fn new(out: W, palette: Palette) -> Self {
        Self { out, palette }
    }
}

/// One JSON object.
#[derive(Debug)]
pub struct Json<W>(pub W);

impl<W: Write, R: Serialize> Reporter<R> for Json<W> {
    fn report(&mut self, document: &R) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, document)?;
        writeln!(self.0)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
