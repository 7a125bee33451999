//! Recordings: what the source produced, kept in files, so that a report can be made of it later and elsewhere.
//!
//! # Layout
//!
//! A file is a row of frames ([`frame`]). Each is a head with a marker, lengths and checksums, and a zstd frame of its
//! own; since the head looks to zstd like something to skip, `zstd -d` takes the whole file, too. The first frame and
//! every so many after it hold the [`Header`]; the others hold a [`Batch`] each: wire events, bit for bit what the
//! kernel wrote, and context events, in the order in which the live source gave them to the session. A reader that
//! does the same with them comes to the same report.
//!
//! Nothing is ever changed once it is written. What a kill or a full disk cuts off is the last frame; what is damaged
//! is found by its checksum, named, and skipped to the next marker. Frames count the events before them, so what was
//! skipped is known to the event.
//!
//! Wire events are taken apart into columns of differences before zstd ([`columns`]); context events are JSON: they
//! are few, a reader of another version understands what it knows of them, and in need so does a person.
//!
//! # Files
//!
//! See [`Recorder`] for what is written where.

mod batch;
mod columns;
mod files;
mod frame;
mod header;
mod reader;
mod recorder;
mod varint;
pub mod version;
mod writer;

pub use batch::{Batch, Item};
pub use files::{FileError, Rotation};
pub use header::{Ended, Header, ScopeText};
pub use reader::{Chunk, Damage, OpenError, Reader};
pub use recorder::{Limits, RecordError, Recorder, Status, Stop};

#[cfg(test)]
mod tests;
