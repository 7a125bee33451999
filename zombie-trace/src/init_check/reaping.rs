//! Orphans.

use std::{collections::BTreeMap, time::Duration};

use super::{Judgement, Observation, observe::Reaped, plan::Plan, scene::REAP_WINDOW};
use crate::{report::Grade, text::duration};

/// Reaping on SIGCHLD is immediate; a longer time means a timer, or not keeping up.
const PROMPT: Duration = Duration::from_millis(500);

/// Whether PID 1 reaped every orphan in time.
pub(super) fn orphans(seen: &Observation<'_>) -> Judgement {
    if let Some(why) = seen.not_applicable_reason() {
        return Judgement::not_applicable(why);
    }
    let count = match seen.plan {
        Plan::Orphans { count } | Plan::OrphansWhileStopped { count } | Plan::OrphanStream { count, .. } => count,
        _ => 1,
    };
    let window = nanoseconds(REAP_WINDOW + seen.result.held);
    let in_time: Vec<&Reaped> = seen.orphans().filter(|it| is_reaped(seen, it, window)).collect();
    let slowest = in_time.iter().map(|it| it.zombie_ns).max().unwrap_or(0);
    if in_time.len() >= count as usize {
        let how = if in_time.iter().all(|it| it.by_itself) {
            "reaped automatically by the kernel (SIGCHLD is SIG_IGN)"
        } else {
            "reaped"
        };
        let held = match nanoseconds(seen.result.held) {
            0 => String::new(),
            held => format!("; PID 1 had been stopped for {}", duration(held)),
        };
        return Judgement::pass(format!("{count} of {count} {how}, the slowest after {}{held}", duration(slowest)));
    }
    let late = count as usize - in_time.len();
    let were = if late == 1 { "was still a zombie" } else { "were still zombies" };
    Judgement::fail(format!("{late} of {count} orphans adopted by PID 1 {were} after {}", duration(window)))
        .by_zombies(seen)
}

/// Whether an orphan was gone in time, also without a wait call: the kernel reaps if PID 1 ignores SIGCHLD.
pub(super) fn is_reaped(seen: &Observation<'_>, orphan: &Reaped, window: u64) -> bool {
    !orphan.torn_down
        && orphan.zombie_ns < window
        && (orphan.by_itself || orphan.reaper.is_none_or(|pid| pid == seen.result.init))
}

/// Whether it keeps up with orphans that come one after the other.
pub(super) fn stream(seen: &Observation<'_>) -> Judgement {
    let judgement = orphans(seen);
    let Plan::OrphanStream { every_ms, .. } = seen.plan else { return judgement };
    if judgement.grade != Grade::Pass {
        return judgement;
    }
    let mut ages: Vec<u64> = seen.orphans().map(|it| it.zombie_ns).collect();
    ages.sort_unstable();
    let at = |percent: usize| ages.get((ages.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0);
    let what = format!(
        "{} orphans, one every {every_ms} ms; time to reap: median {}, p99 {}, max {}",
        ages.len(),
        duration(at(50)),
        duration(at(99)),
        duration(at(100))
    );
    match at(99) <= nanoseconds(PROMPT) {
        true => Judgement::pass(what),
        false => Judgement::fail(what).by_zombies(seen),
    }
}

/// Whether it waited again for a child it had reaped: by then the pid may belong to another process.
pub(super) fn once(seen: &Observation<'_>) -> Judgement {
    if let Some(why) = seen.not_applicable_reason() {
        return Judgement::not_applicable(why);
    }
    let mut times = BTreeMap::<(u32, u64), u32>::new();
    for orphan in seen.orphans().filter(|it| !it.torn_down && !it.by_itself) {
        *times.entry((orphan.process.pid, orphan.process.start_ns)).or_default() += 1;
    }
    if times.is_empty() {
        return Judgement::not_applicable("PID 1 reaped nothing");
    }
    let again = seen.waited_twice().count();
    match (again, times.values().all(|times| *times == 1)) {
        (0, true) => Judgement::pass(format!("{} orphans, each reaped by one wait call", times.len())),
        (again, _) => {
            let calls = if again == 1 { "1 wait call" } else { &format!("{again} wait calls") };
            Judgement::fail(format!("{calls} for a child that PID 1 had already reaped (ECHILD)"))
        }
    }
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
