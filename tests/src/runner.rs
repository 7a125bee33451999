//! Runs tests like the usual harness, but a run in which everything was skipped fails.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigHandler, Signal};

use libtest_mimic::{Arguments, Completion, Conclusion, Trial};

use crate::clock::OUT_OF_TIME;

/// How many tests run at a time unless the command line says otherwise.
const THREADS: usize = 2;

/// Why a test could not be run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip(String);

impl Skip {
    /// Creates a skip with this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// A test fails by panicking, and is skipped by returning why.
pub type TestResult = Result<(), Skip>;

/// One test.
#[derive(Debug)]
pub struct Test {
    name: &'static str,
    run: fn() -> TestResult,
    slow: bool,
    alone: bool,
}

impl Test {
    /// A test that runs always.
    pub const fn new(name: &'static str, run: fn() -> TestResult) -> Self {
        Self { name, run, slow: false, alone: false }
    }

    /// A test beside which no other runs: it loads the machine so that what others look at comes late.
    pub const fn alone(name: &'static str, run: fn() -> TestResult) -> Self {
        Self { name, run, slow: false, alone: true }
    }

    /// A test that runs only with `--ignored` or `--include-ignored`.
    pub const fn slow(name: &'static str, run: fn() -> TestResult) -> Self {
        Self { name, run, slow: true, alone: false }
    }
}

/// Names each test after its function.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?; alone: $($alone:ident),* $(,)?; slow: $($slow:ident),* $(,)?) => {
        vec![
            $($crate::runner::Test::new(stringify!($name), $name),)*
            $($crate::runner::Test::alone(stringify!($alone), $alone),)*
            $($crate::runner::Test::slow(stringify!($slow), $slow),)*
        ]
    };
    ($($name:ident),* $(,)?; alone: $($alone:ident),* $(,)?) => { $crate::tests!($($name),*; alone: $($alone),*; slow:) };
    ($($name:ident),* $(,)?; slow: $($slow:ident),* $(,)?) => { $crate::tests!($($name),*; alone:; slow: $($slow),*) };
    ($($name:ident),* $(,)?) => { $crate::tests!($($name),*; alone:; slow:) };
}

/// The environment variable that names the file or the serial line for [`Results`].
pub const RESULTS: &str = "ZT_RESULTS";

/// Maximum length of a reason, in characters.
const MAX_REASON: usize = 4000;

/// The outcome of each test, one line as it ends, for a VM's serial line: `outcome TAB milliseconds TAB name TAB
/// reason`. The outcome is `ok`, `skipped`, `failed`, or `late` for a test that failed because a deadline ran out.
#[derive(Debug, Default)]
struct Results(Option<Mutex<File>>);

impl Results {
    fn open() -> Self {
        let Some(path) = std::env::var_os(RESULTS) else { return Self(None) };
        let file = OpenOptions::new().append(true).create(true).open(&path);
        Self(Some(Mutex::new(file.unwrap_or_else(|error| panic!("{RESULTS}={}: {error}", path.display())))))
    }

    fn tell(&self, outcome: &str, took: Duration, name: &str, reason: &str) {
        let Some(file) = &self.0 else { return };
        // One write per line, so that other writers to the serial line do not interfere.
        let line = line(outcome, took, name, reason);
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            eprintln!("the result of {name} could not be written: {error}");
        }
    }
}

fn line(outcome: &str, took: Duration, name: &str, reason: &str) -> String {
    // A failure's transcript may be long; all of it is on the console.
    let lines: Vec<_> = reason.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let reason: String = lines.join(" | ").replace('\t', " ").chars().take(MAX_REASON).collect();
    format!("{outcome}\t{}\t{name}\t{reason}\n", took.as_millis())
}

/// Read by each test while it runs, and written by one that runs alone.
static RUNNING: RwLock<()> = RwLock::new(());

/// Runs a test when those before it allow that.
fn in_company(alone: bool, test: impl FnOnce() -> TestResult) -> TestResult {
    if alone {
        let _all = RUNNING.write().unwrap_or_else(PoisonError::into_inner);
        test()
    } else {
        let _one = RUNNING.read().unwrap_or_else(PoisonError::into_inner);
        test()
    }
}

/// Runs a test and writes its result; a panic continues afterwards.
fn run_and_tell(results: &Results, name: &str, run: fn() -> TestResult) -> TestResult {
    let started = Instant::now();
    let ended = catch_unwind(AssertUnwindSafe(run));
    let took = started.elapsed();
    match &ended {
        Ok(Ok(())) => results.tell("ok", took, name, ""),
        Ok(Err(Skip(reason))) => results.tell("skipped", took, name, reason),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            let text = text.unwrap_or("panicked");
            results.tell(if text.starts_with(OUT_OF_TIME) { "late" } else { "failed" }, took, name, text);
        }
    }
    ended.unwrap_or_else(|panic| resume_unwind(panic))
}

/// The `main` of a test binary: runs the tests that the command line asks for, prints what was skipped and why.
pub fn main(groups: Vec<(&'static str, Vec<Test>)>) -> ExitCode {
    heed_every_signal();
    let mut arguments = Arguments::from_args();
    // The tests look only at their own processes, so they may run in parallel; more would starve each other.
    arguments.test_threads.get_or_insert(THREADS);
    let skipped = Arc::new(Mutex::new(BTreeMap::<String, usize>::new()));
    let results = Arc::new(Results::open());
    let trials = groups
        .into_iter()
        .flat_map(|(group, tests)| tests.into_iter().map(move |test| (group, test)))
        .map(|(group, Test { name, run, slow, alone })| {
            let (skipped, results) = (Arc::clone(&skipped), Arc::clone(&results));
            let name = format!("{group}::{name}");
            let full_name = name.clone();
            let test = move || in_company(alone, || run_and_tell(&results, &name, run));
            Trial::ignorable_test(full_name, move || match test() {
                Ok(()) => Ok(Completion::Completed),
                Err(Skip(reason)) => {
                    let mut skipped = skipped.lock().unwrap_or_else(PoisonError::into_inner);
                    *skipped.entry(reason.clone()).or_default() += 1;
                    Ok(Completion::ignored_with(reason))
                }
            })
            .with_ignored_flag(slow)
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let skipped = skipped.lock().unwrap_or_else(PoisonError::into_inner);
    for (reason, count) in skipped.iter() {
        eprintln!("skipped {count}: {reason}");
    }
    if !arguments.list && nothing_was_tested(&conclusion, skipped.values().sum()) {
        eprintln!("error: every test was skipped, so nothing was tested");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// Sets every signal except SIGPIPE, which the standard library handles, to its default.
///
/// A shell ignores SIGINT for what it starts in the background, and `nohup` SIGHUP; the tests' processes would inherit
/// that, and be reported for it.
fn heed_every_signal() {
    for signal in Signal::iterator().filter(|it| ![Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGPIPE].contains(it)) {
        // SAFETY: the default is no handler, so nothing runs in signal context.
        let set = unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) };
        set.expect("every other signal can be set");
    }
}

fn nothing_was_tested(conclusion: &Conclusion, skipped: usize) -> bool {
    skipped > 0 && conclusion.num_passed == 0 && conclusion.num_failed == 0
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn nothing_runs_beside_a_test_that_runs_alone() {
        static INSIDE: AtomicUsize = AtomicUsize::new(0);
        let company = |alone| {
            let seen = in_company(alone, || {
                let others = INSIDE.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(2));
                let now = INSIDE.fetch_sub(1, Ordering::SeqCst) - 1;
                assert!(!alone || (others, now) == (0, 0), "{others} before and {now} after");
                Ok(())
            });
            assert_eq!(seen, Ok(()));
        };
        std::thread::scope(|scope| {
            for alone in [false, true, false, false, true] {
                scope.spawn(move || (0..20).for_each(|_| company(alone)));
            }
        });
    }

    fn conclusion(num_passed: u64, num_failed: u64, num_ignored: u64) -> Conclusion {
        Conclusion { num_filtered_out: 0, num_passed, num_failed, num_ignored, num_measured: 0 }
    }

    #[test]
    fn a_result_is_one_line_whatever_the_reason() {
        let told = line("failed", Duration::from_millis(1234), "group::test", "it\tfailed\nbecause\n");
        assert_eq!(told, "failed\t1234\tgroup::test\tit failed | because\n");
        let long = "x".repeat(2 * MAX_REASON);
        assert!(line("failed", Duration::ZERO, "test", &long).len() < MAX_REASON + 100);
    }

    #[test]
    fn a_deadline_that_ran_out_is_told_from_a_wrong_answer() {
        let path = std::env::temp_dir().join(format!("zt-results-{}", std::process::id()));
        let results = Results(Some(Mutex::new(File::create(&path).unwrap())));
        let late = || -> TestResult { panic!("{OUT_OF_TIME}nothing came") };
        let wrong = || -> TestResult { panic!("it said something else, {OUT_OF_TIME}") };
        for run in [late as fn() -> TestResult, wrong] {
            assert!(catch_unwind(AssertUnwindSafe(|| run_and_tell(&results, "test", run))).is_err());
        }
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let outcomes: Vec<_> = text.lines().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(outcomes, ["late", "failed"]);
    }

    #[test]
    fn a_run_of_skips_alone_is_a_failure() {
        assert!(nothing_was_tested(&conclusion(0, 0, 3), 3));
    }

    #[test]
    fn a_filter_that_matches_nothing_and_slow_tests_left_out_are_none() {
        assert!(!nothing_was_tested(&conclusion(0, 0, 0), 0));
        assert!(!nothing_was_tested(&conclusion(0, 0, 2), 0));
    }

    #[test]
    fn one_test_that_ran_is_enough() {
        assert!(!nothing_was_tested(&conclusion(1, 0, 3), 3));
    }
}
