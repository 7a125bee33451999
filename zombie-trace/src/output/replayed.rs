//! How a replay of recordings is told.

use std::io;

use super::Output;
use crate::{
    model::Latency,
    recording::Header,
    report::{Notice, Report},
};

/// A format in which recordings are told: for each boot of each host what happened, then the report on it.
pub trait Replayed {
    /// What follows happened on this host; nothing in the header is made safe to show.
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
    fn notice(&mut self, notice: &Notice) -> io::Result<()>;

    /// What there is to say of what has happened since the last report; `latency` is that of zombies of any age.
    ///
    /// # Errors
    /// It could not be written.
    fn report(&mut self, report: &Report, latency: &Latency) -> io::Result<()>;

    /// There are no more.
    ///
    /// # Errors
    /// It could not be written.
    fn finish(&mut self) -> io::Result<()>;
}

/// The summary with which a live run ends, and nothing else.
pub struct Summaries(pub Box<dyn Output>);

impl Replayed for Summaries {
    fn notice(&mut self, _: &Notice) -> io::Result<()> {
        Ok(())
    }

    fn report(&mut self, report: &Report, _: &Latency) -> io::Result<()> {
        self.0.summary(report)
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}
