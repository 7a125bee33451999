//! The report at the end.

use std::collections::BTreeMap;

use super::{
    ContainerRecord, Coverage, Session, consequences, describe, doing, drops, ended,
    findings::{Finding, FindingKind, Severity},
    following::Followed,
    following_records,
    loss::{BusyWorkload, Loss},
    records::{Drop, LatencyRecord, ParentRecord, Report, StuckRecord, TotalsRecord, Window, ZombieRecord},
    stints,
};
use crate::{
    diagnosis::{self, Cause, STATUS_STOLEN_ADVICE, Verdict},
    event::ProcessKey,
    model::{Latency, Model, Process},
};

/// The schema of the report.
const SCHEMA: &str = "zombie-trace.report/1";

pub(super) fn report(session: &Session, host: &str, kernel: &str) -> Report {
    let model = &session.model;
    let totals = model.totals();
    let (zombies, verdicts, oldest) = zombies(session);
    let parents = parents(session, &verdicts, &oldest);
    let dropped_signals = drops::drops(session);
    let stops = consequences::stops(session);
    let fork_failures = consequences::fork_failures(session);
    let mut findings = findings(session, &parents, &dropped_signals);
    findings.extend(consequences::stop_findings(&stops));
    findings.extend(consequences::fork_findings(&fork_failures));
    findings.sort_by(|a, b| (a.severity, &a.id, a.process.pid).cmp(&(b.severity, &b.id, b.process.pid)));
    let followed = session.followed();
    let mut containers =
        followed.as_ref().map_or_else(Vec::new, |followed| following_records::records(session, followed));
    containers.iter_mut().for_each(|container| container.add(&findings, &stops));
    // Where nothing else was traced, there is nothing to doubt.
    let followed = followed.filter(|_| session.is_amid_machine());
    let (sums, latencies) = sums(session, followed.as_ref());
    let coverage = session.coverage.at_end(model, &session.scope);
    Report {
        schema: SCHEMA,
        host: host.to_owned(),
        kernel: kernel.to_owned(),
        window: Window { start: session.clock.moment(model.config().started), end: session.clock.moment(model.now()) },
        loss: Loss {
            events: totals.lost,
            evicted: totals.overflows.total(),
            overflows: totals.overflows,
            unfollowed: totals.full.followed,
            uncounted_waits: totals.full.wait_counters,
            unknown_waits: totals.full.wait_calls,
            filled_by: busiest(model),
        },
        totals: sums,
        latency: latency(&latencies),
        distribution: latencies,
        parents,
        zombies,
        stuck: stuck(session).map(|(record, _)| record.clone()).collect(),
        dropped_signals,
        stops,
        ended: ended::records(session),
        fork_failures,
        findings,
        command: None,
        coverage: Coverage { has_containers: containers.iter().any(ContainerRecord::is_judged), ..coverage },
        doubts: followed.as_ref().map(following_records::doubts),
        containers,
    }
}

/// The sums of all that is told of, and the times to reap.
fn sums(session: &Session, followed: Option<&Followed>) -> (TotalsRecord, Latency) {
    let model = &session.model;
    let Some(followed) = followed else {
        let totals = model.totals();
        let record = TotalsRecord {
            exits: totals.exits,
            zombies: totals.zombies,
            reaped: totals.reaped,
            auto_reaped: totals.auto_reaped,
            zombies_now: totals.zombies_now,
        };
        return (record, model.latency().clone());
    };
    let share = model.share_with(&followed.cgroups());
    let zombies = model.processes().filter(|process| process.zombie().is_some());
    let record = TotalsRecord {
        exits: share.exits,
        zombies: share.zombies,
        reaped: share.reaped,
        auto_reaped: share.auto_reaped,
        zombies_now: zombies.filter(|it| session.scope.covers(model, [Some(&it.identity)])).count() as u64,
    };
    (record, share.latency)
}

fn latency(latency: &Latency) -> LatencyRecord {
    LatencyRecord {
        p50_ns: latency.quantile(0.5),
        p90_ns: latency.quantile(0.9),
        p99_ns: latency.quantile(0.99),
        max_ns: latency.max(),
    }
}

type Oldest = BTreeMap<ProcessKey, u64>;

/// Zombies of the minimum age that are sure to be there, the oldest first; the verdict on each of their parents, by its oldest zombie; and the
/// age of that.
fn zombies(session: &Session) -> (Vec<ZombieRecord>, BTreeMap<ProcessKey, Verdict>, Oldest) {
    let model = &session.model;
    let min_age = model.config().min_age_ns;
    let mut aged: Vec<(u64, &Process)> = model
        .processes()
        .filter_map(|process| {
            let zombie = process.zombie().filter(|zombie| !zombie.may_be_gone())?;
            let is_aged = model.ran_ns(zombie.since, model.now()) >= min_age;
            let is_listed = is_aged && session.covers(&process.identity, zombie.waiter());
            is_listed.then_some((zombie.age(model.now()), process))
        })
        .collect();
    aged.sort_unstable_by_key(|&(age, process)| (std::cmp::Reverse(age), process.key));
    let mut verdicts = BTreeMap::new();
    let mut oldest = Oldest::new();
    let mut records = Vec::with_capacity(aged.len());
    for (age, process) in aged {
        let (Some(zombie), Some(verdict)) = (process.zombie(), diagnosis::judge(model, process)) else {
            continue;
        };
        records.extend(session.zombie_record(process, &verdict));
        oldest.entry(zombie.waiter()).or_insert(age);
        verdicts.entry(zombie.waiter()).or_insert(verdict);
    }
    (records, verdicts, oldest)
}

fn parents(session: &Session, verdicts: &BTreeMap<ProcessKey, Verdict>, oldest: &Oldest) -> Vec<ParentRecord> {
    let model = &session.model;
    let mut zombies_of = BTreeMap::<ProcessKey, Vec<&Process>>::new();
    for (waiter, zombie) in model.zombies() {
        zombies_of.entry(waiter).or_default().push(zombie);
    }
    let mut records: Vec<ParentRecord> = model
        .processes()
        .filter_map(|process| {
            let parenting = process.parenting.as_deref().filter(|parenting| parenting.zombies_aged > 0)?;
            let verdict = verdicts.get(&process.key).cloned().or_else(|| past(session, process))?;
            // A parent out of the scope may be here for a zombie within it.
            let in_scope = oldest.contains_key(&process.key)
                // Amid the whole machine a verdict may be on others.
                || !session.is_amid_machine() && session.verdicts.contains_key(&process.key)
                || session.scope.covers(model, [Some(&process.identity)]);
            in_scope.then(|| ParentRecord {
                process: describe::process(model, process),
                cause: verdict.cause,
                contributing: verdict.contributing,
                evidence: verdict.evidence,
                advice: verdict.advice,
                doing: doing::records(&verdict.doing),
                zombies_now: parenting.zombies_now,
                zombies_total: parenting.zombies_aged,
                oldest_ns: oldest.get(&process.key).copied(),
                passed_on: stints::passed_on(session, parenting),
                latency: latency(&parenting.latency),
                damage: zombies_of
                    .get(&process.key)
                    .and_then(|zombies| consequences::damage(session, process, zombies)),
            })
        })
        .collect();
    records.sort_by_key(|parent| {
        let worst = std::cmp::Reverse((parent.zombies_now, parent.zombies_total, parent.oldest_ns));
        (worst, parent.process.pid, parent.process.start_ns)
    });
    records
}

/// The verdict on a parent without zombies now: what was found while there were some tells more than that it reaped them
/// late, unless it was wrong to think that it never would.
fn past(session: &Session, parent: &Process) -> Option<Verdict> {
    let told = session.verdicts.get(&parent.key).cloned();
    let holds = told.as_ref().is_some_and(|verdict| verdict.cause.still_applies_after_reap());
    if holds { told } else { diagnosis::judge_reaped_parent(parent).or(told) }
}

fn findings(session: &Session, parents: &[ParentRecord], drops: &[Drop]) -> Vec<Finding> {
    let of_parents = parents.iter().map(|parent| {
        let is_mild = matches!(parent.cause, Cause::LazyReaper | Cause::ParentCannotRun);
        let never_reaped = parent.zombies_now > 0 && !is_mild;
        let severity =
            if parent.cause == Cause::Unknown || !never_reaped { Severity::Warning } else { Severity::Error };
        Finding {
            kind: FindingKind::Zombies { cause: parent.cause },
            id: format!("zombies/{}/{}", parent.cause.id(), parent.process.program),
            severity,
            title: format!(
                "{} left {} unreaped",
                parent.process.comm,
                match parent.zombies_total {
                    1 => "a zombie".to_owned(),
                    many => format!("{many} zombies"),
                }
            ),
            detail: match parent.damage.as_ref().and_then(|damage| damage.summary.as_deref()) {
                Some(damage) => format!("{}; {damage}. {}", parent.evidence.join("; "), parent.advice),
                None => format!("{}. {}", parent.evidence.join("; "), parent.advice),
            },
            process: parent.process.clone(),
        }
    });
    let of_drops = drops::findings(drops);
    let of_auto = session
        .model
        .processes()
        .filter(|process| process.parenting.as_ref().is_some_and(|it| it.auto_reaped > 0))
        .filter(|process| session.scope.covers(&session.model, [Some(&process.identity)]))
        .map(|process| {
            let record = describe::process(&session.model, process);
            let count = process.parenting.as_ref().map_or(0, |it| it.auto_reaped);
            Finding {
                kind: FindingKind::LostStatus { cause: Cause::AutoReaped },
                id: format!("zombies/{}/{}", Cause::AutoReaped.id(), record.program),
                severity: Severity::Note,
                title: format!("{} {}", record.comm, Cause::AutoReaped.title()),
                detail: format!(
                    "{count} exit statuses were discarded. {}",
                    diagnosis::auto_reaped_advice(&session.model, process)
                ),
                process: record,
            }
        });
    let of_stolen = session
        .model
        .processes()
        .filter_map(|process| Some((process, process.parenting.as_ref().map(|it| it.stolen).filter(|&it| it > 0)?)))
        .filter(|(process, _)| session.scope.covers(&session.model, [Some(&process.identity)]))
        .map(|(process, count)| {
            let record = describe::process(&session.model, process);
            Finding {
                kind: FindingKind::LostStatus { cause: Cause::StatusStolen },
                id: format!("zombies/{}/{}", Cause::StatusStolen.id(), record.program),
                severity: Severity::Warning,
                title: format!("{} {}", record.comm, Cause::StatusStolen.title()),
                detail: format!("{} {STATUS_STOLEN_ADVICE}", drops::times(count)),
                process: record,
            }
        });
    let of_stuck = stuck(session).map(|(stuck, severity)| Finding {
        kind: FindingKind::Stuck { cause: stuck.cause },
        id: format!("stuck/{}/{}", stuck.cause.id(), stuck.process.program),
        severity: *severity,
        title: format!("{} is stuck exiting", stuck.process.comm),
        detail: format!("{}. {}", stuck.evidence.join("; "), stuck.advice),
        process: stuck.process.clone(),
    });
    of_parents.chain(of_drops).chain(of_auto).chain(of_stolen).chain(of_stuck).collect()
}

/// Those that cannot go and are told of.
fn stuck(session: &Session) -> impl Iterator<Item = &(StuckRecord, Severity)> {
    let is_own = |record: &StuckRecord| {
        let key = ProcessKey { pid: record.process.pid, start_ns: record.process.start_ns };
        let process = session.model.remembered(key);
        process.is_some_and(|process| session.scope.covers(&session.model, [Some(&process.identity)]))
    };
    session.stuck.iter().filter(move |(record, _)| !session.is_amid_machine() || is_own(record))
}

/// The workload that filled the ring, if events were lost and one stands out.
fn busiest(model: &Model) -> Option<BusyWorkload> {
    let (id, events) = model.busiest_at_loss()?;
    let cgroup = model.cgroup(id)?;
    let container = cgroup.container().map(|container| container.map_texts(&describe::text));
    Some(BusyWorkload { cgroup: describe::text(&cgroup.path), container, events })
}
