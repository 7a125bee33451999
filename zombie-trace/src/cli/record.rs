//! The arguments of `record` and `report`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::{
    args::{ScopeArgs, TraceArgs, duration},
    moment::moment,
    use_color,
};
use crate::{
    commands::{
        Format, record,
        replay::Selection,
        report::{self, ReportFormat},
    },
    recording::{Limits, Rotation},
    report::Scope,
};

pub(super) const RECORD_EXAMPLES: &str = "\
Examples:
  sudo zombie-trace record -o trace.zt                       until Ctrl-C
  sudo zombie-trace record -o trace.zt -- ./run-tests.sh     one command and what it starts
  sudo zombie-trace record -o node.zt --rotate-age 15m --keep 256M
                                                             a flight recorder: the last 256 MB";

pub(super) const REPORT_EXAMPLES: &str = "\
Examples:
  zombie-trace report trace.zt
  zombie-trace report /var/lib/zombie-trace/*.zt             all files of a flight recorder
  zombie-trace report node1.zt node2.zt --format json        one object per host and boot
  zombie-trace report trace.zt --format html -o report.html  a page with a timeline, for a browser
  zombie-trace report trace.zt --format perfetto -o trace.pftrace
                                                             a trace for ui.perfetto.dev
  zombie-trace report trace.zt --since 02:00 --until 02:30   last night
  zombie-trace report trace.zt --pid 1234 --min-age 0        one process, zombies of any age";

/// Arguments of `record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// Write to this file; only its owner can read it. Existing files are not overwritten.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Overwrite an existing regular file that you own.
    #[arg(long, conflicts_with_all = ["rotate_size", "rotate_age"])]
    overwrite: bool,
    /// Stop with exit code 3 when free disk space would fall below this.
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
    /// Begin a new file at this size; the full file is renamed with a timestamp.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    rotate_size: Option<u64>,
    /// Begin a new file after this time; the old file is renamed with a timestamp.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    rotate_age: Option<Duration>,
    /// Keep at most this much in total; the oldest files are deleted first.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    keep: Option<u64>,
    /// Keep at most this many files.
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

/// Which recordings, and what of them.
#[derive(Debug, Args)]
pub(super) struct RecordingArgs {
    /// Recordings: of one host or several, rotated or not, in any order.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Report zombies unreaped for at least this long.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    min_age: Duration,
    /// Ignore everything that ended before this time: 2026-07-14T12:00:00Z, "2026-07-14 14:00", 14:00 or -2h.
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    since: Option<Timestamp>,
    /// Ignore everything after this time.
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    until: Option<Timestamp>,
    /// Only the process that had this pid, and its descendants.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Filters")]
    pid: Option<u32>,
    #[command(flatten)]
    scope: ScopeArgs,
}

/// How to print a report.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ReportFormatArg {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
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

impl RecordingArgs {
    pub(super) fn selection(self) -> Result<Selection, String> {
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since >= until
        {
            return Err(format!("--since ({since:.0}) is not before --until ({until:.0})"));
        }
        let scope: Scope = self.scope.into();
        Ok(Selection {
            files: self.files,
            min_age: self.min_age,
            since: self.since,
            until: self.until,
            root: self.pid,
            scope: (!scope.is_unlimited()).then_some(scope),
        })
    }
}

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormatArg,
    /// Write to this file instead of standard output; only its owner can read it. An existing file is replaced when the
    /// report is complete.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    // The last, since the heading of the filters stays for what follows.
    #[command(flatten)]
    recordings: RecordingArgs,
}

impl ReportArgs {
    /// The validated options.
    ///
    /// # Errors
    /// What does not fit together, in words.
    pub fn options(self) -> Result<report::Options, String> {
        Ok(report::Options {
            selection: self.recordings.selection()?,
            format: self.format.into(),
            color: self.output.is_none() && use_color(),
            output: self.output,
        })
    }
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
    fn the_unit_of_the_flight_recorder_calls_it_rightly() {
        use clap::Parser;
        let unit = include_str!("../../deploy/zombie-trace-record.service");
        let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let cli = crate::cli::Cli::try_parse_from(line.split_whitespace()).unwrap();
        let crate::cli::Subcommand::Record(arguments) = cli.command else { panic!("{line}") };
        let options = arguments.options();
        assert_eq!(options.output.to_str(), Some("/var/lib/zombie-trace/node.zt"));
        assert_eq!(options.limits.rotation.keep_bytes, Some(256 << 20));
        assert!(unit.contains("StateDirectory=zombie-trace\n"), "the folder has to be there");
    }

    #[test]
    fn to_keep_so_much_is_to_rotate() {
        let args = |keep, keep_files| RotationArgs { rotate_size: None, rotate_age: None, keep, keep_files };
        assert!(!args(None, None).rotation().is_on());
        assert_eq!(args(Some(256 << 20), None).rotation().size, Some(64 << 20));
        assert!(args(None, Some(3)).rotation().is_on());
    }
}
