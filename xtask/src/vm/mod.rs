//! `cargo xtask vm-test`: the kernel tests under other kernels.

mod again;
mod image;
mod kernels;
mod machine;
mod results;
mod userland;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{
    architecture::Architecture,
    build,
    setup::{self, Wants},
    system,
};
use image::Binaries;
use kernels::Kernel;
use machine::{Boot, Report, Setting};
use results::{Column, Outcome};

/// Run the kernel tests under other kernels, each in a VM
///
/// Brings Debian's kernels (kept in ~/.cache/zombie-trace/kernels), boots each under QEMU with the very test binary of
/// the host, and prints what came of every test. Needs neither root nor KVM.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask vm-test                            all kernels, all tests
  cargo xtask vm-test --kernel 5.10,7.2 signals  two of them, the tests whose name has `signals`
  cargo xtask vm-test --kernel sid --update      look for a newer one first
  cargo xtask vm-test --kernel 6.12-arm64        the one of another architecture

Environment:
  DEBIAN_MIRROR   where to get kernels from, on a machine whose apt knows no Debian")]
pub(crate) struct Options {
    /// Only these kernels: series, versions or suites, with `-arm64` those of that architecture
    #[arg(long, value_delimiter = ',', value_name = "KERNEL")]
    kernel: Vec<String>,
    /// Look for newer kernels even where there are some
    #[arg(long)]
    update: bool,
    /// Also the tests that are left out, which take long or depend on no kernel
    #[arg(long)]
    all: bool,
    /// How many VMs run at a time [default: one for each processor]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Only tests whose name contains this, in the machines that run such tests
    filter: Option<String>,
}

/// How much slower an emulated machine may be than a real one, for the tests' deadlines.
const SCALE: u32 = 6;
/// How many tests a machine runs at a time. A test waits for half of its time; but each tracer also reads what the other
/// tests start, and under emulation that is the most expensive of all.
const THREADS: usize = 2;
/// A machine that takes longer is considered hung.
const LIMIT: Duration = Duration::from_secs(2400);
/// How much of a console a failure shows.
const SHOWN: usize = 60;

/// Tests that run only on the host, and why: under emulation each test takes seconds, and testing all kernels should
/// take minutes.
const LEFT_OUT: &[(&str, &str)] = &[
    ("scale::a_storm_of_a_hundred_thousand_processes", "minutes under emulation"),
    ("scale::a_million_polls", "minutes under emulation"),
    ("scale::a_storm_of_sigurg", "minutes under emulation"),
    ("scale::an_idle_tracer_uses_no_cpu", "its limit is one of a real processor"),
    ("clean::runsvdir_as_pid_1", "it reaps by the clock, and the limit is one of a real processor"),
    ("daemons::sshd_with_sessions", "needs a network and accounts, which the image has not"),
    ("daemons::cron_with_a_job", "waits for a minute to begin"),
    ("node_with_many_children", "the runtime is as large as the rest of the image"),
    ("java_with_many_children", "the runtime is as large as the rest of the image"),
    ("podman::", "runs its containers by runc, which is tested there"),
    ("docker::", "runs its containers by runc, which is tested there"),
    ("ctr::", "runs its containers by runc, which is tested there"),
    ("cri::", "runs its containers by runc, which is tested there"),
    ("cri_shared_pid::", "runs its containers by runc, which is tested there"),
    ("the_containers_name_filters", "filters on names that other tests look at"),
    ("scan_names_the_container", "names them as the events do, from /proc alone"),
    ("a_panic_leaves_no_container", "is about the tests themselves"),
    ("recording::", "what is recorded are the same events; the file knows no kernel"),
    ("checking::", "verdicts on the same events; the policy knows no kernel"),
    ("sandbox::a_fork_bomb", "minutes under emulation"),
    ("grading::", "verdicts on the same events; the policy knows no kernel"),
    ("gaps::", "verdicts on the same events; the policy knows no kernel"),
    ("ci::", "verdicts on the same events; the policy knows no kernel"),
    ("images::", "what is unpacked is graded in the same sandbox, which is tested there"),
];

/// The tests for a kernel of another architecture: those that depend on its system calls, on the numbers of calls and
/// signals, and on `/proc`. The rest applies the same rules to the same events.
const OF_ANOTHER_ARCHITECTURE: &[&str] = &["reaping::", "causes::", "signals::", "stops::", "inits::", "damage::"];

/// Tests that change the machine itself: its clock, suspend, limits. They run after all others, one at a time.
const ALONE: &str = "machine::";

/// The tests that both the machine's own selection and the filter allow: the narrower one if one contains the other.
fn narrowed<'a>(own: &[&'a str], filter: Option<&'a str>) -> Vec<&'a str> {
    let Some(filter) = filter else { return own.to_vec() };
    own.iter()
        .copied()
        .filter(|own| own.contains(filter))
        .chain(own.iter().any(|own| filter.contains(own)).then_some(filter))
        .collect()
}

/// The kernel that is booted with parallel CPUs: under QEMU 7.2, newer ones crash when they patch their own running
/// text.
const PARALLEL: &str = "6.12";

/// The ways in which kernels are booted.
fn settings(filter: Option<&str>, left_out: &[(&str, &str)]) -> Vec<Setting> {
    let setting = |name, own: &[&str], filters: Vec<&str>, foreign| {
        let mut parameters: Vec<String> = own.iter().map(ToString::to_string).collect();
        parameters.extend([format!("zt.scale={SCALE}"), format!("zt.threads={THREADS}")]);
        parameters.extend(filters.iter().map(|filter| format!("zt.filter={filter}")));
        parameters.extend(left_out.iter().map(|(name, _)| format!("zt.skip={name}")));
        Setting { name, parameters, foreign, ..Setting::default() }
    };
    let all = || filter.into_iter().collect();
    let mut usual = setting("", &["zt.cgroup=v2"], all(), false);
    usual.parameters.push(format!("zt.skip={ALONE}"));
    usual.parameters.extend(narrowed(&[ALONE], filter).first().map(|filter| format!("zt.alone={filter}")));
    let foreign = if filter.is_some() { all() } else { OF_ANOTHER_ARCHITECTURE.to_vec() };
    let mut settings = vec![usual, setting("", &["zt.cgroup=v2"], foreign, true)];
    for (name, own, filters) in [
        ("cgroup-v1", &["zt.cgroup=v1"][..], &["damage::", "cgroup"][..]),
        ("lockdown", &["lockdown=confidentiality", "zt.cgroup=v2"], &["refusals::"]),
    ] {
        let filters = narrowed(filters, filter);
        // It is not booted if it would run no tests.
        if !filters.is_empty() {
            settings.push(setting(name, own, filters, false));
        }
    }
    // Only this machine runs two CPUs at once; on the others QEMU runs one at a time.
    let filters = narrowed(&["reaping::"], filter);
    if !filters.is_empty() {
        let own = setting("parallel", &["zt.cgroup=v2"], filters, false);
        settings.push(Setting { parallel: true, series: Some(PARALLEL), ..own });
    }
    settings
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    let began = Instant::now();
    if options.filter.as_ref().is_some_and(|filter| filter.contains(char::is_whitespace)) {
        bail!("a filter with spaces cannot be handed to a VM; names of tests have none");
    }
    if Architecture::native()?.debian != "amd64" {
        bail!(
            "the VMs need a machine of x86-64: most of the kernels are, and the tests are cross-built for arm64 alone"
        );
    }
    setup::ensure(Wants { tests: true, vms: true, ..Wants::default() })?;
    let kernels = kernels::bring(&options.kernel, options.update)?;
    let folder = system::target_folder().join("vm-test");
    let images = images(&kernels, options.update, &folder)?;

    let left_out = if options.all { &[] } else { LEFT_OUT };
    let settings = settings(options.filter.as_deref(), left_out);
    let boots: Vec<_> = settings
        .iter()
        // The newest kernels are the slowest, so they start first.
        .flat_map(|setting| kernels.iter().rev().map(move |kernel| (setting, kernel)))
        .filter(|(setting, kernel)| setting.is_for(kernel))
        .map(|(setting, kernel)| {
            let image = &images[kernel.architecture.debian];
            Boot { kernel, setting, image, folder: &folder, limit: LIMIT }
        })
        .collect();
    let jobs = options.jobs.or_else(|| Some(thread::available_parallelism().ok()?.get())).unwrap_or(1);
    let mut reports = run_all(&boots, jobs.clamp(1, boots.len().max(1)))?;
    again::run(&boots, &mut reports, &folder.join("again"))?;
    Ok(conclude(&boots, &reports, left_out, began))
}

/// The images for these kernels, by architecture.
fn images(kernels: &[Kernel], update: bool, folder: &Path) -> Result<BTreeMap<&'static str, PathBuf>> {
    let mut images = BTreeMap::new();
    for architecture in kernels.iter().map(|kernel| kernel.architecture) {
        if images.contains_key(architecture.debian) {
            continue;
        }
        let userland = if architecture.is_native() { None } else { Some(userland::bring(architecture, update)?) };
        let binaries = binaries(architecture)?;
        let folder = folder.join(architecture.debian);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        images.insert(architecture.debian, image::build(architecture, &binaries, userland.as_deref(), &folder)?);
    }
    Ok(images)
}

/// Builds the programs of an image, for this machine's architecture like `cargo xtask test`, so that nothing is built
/// twice.
fn binaries(architecture: &'static Architecture) -> Result<Binaries> {
    let mut cargo = build::cargo(architecture, "build")?;
    if architecture.is_native() {
        cargo.args(["--workspace", "--test", "containers"]);
    } else {
        cargo.args(["--package", "zombie-trace", "--package", "zombie-trace-tests"]);
    }
    cargo.args(["--bins", "--test", "kernel", "--message-format=json-render-diagnostics"]);
    let output = cargo.stderr(Stdio::inherit()).output().context("cargo could not be started")?;
    if !output.status.success() {
        bail!("the tests could not be built");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let find = |name: &str, kind: &str| {
        executable(&messages, name, kind).with_context(|| format!("cargo built no {kind} {name}"))
    };
    Ok(Binaries {
        init: find("zt-vm-init", "bin")?,
        tests: find("kernel", "test")?,
        containers: architecture.is_native().then(|| find("containers", "test")).transpose()?,
        tool: find("zombie-trace", "bin")?,
        actor: find("zt-actor", "bin")?,
    })
}

/// The program that cargo's messages name for a target.
fn executable(messages: &str, name: &str, kind: &str) -> Option<PathBuf> {
    messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find_map(|message| {
        let target = &message["target"];
        (target["name"] == name && target["kind"][0] == kind)
            .then(|| message["executable"].as_str().map(PathBuf::from))?
    })
}

/// Boots everything, `jobs` at a time, and reports progress.
fn run_all(boots: &[Boot<'_>], jobs: usize) -> Result<Vec<Report>> {
    let next = Mutex::new(boots.iter().enumerate());
    let reports = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let taken = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((index, boot)) = taken else { return };
                    println!("boot     {}", boot.name());
                    let report = boot.run();
                    if let Ok(report) = &report {
                        println!("done     {}: {}", boot.name(), in_words(report));
                    }
                    reports.lock().unwrap_or_else(PoisonError::into_inner).push((index, report));
                }
            });
        }
    });
    let mut reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
    reports.sort_by_key(|(index, _)| *index);
    reports.into_iter().map(|(_, report)| report).collect()
}

fn in_words(report: &Report) -> String {
    let count = |is: fn(&Outcome) -> bool| report.tests.iter().filter(|(_, outcome)| is(outcome)).count();
    let passed = count(|outcome| matches!(outcome, Outcome::Passed(_)));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
    let failed = count(Outcome::is_failure);
    let trouble = report.trouble.as_ref().map_or_else(String::new, |trouble| format!("; {trouble}"));
    format!("{passed} passed, {failed} failed, {skipped} skipped in {:.0} s{trouble}", report.took.as_secs_f64())
}

/// Prints the table and failures, and decides the exit code.
fn conclude(boots: &[Boot<'_>], reports: &[Report], left_out: &[(&str, &str)], began: Instant) -> ExitCode {
    let kernels: Vec<_> = boots.iter().map(|boot| boot.kernel.to_string()).collect();
    let columns: Vec<_> = boots
        .iter()
        .zip(&kernels)
        .zip(reports)
        .map(|((boot, kernel), report)| Column { heads: [kernel, boot.setting.name], tests: &report.tests })
        .collect();
    println!("\n{}", results::table(&columns));
    results::skips(&columns).iter().for_each(|line| println!("{line}"));
    left_out.iter().for_each(|(name, reason)| println!("left out {name}: {reason}; runs on the host"));
    let mut failures = 0;
    for (boot, report) in boots.iter().zip(reports) {
        let name = boot.name();
        for (test, outcome) in &report.tests {
            match outcome {
                Outcome::Failed(_, reason) | Outcome::Late(_, reason) => {
                    failures += 1;
                    println!("FAILED   {name}: {test}: {reason}");
                }
                Outcome::Flaky(_, reason) => println!("flaky    {name}: {test} passed the second time: {reason}"),
                Outcome::Passed(_) | Outcome::Skipped(_) => {}
            }
        }
        if let Some(trouble) = &report.trouble {
            failures += 1;
            println!("FAILED   {name}: {trouble}\n{}", tail(&report.console));
        }
    }
    let ran = reports.iter().flat_map(|report| &report.tests).filter(|(_, it)| !matches!(it, Outcome::Skipped(_)));
    let (ran, logs) = (ran.count(), boots.first().map(|boot| boot.folder.display().to_string()).unwrap_or_default());
    println!(
        "{} machines, {ran} tests, {failures} failures in {:.0} s; consoles: {logs}",
        boots.len(),
        began.elapsed().as_secs_f64()
    );
    if ran == 0 {
        println!("FAILED   nothing was tested");
    }
    if failures > 0 || ran == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The last lines of a console.
fn tail(console: &Path) -> String {
    let bytes = fs::read(console).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    let shown = lines[lines.len().saturating_sub(SHOWN)..].iter();
    // Removes control characters from the kernel's output.
    shown.map(|line| format!("  | {}\n", line.replace(|c: char| c.is_control() && c != '\t', ""))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::ARCHITECTURES;

    #[test]
    fn cargo_names_the_programs_that_it_built() {
        let messages = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"kernel"},"executable":null}
not json
{"reason":"compiler-artifact","target":{"kind":["test"],"name":"kernel"},"executable":"/target/debug/deps/kernel-0d"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "kernel", "test"), Some(PathBuf::from("/target/debug/deps/kernel-0d")));
        assert_eq!(executable(messages, "zt-actor", "bin"), None);
    }

    #[test]
    fn a_filter_narrows_what_a_machine_runs() {
        let filters = |filter| -> Vec<(&str, Vec<String>)> {
            let own = |it: &Setting| {
                it.parameters.iter().filter_map(|it| it.strip_prefix("zt.filter=")).map(ToOwned::to_owned).collect()
            };
            settings(filter, LEFT_OUT).iter().filter(|it| !it.foreign).map(|it| (it.name, own(it))).collect()
        };
        let of = |name, filters: &[&str]| (name, filters.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(filters(Some("signals::")), [of("", &["signals::"])]);
        let one = "refusals::without_tracefs";
        assert_eq!(filters(Some(one)), [of("", &[one]), of("lockdown", &[one])]);
        assert_eq!(
            filters(Some("re")),
            [of("", &["re"]), of("lockdown", &["refusals::"]), of("parallel", &["reaping::"])]
        );
        let all = [
            of("", &[]),
            of("cgroup-v1", &["damage::", "cgroup"]),
            of("lockdown", &["refusals::"]),
            of("parallel", &["reaping::"]),
        ];
        assert_eq!(filters(None), all);
    }

    #[test]
    fn a_kernel_of_another_architecture_is_booted_once_with_tests_of_its_own() {
        let other = ARCHITECTURES.iter().find(|it| !it.is_native()).unwrap();
        let suite = kernels::SUITES.iter().find(|it| it.label().contains(other.debian)).unwrap();
        let kernel = suite.kernel("6.12.107".to_owned(), "/k/vmlinuz".into()).unwrap();
        let for_it: Vec<_> = settings(None, LEFT_OUT).into_iter().filter(|it| it.is_for(&kernel)).collect();
        let [setting] = &for_it[..] else { panic!("{for_it:?}") };
        let filters: Vec<_> = setting.parameters.iter().filter_map(|it| it.strip_prefix("zt.filter=")).collect();
        assert_eq!(filters, OF_ANOTHER_ARCHITECTURE);
    }

    #[test]
    fn what_changes_the_machine_runs_apart_from_the_rest_and_only_where_it_is_wanted() {
        let alone = |filter| {
            let usual = settings(filter, LEFT_OUT).swap_remove(0).parameters;
            assert!(usual.contains(&"zt.skip=machine::".to_owned()), "{usual:?}");
            usual.iter().find_map(|it| it.strip_prefix("zt.alone=").map(ToOwned::to_owned))
        };
        assert_eq!(alone(None).as_deref(), Some("machine::"));
        assert_eq!(alone(Some("machine")).as_deref(), Some("machine::"));
        assert_eq!(alone(Some("machine::a_suspend")).as_deref(), Some("machine::a_suspend"));
        assert_eq!(alone(Some("signals::")), None);
    }
}
