//! The arguments of `check`.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::args::{FormatArg, ScopeArgs, duration, ring_kib, use_color};
use crate::{
    commands::check,
    container::{Selector, SelectorError},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  sudo zombie-trace check -- make test
  sudo zombie-trace check --policy zombies.toml --junit zombies.xml -- ./run-tests.sh
  sudo zombie-trace check --save-baseline zombies.json -- make test   accept what exists now
  sudo zombie-trace check --baseline zombies.json -- make test        fail on anything more
  sudo zombie-trace check --github -- make test                       in GitHub Actions
  sudo zombie-trace check -- docker run --rm app                      with its containers
  zombie-trace check --recording night.zt                             a file from `record`
  zombie-trace check --source proc -- make test                       no BPF: sees less
  zombie-trace check --print-policy > zombies.toml";

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Policy file (TOML). Default: no zombie older than 1s, no dropped signals.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Print the effective policy as a TOML file and exit.
    #[arg(long)]
    print_policy: bool,
    /// Longest time a zombie may stay unreaped; overrides max-zombie-age of the policy.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    min_age: Option<Duration>,
    /// Allow the findings listed in this file, unless there are more of them now.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Save the current findings to this file as the baseline, and pass.
    #[arg(long, value_name = "FILE", conflicts_with = "baseline")]
    save_baseline: Option<PathBuf>,
    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    format: FormatArg,
    /// Write the verdict to this file, not to standard output, where the command prints, too.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write JUnit XML to this file.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write SARIF 2.1.0 to this file.
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Print annotations for GitHub Actions; if GITHUB_STEP_SUMMARY is set, also add to the job summary.
    #[arg(long)]
    github: bool,
    /// Check a recording instead of running a command; list all files of a rotated recording.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["command", "source", "interval"])]
    recording: Vec<PathBuf>,
    /// Where the data comes from.
    #[arg(long, value_enum, default_value_t)]
    source: SourceArg,
    /// Sampling interval of --source proc.
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = interval)]
    interval: Duration,
    /// Pass even if nothing was seen, or only clients of daemons, such as docker or systemctl.
    #[arg(long)]
    allow_empty: bool,
    /// Containers to follow with the command: `new` for all that start while it runs, `all`, `none`, or names and ids.
    /// Default: those that the command starts, stops or runs something in.
    #[arg(long, value_name = "WHICH", num_args = 1.., value_parser = which, conflicts_with_all = ["recording", "source"])]
    containers: Vec<Which>,
    /// After the command, wait up to this long for the processes that it left running, and check them, too.
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration, conflicts_with = "recording")]
    wait_for_daemons: Duration,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Size of the ring buffer, a power of two; a larger one loses fewer events under load.
    #[arg(long, value_name = "KIB", default_value_t = 8192, value_parser = ring_kib)]
    ring_kib: u32,
    /// Entries of each of the kernel's maps of processes and of wait calls; by default what this machine may need
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    map_entries: Option<u32>,
    /// Do not use fentry probes; some reap times become upper bounds.
    #[arg(long)]
    no_fentry: bool,
    /// The command to check, with everything that it starts.
    #[arg(last = true, value_name = "CMD", required_unless_present_any = ["print_policy", "recording"])]
    command: Vec<OsString>,
}

/// Where to learn of zombies from.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum SourceArg {
    /// The kernel's events; needs root.
    #[default]
    Bpf,
    /// Samples of /proc; needs no privilege, but misses all signals and zombies that live shorter than the interval.
    Proc,
}

impl CheckArgs {
    /// The validated options.
    #[must_use]
    pub fn options(self) -> check::Options {
        check::Options {
            policy: self.policy,
            print_policy: self.print_policy,
            min_age: self.min_age,
            baseline: self.baseline,
            save_baseline: self.save_baseline,
            format: self.format.into(),
            color: self.output.is_none() && use_color(),
            output: self.output,
            junit: self.junit,
            sarif: self.sarif,
            github: self.github,
            source: match self.source {
                _ if !self.recording.is_empty() => check::Source::Recording { files: self.recording },
                SourceArg::Bpf => check::Source::Bpf,
                SourceArg::Proc => check::Source::Proc { interval: self.interval },
            },
            ring_bytes: self.ring_kib * 1024,
            map_entries: self.map_entries,
            extras: !self.no_fentry,
            scope: self.scope.into(),
            allow_empty: self.allow_empty,
            containers: containers(self.containers),
            wait_for_daemons: self.wait_for_daemons,
            command: self.command,
        }
    }
}

/// Containers to follow.
#[derive(Clone, Debug)]
enum Which {
    New,
    All,
    None,
    Named(Selector),
}

fn which(text: &str) -> Result<Which, SelectorError> {
    Ok(match text {
        "new" => Which::New,
        "all" => Which::All,
        "none" => Which::None,
        _ => Which::Named(Selector::parse(text)?),
    })
}

/// The widest of those that are given.
fn containers(which: Vec<Which>) -> check::Containers {
    let has = |wanted: fn(&Which) -> bool| which.iter().any(wanted);
    if which.is_empty() {
        check::Containers::Own
    } else if has(|it| matches!(it, Which::All)) {
        check::Containers::All
    } else if has(|it| matches!(it, Which::New)) {
        check::Containers::New
    } else {
        let names = which.into_iter().filter_map(|it| if let Which::Named(name) = it { Some(name) } else { None });
        let names: Vec<Selector> = names.collect();
        if names.is_empty() { check::Containers::None } else { check::Containers::Named(names) }
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if (Duration::from_millis(1)..=Duration::from_secs(60)).contains(&interval) {
        Ok(interval)
    } else {
        Err("must be from 1ms to 1m".to_owned())
    }
}
