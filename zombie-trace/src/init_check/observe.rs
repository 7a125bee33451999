//! The outcome of a scene: the kernel's events beside the result of the scene's process.

use std::io;

use super::{
    orphans::ORPHAN,
    plan::Plan,
    result::{Child, SceneResult},
    scene::Scene,
};
use crate::{
    event::ExitStatus,
    model::Via,
    output::Reporter,
    report::{Drop, ExitRecord, Notice, ParentRecord, ProcessRecord, Report, StopRecord},
    signal,
};

/// A zombie that ended.
#[derive(Clone, Debug)]
pub(super) struct Reaped {
    pub(super) process: ProcessRecord,
    pub(super) exit: Option<ExitRecord>,
    pub(super) zombie_ns: u64,
    pub(super) reaper: Option<u32>,
    /// Its parent discards the status.
    pub(super) by_itself: bool,
    /// It ended with its namespace.
    pub(super) torn_down: bool,
}

/// Everything that is known about a scene.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// What was done.
    pub plan: Plan,
    /// How.
    pub scene: &'a Scene,
    /// The result of the scene's process.
    pub result: &'a SceneResult,
    /// The events of all scenes.
    pub events: &'a EventCollector,
    /// The report, of all scenes.
    pub report: &'a Report,
}

/// Collects the events of interest.
#[derive(Debug, Default)]
pub struct EventCollector {
    pub(super) reaped: Vec<Reaped>,
    /// Children whose parent waited for them after they had been reaped.
    pub(super) waited_twice: Vec<(ProcessRecord, Option<u32>)>,
}

impl Reporter for EventCollector {
    fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        match notice {
            Notice::Reaped { process, exit, zombie_ns, reaper, via, .. } => self.reaped.push(Reaped {
                process: process.clone(),
                exit: exit.clone(),
                zombie_ns: *zombie_ns,
                reaper: reaper.as_ref().map(|it| it.pid),
                by_itself: false,
                torn_down: *via == Via::Kernel,
            }),
            Notice::AutoReaped { process, exit, parent, .. } => self.reaped.push(Reaped {
                process: process.clone(),
                exit: exit.clone(),
                zombie_ns: 0,
                reaper: parent.as_ref().map(|it| it.pid),
                by_itself: true,
                torn_down: false,
            }),
            Notice::StatusStolen { process, parent, .. } => {
                self.waited_twice.push((process.clone(), parent.as_ref().map(|it| it.pid)));
            }
            _ => {}
        }
        Ok(())
    }

    fn report(&mut self, _: &Report) -> io::Result<()> {
        Ok(())
    }
}

impl Observation<'_> {
    /// How PID 1 exited by itself.
    pub(super) fn end(&self) -> Option<ExitRecord> {
        self.result.status.map(exit_of)
    }

    /// Why nothing can be graded.
    pub(super) fn not_applicable_reason(&self) -> Option<String> {
        if let Some(why) = self.result.missing.clone().or_else(|| self.result.failure.clone()) {
            return Some(why);
        }
        let exit = self.end().filter(|_| self.result.after.is_none() && self.result.codes.is_empty())?;
        Some(format!("the command exited by itself before the test began ({exit})"))
    }

    /// Pid and namespace numbers are reused, so the time decides.
    fn is_of_the_scene(&self, process: &ProcessRecord) -> bool {
        (self.result.began..=self.result.ended).contains(&process.start_ns)
    }

    /// Zombies of the scene that ended.
    pub(super) fn reaped(&self) -> impl Iterator<Item = &Reaped> {
        self.events.reaped.iter().filter(|it| self.is_of_the_scene(&it.process))
    }

    /// The orphans that were added beside PID 1.
    pub(super) fn orphans(&self) -> impl Iterator<Item = &Reaped> {
        self.reaped().filter(|it| it.process.comm == ORPHAN)
    }

    /// Children of the scene that PID 1 waited for after it had reaped them.
    pub(super) fn waited_twice(&self) -> impl Iterator<Item = &ProcessRecord> {
        let own = |parent: &Option<u32>| parent.is_none_or(|pid| pid == self.result.init);
        let all = self.events.waited_twice.iter();
        all.filter(move |(process, parent)| self.is_of_the_scene(process) && own(parent)).map(|(process, _)| process)
    }

    pub(super) fn end_of(&self, child: &Child) -> Option<&ExitRecord> {
        self.reaped().find(|it| it.process.pid == child.pid).and_then(|it| it.exit.as_ref())
    }

    /// Whether a process of the scene other than PID 1 exited with this code.
    pub(super) fn some_exited_with(&self, code: u8) -> bool {
        self.reaped().any(|it| it.exit == Some(ExitRecord::Code { code }) && it.process.ns_pid != Some(1))
    }

    /// The command's processes without children: the workload, not the init's own helpers.
    pub(super) fn leaves(&self) -> Vec<&Child> {
        let all = &self.result.children;
        all.iter().filter(|child| all.iter().all(|other| other.parent != child.pid)).collect()
    }

    fn is_pid_1(&self, process: &ProcessRecord) -> bool {
        process.pid == self.result.init && self.is_of_the_scene(process)
    }

    /// What is known of a signal that did not reach PID 1.
    pub(super) fn drop_of(&self, signal: u32) -> Option<&Drop> {
        self.report.dropped_signals.iter().find(|it| it.number == signal && self.is_pid_1(&it.target))
    }

    /// What came of a signal that may have asked PID 1 to end.
    pub(super) fn stop(&self, signal: u32) -> Option<&StopRecord> {
        self.report.stops.iter().find(|it| it.number == signal && self.is_pid_1(&it.target))
    }

    /// PID 1 as one that let zombies wait.
    pub(super) fn as_parent(&self) -> Option<&ParentRecord> {
        self.report.parents.iter().find(|it| self.is_pid_1(&it.process))
    }

    pub(super) fn stop_name(&self) -> String {
        signal::name(self.scene.stop_signal.unsigned_abs()).into_owned()
    }
}

/// Why a signal did not reach PID 1, in words.
pub(super) fn describe_drop(dropped: &Drop) -> String {
    let Drop { signal, reason, .. } = dropped;
    format!("{signal} did not reach PID 1 ({}): {}", reason.id(), crate::report::describe_reason(*reason))
}

/// How a process ended, from its wait status.
pub(super) fn exit_of(status: u32) -> ExitRecord {
    ExitStatus::from_raw(status).into()
}
