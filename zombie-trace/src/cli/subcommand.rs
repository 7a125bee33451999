//! The command line as a whole.

use clap::Parser;

use super::{
    args::{FormatArgs, LiveArgs},
    check_args::{self, CheckArgs},
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
  sudo zombie-trace scan                          what is there now, without tracing
  sudo zombie-trace doctor                        what this kernel allows";

const LIVE_EXAMPLES: &str = "\
Examples:
  sudo zombie-trace live
  sudo zombie-trace live --min-age 5s --comm 'nginx*'
  sudo zombie-trace live --pid 1234 --for 30s
  sudo zombie-trace live --format json -- make test | jq 'select(.type == \"zombie\")'";

/// Says how long zombies wait to be reaped, which parent is negligent and why, and what signals PID 1 drops.
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
    /// Record what happens, for a report later.
    #[command(after_help = format!("{}\n\n{}", record::RECORD_EXAMPLES, Exit::HELP))]
    Record(Box<RecordArgs>),
    /// Report on recordings.
    #[command(after_help = format!("{}\n\n{}", record::REPORT_EXAMPLES, Exit::HELP))]
    Report(Box<ReportArgs>),
    /// Write recordings as tables, to query those of many nodes together.
    #[command(after_help = format!("{}\n\n{}", export::EXAMPLES, Exit::HELP))]
    Export(Box<ExportArgs>),
    /// Say what is there now, without tracing: zombies, their parents, and what each PID 1 would drop.
    #[command(after_help = format!(
        "Examples:\n  sudo zombie-trace scan\n  sudo zombie-trace scan --format json | jq .zombies\n\n{}", Exit::HELP
    ))]
    Scan(FormatArgs),
    /// Run a command and fail if it leaks zombies or loses signals: for CI.
    #[command(after_help = format!("{}\n\n{}", check_args::EXAMPLES, Exit::HELP))]
    Check(Box<CheckArgs>),
    /// Grade a command as PID 1: orphans, stop signal, children.
    #[command(after_help = format!("{}\n\n{}", init_check_args::EXAMPLES, Exit::HELP))]
    InitCheck(Box<InitCheckArgs>),
    /// Say what this kernel allows, what is missing and what to do.
    #[command(after_help = format!("Examples:\n  sudo zombie-trace doctor\n  sudo zombie-trace doctor --format json\n\n{}", Exit::HELP))]
    Doctor(FormatArgs),
    /// See it at work: a negligent parent, an application as PID 1, and a SIGTERM that it drops.
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
