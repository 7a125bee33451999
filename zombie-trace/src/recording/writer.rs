//! The writing side of a recorder, in its own thread, so that neither compression nor a slow disk delays reading the
//! ring.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::Receiver,
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use log::warn;

use super::{
    Batch, Ended, Header, Stop,
    batch::{Rest, contents, encode},
    columns::Encoder,
    files::{self, Rotation},
    frame::{self, Kind, Numbers},
};

/// Number of frames after which the header is written again, in case the first is corrupt.
const HEADER_EVERY: u64 = 64;
/// How often data is synced to disk, in case the machine goes down.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Input of the writer.
#[derive(Debug)]
pub(super) enum Message {
    Batch(Batch),
    /// The file is full; the next begins with this.
    Rotate(Header),
    /// Nothing follows.
    End(Ended),
}

/// Progress of the writer.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Bytes on disk, of all files.
    pub(super) bytes: AtomicU64,
    /// Bytes of the file that is written.
    pub(super) file_bytes: AtomicU64,
    /// Which file that is.
    pub(super) part: AtomicU64,
    stop: Mutex<Option<Stop>>,
}

impl Shared {
    pub(super) fn stop(&self) -> Option<Stop> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An open file and its writing state.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) rotation: Rotation,
    /// Bytes of the disk to leave free.
    pub(super) min_free: u64,
    pub(super) shared: Arc<Shared>,
    header: Header,
    number: u64,
    length: u64,
    events: u64,
    encoder: Encoder,
    buffer: Vec<u8>,
    synced: Instant,
}

impl Writer {
    pub(super) fn new(path: PathBuf, file: File, rotation: Rotation, min_free: u64) -> Self {
        Self {
            path,
            file,
            rotation,
            min_free,
            shared: Arc::default(),
            header: Header::default(),
            number: 0,
            length: 0,
            events: 0,
            encoder: Encoder::new(),
            buffer: Vec::new(),
            synced: Instant::now(),
        }
    }

    pub(super) fn begin(&mut self, header: Header) -> Result<(), Stop> {
        self.header = header;
        // An existing file is truncated only now that tracing has begun.
        self.file.set_len(0).map_err(Stop::write)?;
        self.write_header()
    }

    /// Writes what comes until the end or a failure.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        let mut outcome = Ok(());
        while let Ok(message) = messages.recv() {
            // After a failure the rest is discarded, so that nobody waits for this thread.
            if outcome.is_ok() {
                outcome = self.take(message);
                if let Err(stop) = &outcome {
                    *self.shared.stop.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop.clone());
                }
            }
        }
        self.sync();
    }

    fn take(&mut self, message: Message) -> Result<(), Stop> {
        match message {
            Message::Batch(batch) => {
                let mut rest = Rest::of(&batch);
                while !rest.is_empty() {
                    self.write_batch(&mut rest)?;
                }
            }
            Message::Rotate(header) => self.rotate(header)?,
            Message::End(ended) => {
                let json = serde_json::to_vec(&ended).map_err(|error| Stop::write(error.into()))?;
                self.write(Kind::End, 0, &[&json])?;
                self.sync();
            }
        }
        if self.synced.elapsed() >= SYNC_EVERY {
            self.sync();
        }
        Ok(())
    }

    /// Writes as much of a batch as a frame may hold.
    fn write_batch(&mut self, rest: &mut Rest<'_>) -> Result<(), Stop> {
        if self.number.is_multiple_of(HEADER_EVERY) {
            self.write_header()?;
        }
        let events = encode(rest, &mut self.encoder);
        let streams = std::mem::take(&mut self.encoder.streams);
        let contents = contents(&streams);
        let parts: Vec<&[u8]> = [contents.as_slice()]
            .into_iter()
            .chain(streams.iter().map(Vec::as_slice).filter(|stream| !stream.is_empty()))
            .collect();
        let written = self.write(Kind::Batch, events, &parts);
        self.encoder.streams = streams;
        written
    }

    fn rotate(&mut self, header: Header) -> Result<(), Stop> {
        self.sync();
        files::set_aside(&self.path, Timestamp::now()).map_err(Stop::write)?;
        self.file = files::create(&self.path, &Rotation::default(), false)
            .map_err(|error| Stop::Write { source: Arc::new(io::Error::other(error)) })?;
        if let Err(error) = files::prune(&self.path, &self.rotation) {
            warn!("cannot remove old recordings beside {}: {error}", self.path.display());
        }
        self.number = 0;
        self.length = 0;
        self.shared.part.store(header.part, Relaxed);
        self.shared.file_bytes.store(0, Relaxed);
        self.header = header;
        self.write_header()
    }

    fn write_header(&mut self) -> Result<(), Stop> {
        let json = serde_json::to_vec(&self.header).map_err(|error| Stop::write(error.into()))?;
        self.write(Kind::Header, 0, &[&json])
    }

    fn write(&mut self, kind: Kind, events: u32, parts: &[&[u8]]) -> Result<(), Stop> {
        self.buffer.clear();
        let numbers = Numbers { kind, number: self.number, events_before: self.events, events };
        frame::append(&mut self.buffer, numbers, parts).map_err(Stop::write)?;
        let length = self.buffer.len() as u64;
        if self.min_free > 0 {
            let disk = rustix::fs::fstatvfs(&self.file).map_err(|error| Stop::write(error.into()))?;
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            if free < self.min_free.saturating_add(length) {
                return Err(Stop::DiskFloor { free, floor: self.min_free });
            }
        }
        if let Err(error) = self.file.write_all(&self.buffer) {
            // Removes a partial frame; if that fails, a reader skips it.
            if let Err(error) = self.file.set_len(self.length) {
                warn!("the last frame of {} is truncated: {error}", self.path.display());
            }
            return Err(Stop::write(error));
        }
        self.number += 1;
        self.length += length;
        self.events += u64::from(events);
        self.shared.file_bytes.store(self.length, Relaxed);
        self.shared.bytes.fetch_add(length, Relaxed);
        Ok(())
    }

    fn sync(&mut self) {
        self.synced = Instant::now();
        if let Err(error) = self.file.sync_data() {
            warn!("{} may not be on the disk yet: {error}", self.path.display());
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Nothing was written.
        if self.length == 0 && self.file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
