//! What `zombie-trace check` costs over the plain command: at start-up, and over a parallel build.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};

use super::{median, table::Table};

/// Processes of the build.
pub(super) const STEPS: u32 = 2000;
/// What a step of it does: some milliseconds of work, as little as a compiler has for the smallest file.
const STEP: &str = "i=0; while [ $i -lt 10000 ]; do i=$((i+1)); done";

/// The ways to run a command.
const WAYS: [(&str, &[&str]); 3] =
    [("plain", &[]), ("check", &["check", "--"]), ("check --source proc", &["check", "--source", "proc", "--"])];

/// Seconds of each way, a row for each round.
type Rounds = Vec<[f64; WAYS.len()]>;

/// Measures both.
///
/// # Errors
/// Something cannot be started, or fails.
pub(super) fn run(tool: &Path, rounds: u32, cores: usize) -> Result<Table> {
    let build = format!("seq {STEPS} | xargs -P {cores} -n 1 sh -c '{STEP}'");
    let (mut start, mut whole) = (Rounds::new(), Rounds::new());
    for round in 0..rounds {
        eprint!("\rround {} of {rounds}: {:<30}", round + 1, "check");
        start.push(times(tool, &["true"])?);
        whole.push(times(tool, &["sh", "-c", &build])?);
    }
    eprintln!("\r{:<60}", "");
    let mut table = Table::new(&["a command", "true", "overhead", "build", "overhead"]);
    for (index, (name, _)) in WAYS.iter().enumerate() {
        let ms = |rounds: &Rounds| format!("{:.0} ms", median(rounds.iter().map(|round| round[index] * 1e3)));
        let [of_start, of_build] = match index {
            0 => [const { String::new() }; 2],
            _ => [format!("{:+.0} ms", over(&start, index) * 1e3), format!("{:+.1} %", relative(&whole, index) * 1e2)],
        };
        table.push([(*name).to_owned(), ms(&start), of_start, ms(&whole), of_build]);
    }
    Ok(table)
}

/// The ways in turn, so that other load meets all of them.
fn times(tool: &Path, command: &[&str]) -> Result<[f64; WAYS.len()]> {
    let mut seconds = [0.0; WAYS.len()];
    for (second, (name, arguments)) in seconds.iter_mut().zip(WAYS) {
        let mut line = match arguments {
            [] => Command::new(command[0]),
            _ => Command::new(tool),
        };
        match arguments {
            [] => line.args(&command[1..]),
            _ => line.args(arguments).args(command),
        };
        let began = Instant::now();
        let output = line.stdin(Stdio::null()).output().with_context(|| format!("{name} could not be started"))?;
        *second = began.elapsed().as_secs_f64();
        ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(seconds)
}

/// Seconds over the plain command of the same round.
fn over(rounds: &Rounds, index: usize) -> f64 {
    median(rounds.iter().map(|round| round[index] - round[0]))
}

/// The same as a part of the plain command.
fn relative(rounds: &Rounds, index: usize) -> f64 {
    median(rounds.iter().map(|round| round[index] / round[0] - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_compared_with_itself() {
        let rounds: Rounds = vec![[1.0, 1.5, 1.0], [2.0, 2.5, 2.0], [4.0, 9.0, 4.0]];
        assert_eq!(over(&rounds, 1), 0.5);
        assert_eq!((relative(&rounds, 1), relative(&rounds, 2)), (0.5, 0.0));
    }
}
