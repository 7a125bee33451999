//! Project automation: `cargo xtask <command>`.

mod apt;
mod architecture;
mod bench;
#[expect(dead_code, reason = "the build script of zombie-trace uses the rest")]
#[path = "../../zombie-trace/build/bpf.rs"]
mod bpf;
mod build;
mod cache;
mod cross;
mod dist;
mod fuzz;
mod grade_inits;
mod lint;
mod package;
mod packages;
mod python;
mod run;
mod scratch;
mod setup;
mod system;
mod test;
mod vendor;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Sets up, builds, runs, tests and lints zombie-trace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, disable_help_subcommand = true)]
#[command(after_help = "Examples:
  cargo xtask setup             install what the build and the tests need
  cargo xtask run               build and show the demo
  cargo xtask run -- scan       build and run `zombie-trace scan` as root
  cargo xtask test              everything that the CI runs, kernel tests included
  cargo xtask vm-test           the kernel tests under Debian's kernels, in VMs
  cargo xtask bench             what tracing costs, against no tracer
  cargo xtask fuzz              the parsers, with what nobody would write
  cargo xtask lint              formatting, clippy, the eBPF programs, repository hygiene
  cargo xtask package           the crate for `cargo install`, with the eBPF objects inside
  cargo xtask dist              archives, packages and the image, as they are shipped
  cargo xtask vendor            the charting library against its npm package
  cargo xtask grade-inits       write the table of how inits do as PID 1")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Setup(setup::Options),
    Build(build::Options),
    Run(run::Options),
    Test(test::Options),
    Bench(bench::Options),
    VmTest(vm::Options),
    Fuzz(fuzz::Options),
    Lint(lint::Options),
    Package(package::Options),
    Dist(dist::Options),
    Vendor(vendor::Options),
    GradeInits(grade_inits::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Setup(options) => setup::main(&options),
        Command::Build(options) => build::main(&options),
        Command::Run(options) => run::main(&options),
        Command::Test(options) => test::main(&options),
        Command::Bench(options) => bench::main(&options),
        Command::VmTest(options) => vm::main(&options),
        Command::Fuzz(options) => fuzz::main(&options),
        Command::Lint(options) => lint::main(&options),
        Command::Package(options) => package::main(&options),
        Command::Dist(options) => dist::main(&options),
        Command::Vendor(options) => vendor::main(&options),
        Command::GradeInits(options) => grade_inits::main(&options),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments_after_the_dashes_go_to_zombie_trace() {
        let cli = Cli::parse_from(["xtask", "run", "--release", "--", "live", "--for", "3s", "--release"]);
        let Command::Run(options) = cli.command else { panic!("{cli:?}") };
        assert!(options.release);
        assert_eq!(options.arguments, ["live", "--for", "3s", "--release"]);
    }
}
