//! Reads a recording, even a truncated or corrupt one.

use std::{
    fmt,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{Mode, OFlags, open};
use thiserror::Error;

use super::{
    Batch, Ended, Header,
    batch::{Obstacle, Unfinished},
    body::{Parts, Section, is_malformed, text},
    columns::Decoder,
    frame::{self, FrameError, HEAD, Head, Kind, MARKER},
    limits::Budget,
    version::{self, VersionError},
};

/// Block size of the search for the next marker, bytes.
const STRIDE: usize = 1 << 20;
/// Maximum number of bytes of corrupt bodies that are searched for frames; beyond that they are skipped, so that a
/// crafted file cannot keep a reader busy for ever.
const RECHECKED: u64 = 1 << 30;
/// Maximum credible number of events in a gap.
const MAX_LOST: u64 = 1 << 40;

/// Why a file cannot be read at all.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It cannot be opened or read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A directory, a pipe, a device.
    #[error("not a regular file")]
    NotAFile,
    /// Nothing is in it.
    #[error("empty file")]
    Empty,
    /// It contains no part of a recording.
    #[error("not a zombie-trace recording")]
    NotARecording,
    /// Frames, but no header.
    #[error("no intact header found")]
    NoHeader,
    /// It has another version.
    #[error(transparent)]
    Version(#[from] VersionError),
}

/// A part of a file that was skipped.
#[derive(Debug)]
pub struct Damage {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
    /// What is wrong.
    pub error: FrameError,
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "byte {}: {}; skipped {} bytes", self.offset, self.error, self.length)
    }
}

/// What comes next.
#[derive(Debug)]
pub enum Chunk {
    /// The batch that was passed in has been filled: with a frame's, or with a part of it.
    Batch {
        /// Number of events missing before it: known wire events, and at least one if anything was skipped.
        lost: u64,
    },
    /// Something was skipped. The loss is reported before the next batch, or at the end.
    Damage(Damage),
    /// Events are missing at the end.
    Lost {
        /// How many, as for a batch.
        events: u64,
    },
    /// The run ended here.
    Ended(Ended),
}

/// Reads one file, frame by frame, in bounded memory.
pub struct Reader {
    path: PathBuf,
    file: Arc<File>,
    length: u64,
    offset: u64,
    header: Header,
    /// Number of wire events of the run that were read or are known to be missing; `None` before the first frame.
    events: Option<u64>,
    /// The frame that is being read.
    current: Option<Current>,
    /// Minimum number of events skipped since the last batch.
    skipped: u64,
    decoder: Decoder,
    budget: Budget,
    rechecked: u64,
}

impl fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reader").field("path", &self.path).field("offset", &self.offset).finish_non_exhaustive()
    }
}

/// A frame of which a part may have been handed over.
struct Current {
    head: Head,
    start: u64,
    lost: u64,
    batch: Unfinished,
}

enum Step {
    Frame(u64, Head),
    /// Something to skip, and its head if that is intact.
    Damage(Damage, Option<Head>),
    End,
}

impl Reader {
    /// Opens a file and looks for its header.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        // Opening a pipe would wait for a writer.
        let file = Arc::new(File::from(
            open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty())
                .map_err(io::Error::from)?,
        ));
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(OpenError::NotAFile);
        }
        if metadata.len() == 0 {
            return Err(OpenError::Empty);
        }
        let mut reader = Self {
            path: path.to_owned(),
            file,
            length: metadata.len(),
            offset: 0,
            header: Header::default(),
            events: None,
            current: None,
            skipped: 0,
            decoder: Decoder::new(),
            budget: Budget::of(metadata.len()),
            rechecked: 0,
        };
        reader.header = reader.find_header()?;
        version::check_abi(reader.header.abi)?;
        (reader.offset, reader.rechecked, reader.budget) = (0, 0, Budget::of(reader.length));
        Ok(reader)
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length, bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How far it was read, bytes.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Number of wire events of the run before the next one to read, once a frame was read.
    #[must_use]
    pub fn events(&self) -> Option<u64> {
        self.events
    }

    /// Sets the number of wire events in earlier files, so that a gap between files is detected.
    pub fn continue_from(&mut self, events: u64) {
        self.events = Some(events);
    }

    /// Reads the next chunk; `None` at the end. Headers are skipped.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next(&mut self, batch: &mut Batch) -> io::Result<Option<Chunk>> {
        loop {
            if let Some(current) = self.current.take() {
                return self.part(current, batch).map(Some);
            }
            let (start, head) = match self.step()? {
                Step::Frame(start, head) => (start, head),
                Step::Damage(damage, head) => return Ok(Some(self.damaged(damage, head.as_ref()))),
                Step::End if self.skipped > 0 => {
                    let events = std::mem::take(&mut self.skipped);
                    self.events = self.events.map(|before| before.saturating_add(events));
                    return Ok(Some(Chunk::Lost { events }));
                }
                Step::End => return Ok(None),
            };
            let section = || Section::body(&self.file, &head, start);
            let opened = match Kind::from_u16(head.kind) {
                Some(Kind::Batch) if !self.budget.unpack(head.unpacked.into()) => {
                    Err(Obstacle::Frame(FrameError::Excessive))
                }
                Some(Kind::Batch) => Parts::unpack(section, &head).map(Some).map_err(Obstacle::from),
                Some(Kind::End) => match text(section(), &head).map_err(Obstacle::from) {
                    Ok(text) => match serde_json::from_slice(&text) {
                        Ok(ended) => return Ok(Some(Chunk::Ended(ended))),
                        Err(_) => Err(Obstacle::Frame(FrameError::Malformed)),
                    },
                    Err(obstacle) => Err(obstacle),
                },
                // A kind of a later minor version may be skipped.
                Some(Kind::Header) | None => Ok(None),
            };
            match opened {
                Ok(Some(parts)) => {
                    let known = *self.events.get_or_insert(head.events_before);
                    let lost = head.events_before.saturating_sub(known).min(MAX_LOST);
                    let batch = Unfinished::new(parts, &mut self.decoder);
                    self.current = Some(Current { head, start, lost, batch });
                }
                Ok(None) => {}
                Err(Obstacle::Frame(error)) => return Ok(Some(self.undecodable(start, &head, error))),
                Err(Obstacle::Io(error)) => return Err(error),
            }
        }
    }

    /// The next part of a frame.
    fn part(&mut self, mut current: Current, batch: &mut Batch) -> io::Result<Chunk> {
        let (head, start) = (current.head, current.start);
        let before = current.batch.events;
        let mut outcome = current.batch.next(&mut self.decoder, &mut self.budget, batch);
        if outcome.is_ok() && current.batch.is_done() && current.batch.events != u64::from(head.events) {
            outcome = Err(Obstacle::Frame(FrameError::Malformed));
        }
        let lost = current.lost.max(self.skipped);
        match outcome {
            Ok(()) => {
                (current.lost, self.skipped) = (0, 0);
                self.events = Some(head.events_before.saturating_add(current.batch.events));
                if !current.batch.is_done() {
                    self.current = Some(current);
                }
                Ok(Chunk::Batch { lost })
            }
            Err(Obstacle::Frame(error)) => {
                self.skipped = lost;
                self.events = Some(head.events_before.saturating_add(before));
                Ok(self.undecodable(start, &head, error))
            }
            Err(Obstacle::Io(error)) => Err(error),
        }
    }

    /// An intact frame that cannot be decoded. It is skipped with all that it may still hold.
    fn undecodable(&mut self, offset: u64, head: &Head, error: FrameError) -> Chunk {
        let length = self.offset - offset;
        self.damaged(Damage { offset, length, error }, Some(head))
    }

    fn damaged(&mut self, damage: Damage, head: Option<&Head>) -> Chunk {
        let events = match head.map(|head| (Kind::from_u16(head.kind), head)) {
            // A further header or an end holds no events.
            Some((Some(Kind::Header | Kind::End), _)) => 0,
            // Context events may be in it, too.
            Some((_, head)) => {
                let known = self.events.map_or(0, |known| known.saturating_sub(head.events_before));
                u64::from(head.events).saturating_sub(known).max(1)
            }
            None => 1,
        };
        self.skipped = self.skipped.saturating_add(events).min(MAX_LOST);
        Chunk::Damage(damage)
    }

    fn find_header(&mut self) -> Result<Header, OpenError> {
        let (mut version, mut frames) = (None, false);
        loop {
            match self.step()? {
                Step::Frame(start, head) => {
                    frames = true;
                    if head.kind == Kind::Header as u16 && self.budget.unpack(head.unpacked.into()) {
                        match text(Section::body(&self.file, &head, start), &head) {
                            Ok(text) => {
                                if let Ok(header) = serde_json::from_slice(&text) {
                                    return Ok(header);
                                }
                            }
                            Err(error) if is_malformed(&error) => {}
                            Err(error) => return Err(error.into()),
                        }
                    }
                }
                Step::Damage(Damage { error: FrameError::Version(error), .. }, _) => version = Some(error),
                Step::Damage(damage, _) => frames |= !matches!(damage.error, FrameError::NoMarker),
                Step::End => {
                    return Err(match (version, frames) {
                        (Some(error), _) => error.into(),
                        (None, true) => OpenError::NoHeader,
                        (None, false) => OpenError::NotARecording,
                    });
                }
            }
        }
    }

    /// The next frame with its body checked, or the corruption before it.
    fn step(&mut self) -> io::Result<Step> {
        let start = self.offset;
        if start >= self.length {
            return Ok(Step::End);
        }
        let mut bytes = [0; HEAD];
        let got = read_at(&self.file, &mut bytes, start)?;
        if got == 0 {
            // The file has become shorter meanwhile.
            self.length = start;
            return Ok(Step::End);
        }
        let (error, head, next) = match frame::head(&bytes[..got]) {
            Ok(head) => match self.check(&head, start)? {
                Ok(()) => {
                    self.offset = start + HEAD as u64 + u64::from(head.stored);
                    return Ok(Step::Frame(start, head));
                }
                Err(error) => (error, Some(head), self.after(&head, start)?),
            },
            Err(error) => (error, None, self.resync(start + 1)?),
        };
        self.offset = next;
        Ok(Step::Damage(Damage { offset: start, length: next - start, error }, head))
    }

    fn check(&self, head: &Head, start: u64) -> io::Result<Result<(), FrameError>> {
        if start + HEAD as u64 + u64::from(head.stored) > self.length {
            return Ok(Err(FrameError::Torn));
        }
        Section::body(&self.file, head, start).check(head)
    }

    /// Where to continue after a frame with an intact head and a corrupt body.
    fn after(&mut self, head: &Head, start: u64) -> io::Result<u64> {
        let within = start + HEAD as u64;
        let end = within + u64::from(head.stored);
        let mut marker = [0; MARKER.len()];
        let whole = end <= self.length;
        if end == self.length || (whole && read_at(&self.file, &mut marker, end)? > 0 && marker == MARKER) {
            return Ok(end);
        }
        // No frame follows where the head says: part of the body is missing, and another frame may begin inside it.
        self.rechecked += u64::from(head.stored);
        self.resync(if whole && self.rechecked > RECHECKED { end } else { within })
    }

    /// The next marker from here on, or the end.
    fn resync(&self, mut from: u64) -> io::Result<u64> {
        let mut window = vec![0; STRIDE + MARKER.len() - 1];
        loop {
            let got = read_at(&self.file, &mut window, from)?;
            if let Some(found) = memchr::memmem::find(&window[..got], &MARKER) {
                return Ok(from + found as u64);
            }
            if got < window.len() {
                // A truncated marker is not a frame either.
                return Ok(self.length);
            }
            from += STRIDE as u64;
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read_at(&mut buffer[got..], offset + got as u64) {
            Ok(0) => break,
            Ok(read) => got += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}
