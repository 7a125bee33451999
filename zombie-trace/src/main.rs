//! The `zombie-trace` command.

use std::{ffi::OsString, path::Path, process::ExitCode};

use clap::{CommandFactory, Parser};
use zombie_trace::{
    cli::{Cli, Subcommand, use_color},
    commands::{
        Exit, Format, check, demo, doctor, explain as explanations, export, init_check, live, record, report, scan,
    },
    export::manual,
    image::scratch,
    init_check::scene,
    kernel::preflight::Status,
    source::{
        asker::{READER, serve},
        explain::{Explanation, explain},
        live::LiveError,
        proc::enter_time_namespace,
    },
};

/// For packages. Not one of clap's commands, because the completions would offer it.
const MANUAL_PAGES: &str = "manual-pages";

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).format_timestamp(None).init();
    // Not a command for people, so it is not in the help.
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next().unwrap_or_default();
    if first == demo::ACTOR {
        return act(&arguments.next().unwrap_or_default());
    }
    if first == READER {
        return read();
    }
    if first == MANUAL_PAGES {
        return manual_pages(Path::new(&arguments.next().unwrap_or_default()));
    }
    if first == scene::ACTOR {
        return init_check::act(arguments).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    if first == scratch::KEEPER {
        return scratch::keep().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let command = Cli::parse().command;
    if let Err(error) = enter_time_namespace() {
        log::warn!("started in one time namespace with children in another, and cannot enter theirs: {error}");
    }
    let result = match command {
        Subcommand::Live(arguments) => live::run(&arguments.options()),
        Subcommand::Record(arguments) => record::run(&arguments.options()),
        Subcommand::Report(arguments) => match arguments.options() {
            Ok(options) => report::run(&options),
            Err(words) => wrong_usage(&words),
        },
        Subcommand::Export(arguments) if arguments.columns => print(&manual()),
        Subcommand::Export(arguments) => match arguments.options() {
            Ok(options) => export::run(&options),
            Err(words) => wrong_usage(&words),
        },
        Subcommand::Scan(arguments) => scan::run(scan::ScanOptions {
            format: arguments.format.into(),
            color: use_color(),
            out: &mut std::io::stdout().lock(),
            notes: &mut std::io::stderr(),
        }),
        Subcommand::Check(arguments) => check::run(arguments.options()),
        Subcommand::InitCheck(arguments) => match arguments.options() {
            Ok(options) => init_check::run(&options),
            Err(words) => wrong_usage(&words),
        },
        Subcommand::Doctor(arguments) => examine(arguments.format.into()),
        Subcommand::Explain(arguments) => {
            explanations::run(arguments.ids, arguments.format.into(), use_color(), &mut std::io::stdout().lock())
        }
        Subcommand::Demo(arguments) => demo::run(arguments.format.into(), use_color()),
        Subcommand::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "zombie-trace", &mut std::io::stdout());
            Ok(Exit::Clean)
        }
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            complain(&error);
            Exit::Unmeasured.into()
        }
    }
}

/// What clap cannot know to be wrong, told as clap tells it.
fn wrong_usage(words: &str) -> ! {
    Cli::command().error(clap::error::ErrorKind::ArgumentConflict, words).exit()
}

/// Prints a text; if who reads has gone, that is no failure.
fn print(text: &str) -> anyhow::Result<Exit> {
    match std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(Exit::Clean),
    }
}

/// Writes the manual pages, one for each command, into an existing folder.
fn manual_pages(folder: &Path) -> ExitCode {
    match clap_mangen::generate_to(Cli::command(), folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zombie-trace: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn examine(format: Format) -> anyhow::Result<Exit> {
    match doctor::run(format, use_color(), &mut std::io::stdout().lock()) {
        Ok(Status::Failed) => Ok(Exit::Unmeasured),
        Ok(Status::Ok | Status::Degraded) => Ok(Exit::Clean),
        // Who reads has gone: no failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Clean),
        Err(error) => Err(error.into()),
    }
}

/// Says what went wrong and, where that is known, what to do.
fn complain(error: &anyhow::Error) {
    match error.downcast_ref::<LiveError>().map(explain) {
        Some(Explanation { message, advice }) => {
            eprintln!("zombie-trace: {message}");
            for line in advice.lines() {
                eprintln!("  {line}");
            }
            eprintln!("  `zombie-trace doctor` says more");
        }
        None => eprintln!("zombie-trace: {error:#}"),
    }
}

/// What another of these asks, see [`zombie_trace::source::asker`].
fn read() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::debug!("a reader ends: {error}");
            ExitCode::FAILURE
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
