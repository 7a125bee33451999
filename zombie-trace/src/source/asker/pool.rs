//! The threads that wait for the readers.
//!
//! Each question gets one answer: what was read, or why it was not. A thread waits for each reader; it touches no other
//! process itself, so it cannot stall.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{
    protocol::{Question, Reply},
    reader::{Reader, Stalled, Start},
};
use crate::event::Unread;

/// Number of questions of a scan passed to a reader at once.
const BATCH: usize = 64;

/// How long a stall counts.
const OF_LATE: Duration = Duration::from_secs(10);

pub(super) type Ticket = u64;

/// The answer to a question, or why there is none.
pub(super) type Outcome = Result<Reply, Unread>;

/// How much is read, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How many readers work at a time.
    pub(super) readers: usize,
    /// Maximum number of waiting questions.
    pub(super) queue: usize,
    /// Maximum waiting time of a question: long enough for an expensive workload to be read before others.
    pub(super) wait: Duration,
    /// Maximum reader time per second for questions asked while events arrive; see [`Self::allowance`].
    pub(super) budget: Duration,
    /// Maximum silence of a reader.
    pub(super) deadline: Duration,
    /// Number of stalls of a scan after which its rest is read briefly; and number of recent stalls after which all
    /// other questions are. Otherwise a few processes that stall readers would delay all others.
    pub(super) stalls: u32,
}

impl Limits {
    /// Reader time allowed in a second in which the oldest question has waited for so long. Reading takes long on a slow or
    /// busy machine, though it is little work: rather than give up on a question, twice the budget is spent.
    pub(super) fn allowance(&self, waited: Duration) -> Duration {
        if waited >= self.wait / 2 { self.budget * 2 } else { self.budget }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            readers: 2,
            queue: 4096,
            wait: Duration::from_secs(5),
            budget: Duration::from_millis(500),
            deadline: super::reader::DEADLINE,
            stalls: 8,
        }
    }
}

struct Waiting {
    ticket: Ticket,
    question: Question,
    since: Instant,
}

#[derive(Default)]
struct State {
    /// Questions asked while events arrive.
    queue: VecDeque<Waiting>,
    /// Questions of a scan, which wait for as long as it takes.
    scan: VecDeque<(Ticket, Question)>,
    stalls_in_scan: u32,
    /// Recent stalls outside scans, oldest first.
    stalls: VecDeque<Instant>,
    outcomes: Vec<(Ticket, Outcome)>,
    /// Number of questions without an outcome.
    open: usize,
    second: Option<Instant>,
    spent: Duration,
    is_closed: bool,
}

struct Shared {
    limits: Limits,
    state: Mutex<State>,
    work: Condvar,
    /// For waiting without tokio.
    done: Condvar,
    news: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, state: &mut State, ticket: Ticket, outcome: Outcome) {
        state.outcomes.push((ticket, outcome));
        state.open -= 1;
        self.done.notify_all();
        self.news.notify_one();
    }
}

/// See the module.
pub(super) struct Pool {
    shared: Arc<Shared>,
    start: Arc<dyn Start>,
    next: Ticket,
    has_threads: bool,
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Drop for Pool {
    /// The threads end when their readers have answered or stalled; this does not wait for them.
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.work.notify_all();
        self.start.end();
    }
}

impl Pool {
    /// Starts nothing before the first question: threads keep the privileges they start with.
    pub(super) fn new(start: Arc<dyn Start>, limits: Limits) -> Self {
        let shared = Arc::new(Shared {
            limits,
            state: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
            news: Notify::new(),
        });
        Self { shared, start, next: 0, has_threads: false }
    }

    fn begin(&mut self) {
        if std::mem::replace(&mut self.has_threads, true) {
            return;
        }
        let stalled = Arc::new(Stalled::default());
        let limits = self.shared.limits;
        for number in 0..limits.readers {
            let shared = Arc::clone(&self.shared);
            let reader = Reader::new(Arc::clone(&self.start), Arc::clone(&stalled), limits.deadline);
            // Without a thread, questions are answered by the waiting limit.
            let spawned = thread::Builder::new().name(format!("asker-{number}")).spawn(move || work(&shared, reader));
            if let Err(error) = spawned {
                log::warn!("no thread to ask readers: {error}");
            }
        }
    }

    /// Asks while events arrive.
    pub(super) fn ask(&mut self, question: Question) -> Ticket {
        self.begin();
        let ticket = self.ticket();
        let mut state = self.shared.lock();
        state.open += 1;
        if state.queue.len() >= self.shared.limits.queue {
            self.shared.answer(&mut state, ticket, Err(Unread::Busy));
        } else {
            state.queue.push_back(Waiting { ticket, question, since: Instant::now() });
            self.shared.work.notify_one();
        }
        ticket
    }

    /// Asks for a scan. The tickets are consecutive, and this is the first.
    pub(super) fn scan(&mut self, questions: Vec<Question>) -> Ticket {
        self.begin();
        let first = self.next;
        self.next += questions.len() as u64;
        let mut state = self.shared.lock();
        state.open += questions.len();
        state.stalls_in_scan = 0;
        state.scan.extend((first..).zip(questions));
        self.shared.work.notify_all();
        first
    }

    /// Ends a scan that takes too long: answers its remaining questions with nothing.
    pub(super) fn give_up_scan(&mut self) {
        let mut state = self.shared.lock();
        for (ticket, _) in std::mem::take(&mut state.scan) {
            self.shared.answer(&mut state, ticket, Err(Unread::Busy));
        }
    }

    /// The outcomes since the last call.
    pub(super) fn take(&mut self) -> Vec<(Ticket, Outcome)> {
        let mut state = self.shared.lock();
        let wait = self.shared.limits.wait;
        while state.queue.front().is_some_and(|it| it.since.elapsed() >= wait) {
            if let Some(waiting) = state.queue.pop_front() {
                self.shared.answer(&mut state, waiting.ticket, Err(Unread::Busy));
            }
        }
        std::mem::take(&mut state.outcomes)
    }

    /// Whether there is nothing that was asked and not taken.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        let state = self.shared.lock();
        state.open == 0 && state.outcomes.is_empty()
    }

    /// Waits until there may be something to take.
    pub(super) async fn news(&self) {
        self.shared.news.notified().await;
    }

    /// Waits until there is something to take, up to this long.
    pub(super) fn wait(&self, patience: Duration) {
        let state = self.shared.lock();
        if state.outcomes.is_empty() {
            // Whatever ends the waiting, the caller checks.
            drop(self.shared.done.wait_timeout(state, patience));
        }
    }

    fn ticket(&mut self) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        ticket
    }
}

/// Some questions for one reader.
struct Batch {
    tickets: Vec<Ticket>,
    questions: Vec<Question>,
    is_scan: bool,
    /// Why to read only briefly, if so.
    brief: Option<Unread>,
}

fn work(shared: &Shared, mut reader: Reader) {
    while let Some(batch) = next(shared) {
        let began = Instant::now();
        let mut answered = 0;
        let asked = catch_unwind(AssertUnwindSafe(|| {
            reader.ask(&batch.questions, batch.brief, |place, outcome| {
                let mut state = shared.lock();
                shared.answer(&mut state, batch.tickets[place], outcome);
                answered = place + 1;
            })
        }));
        let mut state = shared.lock();
        for &ticket in &batch.tickets[answered..] {
            shared.answer(&mut state, ticket, Err(Unread::NoReader));
        }
        let stalls = asked.unwrap_or_else(|_| {
            log::warn!("a thread that asks readers failed");
            0
        });
        if batch.is_scan {
            state.stalls_in_scan += stalls;
        } else {
            // Time spent in stalls does not count against the budget: the CPU is free meanwhile.
            state.spent += began.elapsed().saturating_sub(shared.limits.deadline * stalls);
            let now = Instant::now();
            state.stalls.extend((0..stalls).map(|_| now));
        }
    }
}

/// The next questions for a reader; `None` when the pool is dropped.
fn next(shared: &Shared) -> Option<Batch> {
    let mut state = shared.lock();
    loop {
        if state.is_closed {
            return None;
        }
        let now = Instant::now();
        if state.second.is_none_or(|began| now.duration_since(began) >= Duration::from_secs(1)) {
            state.second = Some(now);
            state.spent = Duration::ZERO;
        }
        let allowance = state.queue.front().map(|oldest| shared.limits.allowance(now.duration_since(oldest.since)));
        let may_spend = allowance.is_some_and(|allowance| state.spent < allowance);
        if may_spend && let Some(Waiting { ticket, question, .. }) = state.queue.pop_front() {
            while state.stalls.front().is_some_and(|at| now.duration_since(*at) >= OF_LATE) {
                state.stalls.pop_front();
            }
            let is_stalled = state.stalls.len() >= usize::try_from(shared.limits.stalls).unwrap_or(usize::MAX);
            let brief = is_stalled.then_some(Unread::Busy);
            return Some(Batch { tickets: vec![ticket], questions: vec![question], is_scan: false, brief });
        }
        if !state.scan.is_empty() {
            let share = state.scan.len().div_ceil(shared.limits.readers.max(1)).clamp(1, BATCH);
            let brief = (state.stalls_in_scan >= shared.limits.stalls).then_some(Unread::Busy);
            let (tickets, questions) = state.scan.drain(..share).unzip();
            return Some(Batch { tickets, questions, is_scan: true, brief });
        }
        let rest = Duration::from_secs(1).saturating_sub(state.second.map_or(Duration::ZERO, |it| it.elapsed()));
        state = if state.queue.is_empty() {
            shared.work.wait(state).unwrap_or_else(PoisonError::into_inner)
        } else {
            shared.work.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0
        };
    }
}
