//! Frames: the units of a file, so that corruption is detected and does not spread.
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | magic of a skippable zstd frame |
//! | 4 | length of the rest of the head |
//! | 8 | [`MARKER`] |
//! | 2 | format |
//! | 2 | [`Kind`] |
//! | 4 | length of the body as it is stored: one zstd frame |
//! | 4 | length of the body when unpacked |
//! | 4 | CRC-32 of the body as it is stored |
//! | 8 | number of the frame in its file |
//! | 8 | wire events of the run before this frame |
//! | 4 | wire events in this frame |
//! | 4 | CRC-32 of all of the above |
//!
//! All numbers are little-endian.

use std::io::{self, Write};

use thiserror::Error;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{
    limits::{MAX_BODY, WINDOW_LOG},
    version,
};

/// What a reader searches for after corruption. It begins with the magic and the length, which are constant.
pub(super) const MARKER: [u8; 16] = *b"\x5a\x2a\x4d\x18\x30\0\0\0\xb7ztrec\r\n";
/// Fast, and already close to the best ratio, because the columns do most of the work.
const LEVEL: i32 = 3;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Head {
    pub(super) marker: [u8; 16],
    pub(super) format: u16,
    pub(super) kind: u16,
    pub(super) stored: u32,
    pub(super) unpacked: u32,
    pub(super) body_crc: u32,
    pub(super) number: u64,
    pub(super) events_before: u64,
    pub(super) events: u32,
    pub(super) head_crc: u32,
}

pub(super) const HEAD: usize = size_of::<Head>();

/// What is in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Kind {
    /// JSON of a [`Header`](super::Header).
    Header = 1,
    /// Events.
    Batch = 2,
    /// JSON of an [`Ended`](super::Ended): nothing follows, in this file or any other of the run.
    End = 3,
}

impl Kind {
    pub(super) const fn from_u16(kind: u16) -> Option<Self> {
        Some(match kind {
            1 => Self::Header,
            2 => Self::Batch,
            3 => Self::End,
            _ => return None,
        })
    }
}

/// What is wrong with a frame.
#[derive(Debug, Error)]
pub enum FrameError {
    /// There are no frames here.
    #[error("not a frame")]
    NoMarker,
    /// The head does not match its checksum.
    #[error("frame header is corrupt")]
    Head,
    /// It is longer than what is left.
    #[error("frame is truncated")]
    Torn,
    /// It claims to be longer than frames may be.
    #[error("frame claims {0} bytes, more than a frame may have")]
    TooLong(u32),
    /// The body does not match its checksum.
    #[error("frame body is corrupt")]
    Body,
    /// The body is intact but cannot be decoded.
    #[error("frame body cannot be decoded")]
    Malformed,
    /// It would unpack to far more than a recording of this length holds: it was crafted.
    #[error("frame unpacks to more than a recording of this length can hold")]
    Excessive,
    /// It has another format.
    #[error(transparent)]
    Version(#[from] version::VersionError),
}

fn head_crc(head: &Head) -> u32 {
    crc32fast::hash(&head.as_bytes()[..HEAD - 4])
}

/// Contents of a head besides lengths and checksums.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub(super) kind: Kind,
    pub(super) number: u64,
    pub(super) events_before: u64,
    pub(super) events: u32,
}

/// Minimum length of a part to get its own block in the zstd frame: columns differ in their statistics.
const OWN_BLOCK: usize = 512;

/// Appends a frame whose body is made of these parts.
pub(super) fn append(out: &mut Vec<u8>, numbers: Numbers, parts: &[&[u8]]) -> io::Result<()> {
    let start = out.len();
    out.resize(start + HEAD, 0);
    let mut encoder = zstd::stream::write::Encoder::new(&mut *out, LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.window_log(WINDOW_LOG)?;
    let mut since_block = 0;
    for part in parts {
        if part.len() >= OWN_BLOCK && since_block > 0 {
            encoder.flush()?;
            since_block = 0;
        }
        encoder.write_all(part)?;
        since_block += part.len();
        if part.len() >= OWN_BLOCK {
            encoder.flush()?;
            since_block = 0;
        }
    }
    encoder.finish()?;
    let (head, body) = out[start..].split_at_mut(HEAD);
    let unpacked: usize = parts.iter().map(|part| part.len()).sum();
    let too_long = |_| io::Error::other("a frame became too long");
    let mut filled = Head {
        marker: MARKER,
        format: version::FORMAT,
        kind: numbers.kind as u16,
        stored: u32::try_from(body.len()).map_err(too_long)?,
        unpacked: u32::try_from(unpacked).map_err(too_long)?,
        body_crc: crc32fast::hash(body),
        number: numbers.number,
        events_before: numbers.events_before,
        events: numbers.events,
        head_crc: 0,
    };
    filled.head_crc = head_crc(&filled);
    head.copy_from_slice(filled.as_bytes());
    Ok(())
}

/// Reads a head and checks that its lengths are within bounds.
pub(super) fn head(bytes: &[u8]) -> Result<Head, FrameError> {
    if !bytes.starts_with(&MARKER) {
        return Err(if !bytes.is_empty() && MARKER.starts_with(bytes) {
            FrameError::Torn
        } else {
            FrameError::NoMarker
        });
    }
    let (head, _) = Head::read_from_prefix(bytes).map_err(|_| FrameError::Torn)?;
    if head.head_crc != head_crc(&head) {
        return Err(FrameError::Head);
    }
    // Another format may count differently; only the head is known to be the same.
    version::check_format(head.format)?;
    for length in [head.stored, head.unpacked] {
        if length as usize > MAX_BODY {
            return Err(FrameError::TooLong(length));
        }
    }
    Ok(head)
}

const _: () = assert!(HEAD == 56);
