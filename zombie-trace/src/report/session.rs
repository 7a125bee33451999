//! The pure pipeline behind the source: events in, notices out.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::{
    Clock, Coverage, Following, Scope, Session, consequences, coverage, describe, doing, ended,
    findings::Severity,
    following::{Followed, decide},
    records::{Notice, Report, StuckRecord, ZombieRecord},
    stints, summary,
};
use crate::{
    diagnosis::{self, Cause, Verdict},
    event::{BootNs, Event, ProcessKey},
    model::{Config, DroppedSignal, Ended, Model, ModelEvent, Process, Query, Stolen},
};

/// Maximum number of verdicts on parents kept for the report.
const MAX_VERDICTS: usize = 65_536;
/// Fewer than this are not worth sorting out.
const MIN_VERDICTS: usize = 1_024;
/// So many processes that cannot go are kept for the report.
const MAX_STUCK: usize = 1_024;

impl Session {
    /// A session that knows nothing yet.
    #[must_use]
    pub fn new(config: Config, scope: Scope, clock: Clock) -> Self {
        Self {
            model: Model::new(config),
            scope,
            clock,
            verdicts: FxHashMap::default(),
            max_verdicts: MIN_VERDICTS,
            stuck: Vec::new(),
            coverage: Coverage::default(),
            notices: VecDeque::new(),
            following: None,
            asked_words: VecDeque::new(),
        }
    }

    /// Tells of a command and its containers only, though the whole machine is traced.
    #[must_use]
    pub fn following(self, following: Following) -> Self {
        Self { following: Some(following), ..self }
    }

    /// Takes an event in.
    pub fn apply(&mut self, event: &Event) {
        self.model.apply(event);
        self.coverage.observe(event, &self.model, &self.scope);
        if let Some(following) = &mut self.following {
            self.asked_words.extend(following.observe(event, &self.model));
        }
        self.tell_news();
    }

    /// Nothing more comes: what waits for something is judged by what there is. There may be more to tell.
    pub fn conclude(&mut self) {
        self.model.conclude();
        self.tell_news();
    }

    fn tell_news(&mut self) {
        while let Some(outcome) = self.model.next_event() {
            self.tell(&outcome);
        }
    }

    /// The next thing to tell.
    pub fn next_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// The next thing to look up.
    pub fn next_query(&mut self) -> Option<Query> {
        self.asked_words.pop_front().map(Query::Process).or_else(|| self.model.next_query())
    }

    /// Asks for fresh evidence on every parent that has zombies now.
    pub fn query_all_parents(&mut self) {
        self.model.query_all_parents();
    }

    /// Whether a process ever matched the filters.
    #[must_use]
    pub fn has_matched(&self) -> bool {
        self.coverage.has_matched()
    }

    /// Takes in that a traced program was found running, where no event tells that it was started.
    pub fn saw_program(&mut self, comm: &crate::event::Comm) {
        self.coverage.saw_program(comm);
    }

    /// Whether something that exited a moment before `now` is still there, so that its end may have to be told yet.
    #[must_use]
    pub fn is_settling(&self, now: BootNs) -> bool {
        coverage::is_settling(&self.model, &self.own_scope(), now)
    }

    /// Whether the parent of something that has exited discards it, and it has not been seen to go.
    #[must_use]
    pub fn is_discarding(&self) -> bool {
        coverage::is_discarding(&self.model, &self.own_scope())
    }

    /// Whether something that was started while tracing still runs.
    #[must_use]
    pub fn has_running(&self) -> bool {
        coverage::has_running(&self.model, &self.own_scope())
    }

    /// The filters.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Tells of nothing that was over at this time.
    pub fn begin_window(&mut self, time: BootNs) {
        self.model.begin_window(time);
        self.stuck.clear();
    }

    /// Goes on after events that are missing for good.
    pub fn pass_gap(&mut self) {
        self.model.pass_gap();
        while let Some(outcome) = self.model.next_event() {
            self.tell(&outcome);
        }
    }

    /// The report as of now.
    #[must_use]
    pub fn report(&self, host: &str, kernel: &str) -> Report {
        summary::report(self, host, kernel)
    }

    /// Decides which containers are the command's: from now on nothing else is told.
    pub fn settle_following(&mut self) {
        self.scope = self.own_scope();
    }

    /// Whether a command is followed while the whole machine is traced.
    pub(super) fn is_amid_machine(&self) -> bool {
        self.following.as_ref().is_some_and(|following| following.is_amid_machine)
    }

    /// Which containers are the command's, by what is known now.
    pub(super) fn followed(&self) -> Option<Followed> {
        self.following.as_ref().map(|following| decide(following, &self.model))
    }

    /// The filters; where a command is followed amid the whole machine, on what is its own.
    fn own_scope(&self) -> Scope {
        match self.followed().filter(|_| self.is_amid_machine()) {
            Some(followed) => self.scope.within(followed.cgroups()),
            None => self.scope.clone(),
        }
    }

    fn tell(&mut self, outcome: &ModelEvent) {
        let notice = match outcome {
            ModelEvent::Aged(zombie) => self.zombie(*zombie),
            ModelEvent::Reviewed(zombie) => self.reviewed(*zombie),
            ModelEvent::Ended(ended) => self.ended(ended),
            ModelEvent::AutoReaped(ended) => self.auto_reaped(ended),
            ModelEvent::Stolen(stolen) => self.stolen(stolen),
            ModelEvent::Stuck(process) => self.stuck(*process),
            ModelEvent::Dropped(dropped) => self.dropped(dropped),
            ModelEvent::StopFailed(stop) => consequences::stop_failed(self, stop),
            ModelEvent::Ends(ending) => ended::record(self, ending).map(Notice::Ended),
            ModelEvent::ForkFailed(failure) => consequences::fork_failed(self, failure),
            ModelEvent::Lost(events) => {
                Some(Notice::Loss { time: self.clock.moment(self.model.now()), events: *events })
            }
        };
        self.notices.extend(notice);
    }

    /// Whether a dead process is within the scope, itself or by who can reap it.
    pub(super) fn covers(&self, identity: &crate::model::Identity, waiter: ProcessKey) -> bool {
        let parent = self.model.process(waiter).map(|parent| &parent.identity);
        self.scope.covers(&self.model, [Some(identity), parent])
    }

    fn zombie(&mut self, key: ProcessKey) -> Option<Notice> {
        let process = self.model.process(key)?;
        let waiter = process.zombie()?.waiter();
        if !self.covers(&process.identity, waiter) {
            return None;
        }
        let verdict = diagnosis::judge(&self.model, process)?;
        let record = self.zombie_record(process, &verdict)?;
        self.keep_verdict(waiter, verdict);
        Some(Notice::Zombie(record))
    }

    fn keep_verdict(&mut self, parent: ProcessKey, verdict: Verdict) {
        if self.verdicts.len() >= self.max_verdicts {
            let model = &self.model;
            self.verdicts.retain(|parent, _| model.remembered(*parent).is_some());
            self.max_verdicts = (2 * self.verdicts.len()).max(MIN_VERDICTS);
        }
        if self.verdicts.len() < MAX_VERDICTS || self.verdicts.contains_key(&parent) {
            self.verdicts.insert(parent, verdict);
        }
    }

    /// A zombie that was told grew old. It is told again only where that tells another cause of its parent.
    fn reviewed(&mut self, key: ProcessKey) -> Option<Notice> {
        let process = self.model.process(key)?;
        let told = self.verdicts.get(&process.zombie()?.waiter())?.cause;
        let now = diagnosis::judge(&self.model, process)?.cause;
        if now == told || now == Cause::Unknown { None } else { self.zombie(key) }
    }

    pub(super) fn zombie_record(&self, process: &Process, verdict: &Verdict) -> Option<ZombieRecord> {
        let zombie = process.zombie()?;
        let now = self.model.now();
        Some(ZombieRecord {
            time: self.clock.moment(now),
            process: describe::process(&self.model, process),
            exit: zombie.death.status.map(Into::into),
            since: self.clock.moment(zombie.since),
            age_ns: zombie.age(now),
            parent: describe::known(&self.model, zombie.waiter()),
            waiters: stints::records(self, &zombie.stints, Some(verdict.cause)),
            cause: verdict.cause,
            evidence: verdict.evidence.clone(),
            advice: verdict.advice.clone(),
            preexisting: zombie.preexisting(),
            doing: doing::records(&verdict.doing),
        })
    }

    fn ended(&self, ended: &Ended) -> Option<Notice> {
        if !self.covers(&ended.identity, ended.waiter()) {
            return None;
        }
        Some(Notice::Reaped {
            time: self.clock.moment(ended.time),
            process: describe::identity(&self.model, ended.process, &ended.identity),
            exit: ended.death.status.map(Into::into),
            zombie_ns: ended.zombie_ns,
            precision: ended.precision,
            parent: describe::known(&self.model, ended.waiter()),
            waiters: ended.stints.as_ref().map_or_else(Vec::new, |it| stints::records(self, it, None)),
            reaper: ended.reaper.and_then(|reaper| describe::known(&self.model, reaper)),
            via: ended.via,
            preexisting: ended.preexisting,
        })
    }

    fn auto_reaped(&self, ended: &Ended) -> Option<Notice> {
        if !self.covers(&ended.identity, ended.waiter()) {
            return None;
        }
        let parent = describe::known(&self.model, ended.death.parent);
        let name = parent.as_ref().map_or("its parent", |parent| parent.comm.as_str());
        Some(Notice::AutoReaped {
            time: self.clock.moment(ended.time),
            process: describe::identity(&self.model, ended.process, &ended.identity),
            exit: ended.death.status.map(Into::into),
            evidence: diagnosis::auto_reaped_evidence(&self.model, self.model.remembered(ended.death.parent), name),
            parent,
        })
    }

    fn stolen(&self, stolen: &Stolen) -> Option<Notice> {
        let parent = self.model.process(stolen.parent);
        if !self.scope.covers(&self.model, [Some(&stolen.identity), parent.map(|it| &it.identity)]) {
            return None;
        }
        let parent = parent.map(|it| describe::process(&self.model, it));
        let name = parent.as_ref().map_or("its parent", |parent| parent.comm.as_str());
        Some(Notice::StatusStolen {
            time: self.clock.moment(stolen.time),
            process: describe::identity(&self.model, stolen.process, &stolen.identity),
            evidence: diagnosis::stolen_evidence(name, stolen),
            taken_by: stolen.taker,
            missed_by: stolen.loser,
            parent,
        })
    }

    fn stuck(&mut self, key: ProcessKey) -> Option<Notice> {
        let process = self.model.process(key)?;
        let parent = process.parent.and_then(|parent| self.model.process(parent));
        if !self.scope.covers(&self.model, [Some(&process.identity), parent.map(|it| &it.identity)]) {
            return None;
        }
        let verdict = diagnosis::judge_stuck(&self.model, process)?;
        let since = process.dying_since()?;
        let now = self.model.now();
        let record = StuckRecord {
            time: self.clock.moment(now),
            process: describe::process(&self.model, process),
            since: self.clock.moment(since),
            age_ns: now.saturating_sub(since),
            parent: parent.map(|it| describe::process(&self.model, it)),
            cause: verdict.cause,
            evidence: verdict.evidence,
            advice: verdict.advice,
        };
        if self.stuck.len() < MAX_STUCK {
            let severity = if diagnosis::may_be_intentional(process) { Severity::Note } else { Severity::Warning };
            self.stuck.push((record.clone(), severity));
        }
        Some(Notice::Stuck(record))
    }

    fn dropped(&self, dropped: &DroppedSignal) -> Option<Notice> {
        let target = self.model.process(dropped.target)?;
        if !self.scope.covers(&self.model, [Some(&target.identity)]) {
            return None;
        }
        Some(Notice::SignalDropped {
            time: self.clock.moment(dropped.time),
            signal: crate::signal::name(dropped.signal).into_owned(),
            number: dropped.signal,
            target: describe::identity(&self.model, dropped.target, &dropped.program),
            reason: dropped.reason,
            sender: dropped.sender.as_ref().map(|sender| describe::sender(&self.model, sender)),
            relation: dropped.relation,
        })
    }
}
