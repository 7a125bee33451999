//! Policies as people write them, and as others do.

use std::time::Duration;

use super::{CommandFailure, Policy};

#[track_caller]
fn refused(text: &str, line: &str, said: &str) {
    let error = Policy::parse(text).unwrap_err().to_string();
    assert!(error.contains(line) && error.contains(said), "{error}");
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(Policy::parse("").unwrap().to_toml(), Policy::default().to_toml());
}

#[test]
fn what_is_printed_can_be_read_again() {
    let text = Policy::default().to_toml();
    assert_eq!(Policy::parse(&text).unwrap().to_toml(), text);
    let full = "max-zombie-age = \"2m\"\nallowed-causes = [\"held-by-tracer\"]\ncommand-failure = \"ignore\"\n\
        [[allow]]\nfinding = \"zombies/*\"\nreason = \"known\"\nexpires = 2030-01-31\n";
    let policy = Policy::parse(full).unwrap();
    assert_eq!(policy.max_zombie_age.0, Duration::from_secs(120));
    assert_eq!(policy.command_failure, CommandFailure::Ignore);
    assert_eq!(policy.allow[0].expires.0.to_string(), "2030-01-31");
    assert_eq!(Policy::parse(&policy.to_toml()).unwrap().to_toml(), policy.to_toml());
}

#[test]
fn the_printed_policy() {
    insta::assert_snapshot!(Policy::default().to_toml());
}

#[test]
fn errors_name_line_and_key() {
    refused("\nmax-zombie = 1", "line 2", "max-zombie");
    refused("max-zombies-left = \"none\"", "line 1", "max-zombies-left");
    refused("max-zombies-left = -1", "line 1", "max-zombies-left");
    refused("max-zombie-age = \"soon\"", "line 1", "max-zombie-age");
    refused("max-zombie-age = 5", "line 1", "max-zombie-age");
    refused("allowed-causes = [\"laziness\"]", "line 1", "allowed-causes");
    refused("allowed-stop-causes = [\"never-waits\"]", "line 1", "allowed-stop-causes");
    refused("denied-stop-causes = [\"no-handler\", \"laziness\"]", "line 1", "trap-deferred");
    refused("command-failure = \"maybe\"", "line 1", "command-failure");
    refused("[[allow]]\nfinding = \"zombies/*\"\nreason = \" \"\nexpires = 2030-01-31", "line 3", "reason");
    refused("[[allow]]\nfinding = \"zombies/*\"\nreason = \"x\"", "line 1", "expires");
    refused("[[allow]]\nfinding = \"zombies/[\"\nreason = \"x\"\nexpires = 2030-01-31", "line 2", "finding");
    refused("[[allow]]\nfinding = \"a\"\nreason = \"x\"\nexpires = 2030-02-31", "line 4", "expires");
    refused("[[allow]]\nfinding = \"a\"\nreason = \"x\"\nexpires = \"tomorrow\"", "line 4", "expires");
    refused("[[allow]]\nfinding = \"a\"\nreason = \"x\"\nexpires = 2030-01-01T00:00:00Z", "line 4", "expires");
    refused("[[allow]]\nfindings = \"a\"\n", "line 2", "findings");
}

#[test]
fn a_pattern_matches_over_slashes() {
    let policy = Policy::parse("[[allow]]\nfinding = \"zombies/*/py*\"\nreason = \"x\"\nexpires = 2030-01-31").unwrap();
    let pattern = &policy.allow[0].finding;
    assert!(pattern.matches("zombies/never-waits/python3"));
    assert!(!pattern.matches("signals/no-handler/SIGTERM/python3"));
}

/// A link in a checkout may lead to any file that root can read.
#[test]
fn errors_quote_nothing_of_the_file_but_a_key() {
    for text in [
        "root:$6$hunter2$abc:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n",
        "password = \"hunter2\"\n",
        "password = hunter2\n",
        "max-zombies-left = \"hunter2\"",
        "max-zombies-left = \"hunter2, expected hunter2\"",
        "max-zombie-age = \"hunter2\"",
        "allowed-causes = [\"hunter2\"]",
        "command-failure = \"hunter2\"",
        "[[allow]]\nfinding = \"hunter2[\"\nreason = \"x\"\nexpires = 2030-01-31",
        "[[allow]]\nfinding = \"x\"\nreason = \"x\"\nexpires = \"hunter2\"",
        "[[allow]]\nfinding = \"x\"\nreason = [\"hunter2\"]\nexpires = 2030-01-31",
        "hunter2",
        "\"a\\qhunter2\" = 1",
    ] {
        let error = Policy::parse(text).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{text}: {error}");
        assert!(error.starts_with("line "), "{error}");
    }
}

#[test]
fn errors_are_one_line_that_a_terminal_does_not_obey() {
    for text in [
        "\"x\\u001b[2J\\n::error::y\" = 1",
        "max-zombie-age = \"1s\"\nx\u{1b}[2J]0;owned = 1",
        &format!("{} = 1", "k".repeat(100_000)),
    ] {
        let error = Policy::parse(text).unwrap_err().to_string();
        assert!(!error.chars().any(char::is_control), "{error:?}");
        assert!(error.len() < 600, "{} bytes", error.len());
    }
}

#[test]
fn what_a_policy_may_hold_is_bounded() {
    let entry = "[[allow]]\nfinding = \"a\"\nreason = \"x\"\nexpires = 2030-01-31\n";
    assert!(Policy::parse(&entry.repeat(1000)).is_ok());
    refused(&entry.repeat(1001), "allow", "1000 entries");
    refused(&entry.replace("\"x", &format!("\"{}", "x".repeat(2000))), "line 3", "longer than");
    refused(&entry.replace("\"a", &format!("\"{}", "a".repeat(2000))), "line 2", "longer than");
    refused(&format!("denied-causes = [{}]", "\"auto-reaped\",".repeat(50)), "denied-causes", "causes");
    refused(&format!("allowed-stop-causes = [{}]", "\"frozen\",".repeat(15)), "allowed-stop-causes", "14 causes");
}

#[test]
fn a_reason_is_shown_in_one_safe_line() {
    let text =
        "[[allow]]\nfinding = \"a\\u001b\"\nreason = \"a\\n::error title=x::y\\u001b[31m\"\nexpires = 2030-01-31\n";
    let policy = Policy::parse(text).unwrap();
    assert_eq!(policy.allow[0].reason.shown(), "a ::error title=x::y\\x1b[31m");
    assert_eq!(policy.allow[0].finding.shown(), "a\\x1b");
}
