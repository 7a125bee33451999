//! JSON, one object a line.

mod values;

use std::io::{self, Write};

use serde::Serialize;

use super::Reporter;
use crate::report::{Notice, Report};

/// The machine output, version 1.
#[derive(Debug)]
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `out`; every object is flushed, so that who reads has it at once.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(b"\n")
    }
}

/// The report as the last line of the stream.
#[derive(Serialize)]
struct Summary<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    report: &'a Report,
}

impl<W: Write> Reporter for JsonLines<W> {
    fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        self.line(notice)
    }

    fn flush_suppressed(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn report(&mut self, report: &Report) -> io::Result<()> {
        self.line(&Summary { r#type: "summary", report })?;
        self.out.flush()
    }
}
