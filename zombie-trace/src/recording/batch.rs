//! What is written at once: events in their order.

use super::{
    columns::{Columns, Decoder, Encoder, stream},
    frame::MAX_BODY,
    varint::{Malformed, put, take, unzigzag, zigzag},
};
use crate::event::{BootNs, Event, What};

/// Events in the order in which the live source gave them to the session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Wire events, back to back; which of them come when is said by the items.
    pub wire: Vec<u8>,
    /// What comes in which order.
    pub items: Vec<Item>,
    /// Context events that this version cannot read: of a kind that is newer.
    pub unknown: u64,
}

/// A part of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// So many bytes of the wire events.
    Wire(usize),
    /// A context event.
    Context(Event),
    /// The source had answered all that was asked: what is not answered by now never will be.
    Settled,
}

/// How items stand in the script.
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

    /// Whether nothing is in it but time that passed.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.items.iter().all(|item| matches!(item, Item::Settled | Item::Context(Event { what: What::Tick, .. })))
    }
}

/// Makes columns of a batch. Returns how many wire events there were.
pub(super) fn encode(batch: &Batch, encoder: &mut Encoder) -> Result<u32, serde_json::Error> {
    encoder.reset();
    let mut wire = batch.wire.as_slice();
    let mut events = 0;
    let mut tick = 0;
    for item in &batch.items {
        match item {
            Item::Wire(length) => {
                let (mut run, rest) = wire.split_at(*length);
                wire = rest;
                let mut count = 0;
                while let Some(length) = encoder.event(run) {
                    run = &run[length..];
                    count += 1;
                }
                let streams = &mut encoder.streams;
                events += count;
                put_pair(&mut streams[stream::SCRIPT], tag::WIRE, count.into());
                if !run.is_empty() {
                    put_pair(&mut streams[stream::SCRIPT], tag::RAW, run.len() as u64);
                    streams[stream::RAW].extend_from_slice(run);
                }
            }
            Item::Context(Event { time, what: What::Tick }) => {
                let difference = zigzag(time.wrapping_sub(tick).cast_signed());
                put_pair(&mut encoder.streams[stream::SCRIPT], tag::TICK, difference);
                tick = *time;
            }
            Item::Context(event) => {
                let context = &mut encoder.streams[stream::CONTEXT];
                let start = context.len();
                serde_json::to_writer(&mut *context, event)?;
                context.push(b'\n');
                let length = (context.len() - start) as u64;
                put_pair(&mut encoder.streams[stream::SCRIPT], tag::CONTEXT, length);
            }
            Item::Settled => put(&mut encoder.streams[stream::SCRIPT], tag::SETTLED),
        }
    }
    encoder.finish();
    Ok(events)
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

fn columns(mut body: &[u8]) -> Result<Columns<'_>, Malformed> {
    let count = take(&mut body)?;
    let mut table = Vec::new();
    for _ in 0..count.min(stream::COUNT as u64) {
        let id = usize::try_from(take(&mut body)?).map_err(|_| Malformed)?;
        let length = usize::try_from(take(&mut body)?).map_err(|_| Malformed)?;
        table.push((id, length));
    }
    let mut streams = vec![&[][..]; stream::COUNT];
    for (id, length) in table {
        let (stream, rest) = body.split_at_checked(length).ok_or(Malformed)?;
        *streams.get_mut(id).ok_or(Malformed)? = stream;
        body = rest;
    }
    Ok(Columns::new(streams))
}

fn split<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], Malformed> {
    let (first, rest) =
        usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length)).ok_or(Malformed)?;
    *bytes = rest;
    Ok(first)
}

/// Puts a batch together again. What was put together before a fault is in it.
pub(super) fn decode(body: &[u8], decoder: &mut Decoder, batch: &mut Batch) -> Result<(), Malformed> {
    batch.clear();
    decoder.reset();
    let mut columns = columns(body)?;
    let mut script = columns.streams[stream::SCRIPT];
    let mut tick: BootNs = 0;
    while !script.is_empty() {
        match take(&mut script)? {
            tag::WIRE => {
                let count = take(&mut script)?;
                let start = batch.wire.len();
                for _ in 0..count {
                    decoder.event(&mut columns, &mut batch.wire)?;
                    if batch.wire.len() > MAX_BODY {
                        return Err(Malformed);
                    }
                }
                batch.items.push(Item::Wire(batch.wire.len() - start));
            }
            tag::RAW => {
                let raw = split(&mut columns.streams[stream::RAW], take(&mut script)?)?;
                batch.wire.extend_from_slice(raw);
                batch.items.push(Item::Wire(raw.len()));
            }
            tag::CONTEXT => {
                let json = split(&mut columns.streams[stream::CONTEXT], take(&mut script)?)?;
                match serde_json::from_slice(json) {
                    Ok(event) => batch.items.push(Item::Context(event)),
                    Err(_) => batch.unknown += 1,
                }
            }
            tag::TICK => {
                tick = tick.wrapping_add(unzigzag(take(&mut script)?).cast_unsigned());
                batch.items.push(Item::Context(Event { time: tick, what: What::Tick }));
            }
            tag::SETTLED => batch.items.push(Item::Settled),
            _ => return Err(Malformed),
        }
    }
    Ok(())
}
