//! The arguments of `live`, and those that several subcommands have.

use std::{ffi::OsString, io::IsTerminal, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, ValueEnum};
use globset::{GlobBuilder, GlobMatcher};

use crate::{
    commands::{Format, live, run},
    container::Selector,
    report::Scope,
};

/// Arguments of subcommands that take nothing but a format.
#[derive(Debug, Args)]
pub struct FormatArgs {
    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    pub format: FormatArg,
}

/// Arguments of `live`.
#[derive(Debug, Args)]
pub struct LiveArgs {
    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    format: FormatArg,
    /// Write to this file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Record the run at the same time; see `record`.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    #[command(flatten)]
    trace: TraceArgs,
}

/// What is traced, by whatever command.
#[derive(Debug, Args)]
pub(super) struct TraceArgs {
    /// Report zombies unreaped for at least this long; 0 also reports every reap.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    min_age: Duration,
    /// Stop after this time.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    limit: Option<Duration>,
    /// Size of the ring buffer, a power of two; a larger one loses fewer events under load.
    #[arg(long, value_name = "KIB", default_value_t = 8192, value_parser = ring_kib)]
    ring_kib: u32,
    /// Entries of each of the kernel's maps of processes and of wait calls; by default what this machine may need
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    map_entries: Option<u32>,
    /// Report every process that a signal killed. How PID 1s ended is always reported.
    #[arg(long)]
    ends: bool,
    /// Do not use fentry probes; some reap times become upper bounds.
    #[arg(long)]
    no_fentry: bool,
    #[command(flatten)]
    filters: Filters,
    /// Run this command, and trace only this command and what it starts.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// What to look at; filters combine with AND.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters")]
pub(super) struct Filters {
    /// Only this process and its descendants.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "command")]
    pid: Option<u32>,
    #[command(flatten)]
    scope: ScopeArgs,
}

/// The filters that do not need the kernel.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters")]
pub(super) struct ScopeArgs {
    /// Only this container, by the start of its id, its name, the name of its pod, or NAMESPACE/POD.
    #[arg(long, value_name = "ID|NAME", value_parser = Selector::from_str)]
    container: Option<Selector>,
    /// Only this pid namespace, by the inode number of /proc/PID/ns/pid.
    #[arg(long, value_name = "INODE")]
    pid_ns: Option<u32>,
    /// Only this cgroup and its descendants.
    #[arg(long, value_name = "PATH")]
    cgroup: Option<String>,
    /// Only processes whose name, or whose parent's name, matches this pattern.
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    comm: Option<GlobMatcher>,
}

/// Output format.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum FormatArg {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Text => Self::Text,
            FormatArg::Json => Self::Json,
        }
    }
}

impl From<ScopeArgs> for Scope {
    fn from(ScopeArgs { container, pid_ns, cgroup, comm }: ScopeArgs) -> Self {
        Self::new(container, pid_ns, cgroup, comm)
    }
}

impl TraceArgs {
    pub(super) fn options(self) -> run::Options {
        run::Options {
            min_age: self.min_age,
            limit: self.limit,
            root: self.filters.pid,
            scope: self.filters.scope.into(),
            ring_bytes: self.ring_kib * 1024,
            map_entries: self.map_entries,
            extras: !self.no_fentry,
            ends: self.ends,
            command: self.command,
            wait_for_daemons: Duration::ZERO,
            names_files: false,
            containers: None,
        }
    }
}

impl LiveArgs {
    /// The validated options.
    #[must_use]
    pub fn options(self) -> live::Options {
        live::Options {
            run: self.trace.options(),
            format: self.format.into(),
            color: self.output.is_none() && use_color(),
            output: self.output,
            record: self.record,
        }
    }
}

/// Colour is for terminals, and not where `NO_COLOR` is set (no-color.org).
#[must_use]
pub fn use_color() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    !unwanted && !dumb && std::io::stdout().is_terminal()
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let duration: jiff::SignedDuration =
        text.parse().map_err(|_| "not a duration; write it like 500ms, 1s, 2m or 1h30m".to_owned())?;
    Duration::try_from(duration).map_err(|_| "a duration cannot be negative".to_owned())
}

pub(super) fn ring_kib(text: &str) -> Result<u32, String> {
    let kib: u32 = text.parse().map_err(|_| "not a number".to_owned())?;
    if kib.is_power_of_two() && (4..=1024 * 1024).contains(&kib) {
        Ok(kib)
    } else {
        Err("must be a power of two from 4 to 1048576".to_owned())
    }
}

fn glob(text: &str) -> Result<GlobMatcher, String> {
    // Names of processes are no paths: a star also stands for a slash.
    GlobBuilder::new(text)
        .literal_separator(false)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| error.kind().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_do() {
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert!(duration("-1s").is_err());
        assert!(duration("soon").is_err());
        assert!(duration("").is_err());
    }

    #[test]
    fn a_ring_is_a_power_of_two() {
        assert_eq!(ring_kib("64"), Ok(64));
        assert!(ring_kib("65").is_err());
        assert!(ring_kib("0").is_err());
        assert!(ring_kib("4294967295").is_err());
    }
}
