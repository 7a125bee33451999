//! `zombie-trace explain`: what the ids mean that the other commands print.

use std::io::{self, Write};

use super::{Exit, Format};
use crate::{
    explain::{Section, sections},
    output::{
        Palette, Reporter,
        document::{Json, Plain},
        explain::Explanation,
    },
};

/// Prints these sections; without any, a line for each that there is.
///
/// # Errors
/// They could not be written.
pub fn run(chosen: Vec<Section>, format: Format, color: bool, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let explanation = match chosen.is_empty() {
        true => Explanation { sections: sections().collect(), brief: true },
        false => Explanation { sections: chosen, brief: false },
    };
    let mut output: Box<dyn Reporter<Explanation> + '_> = match format {
        Format::Text => Box::new(Plain::new(out, Palette::of_stdout(color))),
        Format::Json => Box::new(Json(out)),
    };
    match output.report(&explanation).and_then(|()| output.finish()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(Exit::Clean),
    }
}
