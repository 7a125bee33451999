//! The arguments of `export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::record::RecordingArgs;
use crate::{commands::export, export::TableFormat};

pub(super) const EXAMPLES: &str = "\
Examples:
  zombie-trace export trace.zt -o tables                Parquet: tables/zombies/*.parquet, …
  zombie-trace export node*.zt -o tables                several nodes, in the same tables
  zombie-trace export trace.zt -o tables --format csv   for a spreadsheet
  zombie-trace export trace.zt -o tables --since -1h    the last hour
  duckdb -c \"SELECT host, cause, count(*) FROM 'tables/zombies/*.parquet' GROUP BY ALL\"

`zombie-trace export --columns` describes the tables and columns.";

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Print a description of the tables and columns as Markdown and exit.
    #[arg(long, exclusive = true)]
    pub columns: bool,
    /// Write to this folder, which is created if missing, with a subfolder for each table. Only their owner can read
    /// the files.
    #[arg(short, long, value_name = "DIR", required_unless_present = "columns")]
    output: Option<PathBuf>,
    /// File format of the tables.
    #[arg(long, value_enum, default_value_t)]
    format: TableFormatArg,
    /// Replace existing files of the same host, boot and start time.
    #[arg(long)]
    overwrite: bool,
    // The last, since the heading of the filters stays for what follows.
    #[command(flatten)]
    recordings: RecordingArgs,
}

/// File format of the tables.
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
