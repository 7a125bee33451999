//! The arguments of `export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::record::RecordingArgs;
use crate::{commands::export, export::TableFormat};

pub(super) const EXAMPLES: &str = "\
Examples:
  zombie-trace export trace.zt -o tables                     Parquet files: tables/zombies/HOST-BOOT-TIME.parquet, …
  zombie-trace export node*.zt -o tables                     of several nodes; the tables are the same
  zombie-trace export trace.zt -o tables --format csv        for a spreadsheet
  zombie-trace export trace.zt -o tables --since -1h         every hour, by a timer
  duckdb -c \"SELECT host, cause, count(*) FROM 'tables/zombies/*.parquet' GROUP BY ALL\"

`zombie-trace export --columns` describes the tables and columns.";

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Describe the tables and their columns as Markdown, and do nothing else.
    #[arg(long, exclusive = true)]
    pub columns: bool,
    /// Write below this folder, a folder for each table; created if missing. Files are readable by their
    /// owner alone.
    #[arg(short, long, value_name = "DIR", required_unless_present = "columns")]
    output: Option<PathBuf>,
    /// What to write.
    #[arg(long, value_enum, default_value_t)]
    format: TableFormatArg,
    /// Replace files of the same host, boot and start.
    #[arg(long)]
    overwrite: bool,
    // The last, since the heading of the filters stays for what follows.
    #[command(flatten)]
    recordings: RecordingArgs,
}

/// What to write.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum TableFormatArg {
    /// For Spark, DuckDB, Trino and the like.
    #[default]
    Parquet,
    /// For a spreadsheet. Text that looks like a formula is escaped.
    Csv,
}

impl ExportArgs {
    /// The validated options.
    ///
    /// # Errors
    /// What does not fit together, in words.
    pub fn options(self) -> Result<export::Options, String> {
        Ok(export::Options {
            // Nothing is printed.
            source: self.recordings.selection()?,
            folder: self.output.unwrap_or_default(),
            format: match self.format {
                TableFormatArg::Parquet => TableFormat::Parquet,
                TableFormatArg::Csv => TableFormat::Csv,
            },
            overwrite: self.overwrite,
        })
    }
}
