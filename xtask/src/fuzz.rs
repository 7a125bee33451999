//! `cargo xtask fuzz`: feeds the parsers of untrusted input with random data.

use std::{ffi::OsStr, fs, path::Path, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{
    setup::{self, Wants},
    system,
};

/// Coverage for libFuzzer; the compiler calls it `sancov`. Without a sanitizer, so that the ordinary compiler suffices:
/// nearly all code is safe, and arithmetic is checked.
const FLAGS: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// Feed the parsers of recordings, policies, baselines, cgroups and containers
///
/// Each fuzz target begins with what is in zombie-trace/fuzz/seeds and what earlier runs have kept in target/fuzz. An
/// input that fails is written to target/fuzz, too.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask fuzz                          all targets, 10 seconds each
  cargo xtask fuzz --seconds 3600 settings  one of them for an hour")]
pub(crate) struct Options {
    /// For how long each target runs
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// The targets; without one, all
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    setup::ensure(Wants { tests: true, ..Wants::default() })?;
    let package = system::workspace().join("zombie-trace/fuzz");
    let all = targets(&package)?;
    if let Some(other) = options.targets.iter().find(|target| !all.contains(target)) {
        bail!("there is no target {other}; there are {}", all.join(", "));
    }
    let work = system::workspace().join("target/fuzz");
    // With an explicit target, build scripts and macros are not instrumented.
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut cargo = system::cargo();
    cargo.args(["build", "--target", &triple, "--manifest-path"]).arg(package.join("Cargo.toml"));
    cargo.arg("--target-dir").arg(&work).env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    let built = system::status(&mut cargo)?;
    if !built.success() {
        return Ok(system::pass_on(built));
    }
    let chosen = if options.targets.is_empty() { &all } else { &options.targets };
    let mut failed = Vec::new();
    for target in chosen {
        let corpus = work.join("corpus").join(target);
        fs::create_dir_all(&corpus).with_context(|| corpus.display().to_string())?;
        let mut fuzzer = std::process::Command::new(work.join(&triple).join("debug").join(target));
        fuzzer.arg(&corpus).arg(package.join("seeds").join(target)).current_dir(&work);
        // Far more memory and time than any input may take.
        fuzzer.args(["-rss_limit_mb=1024", "-timeout=10", "-max_len=16384", "-print_final_stats=1", "-verbosity=0"]);
        fuzzer.arg(format!("-max_total_time={}", options.seconds)).arg(format!("-artifact_prefix={target}-"));
        println!("fuzzing {target} for {} s", options.seconds);
        if !system::status(&mut fuzzer)?.success() {
            failed.push(target.as_str());
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!("failed: {}; the inputs are in {}", failed.join(", "), work.display());
}

/// The names of all targets, in order.
fn targets(package: &Path) -> Result<Vec<String>> {
    let folder = package.join("fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("rs")) {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_built_and_has_seeds() {
        let package = system::workspace().join("zombie-trace/fuzz");
        let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
        for target in targets(&package).unwrap() {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
            assert!(fs::read_dir(package.join("seeds").join(&target)).unwrap().count() > 0, "{target}");
        }
    }
}
