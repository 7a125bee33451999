//! A recording, run through a session as the live source would.

use rustc_hash::FxHashSet;

use super::{Clock, Scope, Session};
use crate::{
    decode,
    event::{BootNs, Event, Evidence, ProcessKey, What},
    model::{Config, Inquiry},
    recording::{Batch, Item},
};

/// Later times are not of this world: a machine that is up for a century. Damage is found by its checksum, so whoever
/// sees such a time has a file that was made to be seen.
const LATEST: BootNs = 100 * 366 * 24 * 3600 * 1_000_000_000;

/// No kernel loses more at once.
const MOST_LOST: u64 = 1 << 40;

/// A session that is fed from a recording.
#[derive(Debug)]
pub struct Replay {
    session: Session,
    until: BootNs,
    /// Whom the recording has told of since it was last settled.
    answered: FxHashSet<ProcessKey>,
    events: u64,
    refused: u64,
}

impl Replay {
    /// One that knows nothing yet, and will hear of nothing later than `until`.
    #[must_use]
    pub fn new(config: Config, scope: Scope, clock: Clock, until: Option<BootNs>) -> Self {
        Self {
            session: Session::new(config, scope, clock),
            until: until.unwrap_or(LATEST).min(LATEST),
            answered: FxHashSet::default(),
            events: 0,
            refused: 0,
        }
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// How many wire events it has heard.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How many were no events, or of an impossible time.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Wire events are missing here.
    pub fn lost(&mut self, events: u64) {
        let event = Event { time: self.session.model().now(), what: What::Loss { events } };
        self.session.apply(&event);
        while self.session.next_notice().is_some() {}
    }

    /// Takes a batch in.
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
        // Only the report is asked for.
        while self.session.next_notice().is_some() {}
    }

    fn wire(&mut self, bytes: &[u8]) {
        for event in decode::events(bytes) {
            match event {
                Ok(event) if event.time <= self.until => {
                    self.session.apply(&event);
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
        match &event.what {
            What::Evidence(evidence) => {
                self.answered.insert(evidence.process);
            }
            What::Loss { events } if *events > MOST_LOST => {
                self.refused += 1;
                return;
            }
            _ => {}
        }
        self.session.apply(event);
    }

    /// What the session asks now that the recorder did not (it had another minimum age, or the answer is in a part that
    /// is missing) is answered by what was last known.
    fn settle(&mut self) {
        while let Some(inquiry) = self.session.next_inquiry() {
            let Inquiry::Process(process) = inquiry else { continue };
            if self.answered.contains(&process) {
                continue;
            }
            let model = self.session.model();
            let known = model
                .process(process)
                .and_then(|it| Some(it.parenting.as_ref()?.evidence.as_ref()?.1.clone()))
                .unwrap_or_else(|| {
                    let observed_since = model.config().started.max(process.start_ns);
                    Box::new(Evidence { process, observed_since, waits: None, proc: None })
                });
            let event = Event { time: model.now(), what: What::Evidence(known) };
            self.session.apply(&event);
        }
        self.answered.clear();
    }
}
