//! The command line: clap's arguments, and from them the validated options that the commands use.

mod args;
mod check_args;
mod exit;
mod init_check_args;
mod record;

pub use args::{Cli, Subcommand, use_color};
pub use exit::Exit;
pub use record::{RecordArgs, ReportArgs};
