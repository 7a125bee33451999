//! A recording, run through a session as the live source would.

use rustc_hash::FxHashSet;

use super::{Bounds, Clock, Notice, Report, Scope, Session, follow::ProcessFilter};
use crate::{
    decode,
    event::{BootNs, Event, Evidence, Fact, ProcessKey, What},
    model::{Config, Query},
    recording::{Batch, Item},
};

/// Latest plausible timestamp: a machine that is up for a century. Checksums catch corruption, so a later one means a
/// crafted file.
const LATEST: BootNs = 100 * 366 * 24 * 3600 * 1_000_000_000;

/// Maximum number of events lost at once: no kernel loses more.
const MOST_LOST: u64 = 1 << 40;

/// What part of a recording is reported on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportWindow {
    /// From then on.
    pub since: Option<BootNs>,
    /// Until then.
    pub until: Option<BootNs>,
}

/// A session that is fed from a recording.
#[derive(Debug)]
pub struct Replay {
    session: Session,
    /// When the report is to begin, until it has.
    since: Option<BootNs>,
    until: BootNs,
    bounds: Bounds,
    /// Whom to look at, if not everybody.
    follow: Option<ProcessFilter>,
    /// Whom the recording has told of since it was last settled.
    answered: FxHashSet<ProcessKey>,
    events: u64,
    refused: u64,
}

impl Replay {
    /// Creates an empty replay that ignores everything outside the window, of recordings within these bounds.
    #[must_use]
    pub fn new(config: Config, scope: Scope, clock: Clock, window: ReportWindow, bounds: Bounds) -> Self {
        let ReportWindow { since, until } = window;
        let config = Config { max_processes: config.max_processes.min(bounds.processes()), ..config };
        Self {
            since: since.filter(|&since| since > config.started),
            session: Session::new(config, scope, clock),
            bounds,
            until: until.unwrap_or(LATEST).min(LATEST),
            follow: None,
            answered: FxHashSet::default(),
            events: 0,
            refused: 0,
        }
    }

    /// Looks only at the process that has this pid, and its descendants.
    pub fn follow(&mut self, root: u32) {
        self.follow = Some(ProcessFilter::new(root));
    }

    /// The time of the last event.
    #[must_use]
    pub fn now(&self) -> BootNs {
        self.session.model().now()
    }

    /// Nothing more is read. There may be more notices.
    pub fn conclude(&mut self) {
        if let Some(since) = self.since.take() {
            while self.session.next_notice().is_some() {}
            self.session.begin_window(since);
        }
        self.session.conclude();
    }

    /// The report on what was read.
    #[must_use]
    pub fn report(&mut self, host: &str, kernel: &str) -> Report {
        self.conclude();
        self.session.report(host, kernel)
    }

    /// Number of wire events that were applied.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Number of malformed events, and of those with an impossible time.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Notes that this many events are missing here; 0 if nothing was traced, and the processes that exist now come next.
    pub fn record_gap(&mut self, events: u64) {
        let event = Event { time: self.session.model().now(), what: What::Loss { events } };
        self.session.apply(&event);
        if events > 0 {
            self.session.pass_gap();
        }
        self.forget_before_window();
    }

    /// The next thing to report of what was within the window. Ask after every batch and gap.
    pub fn next_notice(&mut self) -> Option<Notice> {
        self.session.next_notice()
    }

    /// Applies a batch. Its notices are kept until they are asked for.
    pub fn apply(&mut self, batch: &Batch) {
        let mut wire = batch.wire.as_slice();
        for item in &batch.items {
            match item {
                Item::Wire(length) => {
                    let (run, rest) = wire.split_at(*length);
                    wire = rest;
                    self.wire(run);
                }
                Item::Context(event) => self.context(event),
                Item::Settled => self.settle(),
            }
        }
        self.forget_before_window();
    }

    /// What happens before the window is not told.
    fn forget_before_window(&mut self) {
        if self.since.is_some() {
            while self.session.next_notice().is_some() {}
        }
    }

    fn wire(&mut self, bytes: &[u8]) {
        for event in decode::events(bytes) {
            match event {
                Ok(event) if event.time <= self.until => {
                    self.advance_to(event.time);
                    self.apply_event(&event);
                    self.events += 1;
                }
                Ok(event) => self.refused += u64::from(event.time > LATEST),
                Err(_) => self.refused += 1,
            }
        }
    }

    fn context(&mut self, event: &Event) {
        if event.time > self.until {
            self.refused += u64::from(event.time > LATEST);
            return;
        }
        self.advance_to(event.time);
        match &event.what {
            What::Fact(Fact::Evidence(evidence)) => {
                self.answered.insert(evidence.process);
            }
            What::Loss { events } if *events > MOST_LOST => {
                self.refused += 1;
                return;
            }
            _ => {}
        }
        let Some(event) = self.bounds.admit(event) else {
            self.refused += 1;
            return;
        };
        self.apply_event(&event);
    }

    fn apply_event(&mut self, event: &Event) {
        match &mut self.follow {
            Some(follow) => follow.forward(event, |event| self.session.apply(event)),
            None => self.session.apply(event),
        }
    }

    fn advance_to(&mut self, time: BootNs) {
        if let Some(since) = self.since.take_if(|since| time >= *since) {
            while self.session.next_notice().is_some() {}
            self.session.begin_window(since);
        }
    }

    /// What the session asks now that the recorder did not (it had another minimum age, or the answer is in a part that
    /// is missing) is answered by what was last known.
    fn settle(&mut self) {
        while let Some(query) = self.session.next_query() {
            let Query::Process(process) = query else { continue };
            if self.answered.contains(&process) {
                continue;
            }
            let model = self.session.model();
            // As old as it is: it tells nothing of what came after it.
            let (time, known) =
                model.process(process).and_then(|it| it.parenting.as_ref()?.evidence.clone()).unwrap_or_else(|| {
                    let observed_since = model.config().started.max(process.start_ns);
                    let nothing = Evidence {
                        process,
                        observed_since,
                        waits: None,
                        proc: None,
                        gaps: Vec::new(),
                        doing: Vec::new(),
                    };
                    (model.now(), Box::new(nothing))
                });
            let event = Event { time, what: What::Fact(Fact::Evidence(known)) };
            self.session.apply(&event);
        }
        self.answered.clear();
    }
}
