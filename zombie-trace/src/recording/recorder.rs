//! The recorder: takes what the source gives and has it written in time.

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
    Batch, Ended, FileError, Header, Item, Rotation, files,
    writer::{Message, Shared, Writer},
};
use crate::event::{BootNs, Cgroup, Event, Fact, What};

/// What has happened is given to the writer after this time. With the packing it is within a second on its way.
const FLUSH_EVERY: Duration = Duration::from_millis(500);
/// If nothing has happened, that is said only so often.
const IDLE_FLUSH_EVERY: Duration = Duration::from_secs(10);
/// A batch of this length is given to the writer at once.
const FLUSH_BYTES: usize = 4 << 20;
/// So many batches may wait for the writer. If they do, the ring fills, and what does not fit there is counted.
const QUEUE: usize = 4;
/// So many cgroups are told again at the start of every file.
const MAX_CGROUPS: usize = 65_536;

/// How much may be written, and where it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// When a new file is begun, and how much is kept.
    pub rotation: Rotation,
    /// Recording stops before less than this is free on the disk, bytes.
    pub min_free: u64,
    /// A file that is there already may be overwritten.
    pub overwrite: bool,
}

/// Why recording has stopped early.
#[derive(Clone, Debug, Error)]
pub enum Stop {
    /// The disk is as full as it may get.
    #[error("recording has stopped: {free} bytes are free on the disk, and {floor} are to be left free")]
    DiskFloor {
        /// What is free.
        free: u64,
        /// What is to be left.
        floor: u64,
    },
    /// A file could not be written.
    #[error("recording has stopped: {source}")]
    Write {
        /// Why.
        source: Arc<io::Error>,
    },
}

impl Stop {
    pub(super) fn write(error: io::Error) -> Self {
        Self::Write { source: Arc::new(error) }
    }
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

/// How far a recording is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Bytes on disk, of all files that were written.
    pub bytes: u64,
    /// Files that were begun.
    pub files: u64,
}

/// Writes a recording. First it is created, which fails early if it is to fail; then, once it is known what is traced,
/// [begun](Self::begin); the thread that writes starts with the first flush, when privileges have been given up.
#[derive(Debug)]
pub struct Recorder {
    /// Until the thread has it.
    writer: Option<Writer>,
    thread: Option<(SyncSender<Message>, JoinHandle<()>)>,
    shared: Arc<Shared>,
    rotation: Rotation,
    header: Header,
    batch: Batch,
    flushed: Instant,
    file_begun: Instant,
    cgroups: FxHashMap<u64, Cgroup>,
}

impl Recorder {
    /// Makes the file.
    ///
    /// # Errors
    /// It cannot be made, or something is there that is not to be overwritten.
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
            flushed: Instant::now(),
            file_begun: Instant::now(),
            cgroups: FxHashMap::default(),
        })
    }

    /// Whether files will have to be made and taken away later.
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
        self.batch.items.push(Item::Context(event.clone()));
    }

    /// All that was asked has been answered. Has the batch written if it is time.
    ///
    /// # Errors
    /// Recording has stopped.
    pub fn settle(&mut self) -> Result<(), Stop> {
        self.batch.items.push(Item::Settled);
        let patience = if self.batch.is_idle() { IDLE_FLUSH_EVERY } else { FLUSH_EVERY };
        if self.batch.wire.len() >= FLUSH_BYTES || self.flushed.elapsed() >= patience {
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

    /// Begins the next file. It is for the caller to tell then all that exists, so that the file can be read alone; the
    /// cgroups are told here. `now` is the session's, for which nothing is new in them.
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

    /// How far it is.
    #[must_use]
    pub fn status(&self) -> Status {
        Status { bytes: self.shared.bytes.load(Relaxed), files: self.header.part + 1 }
    }

    /// Writes what is left, and that this is the end.
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

    /// Gives what has gathered to the writer, whether it is time or not.
    ///
    /// # Errors
    /// Recording has stopped.
    pub fn flush(&mut self) -> Result<(), Stop> {
        self.flushed = Instant::now();
        if self.batch.items.is_empty() {
            return Ok(());
        }
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

fn gone() -> Stop {
    Stop::write(io::Error::other("the thread that writes is gone"))
}
