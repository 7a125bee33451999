//! `live`: zombies and dropped signals as they happen.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use super::{Format, run};
use crate::{
    commands::Exit,
    files::write::{Access, stream},
    output::{JsonLines, Palette, Reporter, Text},
    recording::{Limits, Recorder},
};

/// What to do.
#[derive(Debug)]
pub struct Options {
    /// What to trace.
    pub run: run::Options,
    /// How to print.
    pub format: Format,
    /// With colour.
    pub color: bool,
    /// Where to; `None` for standard output.
    pub output: Option<PathBuf>,
    /// Where to record the run at the same time, if anywhere.
    pub record: Option<PathBuf>,
}

/// Traces until the time is over, the command has ended, or a signal asks for the end.
///
/// # Errors
/// Tracing could not begin, or the output could not be written.
pub fn run(options: &Options) -> anyhow::Result<Exit> {
    let mut output = open_output(options)?;
    let recorder = match &options.record {
        Some(path) => Some(Recorder::create(path.clone(), &Limits::default())?),
        None => None,
    };
    run::run(&options.run, output.as_mut(), recorder)
}

fn open_output(options: &Options) -> anyhow::Result<Box<dyn Reporter>> {
    let out: Box<dyn Write> = match &options.output {
        Some(path) => Box::new(stream(path, Access::Private)?),
        None => Box::new(io::stdout()),
    };
    Ok(printer(out, options.format, palette(options.output.is_none(), options.color)))
}

/// How text looks that goes to standard output, or to a file, which is as wide on every machine.
pub(super) fn palette(is_stdout: bool, color: bool) -> Palette {
    if is_stdout { Palette::of_stdout(color) } else { Palette::new(color) }
}

/// An output in this format.
pub(super) fn printer(out: Box<dyn Write>, format: Format, palette: Palette) -> Box<dyn Reporter> {
    let out = io::BufWriter::new(out);
    match format {
        Format::Text => Box::new(Text::new(out, palette)),
        Format::Json => Box::new(JsonLines::new(out)),
    }
}
