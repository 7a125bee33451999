//! `check --source proc`: `/proc` instead of the kernel's events, for where BPF is not allowed.
//!
//! Every sample is given to the same session as a scan after a loss is, so the same model and the same rules make the
//! same report, from less. What is not in it: see [`BLIND`].

use std::{collections::BTreeMap, ffi::OsString, os::unix::process::ExitStatusExt, time::Duration};

use anyhow::Context;
use log::warn;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use crate::{
    commands::target::Target,
    diagnosis::Cause,
    event::{Cgroup, Comm, Event, Evidence, ExitStatus, Fact, Gap, GapReason, Part, PidLimits, Unread, What},
    model::{Config, Query},
    policy::Rule,
    report::{Clock, Command, FindingKind, Report, Scope, Session},
    source::{
        asker::{Asker, Question, Reply},
        proc::{boot_clock_now, wall_clock_offset},
    },
};

/// The rules that a look at `/proc` cannot judge.
pub(super) const BLIND: [Rule; 5] =
    [Rule::DroppedSignal, Rule::FailedStop, Rule::ForkFailure, Rule::LostStatus, Rule::Stuck];

/// What a person should know of a run from samples.
pub(super) fn caveat(every: Duration) -> String {
    format!(
        "--source proc looked at /proc every {every:?}: it misses zombies that lived shorter than that, orphans whose parent \
         lived only between two samples, wait calls, dropped signals, failed stops, fork failures, lost statuses and stuck \
         processes; zombies may be up to {every:?} older than it says"
    )
}

/// Runs the command and looks at what descends from it until it ends.
pub(super) fn run(command: &[OsString], every: Duration, min_age: Duration, scope: Scope) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(sample(command, every, min_age, scope))
}

async fn sample(command: &[OsString], every: Duration, min_age: Duration, scope: Scope) -> anyhow::Result<Report> {
    let mut interrupt = signal(SignalKind::interrupt()).context("no handler for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("no handler for SIGTERM")?;
    let mut target = Target::prepare(command).context("the command cannot be started")?;
    let mut samples = Samples::new(target.pid(), min_age, scope);
    samples.take()?;
    let pid = rustix::process::Pid::from_raw(target.pid().cast_signed());
    target.release().context("the command disappeared before it started")?;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut interrupts = 0;
    let end = loop {
        tokio::select! {
            end = target.ended() => break Some(end.context("the command cannot be started")?),
            _ = ticks.tick() => {}
            _ = interrupt.recv() => {
                // The terminal sent it to the command, too. Who presses it again wants to be rid of both.
                interrupts += 1;
                if interrupts > 1 {
                    break None;
                }
            }
            _ = terminate.recv() => if let Some(pid) = pid {
                // Gone already is fine: then its end is the next thing to be seen.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
        samples.take()?;
    };
    samples.take()?;
    let names = rustix::system::uname();
    let mut report = samples.session.report(&names.nodename().to_string_lossy(), &names.release().to_string_lossy());
    // A sample does not show that an init took over the zombies of a parent that is gone.
    for parent in &mut report.parents {
        if samples.followed.get(&parent.process.pid) != Some(&parent.process.start_ns) {
            (parent.zombies_now, parent.oldest_ns) = (0, None);
        }
    }
    // Nor how anybody waits, so of a cause that is not known there is nothing to say but that.
    for finding in &mut report.findings {
        if finding.kind == (FindingKind::Zombies { cause: Cause::Unknown }) {
            finding.detail = format!(
                "Samples of /proc do not show how {} waits. Where BPF is allowed, a check without --source proc says why.",
                finding.process.comm
            );
        }
    }
    report.command = Some(Command {
        argv: super::escaped(command),
        exit: end.map(|status| ExitStatus::from_raw(status.into_raw().cast_unsigned()).into()),
    });
    Ok(report)
}

struct Samples {
    asker: Asker,
    session: Session,
    /// The command and what descends from it, by pid, with its start.
    followed: BTreeMap<u32, u64>,
    /// What these are called.
    names: BTreeMap<u32, Comm>,
    root: u32,
}

impl Samples {
    fn new(root: u32, min_age: Duration, scope: Scope) -> Self {
        let config = Config {
            min_age_ns: u64::try_from(min_age.as_nanos()).unwrap_or(u64::MAX),
            started: boot_clock_now(),
            ..Config::default()
        };
        Self {
            asker: Asker::new(),
            session: Session::new(config, scope, Clock { offset_ns: wall_clock_offset() }),
            followed: BTreeMap::new(),
            names: BTreeMap::new(),
            root,
        }
    }

    fn take(&mut self) -> anyhow::Result<()> {
        let mut events = self.asker.scan()?.into_events();
        self.follow(&events);
        self.name_programs(&events);
        // Zombies of others are none of its business; living processes are who somebody is.
        events.retain(|event| match &event.what {
            What::Fact(Fact::Seed(seed)) => !seed.is_zombie || self.followed.contains_key(&seed.process.pid),
            _ => true,
        });
        for event in &events {
            self.session.apply(event);
        }
        self.session.apply(&Event { time: boot_clock_now(), what: What::Tick });
        let questions: Vec<Question> = std::iter::from_fn(|| self.session.next_query()).filter_map(question).collect();
        let answers = self.asker.ask_all(questions.clone());
        for (question, answer) in questions.iter().zip(answers) {
            if let Some(fact) = fact(question, answer) {
                self.session.apply(&Event { time: boot_clock_now(), what: What::Fact(fact) });
            }
        }
        while self.session.next_notice().is_some() {}
        Ok(())
    }

    /// Tells the session which programs run, since no event does. At the first look the command is not yet itself.
    fn name_programs(&mut self, events: &[Event]) {
        let is_first = self.names.is_empty();
        for event in events {
            if let What::Fact(Fact::Seed(seed)) = &event.what
                && self.followed.get(&seed.process.pid) == Some(&seed.process.start_ns)
                && self.names.insert(seed.process.pid, seed.comm) != Some(seed.comm)
                && !is_first
            {
                self.session.saw_program(&seed.comm);
            }
        }
        self.names.retain(|pid, _| self.followed.contains_key(pid));
    }

    /// Adds the new descendants, and forgets pids that are gone or of others now.
    fn follow(&mut self, events: &[Event]) {
        let seen: BTreeMap<u32, (u64, u32)> = events
            .iter()
            .filter_map(|event| match &event.what {
                What::Fact(Fact::Seed(seed)) => Some((seed.process.pid, (seed.process.start_ns, seed.parent_pid))),
                _ => None,
            })
            .collect();
        self.followed.retain(|pid, start| seen.get(pid).is_some_and(|(now, _)| now == start));
        if self.followed.is_empty()
            && let Some((start, _)) = seen.get(&self.root)
        {
            self.followed.insert(self.root, *start);
        }
        // Parents may have higher pids than their children, so until nothing is added.
        loop {
            let new: Vec<(u32, u64)> = seen
                .iter()
                .filter(|(pid, (_, parent))| self.followed.contains_key(parent) && !self.followed.contains_key(pid))
                .map(|(&pid, &(start, _))| (pid, start))
                .collect();
            if new.is_empty() {
                return;
            }
            self.followed.extend(new);
        }
    }
}

fn question(query: Query) -> Option<Question> {
    match query {
        Query::Process(process) | Query::StopMember(process) => Some(Question::Process(process)),
        Query::Cgroup(id) => Some(Question::Cgroup(id)),
        Query::Limits { process, cgroup, failed } => Some(Question::Limits { process, cgroup, failed }),
        // The next sample comes anyway.
        Query::Rescan => {
            warn!("a sample was asked for out of turn");
            None
        }
    }
}

/// What the session is told for an answer. How a process waits is not seen here.
fn fact(question: &Question, answer: Result<Reply, Unread>) -> Option<Fact> {
    match (question, answer) {
        (&Question::Process(process), answer) => {
            let (proc, gaps, doing) = match answer {
                Ok(Reply::Process(looked)) => (looked.proc, looked.gaps, looked.doing),
                Ok(_) => (None, Vec::new(), Vec::new()),
                Err(reason) => (None, vec![Gap { part: Part::Process, reason: GapReason::Unread(reason) }], Vec::new()),
            };
            let evidence = Evidence { process, observed_since: boot_clock_now(), waits: None, proc, gaps, doing };
            Some(Fact::Evidence(Box::new(evidence)))
        }
        (Question::Cgroup(id), Ok(Reply::Cgroup(Some((path, _))))) => Some(Fact::Cgroup(Cgroup::new(*id, path, None))),
        (Question::Limits { .. }, Ok(Reply::Limits(limits))) => Some(Fact::Limits(limits)),
        (&Question::Limits { process, failed, .. }, _) => {
            let unread = PidLimits { failed: Some(failed), ..PidLimits::unknown(process) };
            Some(Fact::Limits(Box::new(unread)))
        }
        _ => None,
    }
}
