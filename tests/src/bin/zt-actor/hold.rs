//! Nothing happens until stdin is closed.

use super::kit::{host_pid, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The exit code
    #[arg(long, default_value_t = 0)]
    exit_code: i32,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    say(format!("holding pid={}", host_pid()));
    wait_for_hangup();
    std::process::exit(args.exit_code);
}
