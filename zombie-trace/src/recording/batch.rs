//! The unit of writing: events in order.

use std::io;

use super::{
    body::{Parts, is_malformed},
    columns::{Decoder, Encoder, stream},
    frame::FrameError,
    limits::{Budget, FRAME_CONTEXT, FRAME_ITEMS, FRAME_WIRE, MAX_CONTEXT_EVENT, PART_CONTEXT, PART_ITEMS, PART_WIRE},
    varint::{Malformed, put, unzigzag, zigzag},
};
use crate::event::{BootNs, Event, What};

/// Events in the order in which the live source gave them to the session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Wire events, back to back; the items say in which order they come.
    pub wire: Vec<u8>,
    /// The order of events.
    pub items: Vec<Item>,
    /// Context events of a newer kind, which this version cannot read.
    pub unknown: u64,
}

/// A part of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// This many bytes of the wire events.
    Wire(usize),
    /// A context event.
    Context(Event),
    /// The source had answered all queries: those still unanswered never will be.
    Settled,
}

/// Encoding of items in the script.
mod tag {
    pub(super) const WIRE: u64 = 0;
    pub(super) const RAW: u64 = 1;
    pub(super) const CONTEXT: u64 = 2;
    pub(super) const TICK: u64 = 3;
    pub(super) const SETTLED: u64 = 4;
}

impl Batch {
    /// Adds wire events.
    pub fn add_wire(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.wire.extend_from_slice(bytes);
        if let Some(Item::Wire(length)) = self.items.last_mut() {
            *length += bytes.len();
        } else {
            self.items.push(Item::Wire(bytes.len()));
        }
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.wire.clear();
        self.items.clear();
        self.unknown = 0;
    }

    /// Whether it contains nothing but the passing of time.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.items.iter().all(|item| matches!(item, Item::Settled | Item::Context(Event { what: What::Tick, .. })))
    }
}

/// The part of a batch that is not encoded yet.
#[derive(Debug)]
pub(super) struct Rest<'a> {
    wire: &'a [u8],
    /// Wire bytes that are left of the first item.
    first: usize,
    items: &'a [Item],
}

impl<'a> Rest<'a> {
    pub(super) fn of(batch: &'a Batch) -> Self {
        let mut rest = Self { wire: &batch.wire, first: 0, items: &batch.items };
        rest.begin_item();
        rest
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn begin_item(&mut self) {
        self.first = match self.items.first() {
            Some(Item::Wire(length)) => *length,
            _ => 0,
        };
    }

    fn end_item(&mut self) {
        self.items = self.items.get(1..).unwrap_or_default();
        self.begin_item();
    }
}

/// Encodes as much of a batch as a frame may hold. Returns the number of wire events.
pub(super) fn encode(rest: &mut Rest<'_>, encoder: &mut Encoder) -> u32 {
    encoder.reset();
    let (mut events, mut wire, mut items, mut tick) = (0, 0, 0, 0);
    while let Some(item) = rest.items.first()
        && wire < FRAME_WIRE
        && items < FRAME_ITEMS
        && encoder.streams[stream::CONTEXT].len() < FRAME_CONTEXT
    {
        items += 1;
        match item {
            Item::Wire(_) => {
                let taken = encode_wire(&rest.wire[..rest.first], FRAME_WIRE - wire, encoder, &mut events);
                wire += taken;
                rest.first -= taken;
                rest.wire = &rest.wire[taken..];
                if rest.first > 0 {
                    continue;
                }
            }
            Item::Context(Event { time, what: What::Tick }) => {
                put_tick(encoder, &mut tick, *time);
            }
            Item::Context(event) => put_context(encoder, event),
            Item::Settled => put(&mut encoder.streams[stream::SCRIPT], tag::SETTLED),
        }
        rest.end_item();
    }
    encoder.finish();
    events
}

/// Encodes at most about `room` bytes of wire events and returns how many. Bytes that are not an event are stored as
/// they are.
fn encode_wire(run: &[u8], room: usize, encoder: &mut Encoder, events: &mut u32) -> usize {
    let (mut taken, mut count) = (0, 0_u32);
    while taken < room
        && let Some(length) = encoder.event(&run[taken..])
    {
        taken += length;
        count += 1;
    }
    put_pair(&mut encoder.streams[stream::SCRIPT], tag::WIRE, count.into());
    *events += count;
    if taken < room {
        // The rest of the run cannot be parsed as events.
        let raw = &run[taken..run.len().min(room)];
        if !raw.is_empty() {
            let streams = &mut encoder.streams;
            put_pair(&mut streams[stream::SCRIPT], tag::RAW, raw.len() as u64);
            streams[stream::RAW].extend_from_slice(raw);
        }
        taken += raw.len();
    }
    taken
}

fn put_tick(encoder: &mut Encoder, last: &mut BootNs, time: BootNs) {
    let difference = zigzag(time.wrapping_sub(*last).cast_signed());
    put_pair(&mut encoder.streams[stream::SCRIPT], tag::TICK, difference);
    *last = time;
}

/// A context event too large for a reader is replaced by a note that it was lost.
fn put_context(encoder: &mut Encoder, event: &Event) {
    let context = &mut encoder.streams[stream::CONTEXT];
    let start = context.len();
    let is_written = serde_json::to_writer(&mut *context, event).is_ok();
    context.push(b'\n');
    if !is_written || context.len() - start > MAX_CONTEXT_EVENT {
        context.truncate(start);
        let lost = Event { time: event.time, what: What::Loss { events: 1 } };
        // It has only two numbers, so it can be written.
        let _ = serde_json::to_writer(&mut *context, &lost);
        context.push(b'\n');
    }
    let length = (context.len() - start) as u64;
    put_pair(&mut encoder.streams[stream::SCRIPT], tag::CONTEXT, length);
}

fn put_pair(script: &mut Vec<u8>, tag: u64, value: u64) {
    put(script, tag);
    put(script, value);
}

/// The table of contents of the columns, to be followed by those that are not empty.
pub(super) fn contents(streams: &[Vec<u8>]) -> Vec<u8> {
    let present = || streams.iter().enumerate().filter(|(_, stream)| !stream.is_empty());
    let mut contents = Vec::new();
    put(&mut contents, present().count() as u64);
    for (id, stream) in present() {
        put(&mut contents, id as u64);
        put(&mut contents, stream.len() as u64);
    }
    contents
}

/// A batch that is decoded part by part.
pub(super) struct Unfinished {
    parts: Parts,
    /// Wire events that are left of the present item.
    wire: u64,
    tick: BootNs,
    /// Wire events so far.
    pub(super) events: u64,
}

/// Why a batch cannot be decoded.
#[derive(Debug)]
pub(super) enum Obstacle {
    Frame(FrameError),
    Io(io::Error),
}

impl From<Malformed> for Obstacle {
    fn from(_: Malformed) -> Self {
        Self::Frame(FrameError::Malformed)
    }
}

impl From<io::Error> for Obstacle {
    fn from(error: io::Error) -> Self {
        if is_malformed(&error) { Self::Frame(FrameError::Malformed) } else { Self::Io(error) }
    }
}

impl Unfinished {
    pub(super) fn new(parts: Parts, decoder: &mut Decoder) -> Self {
        decoder.reset();
        Self { parts, wire: 0, tick: 0, events: 0 }
    }

    /// Whether all was handed over.
    pub(super) fn is_done(&self) -> bool {
        self.wire == 0 && self.parts.columns.rest(stream::SCRIPT).is_empty()
    }

    /// Fills a batch with the next part, which contains what was decoded before an obstacle.
    pub(super) fn next(
        &mut self,
        decoder: &mut Decoder,
        budget: &mut Budget,
        batch: &mut Batch,
    ) -> Result<(), Obstacle> {
        batch.clear();
        let mut context = 0;
        while !self.is_done()
            && batch.wire.len() < PART_WIRE
            && context < PART_CONTEXT as u64
            && batch.items.len() < PART_ITEMS
        {
            if !budget.spend(1) {
                return Err(Obstacle::Frame(FrameError::Excessive));
            }
            if self.wire > 0 {
                self.wire(decoder, budget, batch)?;
                continue;
            }
            let columns = &mut self.parts.columns;
            match columns.varint(stream::SCRIPT)? {
                tag::WIRE => {
                    self.wire = columns.varint(stream::SCRIPT)?;
                    if self.wire == 0 {
                        batch.items.push(Item::Wire(0));
                    }
                }
                tag::RAW => {
                    let length = usize::try_from(columns.varint(stream::SCRIPT)?).map_err(|_| Malformed)?;
                    batch.wire.extend_from_slice(columns.take(stream::RAW, length)?);
                    batch.items.push(Item::Wire(length));
                }
                tag::CONTEXT => {
                    let length = columns.varint(stream::SCRIPT)?;
                    context += length;
                    match serde_json::from_slice(self.parts.context(length)?) {
                        Ok(event) => batch.items.push(Item::Context(event)),
                        Err(_) => batch.unknown += 1,
                    }
                }
                tag::TICK => {
                    let difference = unzigzag(columns.varint(stream::SCRIPT)?);
                    self.tick = self.tick.wrapping_add(difference.cast_unsigned());
                    batch.items.push(Item::Context(Event { time: self.tick, what: What::Tick }));
                }
                tag::SETTLED => batch.items.push(Item::Settled),
                _ => return Err(Malformed.into()),
            }
        }
        Ok(())
    }

    /// Wire events of the present item, as many as a part holds.
    fn wire(&mut self, decoder: &mut Decoder, budget: &mut Budget, batch: &mut Batch) -> Result<(), Obstacle> {
        let start = batch.wire.len();
        let mut outcome = Ok(());
        while outcome.is_ok() && self.wire > 0 && batch.wire.len() < PART_WIRE {
            outcome = if budget.spend(1) {
                decoder.event(&mut self.parts.columns, &mut batch.wire).map_err(Obstacle::from)
            } else {
                Err(Obstacle::Frame(FrameError::Excessive))
            };
            if outcome.is_ok() {
                self.wire -= 1;
                self.events += 1;
            }
        }
        batch.items.push(Item::Wire(batch.wire.len() - start));
        outcome
    }
}
