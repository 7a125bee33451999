//! How much a frame may hold: what the writer keeps to, and what the reader takes.
//!
//! The writer's limits are far below the reader's, so that whatever the recorder accepts is read again. The reader's are
//! those of the largest frame that version 0.1 wrote: it put all that one look at `/proc` found into one frame.

/// Maximum length of a frame's body, bytes, stored or unpacked. A head that says more is not believed.
pub(super) const MAX_BODY: usize = 64 << 20;
/// Maximum length of all columns of a batch but the context events', bytes: they are unpacked into memory. Context
/// events are unpacked one after the other.
pub(super) const MAX_COLUMNS: usize = 12 << 20;
/// Maximum length of one context event as JSON, bytes.
pub(super) const MAX_CONTEXT_EVENT: usize = 1 << 20;
/// Maximum length of a header's or an end's JSON, bytes.
pub(super) const MAX_TEXT: usize = 1 << 20;
/// Log2 of the window of the zstd frames, bytes: the default of the level that is written.
pub(super) const WINDOW_LOG: u32 = 21;

/// Wire events of a frame that is written, bytes.
pub(super) const FRAME_WIRE: usize = 4 << 20;
/// Context events of a frame that is written, bytes of JSON.
pub(super) const FRAME_CONTEXT: usize = 4 << 20;
/// Items of a frame that is written.
pub(super) const FRAME_ITEMS: usize = 1 << 16;

/// Wire events that the reader hands over at a time, bytes.
pub(super) const PART_WIRE: usize = 256 << 10;
/// Context events that the reader hands over at a time, bytes of JSON.
pub(super) const PART_CONTEXT: usize = 256 << 10;
/// Items that the reader hands over at a time.
pub(super) const PART_ITEMS: usize = 4096;

/// What unpacking costs a reader, so that a small file cannot keep it busy for long: one for each event and item, and
/// one for this many unpacked bytes.
const BYTES_A_UNIT: u64 = 256;
/// What every file may cost.
const FREE_UNITS: u64 = 1 << 20;
/// What each of its bytes may cost more. An event takes about four bytes, since nothing foretells the low bits of its
/// time.
const UNITS_A_BYTE: u64 = 4;

/// What a reader may still spend on a file.
#[derive(Debug)]
pub(super) struct Budget(u64);

impl Budget {
    /// The budget of a file of this length, bytes.
    pub(super) const fn of(length: u64) -> Self {
        Self(FREE_UNITS.saturating_add(length.saturating_mul(UNITS_A_BYTE)))
    }

    /// Pays for a body of this length; whether there was enough left.
    pub(super) fn unpack(&mut self, bytes: u64) -> bool {
        self.spend(bytes / BYTES_A_UNIT)
    }

    /// Pays for events and items; whether there was enough left.
    pub(super) fn spend(&mut self, units: u64) -> bool {
        let left = self.0.checked_sub(units);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// The longest event as columns: each word takes its class and at most its bits, and the event its shape.
const COLUMNS_A_WORD: usize = 5;
/// What an item takes in the script at most.
const SCRIPT_AN_ITEM: usize = 20;

const _: () = assert!(FRAME_WIRE / 4 * COLUMNS_A_WORD + FRAME_ITEMS * SCRIPT_AN_ITEM + (4 << 20) <= MAX_COLUMNS);
const _: () = assert!(FRAME_CONTEXT + MAX_CONTEXT_EVENT + MAX_COLUMNS <= MAX_BODY);
