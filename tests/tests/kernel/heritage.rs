//! What a program has from the one before exec: children, and what exec keeps of SIGCHLD.

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, TestResult, require, tests};

use super::{about, children_of, evidence, says, soon, tracer};

pub(crate) fn all() -> Vec<Test> {
    tests![
        a_child_that_was_started_before_exec_is_told_with_the_former_program,
        a_child_that_was_started_after_exec_is_the_programs_own,
        an_ignored_sigchld_is_told_with_the_ancestor_that_set_it,
        an_ignored_sigchld_is_told_with_the_program_that_it_was,
        a_program_that_ignores_sigchld_itself_has_it_from_nobody,
        a_blocked_sigchld_is_told_with_the_ancestor_that_set_it,
    ]
}

fn a_child_that_was_started_before_exec_is_told_with_the_former_program() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["before-exec", "--how", "children"]);
    let (parent, child) = (actor.line("parent").pid(), actor.line("child").pid());
    let zombie = tracer.expect("its zombie", soon(), about("zombie", child));
    assert_eq!((zombie.cause(), zombie.pid_of("parent")), (Some("never-waits"), Some(parent)), "{zombie}");
    says(&zombie, &["cat started this child as zt-actor, before it exec'ed cat", "never adopted"]);
    let advice = zombie.text("/advice").expect("there is advice");
    assert!(advice.contains("no orphan") && advice.contains("setsid -f"), "{zombie}");
    Ok(())
}

fn a_child_that_was_started_after_exec_is_the_programs_own() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["never-waits"]);
    let child = actor.line("child").pid();
    let zombie = tracer.expect("its zombie", soon(), about("zombie", child));
    assert!(!evidence(&zombie).contains("exec'ed"), "{zombie}");
    Ok(())
}

fn discards(how: &str, words: &[&str]) -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["before-exec", "--how", how]);
    let setter = format!("(pid {})", actor.line("setter").pid());
    let victim = actor.line("parent").pid();
    let gone = actor.line("gone").pid();
    let reaped = tracer.expect("the discarded status", soon(), about("auto_reaped", gone));
    let words: Vec<String> = words.iter().map(|word| word.replace("SETTER", &setter)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    says(&reaped, &words);
    let finished = tracer.stop();
    let finding = finished.finding("zombies/auto-reaped/", victim).expect("it is noted").to_string();
    assert!(finding.contains("set SIGCHLD back to SIG_DFL before exec"), "{finding}");
    assert!(words.iter().all(|word| finding.contains(word)), "{finding}");
    Ok(())
}

fn an_ignored_sigchld_is_told_with_the_ancestor_that_set_it() -> TestResult {
    discards("ignored", &["SIGCHLD was already ignored when", "inherited from zt-actor SETTER"])
}

fn an_ignored_sigchld_is_told_with_the_program_that_it_was() -> TestResult {
    discards("ignored-by-itself", &["SIGCHLD was already ignored when", "the same process had set it so before"])
}

fn a_program_that_ignores_sigchld_itself_has_it_from_nobody() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["auto-reap"]);
    let gone = actor.line("gone").pid();
    let reaped = tracer.expect("the discarded status", soon(), about("auto_reaped", gone));
    assert!(!evidence(&reaped).contains("exec'ed"), "{reaped}");
    Ok(())
}

fn a_blocked_sigchld_is_told_with_the_ancestor_that_set_it() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["before-exec", "--how", "blocked"]);
    let setter = actor.line("setter").pid();
    let parent = actor.line("parent").pid();
    let zombie = tracer.expect("its zombie", soon(), children_of("zombie", parent));
    assert_eq!(zombie.cause(), Some("sigchld-blocked"), "{zombie}");
    says(&zombie, &["SIGCHLD was already blocked when", &format!("inherited from zt-actor (pid {setter})")]);
    Ok(())
}
