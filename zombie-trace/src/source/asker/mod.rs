//! Asks about processes without delaying the reading of events.
//!
//! [Readers](serve), which are separate processes, read everything about other processes (`/proc/PID`, cgroups,
//! executables, the runtimes' files) within a deadline and a budget. Each question gets one answer later: what was
//! read, or why it was not.

mod keeper;
mod pool;
mod protocol;
mod reader;
mod serve;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use self::pool::{Limits, Outcome, Pool, Ticket};
pub use self::{
    protocol::{Looked, Question, Reply},
    reader::READER,
    serve::serve,
};
use super::proc::{ProcError, ProcReader, boot_clock_now};
use crate::event::{BootNs, Event, Fact, Unread, What};

/// Maximum duration of a scan of all processes; the rest is then given up.
const SCAN_BOUND: Duration = Duration::from_secs(10);

/// All processes, as far as they could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// When it began, ns of the boot clock.
    pub began: BootNs,
    /// When it ended.
    pub ended: BootNs,
    /// The processes except kernel threads, in order of reading.
    pub seeds: Vec<Event>,
    /// Pids that could not be read at all.
    pub unread: Vec<u32>,
    /// Pids that were read without their arguments, because reading those took too long.
    pub brief: Vec<u32>,
}

impl Scan {
    /// A [`Fact::Seed`] for each process and a [`Fact::SeedDone`]. Prevents unread processes from being taken for gone.
    #[must_use]
    pub fn into_events(self) -> Vec<Event> {
        let began = if self.unread.is_empty() { self.began } else { 0 };
        let mut events = self.seeds;
        events.push(Event { time: self.ended, what: What::Fact(Fact::SeedDone { began }) });
        events
    }

    /// What is missing, in words; `None` if nothing is.
    #[must_use]
    pub fn shortfall(&self) -> Option<String> {
        let missing = [(&self.unread, "could not be read"), (&self.brief, "could be read only in part")];
        let mut parts = Vec::new();
        for (pids, what) in missing {
            if pids.is_empty() {
                continue;
            }
            let count = if pids.len() == 1 { "1 process".to_owned() } else { format!("{} processes", pids.len()) };
            parts.push(format!("{count} {what} within 100 ms (pid {})", named(pids)));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// The first few pids of a list, for a sentence.
pub(crate) fn named(pids: &[u32]) -> String {
    const NAMED: usize = 8;
    let mut named: Vec<String> = pids.iter().take(NAMED).map(u32::to_string).collect();
    if pids.len() > NAMED {
        named.push("…".to_owned());
    }
    named.join(", ")
}

#[derive(Debug)]
struct Running {
    scan: Scan,
    pids: Vec<u32>,
    /// Which of them were answered.
    answered: Vec<bool>,
    first: Ticket,
    left: usize,
    since: Instant,
}

/// Asks readers. See the module.
#[derive(Debug)]
pub struct Asker {
    pool: Pool,
    proc: ProcReader,
    open: HashMap<Ticket, Question>,
    running: Option<Running>,
    answers: Vec<(Question, Result<Reply, Unread>)>,
}

impl Asker {
    /// Asks about the processes of this machine. Readers are started when needed.
    #[must_use]
    pub fn new() -> Self {
        let proc = ProcReader::new("/proc".into());
        // The unit test program cannot run as a keeper.
        #[cfg(test)]
        let start = tests::InThread::of_machine();
        #[cfg(not(test))]
        let start = keeper::Keeper::default();
        Self::with(proc, Arc::new(start), Limits::default())
    }

    fn with(proc: ProcReader, start: Arc<dyn reader::Start>, limits: Limits) -> Self {
        Self { pool: Pool::new(start, limits), proc, open: HashMap::new(), running: None, answers: Vec::new() }
    }

    /// Asks.
    pub fn ask(&mut self, question: Question) {
        let ticket = self.pool.ask(question.clone());
        self.open.insert(ticket, question);
    }

    /// The answers since the last call, one per question.
    pub fn answers(&mut self) -> Vec<(Question, Result<Reply, Unread>)> {
        self.collect();
        std::mem::take(&mut self.answers)
    }

    /// Whether all questions have been answered and taken, except a scan.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.open.is_empty() && self.answers.is_empty()
    }

    /// Waits until there may be an answer.
    pub async fn news(&self) {
        self.pool.news().await;
    }

    /// Waits until there may be an answer, up to this long, without a runtime.
    pub fn wait(&self, patience: Duration) {
        self.pool.wait(patience);
    }

    /// Begins to read all processes. A running scan continues instead.
    ///
    /// # Errors
    /// The processes cannot be listed.
    pub fn begin_scan(&mut self) -> Result<(), ProcError> {
        if self.running.is_some() {
            return Ok(());
        }
        let began = boot_clock_now();
        let pids = self.proc.pids()?;
        let first = self.pool.scan(pids.iter().copied().map(Question::Seed).collect());
        let scan = Scan { began, ended: began, seeds: Vec::new(), unread: Vec::new(), brief: Vec::new() };
        self.running = Some(Running {
            scan,
            left: pids.len(),
            answered: vec![false; pids.len()],
            pids,
            first,
            since: Instant::now(),
        });
        Ok(())
    }

    /// Whether a scan has begun and not been taken.
    #[must_use]
    pub fn is_scanning(&self) -> bool {
        self.running.is_some()
    }

    /// The scan, once it is done.
    pub fn take_scan(&mut self) -> Option<Scan> {
        self.collect();
        let running = self.running.as_ref()?;
        if running.left > 0 {
            if running.since.elapsed() >= SCAN_BOUND {
                self.pool.give_up_scan();
            }
            return None;
        }
        self.end_scan()
    }

    /// Ends the scan and returns what there is of it.
    pub fn end_scan(&mut self) -> Option<Scan> {
        if self.running.as_ref()?.left > 0 {
            self.pool.give_up_scan();
            self.collect();
        }
        let mut running = self.running.take()?;
        if running.left > 0 {
            // Answers still being read come too late.
            let missing = running.pids.iter().zip(&running.answered).filter(|(_, answered)| !**answered);
            running.scan.unread.extend(missing.map(|(pid, _)| pid));
        }
        let mut scan = running.scan;
        // Several readers worked at the same time.
        scan.seeds.sort_by_key(|event| event.time);
        scan.ended = boot_clock_now();
        Some(scan)
    }

    /// Reads all processes and waits for the result.
    ///
    /// # Errors
    /// The processes cannot be listed.
    pub fn scan(&mut self) -> Result<Scan, ProcError> {
        self.begin_scan()?;
        loop {
            if let Some(scan) = self.take_scan() {
                return Ok(scan);
            }
            self.wait(Duration::from_millis(50));
        }
    }

    /// Asks these questions and waits for the answers, in the order of the questions. No other question may be open.
    pub fn ask_all(&mut self, questions: Vec<Question>) -> Vec<Result<Reply, Unread>> {
        let count = questions.len();
        let first = self.pool.scan(questions);
        let mut answers: Vec<Option<Outcome>> = vec![None; count];
        let mut left = count;
        let since = Instant::now();
        let mut given_up = false;
        while left > 0 {
            for (ticket, outcome) in self.pool.take() {
                let place = ticket.checked_sub(first).and_then(|place| usize::try_from(place).ok());
                if let Some(answer) = place.and_then(|place| answers.get_mut(place)) {
                    *answer = Some(outcome);
                    left -= 1;
                }
            }
            if left > 0 {
                if !given_up && since.elapsed() >= SCAN_BOUND {
                    given_up = true;
                    self.pool.give_up_scan();
                }
                self.pool.wait(Duration::from_millis(50));
            }
        }
        answers.into_iter().map(|answer| answer.unwrap_or(Err(Unread::NoReader))).collect()
    }

    fn collect(&mut self) {
        for (ticket, outcome) in self.pool.take() {
            if let Some(question) = self.open.remove(&ticket) {
                self.answers.push((question, outcome));
                continue;
            }
            let Some(running) = &mut self.running else { continue };
            let place = ticket.checked_sub(running.first).and_then(|place| usize::try_from(place).ok());
            let Some(place) = place.filter(|&place| place < running.pids.len()) else { continue };
            let pid = running.pids[place];
            running.answered[place] = true;
            running.left -= 1;
            match outcome {
                Ok(Reply::Seed(time, Some(seed), brief)) => {
                    if brief && !seed.is_zombie {
                        running.scan.brief.push(pid);
                    }
                    running.scan.seeds.push(Event { time, what: What::Fact(Fact::Seed(seed)) });
                }
                Ok(_) => {}
                Err(_) => running.scan.unread.push(pid),
            }
        }
    }
}

impl Default for Asker {
    fn default() -> Self {
        Self::new()
    }
}
