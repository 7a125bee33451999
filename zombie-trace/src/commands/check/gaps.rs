//! What a check did not see: a verdict over nothing is no verdict, and what the end left open is said.

use std::time::Duration;

use super::Options;
use crate::{
    report::{Coverage, Doubts, Report},
    text::{duration, plural},
};

/// What was not seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Gaps {
    /// What a reader should know.
    pub(super) notes: Vec<String>,
    /// Why the absence of violations says nothing.
    pub(super) unmeasured: Option<String>,
}

/// The gaps of a traced run.
pub(super) fn of_run(report: &Report, options: &Options, min_age: Duration) -> Gaps {
    let coverage = &report.coverage;
    let mut notes = client_notes(coverage);
    notes.extend(end_notes(coverage, min_age));
    notes.extend(report.doubts.iter().flat_map(doubt_notes));
    let empty = || (coverage.programs == 0).then(|| "no process of the command was seen".to_owned());
    let unmeasured = empty()
        .or_else(|| report.doubts.as_ref().and_then(doubtful))
        .or_else(|| only_clients(coverage))
        .or_else(|| {
            let unmatched = !options.scope.is_unlimited() && !coverage.matched_by_event;
            unmatched.then(|| format!("no process of the command matched {}", options.scope.shown()))
        });
    Gaps { notes, unmeasured: unmeasured.filter(|_| !options.allow_empty) }
}

/// The gaps of a run that was looked at from time to time.
pub(super) fn of_samples(report: &Report, options: &Options) -> Gaps {
    let unmeasured = only_clients(&report.coverage).or_else(|| unmatched(&report.coverage, options));
    Gaps { notes: client_notes(&report.coverage), unmeasured: unmeasured.filter(|_| !options.allow_empty) }
}

/// The gaps of a recording, beside those that are its own. Without a command it is of a whole machine, daemons included.
pub(super) fn of_recording(report: &Report, options: &Options, min_age: Duration) -> Gaps {
    let coverage = &report.coverage;
    let mut gaps = Gaps { notes: Vec::new(), unmeasured: unmatched(coverage, options) };
    if report.command.is_some() {
        gaps.notes = client_notes(coverage);
        gaps.notes.extend(end_notes(coverage, min_age));
        gaps.unmeasured = gaps.unmeasured.or_else(|| only_clients(coverage));
    }
    gaps.unmeasured = gaps.unmeasured.filter(|_| !options.allow_empty);
    gaps
}

fn unmatched(coverage: &Coverage, options: &Options) -> Option<String> {
    let unmatched = !options.scope.is_unlimited() && !coverage.has_matched();
    unmatched.then(|| format!("no process matched {}", options.scope.shown()))
}

fn only_clients(coverage: &Coverage) -> Option<String> {
    let clients = coverage.unseen_clients().join(", ");
    coverage.is_only_clients().then(|| {
        format!(
            "the command ran only clients ({clients}). What a daemon or another machine starts for a client is not traced, \
             and no container was seen that the command started or acted on. Trace the container with `zombie-trace \
             live --container NAME` or `record`, run the check where the processes run, or pass --allow-empty"
        )
    })
}

fn client_notes(coverage: &Coverage) -> Vec<String> {
    let clients = coverage.unseen_clients();
    if clients.is_empty() || coverage.is_only_clients() {
        return Vec::new();
    }
    vec![format!(
        "the command ran {}; what a daemon or another machine starts for a client is not traced",
        clients.join(", ")
    )]
}

/// Why it is not known whether the command's containers are clean.
fn doubtful(doubts: &Doubts) -> Option<String> {
    let unclear = doubts.unclear.join(", ");
    let missing = doubts.missing.join(", ");
    if !missing.is_empty() {
        return Some(format!("no container matched --containers {missing}"));
    }
    (!unclear.is_empty()).then(|| {
        format!(
            "it is unknown whether the command started {unclear}, because a client of somebody else ran at the same time; name \
             the containers (docker run --name NAME), or pass --containers NAME, new or none"
        )
    })
}

fn doubt_notes(doubts: &Doubts) -> Vec<String> {
    let mut notes = Vec::new();
    if doubts.nameless > 0 {
        let containers = plural(doubts.nameless, "container was", "containers were");
        notes.push(format!("{containers} gone before the name could be looked up, and not checked"));
    }
    if !doubts.unclaimed.is_empty() {
        notes.push(format!(
            "not checked: containers that started meanwhile, it is unknown by whom: {}; --containers new \
             follows them, too",
            doubts.unclaimed.join(", ")
        ));
    }
    notes
}

fn end_notes(coverage: &Coverage, min_age: Duration) -> Vec<String> {
    let mut notes = Vec::new();
    let young = coverage.end.young_zombies;
    if young > 0 {
        let min_age = duration(u64::try_from(min_age.as_nanos()).unwrap_or(u64::MAX));
        notes.push(format!(
            "not checked: {} younger than {min_age} when tracing ended",
            plural(young, "zombie", "zombies")
        ));
    }
    let running = coverage.end.running;
    if running > 0 {
        let named = coverage.end.named.iter().map(|(pid, name)| format!("{pid} {name}"));
        let mut list = named.collect::<Vec<_>>().join(", ");
        let more = running.saturating_sub(coverage.end.named.len() as u64);
        if more > 0 {
            list.push_str(&format!(" and {more} more"));
        }
        notes.push(format!("still running when tracing ended: {list}; --wait-for-daemons waits for them"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Open;

    fn coverage(clients: &[&'static str], others: u64) -> Coverage {
        let clients = clients.iter().copied().collect();
        Coverage { matched_by_event: true, programs: 3, others, clients, ..Coverage::default() }
    }

    #[test]
    fn a_command_of_clients_alone_cannot_be_measured_and_one_with_others_gets_a_note() {
        let only = coverage(&["docker"], 0);
        assert!(only_clients(&only).unwrap().contains("docker"));
        assert!(client_notes(&only).is_empty(), "it is said already");
        let mixed = coverage(&["docker"], 2);
        assert_eq!(only_clients(&mixed), None);
        assert!(client_notes(&mixed)[0].contains("docker"));
        assert_eq!(only_clients(&coverage(&[], 0)), None);
    }

    #[test]
    fn what_may_be_anybodys_cannot_be_judged_and_what_is_nobodys_is_said() {
        assert_eq!(doubtful(&Doubts::default()), None);
        let unclear = Doubts { unclear: vec!["docker web".to_owned()], ..Doubts::default() };
        assert!(doubtful(&unclear).unwrap().contains("docker web"));
        let missing = Doubts { missing: vec!["typo".to_owned()], ..Doubts::default() };
        assert!(doubtful(&missing).unwrap().contains("--containers typo"));
        let rest = Doubts { nameless: 2, unclaimed: vec!["docker db".to_owned()], ..Doubts::default() };
        let notes = doubt_notes(&rest);
        assert!(notes[0].starts_with("2 containers were gone") && notes[1].contains("docker db"), "{notes:?}");
    }

    #[test]
    fn what_the_end_left_open_is_named() {
        let named = [(7, "daemon".to_owned())].into();
        let end = Open { young_zombies: 2, running: 3, named };
        let notes = end_notes(&Coverage { end, ..coverage(&[], 1) }, Duration::from_secs(1));
        assert!(notes[0].contains("2 zombies younger than 1.0 s"), "{notes:?}");
        assert!(notes[1].contains("7 daemon and 2 more"), "{notes:?}");
        assert!(end_notes(&coverage(&[], 1), Duration::from_secs(1)).is_empty());
    }
}
