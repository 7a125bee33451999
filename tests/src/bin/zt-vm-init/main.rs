//! PID 1 of a test VM: prepares the machine, runs the kernel tests, says how they ended, and switches the machine off.
//!
//! It lies in the initramfs as `/init`. The kernel's command line says what to run, because one image serves all boots:
//! `zt.cgroup=v1|v2`, `zt.scale=N` (the tests' deadlines), `zt.results=FILE`, and `zt.filter=TEXT` or `zt.skip=TEXT`,
//! which may be repeated. `zt.alone=TEXT` are tests that change the machine itself: they run after all others, one at a
//! time. The console is one serial line, for people; another one is for results, read by `cargo xtask vm-test`.

mod mounts;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, sync};
use zombie_trace_tests::require::OWN_MACHINE;

/// The tests: those of the kernel, and those of containers, for cgroup layouts that not every host has. The latter are
/// not in every image.
const TESTS: &[&str] = &["/zt/kernel", "/zt/containers"];

fn main() {
    // On a running machine it would switch that off.
    if std::process::id() != 1 {
        eprintln!("zt-vm-init is the init of a test VM and does nothing elsewhere");
        std::process::exit(2);
    }
    let (results, ended) = match prepare() {
        Ok(orders) => (orders.results.clone(), run(&orders)),
        // The place of the results is then unknown, and a machine without a verdict counts as a failure.
        Err(error) => (None, Err(error)),
    };
    let verdict = match ended {
        Ok(code) => format!("exit {code}"),
        Err(error) => format!("error {error:#}"),
    };
    println!("zt-vm-init: {verdict}");
    if let Some(Err(error)) = results.map(|results| say(&results, &verdict)) {
        println!("zt-vm-init: {error:#}");
    }
    sync();
    // PID 1 must not exit; if the machine cannot be switched off, the panic that follows ends it.
    let _ = reboot(RebootMode::RB_POWER_OFF);
}

fn say(results: &str, verdict: &str) -> Result<()> {
    let mut file = OpenOptions::new().append(true).open(results).with_context(|| results.to_owned())?;
    file.write_all(format!("verdict\t{verdict}\n").as_bytes()).with_context(|| results.to_owned())
}

/// Prepares the machine, and reads the kernel's command line.
fn prepare() -> Result<Orders> {
    mounts::leave_the_first_root()?;
    mounts::basic()?;
    Ok(Orders::parse(&std::fs::read_to_string("/proc/cmdline").context("/proc/cmdline")?))
}

/// Returns the exit code of the tests.
fn run(orders: &Orders) -> Result<i32> {
    match orders.cgroup {
        Cgroup::V1 => mounts::cgroup_v1()?,
        Cgroup::V2 => mounts::cgroup_v2()?,
    }
    let mut verdict = 0;
    for run in orders.runs() {
        for program in TESTS.iter().filter(|program| Path::new(program).exists()) {
            let code = run_tests(program, orders, &run)?;
            verdict = if verdict == 0 { code } else { verdict };
        }
    }
    Ok(verdict)
}

fn run_tests(program: &str, orders: &Orders, run: &Run) -> Result<i32> {
    let mut tests = Command::new(program);
    tests.args(&run.arguments).stdin(Stdio::null());
    tests.env_clear().env("PATH", "/usr/bin:/usr/sbin:/bin:/sbin:/zt").env("HOME", "/root").env("TMPDIR", "/tmp");
    tests.env("ZOMBIE_TRACE_BIN", "/zt/zombie-trace").env("ZT_ACTOR_BIN", "/zt/zt-actor");
    tests.env("ZT_DEADLINE_SCALE", &orders.scale).env("RUST_BACKTRACE", "0");
    if let Some(results) = &orders.results {
        tests.env("ZT_RESULTS", results);
    }
    if run.alone {
        tests.env(OWN_MACHINE, "1");
    }
    let child = tests.spawn().context("the tests cannot be started")?;
    reap_until(Pid::from_raw(i32::try_from(child.id())?))
}

/// Reaps everything, as PID 1 must, until this child has ended. The actors' orphans come here.
fn reap_until(child: Pid) -> Result<i32> {
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => return Ok(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => return Ok(128 + signal as i32),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("PID 1 cannot wait"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cgroup {
    V1,
    V2,
}

/// What the kernel's command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Orders {
    cgroup: Cgroup,
    scale: String,
    /// The serial line for results.
    results: Option<String>,
    /// A run of the test binary for each; if empty, one run of all tests.
    filters: Vec<String>,
    /// A last run, of tests that change the machine.
    alone: Option<String>,
    /// Further arguments of every run but the last.
    arguments: Vec<String>,
}

/// One run of the test binaries.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    arguments: Vec<String>,
    /// Nothing else runs: the tests may do with the machine what they like.
    alone: bool,
}

impl Orders {
    fn parse(line: &str) -> Self {
        let (cgroup, scale) = (Cgroup::V2, "1".to_owned());
        let mut orders = Self { cgroup, scale, results: None, filters: Vec::new(), alone: None, arguments: Vec::new() };
        for (key, value) in line.split_whitespace().filter_map(|word| word.strip_prefix("zt.")?.split_once('=')) {
            match key {
                "cgroup" => orders.cgroup = if value == "v1" { Cgroup::V1 } else { Cgroup::V2 },
                "scale" => value.clone_into(&mut orders.scale),
                "results" => orders.results = Some(value.to_owned()),
                "filter" => orders.filters.push(value.to_owned()),
                "alone" => orders.alone = Some(value.to_owned()),
                "skip" => orders.arguments.extend(["--skip".to_owned(), value.to_owned()]),
                "threads" => orders.arguments.extend(["--test-threads".to_owned(), value.to_owned()]),
                _ => println!("zt-vm-init: zt.{key} is not known"),
            }
        }
        orders
    }

    fn runs(&self) -> Vec<Run> {
        let run = |filter: Option<&String>| Run {
            arguments: filter.into_iter().chain(&self.arguments).cloned().collect(),
            alone: false,
        };
        let mut runs: Vec<_> = self.filters.iter().map(|filter| run(Some(filter))).collect();
        if runs.is_empty() {
            runs.push(run(None));
        }
        let one_at_a_time = |filter: &String| [filter.as_str(), "--test-threads", "1"].map(ToOwned::to_owned).to_vec();
        runs.extend(self.alone.as_ref().map(|filter| Run { arguments: one_at_a_time(filter), alone: true }));
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_found_among_the_kernels_own_parameters() {
        let orders = Orders::parse(
            "quiet zt.cgroup=v1 zt.scale=5 zt.results=/dev/ttyS1 zt.filter=damage:: zt.skip=slow zt.filter=frozen",
        );
        assert_eq!(orders.cgroup, Cgroup::V1);
        assert_eq!(orders.scale, "5");
        assert_eq!(orders.results.as_deref(), Some("/dev/ttyS1"));
        let arguments: Vec<_> = orders.runs().into_iter().map(|run| run.arguments).collect();
        assert_eq!(arguments, [["damage::", "--skip", "slow"], ["frozen", "--skip", "slow"]]);
    }

    #[test]
    fn what_changes_the_machine_runs_last_and_by_itself() {
        let runs = Orders::parse("zt.alone=machine:: zt.skip=machine::").runs();
        assert_eq!(runs[0], Run { arguments: vec!["--skip".to_owned(), "machine::".to_owned()], alone: false });
        let arguments = ["machine::", "--test-threads", "1"].map(ToOwned::to_owned).to_vec();
        assert_eq!(runs[1..], [Run { arguments, alone: true }]);
    }

    #[test]
    fn without_orders_everything_runs_on_cgroup_v2() {
        let orders = Orders::parse("console=ttyS0");
        assert_eq!((orders.cgroup, orders.scale.as_str()), (Cgroup::V2, "1"));
        assert_eq!(orders.runs(), [Run { arguments: Vec::new(), alone: false }]);
    }
}
