//! Recordings: what the source produced, in files, for reports at another time and place.
//!
//! # Layout
//!
//! A file is a sequence of frames ([`frame`]). Each is a head with a marker, lengths and checksums, and a zstd frame of
//! its own; since zstd skips the heads, `zstd -d` takes the whole file, too. The first frame and every 64th after it
//! hold the [`Header`]; the others hold a [`Batch`] each: wire events, bit for bit what the kernel wrote, and context
//! events, in the order in which the live source gave them to the session. A reader that does the same with them gets
//! the same report. A frame is written at least every second, even if nothing happens, so a file shows until when its
//! node lived: about 400 kB per hour.
//!
//! Written data is never changed. A kill or a full disk truncates the last frame; a corrupt one is detected by its
//! checksum, reported, and skipped to the next marker. Frames count the events before them, so the number of skipped
//! wire events is known; anything skipped counts as at least one lost event.
//!
//! Wire events are split into columns of differences before zstd ([`columns`]); context events are JSON: they are few,
//! and readers of other versions, or people, understand what they know.
//!
//! Files may come from anyone. What a frame may hold is bounded ([`limits`]), reading costs memory in proportion to the
//! length of the file, and what a session may keep of it is bounded by [`crate::report::Bounds`].
//!
//! # Files
//!
//! See [`Recorder`] for what is written where.

mod batch;
mod body;
mod columns;
mod files;
mod frame;
mod header;
mod limits;
mod reader;
mod recorder;
mod stop;
mod varint;
pub mod version;
mod writer;

pub use batch::{Batch, Item};
pub use files::{FileError, Rotation};
pub use header::{Ended, Header, ScopeText};
pub use reader::{Chunk, Damage, OpenError, Reader};
pub use recorder::{Limits, RecordError, Recorder, Status};
pub use stop::Stop;

#[cfg(test)]
mod tests;
