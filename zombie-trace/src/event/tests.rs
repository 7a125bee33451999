//! Context events keep the shape that recordings of version 0.1 have.

use super::*;

const KEY: ProcessKey = ProcessKey { pid: 7, start_ns: 8 };

/// What version 0.1 wrote, and how it is read today.
fn recorded() -> [(&'static str, What); 6] {
    let limits = PidLimits::unknown(KEY);
    let evidence =
        Evidence { process: KEY, observed_since: 3, waits: None, proc: None, gaps: Vec::new(), doing: Vec::new() };
    let seed = Seed {
        process: KEY,
        tick_ns: 10,
        parent_pid: 1,
        tracer: None,
        comm: *b"a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        is_zombie: true,
        threads: 1,
        status: Some(ExitStatus::Code(3)),
        ns_pids: vec![7],
        pid_ns: 0,
        uid: 0,
        cgroup: u64::MAX,
        exe: None,
        cmdline: vec![],
    };
    [
        (
            r#"{"Seed":{"process":{"pid":7,"start_ns":8},"tick_ns":10,"parent_pid":1,"tracer":null,"comm":[97,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],"is_zombie":true,"threads":1,"status":{"Code":3},"ns_pids":[7],"pid_ns":0,"uid":0,"cgroup":18446744073709551615,"exe":null,"cmdline":[]}}"#,
            What::Fact(Fact::Seed(Box::new(seed))),
        ),
        (r#"{"SeedDone":{"began":5}}"#, What::Fact(Fact::SeedDone { began: 5 })),
        (r#"{"Cgroup":{"id":9,"path":"/a"}}"#, What::Fact(Fact::Cgroup(Cgroup::new(9, "/a".to_owned(), None)))),
        (
            r#"{"Evidence":{"process":{"pid":7,"start_ns":8},"observed_since":3,"waits":null,"proc":null}}"#,
            What::Fact(Fact::Evidence(Box::new(evidence))),
        ),
        (
            r#"{"Limits":{"process":{"pid":7,"start_ns":8},"cgroups":[],"rlimit":null,"pid_max":null,"threads_max":null}}"#,
            What::Fact(Fact::Limits(Box::new(limits))),
        ),
        (r#"{"Loss":{"events":4}}"#, What::Loss { events: 4 }),
    ]
}

#[test]
fn facts_are_written_and_read_as_version_0_1_did() {
    for (json, what) in recorded() {
        let event = Event { time: 2, what };
        let json = format!(r#"{{"time":2,"what":{json}}}"#);
        assert_eq!(serde_json::to_string(&event).expect("it can be written"), json);
        assert_eq!(serde_json::from_str::<Event>(&json).expect("it can be read"), event);
    }
}

#[test]
fn a_kind_that_is_not_known_is_an_error_and_nothing_else() {
    for json in [r#"{"time":2,"what":{"Newer":{}}}"#, r#"{"time":2,"what":{"Exit":{}}}"#, r#"{"time":2,"what":"Fork"}"#]
    {
        assert!(serde_json::from_str::<Event>(json).is_err(), "{json}");
    }
}

#[test]
fn only_what_happened_moves_the_clock() {
    for (_, what) in recorded() {
        let is_fact = matches!(what, What::Fact(_));
        assert_eq!(Event { time: 2, what }.clock().is_none(), is_fact);
    }
    assert_eq!(Event { time: 2, what: What::Tick }.clock(), Some(2));
}
