//! The rules of a policy, applied to a report.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::{
    Baseline, CommandFailure, Comparison, Exempted, Exemption, Expired, Policy, Rule, Verdict, Violation,
    baseline::former_id,
    values::{CauseId, StopCauseId},
};
use crate::{
    diagnosis::{Cause, StopCause},
    report::{ExitRecord, Finding, FindingKind, ParentRecord, ProcessRecord, Report, Severity, ZombieRecord},
};

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The report.
    pub report: &'a Report,
    /// When the command was started, ns of the boot clock. Who is older is no descendant of it: an init outside that
    /// adopts its orphans is not its fault. 0 if everybody is to be judged.
    pub began_ns: u64,
    /// The policy.
    pub policy: &'a Policy,
    /// What was there before.
    pub baseline: Option<&'a Baseline>,
    /// Rules that the source cannot judge.
    pub unseen: &'a [Rule],
    /// The date of today.
    pub today: Date,
}

/// Judges.
#[must_use]
pub fn judge(input: &Input<'_>) -> Verdict {
    let mut found = Found::default();
    let mut notes = Vec::new();
    let outside = zombies(input, &mut found);
    if outside > 0 {
        notes.push(format!(
            "{} adopted by a process older than the command, and left unreaped; not counted against the \
             command",
            count(outside, "orphan of the command was", "orphans of the command were")
        ));
    }
    dropped_signals(input, &mut found);
    other_findings(input, &mut found);
    command(input, &mut found, &mut notes);

    let mut verdict =
        Verdict { unmeasured: unmeasured(input), unseen: input.unseen.to_vec(), notes, ..Verdict::default() };
    let mut expired = vec![0; input.policy.allow.len()];
    let mut used = vec![false; input.policy.allow.len()];
    let comparison = input.baseline.map(|baseline| baseline.compare(found.0.values()));
    verdict.notes.extend(comparison.iter().flat_map(Comparison::notes));
    let covered: Vec<Option<u64>> =
        found.0.values().map(|violation| comparison.as_ref().and_then(|it| it.covers(violation))).collect();
    for (mut violation, covered) in found.0.into_values().zip(covered) {
        let mut waiver = None;
        // The command's own failure is no finding: the policy's own key lets it pass, nothing else does.
        let entries = input.policy.allow.iter().enumerate().filter(|_| violation.rule != Rule::CommandFailed);
        for (index, entry) in entries {
            // Policies of version 0.1 name the interpreter.
            if !entry.finding.matches(&violation.id) && !entry.finding.matches(&former_id(&violation)) {
                continue;
            }
            used[index] = true;
            if input.today <= entry.expires.0 {
                waiver.get_or_insert_with(|| Exemption::AllowEntry {
                    finding: entry.finding.shown(),
                    reason: entry.reason.shown(),
                    expires: entry.expires.0.to_string(),
                });
            } else {
                expired[index] += 1;
                violation.detail.push_str(&format!(
                    " The policy allowed this until {} ({}).",
                    entry.expires.0,
                    entry.reason.shown()
                ));
            }
        }
        let covered = covered.filter(|_| violation.rule != Rule::CommandFailed);
        let waiver = waiver.or_else(|| covered.map(|amount| Exemption::Baseline { amount }));
        match waiver {
            Some(by) => verdict.waived.push(Exempted { by, violation }),
            None => verdict.violations.push(violation),
        }
    }
    for (index, entry) in input.policy.allow.iter().enumerate() {
        if input.today > entry.expires.0 {
            verdict.expired.push(Expired {
                finding: entry.finding.shown(),
                reason: entry.reason.shown(),
                expires: entry.expires.0.to_string(),
                violations: expired[index],
            });
        } else if !used[index] {
            verdict.unused.push(entry.finding.shown());
        }
    }
    verdict
}

/// Violations, by rule and id: what several processes of one name do alike is told once.
#[derive(Default)]
struct Found(BTreeMap<(Rule, String), Violation>);

impl Found {
    fn add(&mut self, violation: Violation) {
        use std::collections::btree_map::Entry;
        match self.0.entry((violation.rule, violation.id.clone())) {
            Entry::Vacant(vacant) => {
                vacant.insert(violation);
            }
            Entry::Occupied(mut occupied) => {
                let sum = occupied.get().amount + violation.amount;
                let processes = occupied.get().processes + violation.processes;
                if violation.amount > occupied.get().amount {
                    occupied.insert(violation);
                }
                let merged = occupied.get_mut();
                (merged.amount, merged.processes) = (sum, processes);
            }
        }
    }
}

/// Whether the command answers for it.
fn is_inside(input: &Input<'_>, process: &ProcessRecord) -> bool {
    let is_young = process.start_ns >= input.began_ns;
    if input.report.doubts.is_none() {
        return is_young;
    }
    // Amid the whole machine others start processes meanwhile, and the command's containers may be older.
    process.descends && is_young || input.report.containers.iter().any(|container| container.holds(process))
}

/// How many zombies of the command one has that does not belong to it.
fn zombies_with(report: &Report, parent: &ParentRecord) -> u64 {
    let is_its = |zombie: &&ZombieRecord| {
        let waiter = zombie.parent.as_ref();
        waiter.is_some_and(|it| (it.pid, it.start_ns) == (parent.process.pid, parent.process.start_ns))
    };
    match report.doubts {
        None => parent.zombies_total,
        Some(_) => report.zombies.iter().filter(is_its).count() as u64,
    }
}

/// The finding of this kind about this process.
fn finding<'a>(report: &'a Report, kind: FindingKind, process: &ProcessRecord) -> Option<&'a Finding> {
    // An init may have been several programs in turn.
    let who = |process: &ProcessRecord| (process.pid, process.start_ns, process.comm.clone());
    let same = |other: &ProcessRecord| who(other) == who(process);
    report.findings.iter().find(|finding| finding.kind == kind && same(&finding.process))
}

/// Where the policy names a cause. To deny it is stronger.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Denied,
    Allowed,
    Nowhere,
}

impl Named {
    fn of(policy: &Policy, cause: Cause) -> Self {
        let is_in = |list: &[CauseId]| list.iter().any(|it| it.0 == cause.id());
        Self::among(is_in(&policy.denied_causes), is_in(&policy.allowed_causes))
    }

    fn of_stop(policy: &Policy, cause: Option<StopCause>) -> Self {
        let is_in = |list: &[StopCauseId]| cause.is_some_and(|cause| list.iter().any(|it| it.0 == cause.id()));
        Self::among(is_in(&policy.denied_stop_causes), is_in(&policy.allowed_stop_causes))
    }

    const fn among(is_denied: bool, is_allowed: bool) -> Self {
        match (is_denied, is_allowed) {
            (true, _) => Self::Denied,
            (false, true) => Self::Allowed,
            (false, false) => Self::Nowhere,
        }
    }
}

/// Returns how many zombies were not the command's fault.
fn zombies(input: &Input<'_>, found: &mut Found) -> u64 {
    let Input { report, policy, .. } = input;
    let mut left = 0;
    let mut outside = 0;
    for parent in &report.parents {
        if !is_inside(input, &parent.process) {
            outside += zombies_with(report, parent);
            continue;
        }
        let kind = FindingKind::Zombies { cause: parent.cause };
        let (id, severity, detail) = finding(report, kind, &parent.process).map_or_else(
            || {
                let id = format!("zombies/{}/{}", parent.cause.id(), parent.process.program);
                (id, Severity::Error, parent.evidence.join("; "))
            },
            |finding| (finding.id.clone(), finding.severity, finding.detail.clone()),
        );
        let violation = |rule, limit| Violation {
            rule,
            id: id.clone(),
            explain: kind.explained_by(),
            severity,
            title: format!(
                "{} left {} unreaped for longer than {}",
                parent.process.comm,
                count(parent.zombies_total, "zombie", "zombies"),
                policy.max_zombie_age
            ),
            detail: detail.clone(),
            amount: parent.zombies_total,
            limit,
            processes: 1,
            process: Some(parent.process.clone()),
        };
        match Named::of(policy, parent.cause) {
            Named::Denied => found.add(violation(Rule::DeniedCause, 0)),
            Named::Allowed => continue,
            Named::Nowhere if parent.zombies_total > policy.max_zombies_per_parent => {
                found.add(violation(Rule::ZombieAge, policy.max_zombies_per_parent));
            }
            Named::Nowhere => {}
        }
        // Young ones may well be reaped in time; `oldest_ns` is there only if one is not young.
        if parent.oldest_ns.is_some() {
            left += parent.zombies_now;
        }
    }
    if left > policy.max_zombies_left {
        found.add(Violation {
            rule: Rule::ZombiesLeft,
            id: "zombies-left".to_owned(),
            explain: Rule::ZombiesLeft.id(),
            severity: Severity::Error,
            title: format!("{} left at the end", count(left, "zombie", "zombies")),
            detail: "The command has ended, but a process that it started still has zombies.".to_owned(),
            amount: left,
            limit: policy.max_zombies_left,
            processes: 1,
            process: None,
        });
    }
    outside
}

fn dropped_signals(input: &Input<'_>, found: &mut Found) {
    let Input { report, policy, .. } = input;
    for drop in &report.dropped_signals {
        let kind = FindingKind::DroppedSignal { signal: drop.number, reason: drop.reason };
        let Some(finding) = finding(report, kind, &drop.target) else { continue };
        // What every PID 1 is promised by the kernel is only a note.
        let matters = finding.severity != Severity::Note && is_inside(input, &drop.target);
        if matters && drop.count > policy.max_dropped_signals {
            let violation = of_finding(Rule::DroppedSignal, finding, policy.max_dropped_signals);
            found.add(Violation { amount: drop.count, ..violation });
        }
    }
}

/// What the report found beyond zombies and dropped signals. Each counts once: a stop that failed, a fork that did.
fn other_findings(input: &Input<'_>, found: &mut Found) {
    let policy = input.policy;
    let mut rules = BTreeMap::<Rule, Vec<&Finding>>::new();
    for finding in input.report.findings.iter().filter(|finding| is_inside(input, &finding.process)) {
        let (rule, named) = match finding.kind {
            FindingKind::Zombies { .. } | FindingKind::DroppedSignal { .. } => continue,
            FindingKind::LostStatus { cause } => (Rule::LostStatus, Named::of(policy, cause)),
            FindingKind::Stuck { cause } => (Rule::Stuck, Named::of(policy, cause)),
            FindingKind::Stop { cause } => (Rule::FailedStop, Named::of_stop(policy, cause)),
            FindingKind::ForkFailure { .. } => (Rule::ForkFailure, Named::Nowhere),
        };
        // What is only good to know, such as a parent that discards statuses, fails where the policy names it.
        if named == Named::Denied {
            found.add(of_finding(Rule::DeniedCause, finding, 0));
        } else if finding.severity != Severity::Note && named != Named::Allowed {
            rules.entry(rule).or_default().push(finding);
        }
    }
    for (rule, findings) in rules {
        let limit = match rule {
            Rule::FailedStop => policy.max_failed_stops,
            Rule::ForkFailure => policy.max_fork_failures,
            Rule::LostStatus => policy.max_lost_statuses,
            Rule::Stuck => policy.max_stuck_processes,
            _ => 0,
        };
        if findings.len() as u64 > limit {
            findings.into_iter().for_each(|finding| found.add(of_finding(rule, finding, limit)));
        }
    }
}

fn of_finding(rule: Rule, finding: &Finding, limit: u64) -> Violation {
    Violation {
        rule,
        id: finding.id.clone(),
        explain: finding.kind.explained_by(),
        severity: finding.severity,
        title: finding.title.clone(),
        detail: finding.detail.clone(),
        amount: 1,
        limit,
        processes: 1,
        process: Some(finding.process.clone()),
    }
}

fn command(input: &Input<'_>, found: &mut Found, notes: &mut Vec<String>) {
    let Some(command) = &input.report.command else { return };
    let name = command.argv.first().map_or("the command", String::as_str);
    let what = match &command.exit {
        Some(ExitRecord::Code { code: 0 }) => return,
        Some(exit) => format!("{name} failed: {exit}"),
        None => {
            notes.push(format!("{name} was still running when tracing ended"));
            return;
        }
    };
    if input.policy.command_failure == CommandFailure::Ignore {
        notes.push(format!("{what}; the policy ignores that"));
        return;
    }
    found.add(Violation {
        rule: Rule::CommandFailed,
        id: "command-failed".to_owned(),
        explain: Rule::CommandFailed.id(),
        severity: Severity::Error,
        title: what,
        detail: "This is the command's own failure. `command-failure = \"ignore\"` in the policy allows it.".to_owned(),
        amount: 1,
        limit: 0,
        processes: 1,
        process: None,
    });
}

fn unmeasured(input: &Input<'_>) -> Option<String> {
    let loss = &input.report.loss;
    if loss.events > input.policy.max_lost_events {
        let events = count(loss.events, "event was", "events were");
        let allowed = input.policy.max_lost_events;
        let source = loss.filled_by().map(|source| format!("; {source}")).unwrap_or_default();
        return Some(format!("{events} lost, {allowed} are allowed; what they would have shown is unknown{source}"));
    }
    if loss.has_full_maps() {
        return Some(loss.full_maps().collect::<Vec<_>>().join("; "));
    }
    (loss.evicted > 0).then(|| loss.full_tables().collect::<Vec<_>>().join("; "))
}

fn count(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    }
}
