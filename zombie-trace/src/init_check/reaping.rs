//! Orphans.

use super::{
    Grade, Judgement, Observation,
    scene::{ORPHAN, Plan, REAP_WINDOW},
};
use crate::diagnosis::duration;

/// Whether PID 1 reaped every orphan in time.
pub(super) fn orphans(seen: &Observation<'_>) -> Judgement {
    let Plan::Orphans { count } = seen.plan else { return (Grade::NotApplicable, Vec::new()) };
    if let Some(why) = seen.ended_early() {
        return (Grade::NotApplicable, vec![why]);
    }
    let orphans: Vec<_> = seen
        .events
        .reaped
        .iter()
        .filter(|it| it.process.comm == ORPHAN && it.process.pid_ns == Some(seen.result.pid_ns))
        .collect();
    let window = u64::try_from(REAP_WINDOW.as_nanos()).unwrap_or(u64::MAX);
    // Gone in time by any other way than PID 1's wait is gone as well: the kernel does it for who ignores SIGCHLD.
    let in_time: Vec<_> = orphans
        .iter()
        .filter(|it| {
            !it.torn_down
                && it.zombie_ns < window
                && (it.by_itself || it.reaper.is_none_or(|pid| pid == seen.result.init))
        })
        .collect();
    let slowest = in_time.iter().map(|it| it.zombie_ns).max().unwrap_or(0);
    if in_time.len() >= count as usize {
        let how = if in_time.iter().all(|it| it.by_itself) { "discarded by SIGCHLD at SIG_IGN" } else { "reaped" };
        return (Grade::Pass, vec![format!("{count} of {count} {how}, the slowest within {}", duration(slowest))]);
    }
    let late = count as usize - in_time.len();
    let mut evidence = vec![format!(
        "{late} of {count} adopted by PID 1 were still zombies after {}: it does not reap what it did not start",
        duration(window)
    )];
    let parent = seen.report.parents.iter().find(|parent| parent.process.pid == seen.result.init);
    if let Some(parent) = parent {
        evidence.push(format!("cause: {}", parent.cause));
        evidence.extend(parent.evidence.iter().take(3).cloned());
    }
    (Grade::Fail, evidence)
}
