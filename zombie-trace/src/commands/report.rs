//! `report`: what a recording tells, in the words in which `live` would have ended, or as a picture.

use std::{
    io::{self, BufWriter, IsTerminal, Write},
    path::PathBuf,
};

use anyhow::Context;

use super::{
    Format,
    live::{palette, printer},
    replay::{self, Failure, Outcome, Selection},
    say,
};
use crate::{
    commands::Exit,
    files::write::{Access, Draft, Existing},
    output::{Html, Perfetto, Reporter, Summaries},
};

/// What to do.
#[derive(Debug)]
pub struct Options {
    /// Which recordings, and what of them.
    pub selection: Selection,
    /// How to print.
    pub format: ReportFormat,
    /// With colour.
    pub color: bool,
    /// Where to; `None` for standard output.
    pub output: Option<PathBuf>,
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
    /// As a live run ends.
    Summary(Format),
    /// A page to look at.
    Html,
    /// A trace for Perfetto.
    Perfetto,
}

/// Reads the recordings and prints a report for every boot of every host.
///
/// # Errors
/// A file could not be read on, or the output not be written.
pub fn run(options: &Options) -> anyhow::Result<Exit> {
    let for_terminals = matches!(options.format, ReportFormat::Summary(_));
    if options.output.is_none() && !for_terminals && io::stdout().is_terminal() {
        say(&"zombie-trace: this format is not for a terminal; give a file with --output, or redirect the output");
        return Ok(Exit::Usage);
    }
    let Some(path) = &options.output else { return print(options, Box::new(io::stdout())).map(|(exit, _)| exit) };
    let file = Draft::begin(path, Access::Private, Existing::Replace)?;
    let (exit, is_empty) = print(options, Box::new(file.writer()?))?;
    if !is_empty {
        file.complete()?;
    }
    Ok(exit)
}

/// The exit code, and whether there was nothing to report on.
fn print(options: &Options, out: Box<dyn Write>) -> anyhow::Result<(Exit, bool)> {
    match replay::replay(&options.selection, renderer(options, out).as_mut()) {
        Ok(Outcome { reports, unreadable, .. }) => {
            let files = if unreadable > 0 { Exit::Unmeasured } else { Exit::Clean };
            Ok((replay::worse(files, reports), unreadable == options.selection.files.len() as u64))
        }
        // Who reads has gone: that is how `| head` ends a stream, and no failure.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok((Exit::Clean, false)),
        Err(Failure::Output(error)) => Err(error).context("the output cannot be written"),
        Err(failure) => Err(failure.into()),
    }
}

fn renderer(options: &Options, out: Box<dyn Write>) -> Box<dyn Reporter> {
    let palette = palette(options.output.is_none(), options.color);
    match options.format {
        ReportFormat::Summary(format) => Box::new(Summaries(printer(out, format, palette))),
        ReportFormat::Html => Box::new(Html::new(BufWriter::new(out), options.selection.min_age_ns())),
        ReportFormat::Perfetto => Box::new(Perfetto::new(BufWriter::new(out))),
    }
}
