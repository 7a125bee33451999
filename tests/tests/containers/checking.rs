//! `check` over clients of container runtimes: what a daemon starts for them is judged, too.

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::runtime::{Commands, Container, Docker, Runtime};
use zombie_trace_tests::{TestResult, binaries, process, require, tests};

use super::{SLEEP, soon};

pub(crate) fn side_by_side() -> Vec<Test> {
    tests![
        two_jobs_with_names_do_not_get_each_others_findings,
        where_it_may_be_anybodys_the_verdict_says_so,
        a_client_that_starts_nothing_cannot_be_measured,
        a_name_that_never_matched_cannot_be_measured,
    ]
}

/// A shell that leaves a child behind becomes a program that waits for none. It lives long enough to be named on a slow
/// machine, too; a bare runtime's files go with the container.
const LEAK: &[&str] = &["sh", "-c", "(sleep 0.1 &); exec sleep 4"];
const CLEAN: &[&str] = &["sh", "-c", "sleep 0.1 & wait; sleep 3"];

/// `check` over a client's command line, with the environment that it has.
fn check(options: &[&str], line: &Command) -> Command {
    let mut check = Command::new(binaries::zombie_trace());
    check.args(["check", "--min-age", "300ms", "--format", "json"]).args(options).arg("--");
    check.arg(line.get_program()).args(line.get_args());
    check.envs(line.get_envs().filter_map(|(key, value)| Some((key, value?))));
    check.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    check
}

fn run(mut check: Command) -> (Option<i32>, Value) {
    judged(&check.output().expect("the tool can be started"))
}

fn judged(output: &Output) -> (Option<i32>, Value) {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let last = stdout.lines().last().unwrap_or_default();
    let verdict = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {stdout}\n{stderr}"));
    (output.status.code(), verdict)
}

fn list<'a>(verdict: &'a Value, pointer: &str) -> Vec<&'a Value> {
    verdict.pointer(pointer).and_then(Value::as_array).into_iter().flatten().collect()
}

/// The containers that were followed: the words that people know them by, and how.
fn followed(verdict: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |record: &&Value| {
        let container = &record["container"];
        let name = if container["name"].is_string() { &container["name"] } else { &container["id"] };
        (text(name), text(&record["followed"]))
    };
    list(verdict, "/report/containers").iter().map(of).collect()
}

pub(crate) fn check_fails_over_a_container_that_leaks<R: Commands>() -> TestResult {
    require::tracing()?;
    let runtime = R::shared()?;
    let (code, verdict) = run(check(&[], &runtime.run_line("checked-leak", LEAK)));
    assert_eq!(code, Some(1), "{verdict:#}");
    let violations = list(&verdict, "/violations");
    assert_eq!(violations.len(), 1, "{verdict:#}");
    assert_eq!(violations[0]["rule"], "zombie-age", "{verdict:#}");
    let id = violations[0]["id"].as_str().expect("an id");
    assert!(id.starts_with("zombies/init-does-not-reap/"), "{verdict:#}");
    let followed = followed(&verdict);
    assert!(followed.len() == 1 && followed[0].0.ends_with("checked-leak"), "{verdict:#}");
    let record = &verdict["report"]["containers"][0];
    assert_eq!(record["findings"][0], id, "{verdict:#}");
    assert_eq!(violations[0]["process"]["container"], record["container"], "{verdict:#}");
    assert!(violations[0]["detail"].as_str().is_some_and(|it| it.contains("wait")), "{verdict:#}");
    assert_eq!(record["exit_code"], 0, "{verdict:#}");
    Ok(())
}

pub(crate) fn check_passes_over_a_clean_container<R: Commands>() -> TestResult {
    require::tracing()?;
    let runtime = R::shared()?;
    for (command, is_named) in [(CLEAN, true), (&["true"], false)] {
        let (code, verdict) = run(check(&[], &runtime.run_line("checked-clean", command)));
        // One that lives for a moment may be gone before it can be looked up, and then nothing is said to be clean.
        assert!(code == Some(0) || !is_named && code == Some(3), "{command:?}: {verdict:#}");
        assert_eq!(list(&verdict, "/violations"), Vec::<&Value>::new(), "{verdict:#}");
        // A bare runtime's files may be gone before they are read.
        assert!(followed(&verdict).len() == 1 || !is_named, "{command:?}: {verdict:#}");
    }
    Ok(())
}

pub(crate) fn check_fails_over_a_stop_that_is_dropped<R: Commands>() -> TestResult {
    require::tracing()?;
    let runtime = R::shared()?;
    let pod = Container::start(&runtime, "pod", SLEEP, false);
    let other = Container::start(&runtime, "bystander", SLEEP, false);
    let (code, verdict) = run(check(&[], &runtime.stop_line(&pod.id, 2)));
    assert_eq!(code, Some(1), "{verdict:#}");
    let failed: Vec<_> =
        list(&verdict, "/violations").into_iter().filter(|violation| violation["rule"] == "failed-stop").collect();
    assert_eq!(failed.len(), 1, "{verdict:#}");
    assert_eq!(failed[0]["process"]["container"], pod.identity, "{verdict:#}");
    let containers = list(&verdict, "/report/containers");
    assert_eq!(containers.len(), 1, "the bystander {other:?} does not belong to it: {verdict:#}");
    assert_eq!((&containers[0]["container"], &containers[0]["followed"]), (&pod.identity, &"named".into()));
    let stop = &containers[0]["stops"][0];
    assert_eq!((&stop["signal"], &stop["outcome"]), (&"SIGTERM".into(), &"failed".into()), "{verdict:#}");
    assert_eq!(stop["cause"], "no-handler", "{verdict:#}");
    assert_eq!(containers[0]["exit_code"], 137, "{verdict:#}");
    Ok(())
}

pub(crate) fn check_follows_into_a_container<R: Commands>() -> TestResult {
    require::tracing()?;
    let runtime = R::shared()?;
    let container = Container::start(&runtime, "entered", SLEEP, false);
    let line = runtime.exec_line(&container.id, &["sh", "-c", "(sleep 0.1 &); sleep 3"]);
    let (code, verdict) = run(check(&[], &line));
    assert_eq!(code, Some(1), "{verdict:#}");
    let accused: Vec<&Value> =
        list(&verdict, "/violations").into_iter().map(|it| &it["process"]).filter(|it| !it.is_null()).collect();
    assert!(!accused.is_empty() && accused.iter().all(|process| process["pid"] == container.pid), "{verdict:#}");
    assert_eq!(followed(&verdict).len(), 1, "{verdict:#}");
    Ok(())
}

fn two_jobs_with_names_do_not_get_each_others_findings() -> TestResult {
    require::tracing()?;
    let runtime = Docker::shared()?;
    let leaks = check(&[], &runtime.run_line("job-a", LEAK)).spawn().expect("the tool can be started");
    let clean = check(&[], &runtime.run_line("job-b", &["sleep", "2"])).spawn().expect("the tool can be started");
    let [leaks, clean] = [leaks, clean].map(|job| judged(&job.wait_with_output().expect("it ends")));
    for ((code, verdict), name, want) in [(leaks, "job-a", 1), (clean, "job-b", 0)] {
        assert_eq!(code, Some(want), "{name}: {verdict:#}");
        assert_eq!(followed(&verdict), [(name.to_owned(), "named".to_owned())], "{verdict:#}");
    }
    Ok(())
}

/// A client's line without the name that it gives.
fn nameless(line: &Command) -> Command {
    let mut without = Command::new(line.get_program());
    let words: Vec<_> = line.get_args().collect();
    let name = words.iter().position(|word| *word == "--name").expect("it gives a name");
    without.args(&words[..name]).args(&words[name + 2..]);
    without.envs(line.get_envs().filter_map(|(key, value)| Some((key, value?))));
    without
}

fn where_it_may_be_anybodys_the_verdict_says_so() -> TestResult {
    require::tracing()?;
    let runtime = Docker::shared()?;
    let others = nameless(&runtime.run_line("", &["sleep", "5"])).stdout(Stdio::null()).spawn();
    let mut others = others.expect("docker can be started");
    let own = nameless(&runtime.run_line("", &["sleep", "1"]));
    let (code, verdict) = run(check(&[], &own));
    let is_running = others.try_wait().expect("it is our child").is_none();
    let chosen = run(check(&["--containers", "chosen"], &runtime.run_line("chosen", &["sleep", "1"])));
    let _ = process::eventually(soon(), || others.try_wait().is_ok_and(|it| it.is_some()));
    assert!(is_running, "the other client ran all the time");
    assert_eq!(code, Some(3), "{verdict:#}");
    assert!(verdict["unmeasured"].as_str().is_some_and(|why| why.contains("somebody else")), "{verdict:#}");
    assert_eq!((chosen.0, followed(&chosen.1)), (Some(0), vec![("chosen".into(), "asked".into())]), "{:#}", chosen.1);
    Ok(())
}

fn a_client_that_starts_nothing_cannot_be_measured() -> TestResult {
    require::tracing()?;
    let runtime = Docker::shared()?;
    let mut line = Command::new(runtime.run_line("", &[]).get_program());
    line.arg("--version");
    let (code, verdict) = run(check(&[], &line));
    assert_eq!(code, Some(3), "{verdict:#}");
    assert!(verdict["unmeasured"].as_str().is_some_and(|why| why.contains("docker")), "{verdict:#}");
    Ok(())
}

fn a_name_that_never_matched_cannot_be_measured() -> TestResult {
    require::tracing()?;
    let (code, verdict) = run(check(&["--containers", "typo"], &Command::new("true")));
    assert_eq!(code, Some(3), "{verdict:#}");
    assert!(verdict["unmeasured"].as_str().is_some_and(|why| why.contains("typo")), "{verdict:#}");
    Ok(())
}
