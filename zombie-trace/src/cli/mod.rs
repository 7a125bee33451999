//! The command line: clap's arguments, and from them the validated options that the commands use.

mod args;
mod check_args;
mod explain;
mod export;
mod init_check_args;
mod moment;
mod record;
mod subcommand;

pub use args::{LiveArgs, use_color};
pub use explain::ExplainArgs;
pub use export::ExportArgs;
pub use record::{RecordArgs, ReportArgs};
pub use subcommand::{Cli, Subcommand};
