//! Readers that stall, are slow, fail or are many: each question gets one answer, in time.

use std::{
    collections::HashSet,
    io::{self, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    Asker,
    pool::{Limits, Pool, Ticket},
    protocol::{Answer, Question, Reply, Request, receive, send},
    reader::{MAX_STALLED, Peer, Start},
    serve::serve_on,
};
use crate::{
    event::{Fact, ProcessKey, Unread, What},
    source::proc::ProcReader,
};

/// Readers as threads of this process, for all other unit tests.
pub(super) struct InThread(PathBuf);

impl InThread {
    pub(super) fn of_machine() -> Self {
        Self("/proc".into())
    }
}

struct Thread(JoinHandle<()>);

impl Peer for Thread {
    fn is_running(&mut self) -> bool {
        !self.0.is_finished()
    }

    fn kill(&mut self) {}

    fn is_gone(&mut self) -> bool {
        // It exits when it finds the socket closed.
        true
    }
}

impl Start for InThread {
    fn start(&self) -> io::Result<(UnixStream, Box<dyn Peer>)> {
        let (ours, theirs) = UnixStream::pair()?;
        let proc = ProcReader::new(self.0.clone());
        let thread = thread::spawn(move || drop(serve_on(theirs, proc)));
        Ok((ours, Box::new(Thread(thread))))
    }
}

/// What a fake reader does for a pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Answers,
    /// It stalls unless asked briefly.
    StallsInFull,
    Stalls,
    /// It is slow, but sends signs of life.
    IsSlow,
    /// It exits.
    Ends,
    /// It sends invalid data.
    Babbles,
}

type Manners = fn(u32) -> Manner;

struct Fake {
    manners: Manners,
    /// Whether killed ones exit.
    die: bool,
    started: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<(u32, bool)>>>,
    /// How many cannot be started from now on.
    refuses: Arc<AtomicBool>,
}

impl Fake {
    fn new(manners: Manners) -> Self {
        Self { manners, die: true, started: Arc::default(), asked: Arc::default(), refuses: Arc::default() }
    }
}

struct FakePeer {
    killed: bool,
    die: bool,
    socket: UnixStream,
}

impl Peer for FakePeer {
    fn is_running(&mut self) -> bool {
        false
    }

    fn kill(&mut self) {
        self.killed = true;
        if self.die {
            let _ = self.socket.shutdown(std::net::Shutdown::Both);
        }
    }

    fn is_gone(&mut self) -> bool {
        self.killed && self.die
    }
}

impl Start for Fake {
    fn start(&self) -> io::Result<(UnixStream, Box<dyn Peer>)> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.started.fetch_add(1, Ordering::SeqCst);
        let (ours, mut theirs) = UnixStream::pair()?;
        let socket = theirs.try_clone()?;
        let (manners, asked) = (self.manners, Arc::clone(&self.asked));
        thread::spawn(move || -> io::Result<()> {
            send(&mut theirs, &Answer::Busy)?;
            loop {
                let request: Request = receive(&mut theirs)?;
                for (question, brief) in request.questions {
                    let brief = brief.is_some();
                    let Question::Seed(pid) = question else { panic!("{question:?}") };
                    asked.lock().unwrap().push((pid, brief));
                    match manners(pid) {
                        Manner::Stalls => drop(receive::<Request>(&mut theirs)),
                        Manner::StallsInFull if !brief => drop(receive::<Request>(&mut theirs)),
                        Manner::Answers | Manner::StallsInFull => {}
                        Manner::IsSlow => {
                            for _ in 0..8 {
                                thread::sleep(DEADLINE / 4);
                                send(&mut theirs, &Answer::Busy)?;
                            }
                        }
                        Manner::Ends => return Ok(()),
                        Manner::Babbles => theirs.write_all(b"\x05\0\0\0babel")?,
                    }
                    send(&mut theirs, &Answer::Done(Reply::Seed(pid.into(), None, brief)))?;
                }
            }
        });
        Ok((ours, Box::new(FakePeer { killed: false, die: self.die, socket })))
    }
}

/// Long enough for a busy machine; only stalls wait for it.
const DEADLINE: Duration = Duration::from_millis(200);

fn limits() -> Limits {
    Limits { deadline: DEADLINE, wait: Duration::from_secs(60), budget: Duration::from_secs(60), ..Limits::default() }
}

/// Asks for all of these pids, half of them as a scan, and returns what came, in the order of the pids.
fn ask(pool: &mut Pool, pids: &[u32]) -> Vec<Result<Reply, Unread>> {
    let (single, scan) = pids.split_at(pids.len() / 2);
    let mut tickets: Vec<Ticket> = single.iter().map(|&pid| pool.ask(Question::Seed(pid))).collect();
    let first = pool.scan(scan.iter().copied().map(Question::Seed).collect());
    tickets.extend((first..).take(scan.len()));
    let mut came = std::collections::HashMap::new();
    let deadline = Instant::now() + Duration::from_secs(120);
    while came.len() < pids.len() {
        assert!(Instant::now() < deadline, "{} of {} answers", came.len(), pids.len());
        pool.wait(Duration::from_millis(50));
        for (ticket, outcome) in pool.take() {
            assert_eq!(came.insert(ticket, outcome), None, "answered twice");
        }
    }
    assert!(pool.is_idle());
    tickets.iter().map(|ticket| came.remove(ticket).expect("it is one of those that were asked")).collect()
}

fn is_answer(pid: u32, outcome: &Result<Reply, Unread>, is_brief: bool) -> bool {
    *outcome == Ok(Reply::Seed(pid.into(), None, is_brief))
}

#[test]
fn every_question_is_answered_once_whatever_readers_do() {
    let manners: Manners = |pid| match pid % 20 {
        3 => Manner::StallsInFull,
        7 => Manner::Stalls,
        11 => Manner::Ends,
        13 => Manner::IsSlow,
        17 => Manner::Babbles,
        _ => Manner::Answers,
    };
    let mut pool = Pool::new(Arc::new(Fake::new(manners)), limits());
    let pids: Vec<u32> = (0..60).collect();
    for (&pid, outcome) in pids.iter().zip(ask(&mut pool, &pids)) {
        match manners(pid) {
            Manner::Answers | Manner::IsSlow => assert!(matches!(outcome, Ok(Reply::Seed(..))), "{pid}: {outcome:?}"),
            Manner::StallsInFull => assert!(is_answer(pid, &outcome, true), "{pid}: {outcome:?}"),
            Manner::Stalls | Manner::Ends | Manner::Babbles => assert_eq!(outcome, Err(Unread::TimedOut), "{pid}"),
        }
    }
}

#[test]
fn who_stalled_a_reader_is_next_asked_briefly() {
    let fake = Fake::new(|_| Manner::StallsInFull);
    let (started, asked) = (Arc::clone(&fake.started), Arc::clone(&fake.asked));
    let mut pool = Pool::new(Arc::new(fake), Limits { readers: 1, ..limits() });
    for _ in 0..3 {
        let outcomes = ask(&mut pool, &[5, 5]);
        assert!(outcomes.iter().all(|outcome| is_answer(5, outcome, true)), "{outcomes:?}");
    }
    assert_eq!(started.load(Ordering::SeqCst), 2, "it stalled one reader");
    assert_eq!(asked.lock().unwrap().iter().filter(|(_, brief)| !brief).count(), 1);
}

#[test]
fn a_scan_that_is_stalled_again_and_again_goes_on_briefly() {
    let fake = Fake::new(|_| Manner::StallsInFull);
    let started = Arc::clone(&fake.started);
    let mut pool = Pool::new(Arc::new(fake), limits());
    let first = pool.scan((0..5_000).map(Question::Seed).collect());
    let mut count = 0;
    while count < 5_000 {
        pool.wait(Duration::from_secs(1));
        for (ticket, outcome) in pool.take() {
            assert!(is_answer(u32::try_from(ticket - first).unwrap(), &outcome, true));
            count += 1;
        }
    }
    // Each reader finishes the batch that it is at.
    assert!(started.load(Ordering::SeqCst) < 200, "{started:?}");
}

#[test]
fn who_is_asked_about_beside_many_who_stall_is_answered_soon() {
    let fake = Fake::new(|pid| if pid < 1_000 { Manner::StallsInFull } else { Manner::Answers });
    let (started, asked) = (Arc::clone(&fake.started), Arc::clone(&fake.asked));
    // Stalls cost no budget: what is left of it is enough for the rest.
    let mut pool = Pool::new(Arc::new(fake), Limits { budget: DEADLINE / 2, ..limits() });
    for pid in 0..100 {
        pool.ask(Question::Seed(pid));
    }
    let victim = pool.ask(Question::Seed(1_000));
    let mut left = 101;
    while left > 0 {
        pool.wait(Duration::from_secs(1));
        for (ticket, outcome) in pool.take() {
            assert!(matches!(outcome, Ok(Reply::Seed(..))), "{outcome:?}");
            assert!(ticket != victim || is_answer(1_000, &outcome, true), "{outcome:?}");
            left -= 1;
        }
    }
    let in_full = asked.lock().unwrap().iter().filter(|(_, brief)| !brief).count();
    // Each of the two readers may be at one more when it is enough.
    assert!((8..=10).contains(&in_full), "{in_full}");
    assert!(started.load(Ordering::SeqCst) <= 12);
}

#[test]
fn readers_that_do_not_end_when_killed_are_bounded_and_then_nothing_is_read() {
    let fake = Fake { die: false, ..Fake::new(|_| Manner::Stalls) };
    let started = Arc::clone(&fake.started);
    let limits = Limits { deadline: Duration::from_millis(10), ..limits() };
    let mut pool = Pool::new(Arc::new(fake), limits);
    let pids: Vec<u32> = (0..100).collect();
    let outcomes = ask(&mut pool, &pids);
    let count = |reason| outcomes.iter().filter(|outcome| **outcome == Err(reason)).count();
    assert_eq!(count(Unread::TimedOut) + count(Unread::NoReader), pids.len(), "{outcomes:?}");
    assert!(count(Unread::NoReader) > 0);
    // Two readers may be begun at the same time.
    assert!(started.load(Ordering::SeqCst) <= MAX_STALLED + 2, "{started:?}");
}

#[test]
fn without_readers_every_question_is_answered_with_that() {
    let fake = Fake::new(|_| Manner::Answers);
    let refuses = Arc::clone(&fake.refuses);
    refuses.store(true, Ordering::SeqCst);
    let mut pool = Pool::new(Arc::new(fake), limits());
    assert!(ask(&mut pool, &[1, 2, 3, 4]).iter().all(|outcome| *outcome == Err(Unread::NoReader)));
    refuses.store(false, Ordering::SeqCst);
    assert!(ask(&mut pool, &[1, 2, 3, 4]).iter().all(Result::is_ok), "it is tried again");
}

#[test]
fn a_full_queue_and_a_spent_budget_are_answers_too() {
    let limits = Limits { queue: 10, wait: Duration::ZERO, budget: Duration::ZERO, ..limits() };
    let mut pool = Pool::new(Arc::new(Fake::new(|_| Manner::Answers)), limits);
    let tickets: HashSet<Ticket> = (0..30).map(|pid| pool.ask(Question::Seed(pid))).collect();
    let came = pool.take();
    assert_eq!(came.iter().map(|(ticket, _)| *ticket).collect::<HashSet<_>>(), tickets);
    assert!(came.iter().all(|(_, outcome)| *outcome == Err(Unread::Busy)));
    // Existing processes are still read.
    let first = pool.scan(vec![Question::Seed(1)]);
    while !pool.take().contains(&(first, Ok(Reply::Seed(1, None, false)))) {
        pool.wait(Duration::from_secs(1));
    }
}

#[test]
fn more_is_spent_before_a_question_is_given_up() {
    let limits = Limits::default();
    assert_eq!(limits.allowance(Duration::ZERO), limits.budget);
    assert_eq!(limits.allowance(limits.wait / 2), 2 * limits.budget);
    // Not more than one processor's.
    assert!(limits.allowance(limits.wait) <= Duration::from_secs(1));
}

#[test]
fn nobody_waits_for_readers_that_are_stalled_when_all_is_over() {
    let fake = Fake { die: false, ..Fake::new(|_| Manner::Stalls) };
    let asked = Arc::clone(&fake.asked);
    let mut pool = Pool::new(Arc::new(fake), Limits { deadline: Duration::from_secs(600), ..limits() });
    pool.ask(Question::Seed(1));
    while asked.lock().unwrap().is_empty() {
        thread::yield_now();
    }
    let began = Instant::now();
    drop(pool);
    assert!(began.elapsed() < Duration::from_secs(300), "it waited for the reader");
}

#[test]
fn a_scan_finds_this_process_and_says_when_it_began() {
    let before = crate::source::proc::boot_clock_now();
    let scan = Asker::new().scan().unwrap();
    let own = std::process::id();
    let found = |what: &What| matches!(what, What::Fact(Fact::Seed(seed)) if seed.process.pid == own);
    assert!(scan.seeds.iter().any(|event| found(&event.what)));
    assert!(before <= scan.began && scan.seeds.iter().all(|event| event.time >= scan.began));
    assert!(scan.unread.is_empty(), "{scan:?}");
    let began = scan.began;
    let last = scan.into_events().pop().unwrap();
    assert_eq!(last.what, What::Fact(Fact::SeedDone { began }));
}

#[test]
fn a_scan_that_could_not_read_a_process_takes_none_for_gone() {
    let mut asker = Asker::with(ProcReader::new("/proc".into()), Arc::new(Fake::new(|_| Manner::Stalls)), limits());
    asker.begin_scan().unwrap();
    let scan = asker.end_scan().unwrap();
    assert!(!scan.unread.is_empty() && scan.seeds.is_empty());
    assert!(scan.shortfall().unwrap().contains("could not be read"));
    assert_eq!(scan.into_events().pop().unwrap().what, What::Fact(Fact::SeedDone { began: 0 }));
    assert_eq!((asker.end_scan(), asker.is_scanning()), (None, false));
}

#[test]
fn questions_about_this_process_are_answered_by_a_reader() {
    let mut asker = Asker::new();
    let Reply::Seed(_, Some(own), false) = asker.ask_all(vec![Question::Seed(std::process::id())]).remove(0).unwrap()
    else {
        panic!("it is there")
    };
    asker.ask(Question::Process(own.process));
    let gone = ProcessKey { pid: u32::MAX >> 1, start_ns: 1 };
    asker.ask(Question::Process(gone));
    let mut came = Vec::new();
    while came.len() < 2 {
        asker.wait(Duration::from_millis(50));
        came.extend(asker.answers());
    }
    assert!(asker.is_idle());
    for (question, answer) in came {
        let Ok(Reply::Process(looked)) = answer else { panic!("{answer:?}") };
        let is_there = question == Question::Process(own.process);
        assert_eq!(looked.proc.is_some(), is_there);
        assert_eq!(looked.uses_io_uring, is_there.then_some(false));
    }
}
