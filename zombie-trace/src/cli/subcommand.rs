//! The command line as a whole.

use clap::Parser;

use super::{
    args::{FormatArgs, LiveArgs},
    check_args::{self, CheckArgs},
    explain::{self, ExplainArgs},
    export::{self, ExportArgs},
    init_check_args::{self, InitCheckArgs},
    record::{self, RecordArgs, ReportArgs},
};
use crate::commands::Exit;

const EXAMPLES: &str = "\
Examples:
  sudo zombie-trace live                          everything on this machine, until Ctrl-C
  sudo zombie-trace live --container web          one container
  sudo zombie-trace live -- ./run-tests.sh        one command and what it starts
  sudo zombie-trace live --format json --for 1m   for scripts
  sudo zombie-trace scan                          current zombies, without tracing
  sudo zombie-trace doctor                        whether this machine can be traced";

const LIVE_EXAMPLES: &str = "\
Examples:
  sudo zombie-trace live
  sudo zombie-trace live --min-age 5s --comm 'nginx*'
  sudo zombie-trace live --pid 1234 --for 30s
  sudo zombie-trace live --format json -- make test | jq 'select(.type == \"zombie\")'";

/// Trace zombie processes: how long they stay, which parent fails to reap them and why, and which signals PID 1 drops.
#[derive(Debug, Parser)]
#[command(name = "zombie-trace", version, after_help = format!("{EXAMPLES}\n\n{}", Exit::HELP), max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Subcommand,
}

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
    /// Trace zombies and dropped signals as they happen.
    #[command(after_help = format!("{LIVE_EXAMPLES}\n\n{}", Exit::HELP))]
    Live(Box<LiveArgs>),
    /// Record events to a file, for `report` later.
    #[command(after_help = format!("{}\n\n{}", record::RECORD_EXAMPLES, Exit::HELP))]
    Record(Box<RecordArgs>),
    /// Print a report of recordings, as `live` would have printed it.
    #[command(after_help = format!("{}\n\n{}", record::REPORT_EXAMPLES, Exit::HELP))]
    Report(Box<ReportArgs>),
    /// Export recordings as tables, for queries across nodes.
    #[command(after_help = format!("{}\n\n{}", export::EXAMPLES, Exit::HELP))]
    Export(Box<ExportArgs>),
    /// List current zombies, their parents, and the signals each PID 1 would drop (no tracing).
    #[command(after_help = format!(
        "Examples:\n  sudo zombie-trace scan\n  sudo zombie-trace scan --format json | jq .zombies\n\n{}", Exit::HELP
    ))]
    Scan(FormatArgs),
    /// Run a command, and fail if it leaks zombies or its PID 1s drop signals; for CI.
    #[command(after_help = format!("{}\n\n{}", check_args::EXAMPLES, Exit::HELP))]
    Check(Box<CheckArgs>),
    /// Test a command or an image as PID 1: whether it reaps orphans, stops on its signal, and lets its children exit.
    #[command(after_help = format!("{}\n\n{}", init_check_args::EXAMPLES, Exit::HELP))]
    InitCheck(Box<InitCheckArgs>),
    /// Check whether this machine can be traced, and how to fix it if not.
    #[command(after_help = format!("Examples:\n  sudo zombie-trace doctor\n  sudo zombie-trace doctor --format json\n\n{}", Exit::HELP))]
    Doctor(FormatArgs),
    /// Explain an id that the output names: what it means, how it is known, how to fix it.
    #[command(after_help = explain::EXAMPLES)]
    Explain(ExplainArgs),
    /// Run a demonstration: a parent that does not reap, an application as PID 1, and a SIGTERM that it drops.
    Demo(FormatArgs),
    /// Print completions for a shell.
    #[command(after_help = "Examples:\n  zombie-trace completions bash > /etc/bash_completion.d/zombie-trace")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
