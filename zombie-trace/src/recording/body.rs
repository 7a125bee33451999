//! Bodies of frames, unpacked on demand: memory stays within the limits, whatever a head or a zstd frame claims.

use std::{
    fs::File,
    io::{self, Cursor, Read},
    os::unix::fs::FileExt,
    sync::Arc,
};

use super::{
    columns::{Columns, stream},
    frame::{FrameError, HEAD, Head},
    limits::{MAX_COLUMNS, MAX_CONTEXT_EVENT, MAX_TEXT, PART_CONTEXT, WINDOW_LOG},
    varint::Malformed,
};

/// How much of a body is read at a time for its checksum.
const STRIDE: usize = 64 << 10;

/// A part of a file, as a reader.
#[derive(Debug)]
pub(super) struct Section {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Section {
    /// The body behind the head at this offset.
    pub(super) fn body(file: &Arc<File>, head: &Head, start: u64) -> Self {
        let at = start + HEAD as u64;
        Self { file: Arc::clone(file), at, end: at + u64::from(head.stored) }
    }

    /// Whether the checksum matches.
    pub(super) fn check(mut self, head: &Head) -> io::Result<Result<(), FrameError>> {
        let mut buffer = vec![0; STRIDE];
        let mut hasher = crc32fast::Hasher::new();
        while self.at < self.end {
            match self.read(&mut buffer) {
                Ok(0) => return Ok(Err(FrameError::Torn)),
                Ok(got) => hasher.update(&buffer[..got]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(if hasher.finalize() == head.body_crc { Ok(()) } else { Err(FrameError::Body) })
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let got = self.file.read_at(&mut buffer[..length], self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

/// An unpacked body, from its start, at most one byte longer than its head says.
fn unpacked(section: Section, head: &Head) -> io::Result<impl Read + Send + use<>> {
    let mut decoder = zstd::stream::read::Decoder::new(section)?;
    decoder.window_log_max(WINDOW_LOG)?;
    Ok(decoder.take(u64::from(head.unpacked) + 1))
}

/// Whether the error is about the content, not about reading.
pub(super) fn is_malformed(error: &io::Error) -> bool {
    error.raw_os_error().is_none()
}

fn malformed() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

impl From<Malformed> for io::Error {
    fn from(_: Malformed) -> Self {
        malformed()
    }
}

/// The body of a header or an end.
pub(super) fn text(section: Section, head: &Head) -> io::Result<Vec<u8>> {
    if head.unpacked as usize > MAX_TEXT {
        return Err(malformed());
    }
    let mut text = Vec::new();
    unpacked(section, head)?.read_to_end(&mut text)?;
    if text.len() == head.unpacked as usize { Ok(text) } else { Err(malformed()) }
}

/// A varint, and its length in bytes.
fn number(reader: &mut impl Read) -> io::Result<(u64, u64)> {
    let mut value = 0;
    for (taken, shift) in (1..).zip((0..64).step_by(7)) {
        let mut byte = [0];
        reader.read_exact(&mut byte)?;
        value |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] < 0x80 {
            return Ok((value, taken));
        }
    }
    Err(malformed())
}

/// The parts of a batch: columns in memory, and context events read one after the other.
pub(super) struct Parts {
    pub(super) columns: Columns,
    context: Box<dyn Read + Send>,
    event: Vec<u8>,
}

impl Parts {
    pub(super) fn unpack(section: impl Fn() -> Section, head: &Head) -> io::Result<Self> {
        Self::read(|| unpacked(section(), head), head.unpacked.into())
    }

    /// Reads a batch of this length. `open` reads the body from its start: columns and context events are read
    /// separately.
    pub(super) fn read<R: Read + Send + 'static>(open: impl Fn() -> io::Result<R>, length: u64) -> io::Result<Self> {
        let mut body = open()?;
        let (table, contents) = Self::table(&mut body)?;
        let total =
            table.iter().try_fold(contents, |sum, &(_, length)| sum.checked_add(length)).ok_or_else(malformed)?;
        let is_context = |stream: &usize| *stream == stream::CONTEXT;
        let context: u64 = table.iter().filter(|(stream, _)| is_context(stream)).map(|(_, length)| length).sum();
        if total != length || total - contents - context > MAX_COLUMNS as u64 {
            return Err(malformed());
        }
        let (mut bytes, mut columns) = (Vec::new(), Vec::new());
        let mut events: Box<dyn Read + Send> = Box::new(io::empty());
        let mut offset = contents;
        for (stream, length) in table {
            let mut part = body.by_ref().take(length);
            if !is_context(&stream) {
                part.read_to_end(&mut bytes)?;
                columns.push((stream, usize::try_from(length).map_err(|_| malformed())?));
            } else if length <= PART_CONTEXT as u64 {
                let mut text = Vec::new();
                part.read_to_end(&mut text)?;
                events = Box::new(Cursor::new(text));
            } else {
                io::copy(&mut part, &mut io::sink())?;
                let mut again = open()?;
                io::copy(&mut again.by_ref().take(offset), &mut io::sink())?;
                events = Box::new(again.take(length));
            }
            offset += length;
        }
        // There is nothing more, and the checksum of the zstd frame matches.
        if body.read(&mut [0])? > 0 {
            return Err(malformed());
        }
        Ok(Self { columns: Columns::new(bytes, &columns)?, context: events, event: Vec::new() })
    }

    /// The table of contents, (stream, length) in the order of the body, and its own length.
    fn table(body: &mut impl Read) -> io::Result<(Vec<(usize, u64)>, u64)> {
        let (count, mut contents) = number(body)?;
        if count > stream::COUNT as u64 {
            return Err(malformed());
        }
        let mut table = Vec::new();
        for _ in 0..count {
            let ((id, first), (length, second)) = (number(body)?, number(body)?);
            contents += first + second;
            let id = usize::try_from(id).ok().filter(|id| *id < stream::COUNT).ok_or_else(malformed)?;
            table.push((id, length));
        }
        Ok((table, contents))
    }

    /// The next context event's text.
    pub(super) fn context(&mut self, length: u64) -> io::Result<&[u8]> {
        if length > MAX_CONTEXT_EVENT as u64 {
            return Err(malformed());
        }
        self.event.clear();
        let got = self.context.by_ref().take(length).read_to_end(&mut self.event)?;
        if got as u64 == length { Ok(&self.event) } else { Err(malformed()) }
    }
}
