//! Turns the asker's answers into events, together with the kernel side's counters.

use crate::abi::{NO_SELECTOR, RECENT_SELECTORS, WaitStats};
use log::{debug, warn};

use super::Live;
use crate::{
    event::{
        BootNs, Event, Evidence, Fact, Gap, GapReason, Part, PidLimits, ProcFacts, ProcessKey, Unread, WaitActivity,
        What,
    },
    source::{
        asker::{Looked, Question, Reply},
        proc::boot_clock_now,
    },
};

impl Live {
    /// Turns an answer into events for the model.
    pub(super) fn answer(&mut self, question: &Question, outcome: Result<Reply, Unread>, events: &mut Vec<Event>) {
        let now = boot_clock_now();
        match (question, outcome) {
            (Question::Process(process), outcome) => {
                let outcome = outcome.and_then(|reply| match reply {
                    Reply::Process(looked) => Ok(*looked),
                    _ => Err(Unread::NoReader),
                });
                if let Ok(Looked { time, limits, .. }) = &outcome {
                    // First, because the model waits for the evidence.
                    events.push(Event { time: *time, what: What::Fact(Fact::Limits(Box::new(limits.clone()))) });
                }
                let time = outcome.as_ref().map_or(now, |looked| looked.time);
                let evidence = self.evidence(*process, outcome);
                events.push(Event { time, what: What::Fact(Fact::Evidence(Box::new(evidence))) });
            }
            (&Question::Limits { process, failed, .. }, outcome) => {
                let limits = match outcome {
                    Ok(Reply::Limits(limits)) => limits,
                    _ => Box::new(PidLimits { failed: Some(failed), ..PidLimits::unknown(process) }),
                };
                events.push(Event { time: now, what: What::Fact(Fact::Limits(limits)) });
            }
            (&Question::Cgroup(id), Ok(Reply::Cgroup(found))) => match found {
                Some((path, Ok(container))) => events.push(self.cgroups.found(id, path, container, now)),
                Some((path, Err(_))) => events.push(self.cgroups.found_unnamed(id, path, now)),
                None => debug!("cgroup {id} is gone"),
            },
            (&Question::Cgroup(id), _) => self.cgroups.unread(id, now),
            (Question::Containers(_), Ok(Reply::Containers(Ok(containers)))) => {
                events.extend(self.cgroups.named(containers, now));
            }
            (Question::Containers(_), _) => self.cgroups.unnamed(now),
            // The others are not asked here.
            (Question::Seed(_) | Question::Init(_) | Question::Environment(_) | Question::Usage(_), _) => {}
        }
    }

    fn evidence(&mut self, process: ProcessKey, looked: Result<Looked, Unread>) -> Evidence {
        let observed_since = self.started.max(process.start_ns);
        let looked = match looked {
            Ok(looked) => looked,
            // It is known how it waits but not whether it can run: one without the other proves nothing.
            Err(reason) => {
                let gap = Gap { part: Part::Process, reason: GapReason::Unread(reason) };
                return Evidence {
                    process,
                    observed_since,
                    waits: None,
                    proc: None,
                    gaps: vec![gap],
                    doing: Vec::new(),
                };
            }
        };
        let counted = self.loaded.wait_stats(process.pid).unwrap_or_else(|error| {
            warn!("{error}");
            None
        });
        // Counters of an earlier process with this pid do not count.
        let counted = counted.filter(|stats| is_same(stats.start_ns, process.start_ns));
        let first_call = counted.as_ref().map(|stats| stats.first_call_ns);
        self.fullness.observe(&self.loaded.counters(), boot_clock_now());
        let waits = match counted {
            // It may reap without a system call, so the counters are incomplete.
            _ if looked.uses_io_uring != Some(false) => None,
            _ if self.fullness.hides_calls(process.start_ns, first_call) => None,
            Some(stats) => Some(activity(&stats)),
            None => Some(WaitActivity { recent_complete: true, ..WaitActivity::default() }),
        };
        let waits = waits.map(|waits| bounded(waits, looked.proc.as_ref()));
        Evidence { process, observed_since, waits, proc: looked.proc, gaps: looked.gaps, doing: looked.doing }
    }
}

/// Whether a start from the kernel and one that may be rounded down to a clock tick are of one process.
fn is_same(exact: BootNs, maybe_rounded: BootNs) -> bool {
    exact >= maybe_rounded && exact - maybe_rounded < 10_000_000
}

/// If the kernel skips programs at system calls (since Linux 7.2), begins and ends are missed independently, and a
/// surplus is not a call.
fn bounded(waits: WaitActivity, facts: Option<&ProcFacts>) -> WaitActivity {
    let most = facts.map_or(u32::MAX, ProcFacts::max_waiting);
    WaitActivity { in_progress: waits.in_progress.min(most), ..waits }
}

/// How a process waits.
fn activity(stats: &WaitStats) -> WaitActivity {
    let written = usize::try_from(stats.recent_count).unwrap_or(usize::MAX);
    let places: Vec<i32> = stats.recent.iter().copied().take(written).collect();
    // Two threads that took the same place left another one empty.
    let recent_complete = written <= RECENT_SELECTORS && !places.contains(&NO_SELECTOR);
    let mut recent: Vec<i32> = places.into_iter().filter(|&selector| selector != NO_SELECTOR).collect();
    recent.sort_unstable();
    recent.dedup();
    WaitActivity {
        calls: stats.calls,
        successes: stats.successes,
        empty: stats.empty,
        no_child: stats.no_child,
        any_calls: stats.any_calls,
        pgid_calls: stats.pgid_calls,
        pid_calls: stats.pid_calls,
        first_call_ns: stats.first_call_ns,
        last_call_ns: stats.last_call_ns,
        last_any_ns: stats.last_any_ns,
        options_seen: stats.options_seen,
        // They are read while they change, so the ends may be newer than the begins.
        in_progress: u32::try_from(stats.begun.saturating_sub(stats.ended)).unwrap_or(u32::MAX),
        recent,
        recent_complete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_is_in_progress_where_no_thread_can_be_in_one() {
        let waits = |in_progress| WaitActivity { in_progress, ..WaitActivity::default() };
        let facts =
            |threads, place: &str| ProcFacts { threads, wait_channel: Some(place.to_owned()), ..ProcFacts::default() };
        let left = |count, facts: &ProcFacts| bounded(waits(count), Some(facts)).in_progress;
        assert_eq!(left(18_479, &facts(1, "hrtimer_nanosleep")), 0);
        assert_eq!(left(18_479, &facts(1, "do_wait")), 1);
        assert_eq!(left(18_479, &facts(3, "hrtimer_nanosleep")), 3);
        assert_eq!(left(1, &ProcFacts { wait_channel: None, ..facts(1, "") }), 1, "the kernel does not say where");
        assert_eq!(bounded(waits(2), None).in_progress, 2);
    }

    /// Of a process that has called wait twice, for two children.
    fn stats() -> WaitStats {
        let mut recent = [NO_SELECTOR; RECENT_SELECTORS];
        recent[..2].copy_from_slice(&[31, 30]);
        WaitStats {
            start_ns: 1,
            calls: 2,
            successes: 0,
            empty: 0,
            no_child: 0,
            any_calls: 0,
            pgid_calls: 0,
            pid_calls: 2,
            begun: 2,
            ended: 1,
            recent_count: 2,
            first_call_ns: 5,
            last_call_ns: 6,
            last_any_ns: 0,
            recent,
            options_seen: 0,
            last_no_child_id: 0,
        }
    }

    #[test]
    fn calls_in_progress_are_those_that_have_not_ended() {
        let waits = activity(&stats());
        assert_eq!((waits.in_progress, waits.recent, waits.recent_complete), (1, vec![30, 31], true));
        // The ends were read after the begins.
        assert_eq!(activity(&WaitStats { ended: 3, ..stats() }).in_progress, 0);
    }

    #[test]
    fn selectors_are_not_complete_where_one_was_overwritten() {
        // Two threads wrote the third at once, and both counted it.
        let mut raced = WaitStats { recent_count: 4, ..stats() };
        raced.recent[2] = 33;
        let waits = activity(&raced);
        assert_eq!((waits.recent, waits.recent_complete), (vec![30, 31, 33], false));
        let wrapped = WaitStats { recent_count: 9, recent: [7; RECENT_SELECTORS], ..stats() };
        assert!(!activity(&wrapped).recent_complete);
    }
}
