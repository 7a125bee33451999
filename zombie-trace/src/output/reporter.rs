//! The one interface of everything that reports on a run, whether it happens now or was recorded.

use std::io;

use crate::{
    recording::{Header, Status},
    report::{Notice, Report},
};

/// A format in which something is reported: runs, or what a scan or a grading found. For each run: `begin`, then notices
/// as things happen, then the report on it; `finish` after the last one.
pub trait Reporter<R: ?Sized = Report> {
    /// What follows happened on this host. Nothing in the header is made safe to show.
    ///
    /// # Errors
    /// It could not be written.
    fn begin(&mut self, _header: &Header) -> io::Result<()> {
        Ok(())
    }

    /// Something has happened that belongs to the next report.
    ///
    /// # Errors
    /// It could not be written.
    fn notice(&mut self, _notice: &Notice) -> io::Result<()> {
        Ok(())
    }

    /// Some time has passed in a live run: lines that were suppressed are printed in one, and everything is flushed.
    ///
    /// # Errors
    /// It could not be written.
    fn flush_suppressed(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// That many more events were seen in a live run.
    fn events(&mut self, _count: u64) {}

    /// The live run is recorded at the same time, and this is how far the recording has got.
    ///
    /// # Errors
    /// It could not be written.
    fn recorded(&mut self, _status: Status) -> io::Result<()> {
        Ok(())
    }

    /// The run is over, or what is recorded of it.
    ///
    /// # Errors
    /// It could not be written.
    fn report(&mut self, report: &R) -> io::Result<()>;

    /// There are no more runs.
    ///
    /// # Errors
    /// It could not be written.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reports alone, without what happens meanwhile: what a live run ends with.
pub struct Summaries(pub Box<dyn Reporter>);

impl Reporter for Summaries {
    fn report(&mut self, report: &Report) -> io::Result<()> {
        self.0.report(report)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.finish()
    }
}

/// Prints nothing and keeps the last report, for who decides by it.
#[derive(Debug, Default)]
pub struct LastReport(pub Option<Report>);

impl Reporter for LastReport {
    fn report(&mut self, report: &Report) -> io::Result<()> {
        self.0 = Some(report.clone());
        Ok(())
    }
}
