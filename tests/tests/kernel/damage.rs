//! What zombies cost: pids that others cannot have.

use zombie_trace_tests::cgroup::PidsCgroup;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Event, TestResult, Tracer, require, tests};

use super::{children_of, soon, tracer};

pub(crate) fn all() -> Vec<Test> {
    tests![
        forks_that_fail_for_want_of_pids_are_tied_to_the_parent_of_the_zombies,
        a_loop_of_failing_forks_is_told_once_and_counted,
        forks_that_fail_out_of_what_is_followed_are_not_told,
        a_user_at_its_limit_is_told_with_what_fills_it,
        a_pid_namespace_without_a_number_left_is_told_with_the_zombies_that_have_them,
        a_fork_into_a_pid_namespace_without_a_pid_1_is_told_as_that,
        zombies_are_held_against_the_limit_of_their_cgroup,
    ]
}

const EAGAIN: i32 = 11;
const ALLOWED: u64 = 14;

/// A parent and a bystander in a cgroup that the parent fills with zombies.
struct Crowd {
    actor: Actor,
    bystander: i32,
    /// Dropped after the actor, which is in it.
    cgroup: PidsCgroup,
}

impl Crowd {
    fn gather() -> Result<Self, zombie_trace_tests::Skip> {
        let cgroup = PidsCgroup::with_max(ALLOWED)?;
        let mut actor = Actor::spawn(["fork-limit"]);
        let bystander = actor.line("bystander").pid();
        actor.line("ready");
        cgroup.take_in(actor.pid());
        cgroup.take_in(bystander);
        Ok(Self { actor, bystander, cgroup })
    }

    /// Returns how many zombies there are when nobody can fork any more.
    fn fill(&mut self) -> u64 {
        self.actor.order("go");
        let full = self.actor.line("full");
        assert_eq!(full.small("errno"), EAGAIN);
        let refused = self.actor.line("refused");
        assert_eq!((refused.small("errno"), refused.number("times")), (EAGAIN, 100));
        full.number("zombies")
    }
}

fn fork_failed(tracer: &Tracer, pid: i32) -> Event {
    tracer.expect("the failed fork", soon(), |event| event.is("fork_failed") && event.pid() == Some(pid))
}

fn forks_that_fail_for_want_of_pids_are_tied_to_the_parent_of_the_zombies() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut crowd = Crowd::gather()?;
    let zombies = crowd.fill();
    assert_eq!(zombies, ALLOWED - 2);
    for pid in [crowd.actor.pid(), crowd.bystander] {
        let event = fork_failed(&tracer, pid);
        assert_eq!((event.text("/errno"), event.text("/limit")), (Some("EAGAIN"), Some("pids.max")), "{event}");
        assert_eq!(event.text("/path"), Some(crowd.cgroup.path()), "{event}");
        assert_eq!(event.number("/zombies"), i64::try_from(zombies).ok(), "{event}");
        assert_eq!(event.number("/allowed"), i64::try_from(ALLOWED).ok(), "{event}");
        assert_eq!(event.pid_of("parent"), Some(crowd.actor.pid()), "{event}");
    }
    let finished = tracer.stop();
    let findings = finished.summary.at("/findings").and_then(serde_json::Value::as_array).expect("a list");
    let words = format!("12 of 14 pids in the cgroup {} are zombies of zt-actor", crowd.cgroup.path());
    assert!(
        findings.iter().any(|finding| finding["id"].as_str().is_some_and(|id| id.starts_with("forks/pids.max/"))
            && finding["detail"].as_str().is_some_and(|detail| detail.contains(&words))),
        "{}",
        finished.summary
    );
    Ok(())
}

fn a_loop_of_failing_forks_is_told_once_and_counted() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut crowd = Crowd::gather()?;
    crowd.fill();
    fork_failed(&tracer, crowd.bystander);
    tracer.fence();
    let (bystander, finished) = (crowd.bystander, tracer.stop());
    let told = finished.having(|event| event.is("fork_failed") && event.pid() == Some(bystander)).count();
    assert_eq!(told, 1);
    let failures = finished.summary.at("/fork_failures").and_then(serde_json::Value::as_array).expect("a list");
    let of_it: Vec<_> = failures.iter().filter(|failure| failure["process"]["pid"] == bystander).collect();
    assert_eq!(of_it.len(), 1, "{}", finished.summary);
    assert!(of_it[0]["count"].as_u64() >= Some(1), "{}", of_it[0]);
    Ok(())
}

fn forks_that_fail_out_of_what_is_followed_are_not_told() -> TestResult {
    require::tracing()?;
    let other = Actor::spawn(["hold"]);
    let narrow = Tracer::live(["--pid", &other.pid().to_string()]).start();
    let wide = tracer();
    let mut crowd = Crowd::gather()?;
    crowd.fill();
    fork_failed(&wide, crowd.bystander);
    narrow.stop().never("a stranger's failure", |event| event.is("fork_failed"));
    Ok(())
}

fn zombies_are_held_against_the_limit_of_their_cgroup() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut crowd = Crowd::gather()?;
    let zombies = crowd.fill();
    let parent = crowd.actor.pid();
    tracer.expect_each("the zombies", usize::try_from(zombies).unwrap_or(0), soon(), children_of("zombie", parent));
    let finished = tracer.stop();
    let record = finished.accusation(parent).expect("the parent is accused");
    let damage = &record["damage"];
    assert_eq!(damage["zombies"], zombies, "{record}");
    let limits = damage["limits"].as_array().expect("a list");
    let held = |kind: &str| limits.iter().find(|held| held["kind"] == kind);
    let pids = held("pids.max").expect("the cgroup's limit");
    assert_eq!((&pids["used"], &pids["allowed"]), (&ALLOWED.into(), &ALLOWED.into()), "{record}");
    assert_eq!((&pids["path"], &pids["zombies"]), (&crowd.cgroup.path().into(), &zombies.into()), "{record}");
    let pid_max = held("pid_max").expect("the machine's limit");
    assert!(pid_max["used"].as_u64() >= Some(ALLOWED) && pid_max["allowed"].as_u64() > pid_max["used"].as_u64());
    assert_eq!(damage["exhausted_in_ns"], 0, "{record}");
    assert!(
        damage["summary"].as_str().is_some_and(|words| words.starts_with("its zombies hold 12 of 14 pids of ")),
        "{record}"
    );
    Ok(())
}

/// One after the other, so that what was counted for one is no answer for the next.
fn a_user_at_its_limit_is_told_with_what_fills_it() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    for (how, kind) in [("user-zombies", "zombies"), ("user-processes", "processes"), ("user-threads", "threads")] {
        let mut actor = Actor::spawn(["no-fork", "--how", how, "--limit", "12"]);
        let process = actor.line("process").pid();
        actor.order("begin");
        actor.line("refused");
        let failed = fork_failed(&tracer, process);
        assert_eq!(failed.text("/limit"), Some("rlimit"), "{failed}");
        assert_eq!((failed.number("/used"), failed.number("/allowed")), (Some(12), Some(12)), "{failed}");
        for other in ["zombies", "processes", "threads"] {
            let count = failed.number(&format!("/filled_by/{other}")).expect("they were counted");
            // The process itself is one of those that live.
            let expected = if other == kind { count >= 11 } else { count <= i64::from(other == "processes") };
            assert!(expected, "{count} {other} for {how}: {failed}");
        }
        assert_eq!(failed.number("/uid"), Some(100_000 + i64::from(process)), "{failed}");
        assert_eq!(failed.number("/zombies").is_some_and(|it| it > 0), kind == "zombies", "{failed}");
    }
    Ok(())
}

fn a_pid_namespace_without_a_number_left_is_told_with_the_zombies_that_have_them() -> TestResult {
    require::tracing()?;
    require::own_pid_max()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["no-fork", "--how", "full-namespace"]);
    actor.line("process");
    actor.order("begin");
    let init = actor.line("init");
    assert_eq!(actor.line("refused").small("errno"), EAGAIN);
    let failed = fork_failed(&tracer, init.pid());
    let namespace = i64::try_from(init.number("pid_ns")).unwrap_or(0);
    assert_eq!((failed.text("/limit"), failed.number("/limit_pid_ns")), (Some("pid_max"), Some(namespace)), "{failed}");
    assert_eq!((failed.number("/used"), failed.number("/allowed")), (Some(300), Some(301)), "{failed}");
    assert_eq!((failed.number("/zombies"), failed.pid_of("parent")), (Some(299), Some(init.pid())), "{failed}");
    // It has left the mounts that its executable is of.
    let is_one = |event: &Event| event.is("zombie") && event.pid_of("parent") == Some(init.pid());
    let zombie = tracer.expect("one of the zombies", soon(), is_one);
    assert!(!zombie.to_string().contains("was not opened"), "{zombie}");
    Ok(())
}

fn a_fork_into_a_pid_namespace_without_a_pid_1_is_told_as_that() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["no-fork", "--how", "dead-namespace"]);
    let process = actor.line("process").pid();
    actor.order("begin");
    let init = actor.line("init");
    actor.line("refused");
    let failed = fork_failed(&tracer, process);
    assert_eq!(failed.text("/limit"), Some("dead-pid-namespace"), "{failed}");
    assert_eq!(failed.number("/dead_pid_ns/pid"), Some(init.pid().into()), "{failed}");
    assert_eq!(failed.number("/dead_pid_ns/pid_ns"), Some(init.number("pid_ns").try_into().unwrap_or(0)), "{failed}");
    assert_eq!(failed.number("/zombies"), Some(0), "{failed}");
    let finding = tracer.stop();
    let told = finding.finding("forks/dead-pid-namespace/", process).expect("it is a finding").to_string();
    assert!(told.contains("nothing can start any more") && told.contains("unshare"), "{told}");
    Ok(())
}
