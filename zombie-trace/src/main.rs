//! The `zombie-trace` command.

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, Parser};
use zombie_trace::{
    cli::{Cli, Exit, Subcommand, use_color},
    commands::{demo, live, record, report},
};

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).format_timestamp(None).init();
    // Not a command for people, so it is not in the help.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == demo::ACTOR) {
        return act(&arguments.next().unwrap_or_default());
    }
    let result = match Cli::parse().command {
        Subcommand::Live(arguments) => live::run(&arguments.options()),
        Subcommand::Record(arguments) => record::run(&arguments.options()),
        Subcommand::Report(arguments) => report::run(&arguments.options()),
        Subcommand::Demo(arguments) => demo::run(arguments.format.into(), use_color()),
        Subcommand::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "zombie-trace", &mut std::io::stdout());
            Ok(Exit::Clean)
        }
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("zombie-trace: {error:#}");
            Exit::Unmeasured.into()
        }
    }
}

fn act(part: &OsString) -> ExitCode {
    match demo::act(part) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zombie-trace: the demonstration failed: {error}");
            ExitCode::FAILURE
        }
    }
}
