//! What tracing costs a signal between two processes, neither of which is the PID 1 of a namespace: while no stop is under
//! way, nobody looks at it.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};

use super::{
    Contestant, Tracer, elapsed_ns, median,
    programs::{Spent, Statistics},
    table::Table,
};

/// One that asks to end, which is told to user space, and one that is nobody's concern.
const SIGNALS: [&str; 2] = ["TERM", "USR1"];
/// How often each of the two processes sends it.
const COUNT: u32 = 50_000;

/// The figures of one contestant in one round, for each signal.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    us: [f64; SIGNALS.len()],
    kernel: Option<[Spent; SIGNALS.len()]>,
}

/// Measures those of these contestants whose programs are known, and none.
///
/// # Errors
/// Something cannot be started, or fails.
pub(super) fn run(contestants: &[Contestant], actor: &Path, rounds: u32) -> Result<Table> {
    let mut figures: Vec<Vec<Figures>> = contestants.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for (contestant, figures) in contestants.iter().zip(&mut figures) {
            eprint!("\rround {} of {rounds}: {:<30}", round + 1, contestant.name);
            figures.push(measure(contestant, actor)?);
        }
    }
    eprintln!("\r{:<60}", "");
    let mut table = Table::new(&["a signal", "sent", "time", "throughput", "in the kernel", "runs"]);
    for (index, signal) in SIGNALS.iter().enumerate() {
        for (contestant, of_one) in contestants.iter().zip(&figures) {
            let time = median(of_one.iter().map(|it| it.us[index]));
            let ratio = median(of_one.iter().zip(&figures[0]).map(|(it, untraced)| untraced.us[index] / it.us[index]));
            let kernel = |part: fn(&Spent) -> f64| {
                median(of_one.iter().filter_map(|it| it.kernel.as_ref()).map(|it| part(&it[index])))
            };
            let told = |text: String| if contestant.command.is_some() { text } else { String::new() };
            table.push([
                contestant.name.to_owned(),
                format!("SIG{signal}"),
                format!("{time:.2} µs"),
                format!("{ratio:.2}"),
                told(format!("{:.0} ns", kernel(|it| it.ns))),
                told(format!("{:.1}", kernel(|it| it.runs))),
            ]);
        }
    }
    Ok(table)
}

fn measure(contestant: &Contestant, actor: &Path) -> Result<Figures> {
    let all = || -> Result<[f64; SIGNALS.len()]> {
        let mut us = [0.0; SIGNALS.len()];
        for (us, signal) in us.iter_mut().zip(SIGNALS) {
            *us = storm(actor, signal)?;
        }
        Ok(us)
    };
    let Some(command) = &contestant.command else { return Ok(Figures { us: all()?, kernel: None }) };
    let tracer = Tracer::start(command, contestant.ready).with_context(|| contestant.name.to_owned())?;
    let us = all()?;
    let statistics = Statistics::begin()?;
    let mut kernel = [Spent::default(); SIGNALS.len()];
    for (spent, signal) in kernel.iter_mut().zip(SIGNALS) {
        let before = Spent::by(&tracer.child)?;
        storm(actor, signal)?;
        *spent = Spent::by(&tracer.child)?.since(before, 2 * COUNT);
    }
    drop(statistics);
    tracer.stop()?;
    Ok(Figures { us, kernel: Some(kernel) })
}

/// Wall-clock time of a signal, µs.
fn storm(actor: &Path, signal: &str) -> Result<f64> {
    let mut command = Command::new(actor);
    command.args(["signal-storm", "--signal", signal, "--count", &COUNT.to_string()]);
    Ok(elapsed_ns(&mut command)? as f64 / 1e3 / f64::from(2 * COUNT))
}
