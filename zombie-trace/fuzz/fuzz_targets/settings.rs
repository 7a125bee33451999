//! Any text is a policy and a baseline or is refused in one safe line that quotes no value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zombie_trace::policy::{Baseline, Policy};

fuzz_target!(|text: &str| {
    match Policy::parse(text) {
        Ok(policy) => {
            for entry in &policy.allow {
                safe(&entry.reason.shown());
                safe(&entry.finding.shown());
                let _ = entry.finding.matches("zombies/never-waits/python3 a.py");
            }
            let printed = policy.to_toml();
            let again = Policy::parse(&printed).expect("what is printed can be read again");
            assert_eq!(again.to_toml(), printed);
        }
        Err(error) => safe(&error.to_string()),
    }
    match Baseline::parse(text) {
        Ok(baseline) => {
            Baseline::parse(&baseline.to_json()).expect("what is printed can be read again");
        }
        Err(error) => safe(&error.to_string()),
    }
});

#[track_caller]
fn safe(line: &str) {
    assert!(line.len() < 8192 && !line.chars().any(char::is_control), "{line:?}");
}
