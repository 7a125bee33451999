//! What a recording may make a session keep: in proportion to its length, so that a small file made for the purpose does
//! not fill the memory of who reads it.

use std::borrow::Cow;

use crate::event::{Doing, Event, Evidence, Fact, PidLimits, ProcFacts, Seed, What};

/// What context events may hold, whatever the length of the recording, bytes.
const FREE_TEXT: u64 = 8 << 20;
/// What they may hold more for each byte of it: text is found once in `/proc` and packs well.
const TEXT_A_BYTE: u64 = 64;
/// Processes that a recording of any length may tell of.
const FREE_PROCESSES: u64 = 16 << 10;
/// Bytes that tell of a process, at the least.
const BYTES_A_PROCESS: u64 = 16;
/// What an element of a list takes in memory besides its text, bytes.
const ELEMENT: usize = 24;
/// A number in a list takes up to this much more memory than text.
const A_NUMBER: usize = 3;
/// Maximum number of pid numbers of a process: the kernel nests no deeper.
const MAX_LEVELS: usize = 33;

/// Limits for what is read from recordings of this length.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    text: u64,
    processes: usize,
}

impl Bounds {
    /// Limits for recordings that have so many bytes together, and a limit on processes that holds in any case.
    #[must_use]
    pub fn of(bytes: u64, max_processes: usize) -> Self {
        let processes = FREE_PROCESSES.saturating_add(bytes / BYTES_A_PROCESS);
        Self {
            text: FREE_TEXT.saturating_add(bytes.saturating_mul(TEXT_A_BYTE)),
            processes: usize::try_from(processes).unwrap_or(usize::MAX).min(max_processes),
        }
    }

    /// How many processes may be known at a time.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.processes
    }

    /// A context event as it may be taken in; `None` if there is no room for it. Where there is no room for the text of a
    /// process, that text is left out; the process is the same without.
    pub(super) fn admit<'a>(&mut self, event: &'a Event) -> Option<Cow<'a, Event>> {
        let text = match &event.what {
            What::Fact(Fact::Seed(seed)) => seed_text(seed),
            What::Fact(Fact::Evidence(evidence)) => evidence_text(evidence),
            What::Fact(Fact::Cgroup(cgroup)) => serde_json::to_string(cgroup).map_or(usize::MAX, |text| text.len()),
            What::Fact(Fact::Limits(limits)) => limits_text(limits),
            What::Fact(known @ (Fact::Zombie(_) | Fact::Process(_) | Fact::Stop(_))) => {
                serde_json::to_string(known).map_or(usize::MAX, |text| A_NUMBER * text.len())
            }
            _ => 0,
        };
        if let Some(left) = self.text.checked_sub(text as u64) {
            self.text = left;
            return Some(Cow::Borrowed(event));
        }
        let what = match event.what.clone() {
            What::Fact(Fact::Seed(mut seed)) => {
                (seed.exe, seed.cmdline) = (None, Vec::new());
                seed.ns_pids.truncate(MAX_LEVELS);
                What::Fact(Fact::Seed(seed))
            }
            What::Fact(Fact::Evidence(mut evidence)) => {
                evidence.proc = evidence.proc.take().map(without_text);
                evidence.waits.iter_mut().for_each(|waits| waits.recent = Vec::new());
                evidence.doing = Vec::new();
                What::Fact(Fact::Evidence(evidence))
            }
            _ => return None,
        };
        Some(Cow::Owned(Event { time: event.time, what }))
    }
}

/// Only what is of a fixed size.
fn without_text(facts: ProcFacts) -> ProcFacts {
    ProcFacts {
        exe: None,
        cmdline: Vec::new(),
        wait_channel: None,
        ns_pids: Vec::new(),
        frozen_by: None,
        tasks: Vec::new(),
        inits_in_image: Vec::new(),
        ..facts
    }
}

fn list(texts: &[String]) -> usize {
    texts.iter().map(|text| ELEMENT + text.len()).sum()
}

fn optional(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

fn seed_text(seed: &Seed) -> usize {
    optional(seed.exe.as_ref()) + list(&seed.cmdline) + 4 * seed.ns_pids.len()
}

fn evidence_text(evidence: &Evidence) -> usize {
    let doing = evidence.doing.iter().map(Doing::memory).sum::<usize>();
    let waits = doing + evidence.waits.as_ref().map_or(0, |waits| 4 * waits.recent.len());
    let Some(facts) = &evidence.proc else { return waits };
    let tasks: usize = facts.tasks.iter().map(|task| 2 * ELEMENT + optional(task.wait_channel.as_ref())).sum();
    // The process gets the text, and its evidence keeps it.
    let twice = 2 * (optional(facts.exe.as_ref()) + list(&facts.cmdline));
    let once = optional(facts.wait_channel.as_ref()) + optional(facts.frozen_by.as_ref()) + list(&facts.inits_in_image);
    waits + twice + once + tasks + 4 * facts.ns_pids.len()
}

fn limits_text(limits: &PidLimits) -> usize {
    limits.cgroups.iter().map(|cgroup| 3 * ELEMENT + cgroup.path.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Cgroup, PidsUsage, ProcessKey};

    fn seed(argument: usize) -> Event {
        let process = ProcessKey { pid: 7, start_ns: 1 };
        let text = "x".repeat(argument);
        let json = serde_json::json!({ "time": 1, "what": { "Seed": {
            "process": process, "tick_ns": 1, "parent_pid": 1, "tracer": null, "comm": vec![0; 16], "is_zombie": false,
            "threads": 1, "status": null, "ns_pids": [7], "pid_ns": 0, "uid": 0, "cgroup": 0, "exe": text,
            "cmdline": [text],
        }}});
        serde_json::from_value(json).expect("it is a seed")
    }

    #[test]
    fn text_beyond_the_limit_is_left_out_and_the_process_stays() {
        let mut bounds = Bounds::of(0, 1 << 20);
        let seed = seed(3 << 20);
        assert_eq!(bounds.admit(&seed).as_deref(), Some(&seed));
        let Some(Cow::Owned(Event { what: What::Fact(Fact::Seed(bare)), .. })) = bounds.admit(&seed) else {
            panic!("no room")
        };
        assert_eq!((bare.exe, bare.cmdline, bare.process.pid), (None, Vec::new(), 7));
    }

    #[test]
    fn paths_beyond_the_limit_are_refused() {
        let mut bounds = Bounds::of(0, 1 << 20);
        let path = "/x".repeat(10 << 20);
        let cgroup = Cgroup::new(3, path.clone(), None);
        assert_eq!(bounds.admit(&Event { time: 1, what: What::Fact(Fact::Cgroup(cgroup)) }), None);
        let cgroups = vec![PidsUsage { path, current: 0, max: None, refused: 0 }];
        let process = ProcessKey { pid: 7, start_ns: 1 };
        let limits = PidLimits { cgroups, ..PidLimits::unknown(process) };
        assert_eq!(bounds.admit(&Event { time: 1, what: What::Fact(Fact::Limits(Box::new(limits))) }), None);
    }

    #[test]
    fn longer_recordings_may_tell_of_more() {
        assert_eq!(Bounds::of(0, 1 << 20).processes(), 16 << 10);
        assert_eq!(Bounds::of(1 << 20, 1 << 20).processes(), (16 << 10) + (1 << 16));
        assert_eq!(Bounds::of(u64::MAX, 1 << 20).processes(), 1 << 20);
    }
}
