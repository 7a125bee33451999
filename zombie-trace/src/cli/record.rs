//! The arguments of `record` and `report`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::{
    args::{ScopeArgs, TraceArgs, duration},
    use_color,
};
use crate::{
    commands::{
        Format, record,
        report::{self, ReportFormat},
    },
    recording::{Limits, Rotation},
    report::Scope,
};

pub(super) const RECORD_EXAMPLES: &str = "\
Examples:
  sudo zombie-trace record -o trace.zt                       until Ctrl-C
  sudo zombie-trace record -o trace.zt -- ./run-tests.sh     one command and what it starts
  sudo zombie-trace record -o /var/lib/zombie-trace/node.zt --rotate-size 64M --rotate-age 15m --keep 256M
                                                             a flight recorder: always the last 256 MB";

pub(super) const REPORT_EXAMPLES: &str = "\
Examples:
  zombie-trace report trace.zt
  zombie-trace report /var/lib/zombie-trace/*.zt             all files of a flight recorder
  zombie-trace report node1.zt node2.zt --format json        an object for each host and boot
  zombie-trace report trace.zt --format html -o report.html  a page with a timeline, for a browser
  zombie-trace report trace.zt --format perfetto -o trace.pftrace
                                                             a trace for ui.perfetto.dev";

/// Arguments of `record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// Write to this file; readable by its owner alone. One that exists is not overwritten.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Overwrite a regular file of one's own.
    #[arg(long, conflicts_with_all = ["rotate_size", "rotate_age"])]
    overwrite: bool,
    /// Stop, with exit code 3, before less than this is left free on the disk.
    #[arg(long, value_name = "SIZE", default_value = "512M", value_parser = size)]
    min_free: u64,
    #[command(flatten)]
    trace: TraceArgs,
    #[command(flatten)]
    rotation: RotationArgs,
}

/// When a new file is begun.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rotation")]
struct RotationArgs {
    /// Begin a new file when one has this size; the full one gets the time into its name.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    rotate_size: Option<u64>,
    /// Begin a new file after this time.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    rotate_age: Option<Duration>,
    /// Keep so much in all files together; the oldest go first.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    keep: Option<u64>,
    /// Keep so many files.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    keep_files: Option<u32>,
}

impl RotationArgs {
    /// To keep so much means to rotate, by a part of it.
    fn rotation(&self) -> Rotation {
        const SMALLEST: u64 = 1 << 20;
        const PARTS: u64 = 4;
        const DEFAULT: u64 = 64 << 20;
        let by_keep = self.keep.map(|keep| (keep / PARTS).max(SMALLEST));
        let by_files = self.keep_files.map(|_| DEFAULT);
        let implied = if self.rotate_age.is_none() { by_keep.or(by_files) } else { by_keep };
        Rotation {
            size: self.rotate_size.or(implied),
            age: self.rotate_age,
            keep_bytes: self.keep,
            keep_files: self.keep_files.and_then(|count| usize::try_from(count).ok()),
        }
    }
}

impl RecordArgs {
    /// The validated options.
    #[must_use]
    pub fn options(self) -> record::Options {
        record::Options {
            limits: Limits { rotation: self.rotation.rotation(), min_free: self.min_free, overwrite: self.overwrite },
            output: self.output,
            run: self.trace.options(),
        }
    }
}

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Recordings: of one host or several, rotated or not, in any order.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Report zombies that have waited this long.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    min_age: Duration,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormatArg,
    /// Write to this file instead of standard output; readable by its owner alone. It is replaced when the report is
    /// complete.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Leave out what was over before this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Leave out what happened after this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    #[command(flatten)]
    scope: ScopeArgs,
}

/// How to print a report.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ReportFormatArg {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
    /// A page with a timeline, for a browser; needs no network.
    Html,
    /// A trace for Perfetto (ui.perfetto.dev).
    Perfetto,
}

impl From<ReportFormatArg> for ReportFormat {
    fn from(format: ReportFormatArg) -> Self {
        match format {
            ReportFormatArg::Text => Self::Summary(Format::Text),
            ReportFormatArg::Json => Self::Summary(Format::Json),
            ReportFormatArg::Html => Self::Html,
            ReportFormatArg::Perfetto => Self::Perfetto,
        }
    }
}

impl ReportArgs {
    /// The validated options.
    #[must_use]
    pub fn options(self) -> report::Options {
        let scope: Scope = self.scope.into();
        report::Options {
            files: self.files,
            min_age: self.min_age,
            format: self.format.into(),
            color: self.output.is_none() && use_color(),
            output: self.output,
            since: self.since,
            until: self.until,
            scope: (!scope.is_unlimited()).then_some(scope),
        }
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "not a time; write it like 2026-07-14T12:00:00Z or 2026-07-14T14:00:00+02:00".to_owned())
}

/// A size in bytes, in powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_uppercase().trim_end_matches("IB").trim_end_matches('B') {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err("not a size; write it like 512M or 2G".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "not a size; write it like 512M or 2G".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_people_do() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(size("10kb"), Ok(10 << 10));
        for wrong in ["", "M", "-1", "1.5G", "1X", "99999999T"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn to_keep_so_much_is_to_rotate() {
        let args = |keep, keep_files| RotationArgs { rotate_size: None, rotate_age: None, keep, keep_files };
        assert!(!args(None, None).rotation().is_on());
        assert_eq!(args(Some(256 << 20), None).rotation().size, Some(64 << 20));
        assert!(args(None, Some(3)).rotation().is_on());
    }
}
