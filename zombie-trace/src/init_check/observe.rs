//! What came of a scene: what the kernel's events say, and when signals were sent.

use std::{io, time::Duration};

use serde::{Deserialize, Serialize};

use super::scene::{Plan, Scene};
use crate::{
    event::{ExitStatus, What},
    output::{Output, escape},
    report::{ExitRecord, Notice, ProcessRecord, Report},
    source::proc::ProcReader,
};

/// A process of the namespace before anything was done to it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Child {
    /// Its pid on the host.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// Its name, escaped.
    pub comm: String,
    /// Signals that it blocks, bit n-1 for signal n.
    pub blocked: u64,
    /// Signals that it ignores.
    pub ignored: u64,
}

/// What the scene's process tells.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct SceneResult {
    /// Why it could not be played.
    pub failure: Option<String>,
    /// PID 1, by its pid on the host.
    pub init: u32,
    /// The namespace.
    pub pid_ns: u32,
    /// What the command had started before anything was done to it.
    pub children: Vec<Child>,
    /// What of it was there after a signal.
    pub survivors: Vec<Child>,
    /// How PID 1 ended, as wait gives it; `None` if it had to be killed.
    pub status: Option<u32>,
    /// How long after the signal; `None` if it ended before anything was done to it, or not at all.
    pub after: Option<Duration>,
}

/// A zombie that ended.
#[derive(Clone, Debug)]
pub(super) struct Reaped {
    pub(super) process: ProcessRecord,
    pub(super) exit: Option<ExitRecord>,
    pub(super) zombie_ns: u64,
    pub(super) reaper: Option<u32>,
    /// Its parent discards the status.
    pub(super) by_itself: bool,
    /// It went with its namespace.
    pub(super) torn_down: bool,
}

/// Everything that is known of a scene.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// What was done.
    pub plan: Plan,
    /// How.
    pub scene: &'a Scene,
    /// What the scene's process tells.
    pub result: &'a SceneResult,
    /// What the events tell, of all scenes.
    pub events: &'a Witness,
    /// The report, of all scenes.
    pub report: &'a Report,
}

/// Takes notice of what is of interest.
#[derive(Debug, Default)]
pub struct Witness {
    pub(super) reaped: Vec<Reaped>,
    pub(super) dropped: Vec<(u32, String, &'static str)>,
}

impl Output for Witness {
    fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        match notice {
            Notice::Reaped { process, exit, zombie_ns, reaper, via, .. } => self.reaped.push(Reaped {
                process: process.clone(),
                exit: exit.clone(),
                zombie_ns: *zombie_ns,
                reaper: reaper.as_ref().map(|it| it.pid),
                by_itself: false,
                torn_down: *via == "kernel",
            }),
            Notice::AutoReaped { process, exit, parent, .. } => self.reaped.push(Reaped {
                process: process.clone(),
                exit: exit.clone(),
                zombie_ns: 0,
                reaper: parent.as_ref().map(|it| it.pid),
                by_itself: true,
                torn_down: false,
            }),
            Notice::SignalDropped { target, signal, reason, .. } => {
                self.dropped.push((target.pid, signal.clone(), reason));
            }
            _ => {}
        }
        Ok(())
    }

    fn settle(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn summary(&mut self, _: &Report) -> io::Result<()> {
        Ok(())
    }
}

impl Observation<'_> {
    /// How PID 1 ended by itself.
    pub(super) fn end(&self) -> Option<ExitRecord> {
        self.result.status.map(|status| ExitStatus::from_raw(status).into())
    }

    /// PID 1 ended before anything was done to it: nothing can be graded.
    pub(super) fn ended_early(&self) -> Option<String> {
        let exit = self.end().filter(|_| self.result.after.is_none())?;
        Some(format!("the command ended by itself before anything was done to it ({exit})"))
    }

    /// How a process ended.
    pub(super) fn end_of(&self, pid: u32) -> Option<&ExitRecord> {
        self.events.reaped.iter().find(|it| it.process.pid == pid).and_then(|it| it.exit.as_ref())
    }

    /// Why PID 1 did not get a signal, in words.
    pub(super) fn drop_of(&self, signal: &str) -> Option<String> {
        let (_, _, reason) =
            self.events.dropped.iter().find(|(pid, name, _)| *pid == self.result.init && name == signal)?;
        Some(format!("PID 1 did not get {signal} ({reason}): {}", crate::report::reason_in_words(reason)))
    }
}

/// What there is in a namespace beside its init.
pub(super) fn children(reader: &ProcReader, init: u32, pid_ns: u32) -> Vec<Child> {
    let events = reader.seed_all().unwrap_or_default();
    let seeds = events.into_iter().filter_map(|event| match event.what {
        What::Seed(seed) if seed.pid_ns == pid_ns && pid_ns != 0 => Some(seed),
        _ => None,
    });
    seeds
        .filter(|seed| seed.process.pid != init && !seed.is_zombie)
        .map(|seed| {
            let facts = reader.facts(seed.process.pid, seed.process.start_ns).unwrap_or_default();
            Child {
                pid: seed.process.pid,
                parent: seed.parent_pid,
                comm: escape::comm(&seed.comm).into_owned(),
                blocked: facts.blocked,
                ignored: facts.ignored,
            }
        })
        .collect()
}
