//! One boot of one kernel under QEMU, from the command line to the results.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{
    kernels::Kernel,
    results::{self, Outcome},
};
use crate::architecture::Emulator;

/// How a machine is booted and what it runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setting {
    /// Shown in the table beside the kernel's version; empty for the usual one.
    pub(crate) name: &'static str,
    /// Additional kernel parameters, for the kernel and the VM's init.
    pub(crate) parameters: Vec<String>,
    /// Only for kernels of another architecture than this machine's.
    pub(crate) foreign: bool,
    /// Whether the machine's CPUs run in parallel.
    pub(crate) parallel: bool,
    /// Only for kernels of this series.
    pub(crate) series: Option<&'static str>,
}

impl Setting {
    pub(crate) fn is_for(&self, kernel: &Kernel) -> bool {
        let is_of = |series: &str| kernel.version.strip_prefix(series).is_some_and(|rest| rest.starts_with('.'));
        self.foreign != kernel.architecture.is_native() && self.series.is_none_or(is_of)
    }
}

/// One machine to boot.
#[derive(Debug)]
pub(crate) struct Boot<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) setting: &'a Setting,
    pub(crate) image: &'a Path,
    /// Where the logs go.
    pub(crate) folder: &'a Path,
    pub(crate) limit: Duration,
}

/// The result of a boot.
#[derive(Debug)]
pub(crate) struct Report {
    /// The finished tests, in order.
    pub(crate) tests: Vec<(String, Outcome)>,
    /// Why the run as a whole failed, if not because of a test.
    pub(crate) trouble: Option<String>,
    pub(crate) took: Duration,
    /// Everything that the kernel and the tests printed.
    pub(crate) console: PathBuf,
}

const MEMORY_MB: &str = "1536";
/// For every kernel. Mitigations only cost time here, above all address randomisation, because QEMU translates programs
/// again at each new address.
const PARAMETERS: &[&str] =
    &["quiet", "panic=-1", "random.trust_cpu=on", "mitigations=off", "init_on_alloc=0", "norandmaps"];

impl Boot<'_> {
    /// A short name, also for the logs.
    pub(crate) fn name(&self) -> String {
        let setting = if self.setting.name.is_empty() { String::new() } else { format!("-{}", self.setting.name) };
        format!("{}{setting}", self.kernel)
    }

    /// Boots and waits until the machine is off or times out.
    pub(crate) fn run(&self) -> Result<Report> {
        let console = self.folder.join(format!("{}.console", self.name()));
        let said = self.folder.join(format!("{}.results", self.name()));
        for file in [&console, &said] {
            fs::write(file, "").with_context(|| file.display().to_string())?;
        }
        let started = Instant::now();
        let mut qemu =
            Machine(self.command(&console, &said).spawn().with_context(|| {
                format!("{} could not be started: run `cargo xtask setup`", self.emulator().program)
            })?);
        let in_time = qemu.wait_until(started + self.limit)?;
        drop(qemu);
        let (tests, verdict) = results::parse(&String::from_utf8_lossy(&fs::read(&said)?));
        let limit = self.limit.as_secs();
        let trouble = match verdict {
            _ if !in_time => Some(format!("did not end within {limit} s and was switched off")),
            None => Some("ended without a verdict: the kernel or the VM's init failed".to_owned()),
            // A failed test is reported as such.
            Some(verdict) if verdict == "exit 0" || tests.iter().any(|(_, outcome)| outcome.is_failure()) => None,
            Some(verdict) => Some(format!("the tests ended with: {verdict}")),
        };
        Ok(Report { tests, trouble, took: started.elapsed(), console })
    }

    fn emulator(&self) -> &'static Emulator {
        &self.kernel.architecture.emulator
    }

    fn command(&self, console: &Path, results: &Path) -> Command {
        let emulator = self.emulator();
        // The machines end with this program.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", emulator.program]).args(emulator.machine);
        let threads = if self.setting.parallel { "tcg,thread=multi" } else { "tcg,thread=single" };
        command.args(["-accel", threads]);
        command.args(["-smp", "2", "-m", MEMORY_MB]);
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.arg("-serial").arg(format!("file:{}", console.display()));
        command.arg("-chardev").arg(format!("file,id=results,path={}", results.display()));
        command.args(["-device", emulator.results]);
        command.arg("-kernel").arg(&self.kernel.image).arg("-initrd").arg(self.image);
        let mut parameters: Vec<String> = PARAMETERS.iter().map(ToString::to_string).collect();
        parameters.push(format!("console={}", emulator.console));
        parameters.push(format!("zt.results={}", emulator.results_line));
        parameters.extend_from_slice(&self.setting.parameters);
        command.arg("-append").arg(parameters.join(" "));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

/// A running QEMU, killed on drop.
struct Machine(Child);

impl Machine {
    /// Whether it exited by itself in time.
    fn wait_until(&mut self, end: Instant) -> Result<bool> {
        loop {
            if self.0.try_wait().context("QEMU is our child")?.is_some() {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Ok(false);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::kernels::SUITES;

    fn command_for(debian: &str, setting: &Setting) -> Vec<String> {
        let suite = *SUITES.iter().find(|suite| suite.label() == debian).unwrap();
        let kernel = suite.kernel("6.12.107".to_owned(), "/k/vmlinuz".into()).unwrap();
        let limit = Duration::from_secs(1);
        let (image, folder) = (Path::new("/i.cpio"), Path::new("/f"));
        let boot = Boot { kernel: &kernel, setting, image, folder, limit };
        let command = boot.command(Path::new("/f/console"), Path::new("/f/results"));
        command.get_args().map(|it| it.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn each_architecture_has_its_machine_and_its_serial_lines() {
        let setting = Setting { parameters: vec!["zt.scale=6".to_owned()], ..Setting::default() };
        for (suite, program, console, results) in [
            ("trixie", "qemu-system-x86_64", "console=ttyS0", "zt.results=/dev/ttyS1"),
            ("trixie-arm64", "qemu-system-aarch64", "console=ttyAMA0", "zt.results=/dev/ttyS0"),
        ] {
            let arguments = command_for(suite, &setting);
            assert!(arguments.iter().any(|it| it == program), "{arguments:?}");
            let append = arguments.last().unwrap();
            let words: Vec<_> = append.split(' ').collect();
            assert!(words.contains(&console) && words.contains(&results) && words.contains(&"zt.scale=6"), "{append}");
        }
    }

    #[test]
    fn processors_run_at_the_same_time_where_that_is_asked_for() {
        for (parallel, threads) in [(false, "tcg,thread=single"), (true, "tcg,thread=multi")] {
            let arguments = command_for("trixie", &Setting { parallel, ..Setting::default() });
            let accelerators: Vec<_> = arguments.iter().filter(|it| it.starts_with("tcg")).collect();
            assert_eq!(accelerators, [threads]);
        }
    }

    #[test]
    fn a_machine_has_its_architecture_in_its_name() {
        let suite = *SUITES.iter().find(|suite| suite.label() == "trixie-arm64").unwrap();
        let kernel = suite.kernel("6.12.107".to_owned(), "/k/vmlinuz".into()).unwrap();
        assert_eq!(kernel.to_string(), "6.12.107-arm64");
    }
}
