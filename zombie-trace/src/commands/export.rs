//! `export`: recordings as tables.

use std::path::PathBuf;

use super::{
    replay::{self, Selection},
    say,
};
use crate::{
    commands::Exit,
    export::{Exporter, TableFormat},
    text::escape,
};

/// What to do.
#[derive(Debug)]
pub struct Options {
    /// Which recordings, and what of them.
    pub source: Selection,
    /// Where to.
    pub folder: PathBuf,
    /// In what format.
    pub format: TableFormat,
    /// Files of the same run may be replaced.
    pub overwrite: bool,
}

/// Reads the recordings and writes the tables.
///
/// # Errors
/// A file could not be read on, or a table not be written.
pub fn run(options: &Options) -> anyhow::Result<Exit> {
    let mut exporter = Exporter::new(options.folder.clone(), options.format, options.overwrite, options.source.since);
    let outcome = replay::replay(&options.source, &mut exporter)?;
    if exporter.boots() > 0 {
        let folder = escape::text(options.folder.as_os_str().as_encoded_bytes());
        let boots = exporter.boots();
        let boots = if boots == 1 { "one boot of one host".to_owned() } else { format!("{boots} boots of hosts") };
        say(&format_args!("zombie-trace: {folder} has the tables of {boots}"));
    }
    // What was found is for who queries the tables.
    Ok(if outcome.unreadable == 0 && outcome.missing == 0 { Exit::Clean } else { Exit::Unmeasured })
}
