//! Reading a recording, whatever has become of it.

use std::{
    fmt,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags, open};
use thiserror::Error;

use super::{
    Batch, Ended, Header,
    batch::decode,
    columns::Decoder,
    frame::{self, FrameError, HEAD, Head, Kind, MARKER, Unpacker},
    version::{self, VersionError},
};

/// How much is looked through at a time for the next marker.
const STRIDE: usize = 1 << 20;
/// So many bytes of damaged bodies are looked through for frames within; beyond that they are passed over whole, so
/// that a file made for the purpose cannot keep a reader busy for ever.
const RECHECKED: u64 = 1 << 30;
/// No gap is believed to be larger.
const MAX_LOST: u64 = 1 << 40;

/// Why a file cannot be read at all.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It cannot be opened or read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A directory, a pipe, a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// Nothing is in it.
    #[error("it is empty")]
    Empty,
    /// Nothing in it is of a recording.
    #[error("it is no recording of zombie-trace")]
    NotARecording,
    /// Frames, but none that says what they are of.
    #[error("no header in it is whole")]
    NoHeader,
    /// Of another version.
    #[error(transparent)]
    Version(#[from] VersionError),
}

/// A part of a file that was passed over.
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
        write!(formatter, "byte {}: {}; {} bytes passed over", self.offset, self.error, self.length)
    }
}

/// What comes next.
#[derive(Debug)]
pub enum Chunk {
    /// The batch that was passed in has been filled.
    Batch {
        /// So many wire events before it are missing.
        lost: u64,
    },
    /// Something was passed over.
    Damage(Damage),
    /// The run ended here.
    Ended(Ended),
}

/// Reads one file, frame by frame, in bounded memory.
pub struct Reader {
    path: PathBuf,
    file: File,
    length: u64,
    offset: u64,
    header: Header,
    /// Wire events of the run that were passed or are known to be missing; `None` before the first frame.
    events: Option<u64>,
    unpacker: Unpacker,
    decoder: Decoder,
    stored: Vec<u8>,
    body: Vec<u8>,
    rechecked: u64,
}

impl fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reader").field("path", &self.path).field("offset", &self.offset).finish_non_exhaustive()
    }
}

enum Step {
    Frame(Head),
    Damage(Damage),
    End,
}

impl Reader {
    /// Opens a file and looks for its header.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        // Opening a pipe would wait for a writer.
        let file: File =
            open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty())
                .map_err(io::Error::from)?
                .into();
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
            unpacker: Unpacker::new()?,
            decoder: Decoder::new(),
            stored: Vec::new(),
            body: Vec::new(),
            rechecked: 0,
        };
        reader.header = reader.find_header()?;
        version::check_abi(reader.header.abi)?;
        (reader.offset, reader.rechecked) = (0, 0);
        Ok(reader)
    }

    /// What the file says of itself.
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

    /// How many wire events of the run came before what is to be read next, once a frame was read.
    #[must_use]
    pub fn events(&self) -> Option<u64> {
        self.events
    }

    /// Says how many wire events came in the files before, so that a gap between is seen.
    pub fn continue_from(&mut self, events: u64) {
        self.events = Some(events);
    }

    /// Reads on; `None` at the end. Headers are passed over.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next(&mut self, batch: &mut Batch) -> io::Result<Option<Chunk>> {
        loop {
            let start = self.offset;
            let head = match self.step()? {
                Step::Frame(head) => head,
                Step::Damage(damage) => return Ok(Some(Chunk::Damage(damage))),
                Step::End => return Ok(None),
            };
            let lost = head.events_before.saturating_sub(*self.events.get_or_insert(head.events_before)).min(MAX_LOST);
            let understood = match Kind::from_u16(head.kind) {
                Some(Kind::Batch) => {
                    decode(&self.body, &mut self.decoder, batch).map(|()| Some(Chunk::Batch { lost })).ok()
                }
                Some(Kind::End) => serde_json::from_slice(&self.body).map(|ended| Some(Chunk::Ended(ended))).ok(),
                // A kind of a later minor version may be passed over.
                Some(Kind::Header) | None => Some(None),
            };
            match understood {
                Some(Some(chunk)) => {
                    self.events = Some(head.events_before.saturating_add(head.events.into()));
                    return Ok(Some(chunk));
                }
                Some(None) => {}
                None => {
                    let (offset, length) = (start, self.offset - start);
                    return Ok(Some(Chunk::Damage(Damage { offset, length, error: FrameError::Malformed })));
                }
            }
        }
    }

    fn find_header(&mut self) -> Result<Header, OpenError> {
        let (mut version, mut frames) = (None, false);
        loop {
            match self.step()? {
                Step::Frame(head) => {
                    frames = true;
                    if head.kind == Kind::Header as u16
                        && let Ok(header) = serde_json::from_slice(&self.body)
                    {
                        return Ok(header);
                    }
                }
                Step::Damage(Damage { error: FrameError::Version(error), .. }) => version = Some(error),
                Step::Damage(damage) => frames |= !matches!(damage.error, FrameError::NoMarker),
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

    /// The next frame, its body unpacked; or what stands in the way of it.
    fn step(&mut self) -> io::Result<Step> {
        let start = self.offset;
        if start >= self.length {
            return Ok(Step::End);
        }
        let mut bytes = [0; HEAD];
        let got = read_at(&self.file, &mut bytes, start)?;
        if got == 0 {
            // It has become shorter meanwhile.
            self.length = start;
            return Ok(Step::End);
        }
        let (error, next) = match frame::head(&bytes[..got]) {
            Ok(head) => match self.body(&head, start)? {
                Ok(()) => {
                    self.offset = start + HEAD as u64 + u64::from(head.stored);
                    return Ok(Step::Frame(head));
                }
                Err(error) => (error, self.after(&head, start)?),
            },
            Err(error) => (error, self.resync(start + 1)?),
        };
        self.offset = next;
        Ok(Step::Damage(Damage { offset: start, length: next - start, error }))
    }

    fn body(&mut self, head: &Head, start: u64) -> io::Result<Result<(), FrameError>> {
        let at = start + HEAD as u64;
        if at + u64::from(head.stored) > self.length {
            return Ok(Err(FrameError::Torn));
        }
        self.stored.resize(head.stored as usize, 0);
        if read_at(&self.file, &mut self.stored, at)? < self.stored.len() {
            return Ok(Err(FrameError::Torn));
        }
        Ok(self.unpacker.unpack(head, &self.stored, &mut self.body))
    }

    /// Where to go on after a frame whose head is whole and whose body is not.
    fn after(&mut self, head: &Head, start: u64) -> io::Result<u64> {
        let within = start + HEAD as u64;
        let end = within + u64::from(head.stored);
        let mut marker = [0; MARKER.len()];
        let whole = end <= self.length;
        if end == self.length || (whole && read_at(&self.file, &mut marker, end)? > 0 && marker == MARKER) {
            return Ok(end);
        }
        // Not where it says: something is missing from the middle, and another frame may begin within.
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
                // A marker that is itself torn is no frame either.
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
