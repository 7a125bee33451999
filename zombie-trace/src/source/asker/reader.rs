//! Readers as seen by the tracer: questions go in, answers come out in time or not at all.
//!
//! A reader is a separate process, not a thread: a thread in uninterruptible sleep prevents its whole process from
//! exiting, and so keeps the descriptors, the probes and any waiting parent.

use std::{
    collections::HashMap,
    io::{self, Read},
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::protocol::{Answer, Question, Reply, Request, receive, send};
use crate::event::Unread;

/// The first argument that makes this program a keeper of readers. Not for people, so it is not in the help.
pub const READER: &str = "__read";

/// A reader that is silent for this long on one question is stalled.
pub(super) const DEADLINE: Duration = Duration::from_millis(100);
/// Deadline of a reader that was runnable all the time: then the machine is busy.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a reader may take to start.
const START: Duration = Duration::from_secs(5);
/// A killed reader is usually gone after this time.
const LAST_MOMENTS: Duration = Duration::from_millis(20);
/// How long a process that stalled a reader is read only briefly.
const SLOW_FOR: Duration = Duration::from_secs(10);
/// Maximum number of such processes remembered.
const MAX_SLOW: usize = 4096;
/// Maximum number of readers stalled for good.
pub(super) const MAX_STALLED: usize = 16;

/// The other end of a reader.
pub(super) trait Peer: Send {
    /// Whether it was runnable, and so not stalled, at this moment.
    fn is_running(&mut self) -> bool;
    /// Kills it, as far as possible.
    fn kill(&mut self);
    /// Whether it has exited.
    fn is_gone(&mut self) -> bool;
}

/// Starts readers.
pub(super) trait Start: Send + Sync {
    /// Starts a new one.
    ///
    /// # Errors
    /// None can be started.
    fn start(&self) -> io::Result<(UnixStream, Box<dyn Peer>)>;

    /// No more readers are needed.
    fn end(&self) {}
}

/// Killed readers that have not exited yet, and the processes that stalled them.
#[derive(Default)]
pub(super) struct Stalled {
    peers: Mutex<Vec<Box<dyn Peer>>>,
    said: AtomicBool,
    slow: Mutex<HashMap<u32, Instant>>,
}

impl Stalled {
    /// Whether the process with this pid stalled a reader recently.
    fn is_slow(&self, pid: u32) -> bool {
        let slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        slow.get(&pid).is_some_and(|since| since.elapsed() < SLOW_FOR)
    }

    fn note_slow(&self, pid: u32) {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        if slow.len() >= MAX_SLOW {
            slow.retain(|_, since| since.elapsed() < SLOW_FOR);
        }
        if slow.len() < MAX_SLOW {
            slow.insert(pid, Instant::now());
        }
    }

    /// How many stalled readers there are now.
    pub(super) fn count(&self) -> usize {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.retain_mut(|peer| !peer.is_gone());
        peers.len()
    }

    fn add(&self, mut peer: Box<dyn Peer>) {
        peer.kill();
        let deadline = Instant::now() + LAST_MOMENTS;
        while !peer.is_gone() {
            if Instant::now() >= deadline {
                self.peers.lock().unwrap_or_else(PoisonError::into_inner).push(peer);
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// One reader at a time, replaced when it stalls.
pub(super) struct Reader {
    start: Arc<dyn Start>,
    stalled: Arc<Stalled>,
    current: Option<(UnixStream, Box<dyn Peer>)>,
    deadline: Duration,
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some((socket, peer)) = self.current.take() {
            drop(socket);
            self.stalled.add(peer);
        }
    }
}

impl Reader {
    pub(super) fn new(start: Arc<dyn Start>, stalled: Arc<Stalled>, deadline: Duration) -> Self {
        Self { start, stalled, current: None, deadline }
    }

    /// Asks, and hands over each outcome with its index. After a stall the next reader is asked the same question once
    /// more, briefly. Returns how often readers stalled.
    pub(super) fn ask(
        &mut self,
        questions: &[Question],
        brief: Option<Unread>,
        mut on: impl FnMut(usize, Result<Reply, Unread>),
    ) -> u32 {
        let mut next = 0;
        let mut once_more = false;
        let mut stalls = 0;
        while next < questions.len() {
            let end = if once_more { next + 1 } else { questions.len() };
            let asked = questions[next..end]
                .iter()
                .map(|it| {
                    let is_slow = once_more || it.pid().is_some_and(|pid| self.stalled.is_slow(pid));
                    (it.clone(), if is_slow { Some(Unread::TimedOut) } else { brief })
                })
                .collect();
            let result = self.ask_all(Request { questions: asked }, |reply| {
                on(next, Ok(reply));
                next += 1;
            });
            match result {
                Ok(()) => once_more = false,
                Err(Unread::TimedOut) => {
                    stalls += 1;
                    if let Some(pid) = questions[next].pid() {
                        self.stalled.note_slow(pid);
                    }
                    if once_more || brief.is_some() {
                        on(next, Err(Unread::TimedOut));
                        next += 1;
                        once_more = false;
                    } else {
                        once_more = true;
                    }
                }
                Err(other) => {
                    for place in next..questions.len() {
                        on(place, Err(other));
                    }
                    return stalls;
                }
            }
        }
        stalls
    }

    fn ask_all(&mut self, request: Request, mut on: impl FnMut(Reply)) -> Result<(), Unread> {
        let (socket, _) = self.current()?;
        if send(socket, &request).is_err() {
            self.replace();
            return Err(Unread::TimedOut);
        }
        for _ in &request.questions {
            let Some(reply) = self.reply() else {
                self.replace();
                return Err(Unread::TimedOut);
            };
            on(reply);
        }
        Ok(())
    }

    /// `None` if it stalls or has exited.
    fn reply(&mut self) -> Option<Reply> {
        let began = Instant::now();
        loop {
            let (socket, peer) = self.current.as_mut()?;
            let deadline = self.deadline;
            let mut patient = Patient { socket, peer: peer.as_mut(), since: Instant::now(), deadline };
            match receive(&mut patient) {
                // But not for ever.
                Ok(Answer::Busy) if began.elapsed() < PATIENCE + deadline => {}
                Ok(Answer::Busy) | Err(_) => return None,
                Ok(Answer::Done(reply)) => return Some(reply),
            }
        }
    }

    fn current(&mut self) -> Result<&mut (UnixStream, Box<dyn Peer>), Unread> {
        if self.current.is_none() {
            if self.stalled.count() >= MAX_STALLED {
                if !self.stalled.said.swap(true, Ordering::Relaxed) {
                    log::warn!("{MAX_STALLED} readers are stuck in the kernel: other processes are no longer read");
                }
                return Err(Unread::NoReader);
            }
            self.current = Some(self.begin().map_err(|error| {
                log::warn!("other processes cannot be read: {error}");
                Unread::NoReader
            })?);
        }
        self.current.as_mut().ok_or(Unread::NoReader)
    }

    fn begin(&self) -> io::Result<(UnixStream, Box<dyn Peer>)> {
        let (mut socket, mut peer) = self.start.start()?;
        socket.set_read_timeout(Some(START))?;
        if let Err(error) = receive::<Answer>(&mut socket) {
            peer.kill();
            self.stalled.add(peer);
            return Err(error);
        }
        socket.set_write_timeout(Some(self.deadline))?;
        socket.set_read_timeout(Some(self.deadline))?;
        Ok((socket, peer))
    }

    fn replace(&mut self) {
        if let Some((_, peer)) = self.current.take() {
            self.stalled.add(peer);
        }
    }
}

/// Reads from a reader as long as it is not stalled.
struct Patient<'a> {
    socket: &'a mut UnixStream,
    peer: &'a mut dyn Peer,
    since: Instant,
    deadline: Duration,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.socket.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.since.elapsed() >= PATIENCE + self.deadline || !self.peer.is_running() {
                        return Err(error);
                    }
                }
                result => return result,
            }
        }
    }
}
