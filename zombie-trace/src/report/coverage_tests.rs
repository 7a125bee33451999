//! What a run saw at all.

use super::{Clock, Scope, Session};
use crate::{
    event::{Cgroup, Comm, Event, Exec, Fact, Fork, NsPid, ProcessKey, What},
    model::Config,
};

fn comm(name: &str) -> Comm {
    let mut comm = Comm::default();
    comm[..name.len()].copy_from_slice(name.as_bytes());
    comm
}

fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid, start_ns: u64::from(pid) }
}

fn session(scope: Scope) -> Session {
    Session::new(Config::default(), scope, Clock::default())
}

/// A process with this name, forked by process 1 in a cgroup.
fn start(session: &mut Session, pid: u32, name: &str) {
    start_in(session, pid, pid, name);
}

/// The same, with this number in its own pid namespace.
fn start_in(session: &mut Session, pid: u32, nr: u32, name: &str) {
    let fork = Fork {
        forker: key(1),
        child: key(pid),
        parent_pid: 1,
        ns: NsPid { nr, inum: 1 },
        level: 0,
        cgroup: 77,
        uid: 0,
        comm: comm("sh"),
    };
    session.apply(&Event { time: 1_000, what: What::Fork(fork) });
    let exec = Exec { process: key(pid), old_thread: pid, cgroup: 77, uid: 0, comm: comm(name), sigchld: None };
    session.apply(&Event { time: 1_001, what: What::Exec(exec) });
}

fn programs(names: &[&str]) -> super::Coverage {
    let mut session = session(Scope::default());
    for (pid, name) in (100..).zip(names) {
        start(&mut session, pid, name);
    }
    session.report("host", "kernel").coverage
}

#[test]
fn a_command_that_runs_nothing_but_clients_is_known() {
    for only in [&["docker"][..], &["make", "sh", "docker", "docker-buildx"], &["sh", "docker", "sleep", "docker"]] {
        let coverage = programs(only);
        assert!(coverage.is_only_clients(), "{only:?}");
        assert!(coverage.unseen_clients().contains(&"docker"), "{only:?}");
    }
    let mixed = programs(&["make", "cc1", "docker"]);
    assert!(!mixed.is_only_clients());
    assert_eq!(mixed.unseen_clients(), ["docker"]);
    let none = programs(&["sh", "sleep"]);
    assert!(!none.is_only_clients() && none.unseen_clients().is_empty());
    assert_eq!(none.programs, 2);
}

#[test]
fn podman_that_starts_a_container_itself_hides_nothing() {
    // It asks conmon and runc for their versions whatever it does, and stops a container by `runc kill`.
    let names = ["podman", "conmon", "runc"];
    assert!(programs(&names).is_only_clients(), "podman stop");
    let mut session = session(Scope::default());
    for (pid, name) in (100..).zip(names) {
        start(&mut session, pid, name);
    }
    start_in(&mut session, 200, 1, "sh");
    let run = session.report("host", "kernel").coverage;
    assert!(!run.is_only_clients() && run.unseen_clients().is_empty());
}

#[test]
fn a_filter_by_name_matches_when_such_a_process_runs() {
    let glob = globset::Glob::new("ngin*").unwrap().compile_matcher();
    let mut session = session(Scope { comm: Some(glob), ..Scope::default() });
    start(&mut session, 100, "cat");
    assert!(!session.has_matched());
    assert_eq!(session.scope().shown(), "--comm ngin*");
    start(&mut session, 101, "nginx");
    assert!(session.has_matched());
}

#[test]
fn a_filter_by_cgroup_matches_when_the_cgroup_becomes_known() {
    let mut session = session(Scope { cgroup: Some("/job".to_owned()), ..Scope::default() });
    start(&mut session, 100, "app");
    assert!(!session.has_matched());
    session.apply(&Event { time: 2_000, what: Fact::Cgroup(Cgroup::new(77, "/job/1".to_owned(), None)).into() });
    assert!(session.has_matched());
}

#[test]
fn what_still_runs_at_the_end_is_named() {
    let coverage = programs(&["app", "daemon"]);
    assert_eq!(coverage.end.running, 2);
    assert_eq!(coverage.end.named.get(&101).map(String::as_str), Some("daemon"));
}
