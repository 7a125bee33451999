//! The recorder: takes what the source produces and passes it to the writer in time.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;
use thiserror::Error;

use super::{
    Batch, Ended, FileError, Header, Item, Rotation, Stop, files,
    limits::{FRAME_CONTEXT, FRAME_ITEMS, FRAME_WIRE},
    writer::{Message, Shared, Writer},
};
use crate::event::{BootNs, Cgroup, Event, Fact, What};

/// Maximum time until events go to the writer. Together with compression they reach the disk within a second.
const FLUSH_EVERY: Duration = Duration::from_millis(500);
/// A frame is written at least this often, even if nothing happened, to show until when the node lived. A recorder of a
/// process that does nothing writes 0.5 MB an hour.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// Maximum number of batches that wait for the writer. Beyond that the ring fills, and lost events are counted.
const QUEUE: usize = 4;
/// Maximum number of cgroups repeated at the start of every file.
const MAX_CGROUPS: usize = 65_536;
/// Estimated size of a context event besides its text, bytes.
const EVENT_BYTES: usize = 256;

/// How much may be written, and when recording stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// When a new file is begun, and how much is kept.
    pub rotation: Rotation,
    /// Recording stops before less than this is free on the disk, bytes.
    pub min_free: u64,
    /// An existing file may be overwritten.
    pub overwrite: bool,
}

/// Why there is no recorder.
#[derive(Debug, Error)]
pub enum RecordError {
    /// There is no file to write to.
    #[error(transparent)]
    File(#[from] FileError),
    /// It could not be written to.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

/// Progress of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Bytes on disk, of all files that were written.
    pub bytes: u64,
    /// Files that were begun.
    pub files: u64,
}

/// Writes a recording. It is created first, to fail early; [begun](Self::begin) once it is known what is traced; and
/// the writing thread starts with the first flush, after privileges were dropped.
#[derive(Debug)]
pub struct Recorder {
    /// Until the thread takes it.
    writer: Option<Writer>,
    thread: Option<(SyncSender<Message>, JoinHandle<()>)>,
    shared: Arc<Shared>,
    rotation: Rotation,
    header: Header,
    batch: Batch,
    /// About how many bytes of context are in the batch.
    context_bytes: usize,
    flushed: Instant,
    file_begun: Instant,
    cgroups: FxHashMap<u64, Cgroup>,
}

impl Recorder {
    /// Creates the file.
    ///
    /// # Errors
    /// It cannot be created, or a file exists that must not be overwritten.
    pub fn create(path: PathBuf, limits: &Limits) -> Result<Self, FileError> {
        let file = files::create(&path, &limits.rotation, limits.overwrite)?;
        let writer = Writer::new(path, file, limits.rotation, limits.min_free);
        Ok(Self {
            shared: Arc::clone(&writer.shared),
            rotation: limits.rotation,
            writer: Some(writer),
            thread: None,
            header: Header::default(),
            batch: Batch::default(),
            context_bytes: 0,
            flushed: Instant::now(),
            file_begun: Instant::now(),
            cgroups: FxHashMap::default(),
        })
    }

    /// Whether files will have to be created and deleted later.
    #[must_use]
    pub fn rotates(&self) -> bool {
        self.rotation.is_on()
    }

    /// Writes the header.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(&mut self, header: Header) -> Result<(), Stop> {
        self.header = header.clone();
        match &mut self.writer {
            Some(writer) => writer.begin(header),
            None => Ok(()),
        }
    }

    /// Wire events, as the kernel wrote them.
    pub fn wire(&mut self, bytes: &[u8]) {
        self.batch.add_wire(bytes);
    }

    /// A context event.
    pub fn context(&mut self, event: &Event) {
        if let What::Fact(Fact::Cgroup(cgroup)) = &event.what
            && self.cgroups.len() < MAX_CGROUPS
        {
            self.cgroups.insert(cgroup.id, cgroup.clone());
        }
        self.context_bytes += EVENT_BYTES + text_bytes(&event.what);
        self.batch.items.push(Item::Context(event.clone()));
        // The writing thread must not start before privileges were dropped.
        if self.thread.is_some() && self.is_heavy() {
            // If that fails, recording has stopped, and the next `settle` reports it.
            let _ = self.flush();
        }
    }

    fn is_heavy(&self) -> bool {
        self.batch.wire.len() >= FRAME_WIRE
            || self.context_bytes >= FRAME_CONTEXT
            || self.batch.items.len() >= FRAME_ITEMS
    }

    /// All queries have been answered. Hands the batch to the writer if it is due.
    ///
    /// # Errors
    /// Recording has stopped.
    pub fn settle(&mut self) -> Result<(), Stop> {
        self.batch.items.push(Item::Settled);
        self.flush_if_due()
    }

    /// Hands the batch to the writer if it is due, with queries still unanswered.
    ///
    /// # Errors
    /// Recording has stopped.
    pub fn flush_if_due(&mut self) -> Result<(), Stop> {
        let patience = if self.batch.is_idle() { HEARTBEAT_EVERY } else { FLUSH_EVERY };
        if self.is_heavy() || self.flushed.elapsed() >= patience {
            self.flush()?;
        }
        self.shared.stop().map_or(Ok(()), Err)
    }

    /// Whether the file is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let too_long = || {
            self.rotation.size.is_some_and(|limit| self.shared.file_bytes.load(Relaxed) >= limit)
                // Of this file, not of the one before.
                && self.shared.part.load(Relaxed) == self.header.part
        };
        self.rotation.age.is_some_and(|limit| self.file_begun.elapsed() >= limit) || too_long()
    }

    /// Begins the next file. The caller then adds all that exists, so that the file can be read alone; the cgroups are
    /// added here. `now` is the session's time.
    ///
    /// # Errors
    /// Recording has stopped.
    pub fn rotate(&mut self, now: BootNs) -> Result<(), Stop> {
        self.flush()?;
        self.header.part += 1;
        self.header.opened = now;
        self.file_begun = Instant::now();
        self.send(Message::Rotate(self.header.clone()))?;
        let mut cgroups: Vec<&Cgroup> = self.cgroups.values().collect();
        cgroups.sort_unstable_by_key(|cgroup| cgroup.id);
        let told = cgroups
            .into_iter()
            .map(|it| Item::Context(Event { time: now, what: What::Fact(Fact::Cgroup(it.clone())) }));
        self.batch.items.extend(told);
        Ok(())
    }

    /// Its progress.
    #[must_use]
    pub fn status(&self) -> Status {
        Status { bytes: self.shared.bytes.load(Relaxed), files: self.header.part + 1 }
    }

    /// Writes what is left, and the end.
    ///
    /// # Errors
    /// Recording has stopped before the end.
    pub fn finish(mut self, ended: Ended) -> Result<Status, Stop> {
        self.flush()?;
        self.send(Message::End(ended))?;
        if let Some((sender, thread)) = self.thread.take() {
            drop(sender);
            thread.join().map_err(|_| gone())?;
        }
        self.shared.stop().map_or_else(|| Ok(self.status()), Err)
    }

    /// Hands the batch to the writer, even if it is not due.
    ///
    /// # Errors
    /// Recording has stopped.
    pub fn flush(&mut self) -> Result<(), Stop> {
        self.flushed = Instant::now();
        if self.batch.items.is_empty() {
            return Ok(());
        }
        self.context_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        self.send(Message::Batch(batch))
    }

    fn send(&mut self, message: Message) -> Result<(), Stop> {
        if let Some(writer) = self.writer.take() {
            let (sender, messages) = sync_channel(QUEUE);
            let thread = thread::Builder::new()
                .name("recorder".to_owned())
                .spawn(move || writer.run(&messages))
                .map_err(Stop::write)?;
            self.thread = Some((sender, thread));
        }
        let Some((sender, _)) = &self.thread else { return Err(gone()) };
        sender.send(message).map_err(|_| self.shared.stop().unwrap_or_else(gone))
    }
}

/// Length of the text in a context event of a kind that may have much, bytes.
fn text_bytes(what: &What) -> usize {
    let (exe, arguments) = match what {
        What::Fact(Fact::Seed(seed)) => (&seed.exe, &seed.cmdline),
        What::Fact(Fact::Evidence(evidence)) => match &evidence.proc {
            Some(facts) => (&facts.exe, &facts.cmdline),
            None => return 0,
        },
        _ => return 0,
    };
    exe.as_ref().map_or(0, String::len) + arguments.iter().map(String::len).sum::<usize>()
}

fn gone() -> Stop {
    Stop::write(io::Error::other("the writer thread has ended"))
}
