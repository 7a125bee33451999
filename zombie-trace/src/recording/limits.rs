//! How much a frame may hold: limits of the writer and of the reader.
//!
//! The writer's limits are far below the reader's, so that whatever is recorded can be read. The reader's fit the
//! largest frame of version 0.1, which put a whole `/proc` scan into one frame.

/// Maximum length of a frame's body, bytes, stored or unpacked. A head with more is rejected.
pub(super) const MAX_BODY: usize = 64 << 20;
/// Maximum length of all columns of a batch, bytes, which are unpacked into memory; without context events, which are
/// unpacked one after the other.
pub(super) const MAX_COLUMNS: usize = 12 << 20;
/// Maximum length of one context event as JSON, bytes.
pub(super) const MAX_CONTEXT_EVENT: usize = 1 << 20;
/// Maximum length of a header's or an end's JSON, bytes.
pub(super) const MAX_TEXT: usize = 1 << 20;
/// Log2 of the window of the zstd frames, bytes: the default of the level that is written.
pub(super) const WINDOW_LOG: u32 = 21;

/// Wire events per written frame, bytes.
pub(super) const FRAME_WIRE: usize = 4 << 20;
/// Context events per written frame, bytes of JSON.
pub(super) const FRAME_CONTEXT: usize = 4 << 20;
/// Items per written frame.
pub(super) const FRAME_ITEMS: usize = 1 << 16;

/// Wire events that the reader hands over at a time, bytes.
pub(super) const PART_WIRE: usize = 256 << 10;
/// Context events that the reader hands over at a time, bytes of JSON.
pub(super) const PART_CONTEXT: usize = 256 << 10;
/// Items that the reader hands over at a time.
pub(super) const PART_ITEMS: usize = 4096;

/// Unpacking costs one unit per event and item, and one per this many unpacked bytes, so that a small file cannot keep
/// a reader busy for long.
const BYTES_A_UNIT: u64 = 256;
/// Units that every file may cost.
const FREE_UNITS: u64 = 1 << 20;
/// Additional units per byte of the file. An event takes about four bytes, because the low bits of its time cannot be
/// predicted.
const UNITS_A_BYTE: u64 = 4;

/// What a reader may still spend on a file.
#[derive(Debug)]
pub(super) struct Budget(u64);

impl Budget {
    /// The budget of a file of this length, bytes.
    pub(super) const fn of(length: u64) -> Self {
        Self(FREE_UNITS.saturating_add(length.saturating_mul(UNITS_A_BYTE)))
    }

    /// Pays for a body of this length. Returns whether enough was left.
    pub(super) fn unpack(&mut self, bytes: u64) -> bool {
        self.spend(bytes / BYTES_A_UNIT)
    }

    /// Pays for events and items. Returns whether enough was left.
    pub(super) fn spend(&mut self, units: u64) -> bool {
        let left = self.0.checked_sub(units);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// The longest event as columns: each word takes its class and at most its bits, and the event its shape.
const COLUMNS_A_WORD: usize = 5;
/// Maximum length of an item in the script.
const SCRIPT_AN_ITEM: usize = 20;

const _: () = assert!(FRAME_WIRE / 4 * COLUMNS_A_WORD + FRAME_ITEMS * SCRIPT_AN_ITEM + (4 << 20) <= MAX_COLUMNS);
const _: () = assert!(FRAME_CONTEXT + MAX_CONTEXT_EVENT + MAX_COLUMNS <= MAX_BODY);
