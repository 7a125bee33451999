//! A trace for Perfetto (<https://ui.perfetto.dev>), written as the replay goes, so its length does not matter.
//!
//! Times are wall-clock times: each packet's is its number of ns since 1970, and the trace's clock is said to be that.

mod proto;
mod tracks;

#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    sync::Arc,
};

use prost::Message;

use self::{
    proto::{
        BOOTTIME, Clock, ClockSnapshot, CounterDescriptor, Data, DebugAnnotation, EventType, REALTIME, TracePacket,
        TrackDescriptor, TrackEvent, UNIT_COUNT, Value,
    },
    tracks::{Bars, Tracks},
};
use super::{
    Reporter,
    time::nanoseconds,
    timeline::{Interned, Row, Waiting},
};
use crate::{
    recording::Header,
    report::{ExitRecord, Moment, Notice, ParentRecord, ProcessRecord, Report, StopRecord, ZombieRecord},
    text::{self, escape},
};

/// All packets are of one writer.
const SEQUENCE: u32 = 1;
/// After so many notices what nothing waits for is forgotten.
const TIDY_EVERY: u32 = 1 << 16;

/// The trace. See the module.
#[derive(Debug)]
pub struct Perfetto<W> {
    out: W,
    tracks: Tracks,
    waiting: Waiting,
    interned: Interned,
    clock_told: bool,
    until_tidy: u32,
}

/// A bar, from its beginning to its end.
struct Slice<'a> {
    row: &'a Row,
    bars: Bars,
    since: i64,
    length_ns: u64,
    name: String,
    notes: Vec<DebugAnnotation>,
}

impl<W: Write> Perfetto<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out,
            tracks: Tracks::default(),
            waiting: Waiting::default(),
            interned: Interned::default(),
            clock_told: false,
            until_tidy: TIDY_EVERY,
        }
    }

    /// One packet of the trace: field 1 of a message that has no other.
    fn packet(&mut self, timestamp: Option<i64>, data: Data) -> io::Result<()> {
        #[derive(Clone, PartialEq, Message)]
        struct Trace {
            #[prost(message, repeated, tag = "1")]
            packet: Vec<TracePacket>,
        }
        let timestamp = timestamp.map(|time| u64::try_from(time).unwrap_or(0));
        let packet = TracePacket { timestamp, trusted_packet_sequence_id: Some(SEQUENCE), data: Some(data) };
        self.out.write_all(&Trace { packet: vec![packet] }.encode_to_vec())
    }

    fn tell_clock(&mut self, time: i64) -> io::Result<()> {
        if self.clock_told {
            return Ok(());
        }
        self.clock_told = true;
        let timestamp = u64::try_from(time).ok();
        let clock = |clock_id| Clock { clock_id: Some(clock_id), timestamp };
        let clocks = vec![clock(BOOTTIME), clock(REALTIME)];
        self.packet(Some(time), Data::ClockSnapshot(ClockSnapshot { clocks }))
    }

    fn describe(&mut self, uuid: u64, parent_uuid: Option<u64>, name: String, counts: bool) -> io::Result<()> {
        let counter = counts.then_some(CounterDescriptor { unit: Some(UNIT_COUNT) });
        let track = TrackDescriptor { uuid: Some(uuid), name: Some(name), parent_uuid, counter };
        self.packet(None, Data::TrackDescriptor(track))
    }

    fn event(&mut self, time: i64, event: TrackEvent) -> io::Result<()> {
        self.tell_clock(time)?;
        for new in self.tracks.take_new() {
            self.describe(new.uuid, new.parent, new.name, new.counts)?;
        }
        self.packet(Some(time), Data::TrackEvent(event))
    }

    fn slice(&mut self, slice: Slice<'_>) -> io::Result<()> {
        let end = slice.since.saturating_add_unsigned(slice.length_ns);
        let track_uuid = Some(self.tracks.lane(slice.row, slice.bars, slice.since, end));
        let begin = TrackEvent {
            r#type: Some(EventType::SliceBegin.into()),
            track_uuid,
            categories: vec![slice.bars.category().to_owned()],
            name: Some(slice.name),
            debug_annotations: slice.notes,
            counter_value: None,
        };
        self.event(slice.since, begin)?;
        let end_event = TrackEvent { r#type: Some(EventType::SliceEnd.into()), track_uuid, ..TrackEvent::default() };
        self.event(end, end_event)
    }

    fn instant(
        &mut self,
        track: u64,
        time: Moment,
        category: &str,
        name: String,
        notes: Vec<DebugAnnotation>,
    ) -> io::Result<()> {
        self.instant_at(track, nanoseconds(time), category, name, notes)
    }

    fn instant_at(
        &mut self,
        track: u64,
        time: i64,
        category: &str,
        name: String,
        notes: Vec<DebugAnnotation>,
    ) -> io::Result<()> {
        let event = TrackEvent {
            r#type: Some(EventType::Instant.into()),
            track_uuid: Some(track),
            categories: vec![category.to_owned()],
            name: Some(name),
            debug_annotations: notes,
            counter_value: None,
        };
        self.event(time, event)
    }

    fn counted(&mut self, row: &Row, time: i64, change: i64) -> io::Result<()> {
        let (track, count) = self.tracks.count(row, change);
        let event = TrackEvent {
            r#type: Some(EventType::Counter.into()),
            track_uuid: Some(track),
            counter_value: Some(count),
            ..TrackEvent::default()
        };
        self.event(time, event)
    }

    fn aged(&mut self, zombie: &ZombieRecord) -> io::Result<()> {
        let row = self.interned.row_of_child(&zombie.process, zombie.parent.as_ref());
        let time = nanoseconds(zombie.time);
        if let Some(former) = self.waiting.insert(zombie, Arc::clone(&row)) {
            self.counted(&former, time, -1)?;
        }
        self.counted(&row, time, 1)
    }

    /// Notes that are on every zombie's bar.
    fn notes(process: &ProcessRecord, exit: Option<&ExitRecord>, cause: &str, precision: &str) -> Vec<DebugAnnotation> {
        let mut notes = vec![number("pid", process.pid.into())];
        notes.extend(process.ns_pid.map(|pid| number("ns_pid", pid.into())));
        notes.extend(exit.map(|exit| text("exit", exit.to_string())));
        if !cause.is_empty() {
            notes.push(text("cause", cause.to_owned()));
        }
        notes.push(text("precision", precision.to_owned()));
        notes
    }

    fn tidy(&mut self) {
        self.until_tidy = self.until_tidy.saturating_sub(1);
        if self.until_tidy == 0 {
            self.until_tidy = TIDY_EVERY;
            self.interned.tidy();
        }
    }

    /// The time from the signal to the end of PID 1 as a bar on its track, and on each process's when it was sent its own.
    fn stop(&mut self, stop: &StopRecord) -> io::Result<()> {
        let row = self.interned.row_of(&stop.target);
        let by = |it: &ProcessRecord| text("sender", format!("{} ({})", it.comm, it.pid));
        let cause = stop.cause.map(|cause| text("cause", cause.id().to_owned()));
        let mut notes = vec![text("outcome", stop.outcome.id().to_owned()), text("exit", stop.exit.to_string())];
        notes.extend(cause.clone());
        notes.extend((!stop.evidence.is_empty()).then(|| text("evidence", stop.evidence.join("; "))));
        notes.extend(stop.advice.iter().map(|advice| text("advice", advice.clone())));
        notes.extend(stop.sender.as_ref().map(by));
        let since = nanoseconds(stop.sent);
        let name = format!("stop by {}: {}", stop.signal, stop.outcome.id());
        self.slice(Slice { row: &row, bars: Bars::Stops, since, length_ns: stop.took_ns, name, notes })?;
        for part in &stop.path {
            let (Some(signal), Some(after)) = (&part.signal, part.sent_after_ns) else { continue };
            let row = self.interned.row_of(&part.process);
            let track = self.tracks.instants(&row);
            let mut notes = vec![text("summary", part.summary.clone())];
            notes.extend(part.disposition.map(|it| text("disposition", it.id().to_owned())));
            notes.extend(cause.clone());
            notes.extend(part.sender.as_ref().map(by));
            self.instant_at(track, since.saturating_add_unsigned(after), "signal", signal.clone(), notes)?;
        }
        Ok(())
    }

    fn parent(&mut self, parent: &ParentRecord, end: Moment) -> io::Result<()> {
        let row = self.interned.row_of(&parent.process);
        let track = self.tracks.instants(&row);
        let notes = vec![
            text("evidence", parent.evidence.join("; ")),
            text("advice", parent.advice.clone()),
            number("zombies_total", parent.zombies_total),
            number("zombies_now", parent.zombies_now),
        ];
        self.instant(track, end, "verdict", format!("verdict: {}", parent.cause.id()), notes)
    }
}

impl<W: Write> Reporter for Perfetto<W> {
    fn begin(&mut self, header: &Header) -> io::Result<()> {
        let [host, kernel] = [&header.host, &header.kernel].map(|text| escape::text(text.as_bytes()));
        self.tracks.begin_host(format!("{host}, Linux {kernel}"));
        (self.waiting, self.interned) = (Waiting::default(), Interned::default());
        Ok(())
    }

    fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        self.tidy();
        match notice {
            Notice::Zombie(zombie) => self.aged(zombie),
            Notice::Reaped { time, process, exit, zombie_ns, precision, parent, reaper, via, .. } => {
                let open = self.waiting.remove(process);
                let end = nanoseconds(*time);
                if let Some(open) = &open {
                    self.counted(&open.row, end, -1)?;
                }
                let row = match (&open, parent) {
                    (Some(open), None) => Arc::clone(&open.row),
                    _ => self.interned.row_of_child(process, parent.as_ref()),
                };
                let cause = open.map_or("", |open| open.cause.id());
                let mut notes = Self::notes(process, exit.as_ref(), cause, precision.id());
                notes.push(text("via", via.id().to_owned()));
                notes.extend(reaper.as_ref().map(|it| text("reaper", format!("{} ({})", it.comm, it.pid))));
                let since = end.saturating_sub_unsigned(*zombie_ns);
                self.slice(Slice {
                    row: &row,
                    bars: Bars::Zombies,
                    since,
                    length_ns: *zombie_ns,
                    name: process.comm.clone(),
                    notes,
                })
            }
            Notice::SignalDropped { time, signal, target, reason, sender, relation, .. } => {
                let row = self.interned.row_of(target);
                let track = self.tracks.instants(&row);
                let mut notes =
                    vec![text("reason", reason.id().to_owned()), text("relation", relation.id().to_owned())];
                notes.extend(sender.as_ref().map(|it| text("sender", format!("{} ({})", it.comm, it.pid))));
                self.instant(track, *time, "signal", format!("{signal} dropped"), notes)
            }
            Notice::StopFailed { time, target, signal, killed_after_ns, uncertain, .. } => {
                let row = self.interned.row_of(target);
                let track = self.tracks.instants(&row);
                let after = text::duration(*killed_after_ns);
                let notes = vec![number("killed_after_ns", *killed_after_ns), flag("uncertain", *uncertain)];
                self.instant(track, *time, "stop", format!("killed {after} after {signal}"), notes)
            }
            Notice::ForkFailed { time, process, errno, limit, zombies, .. } => {
                let row = self.interned.row_of(process);
                let track = self.tracks.instants(&row);
                let notes = vec![text("errno", (*errno).to_owned()), number("zombies", *zombies)];
                self.instant(track, *time, "fork", format!("fork failed: {}", limit.id()), notes)
            }
            Notice::Loss { time, events } => {
                let track = self.tracks.host();
                self.instant(track, *time, "loss", format!("{events} events lost"), vec![number("events", *events)])
            }
            Notice::Stuck(stuck) => {
                let row = self.interned.row_of(&stuck.process);
                let track = self.tracks.instants(&row);
                let notes = vec![text("evidence", stuck.evidence.join("; ")), text("advice", stuck.advice.clone())];
                self.instant(track, stuck.time, "stuck", format!("stuck exiting: {}", stuck.cause.id()), notes)
            }
            Notice::Ended(ended) => {
                let row = self.interned.row_of(&ended.process);
                let track = self.tracks.instants(&row);
                let mut notes = vec![
                    text("way", ended.way.id().to_owned()),
                    number("exit_status", ended.exit_status.into()),
                    text("evidence", ended.evidence.join("; ")),
                ];
                notes.extend(ended.sender.as_ref().map(|it| text("sender", format!("{} ({})", it.comm, it.pid))));
                self.instant(track, ended.time, "end", format!("ended: {}", ended.exit), notes)
            }
            Notice::AutoReaped { .. } | Notice::StatusStolen { .. } => Ok(()),
        }
    }

    fn report(&mut self, report: &Report) -> io::Result<()> {
        self.tell_clock(nanoseconds(report.window.start))?;
        for zombie in &report.zombies {
            let row = self.interned.row_of_child(&zombie.process, zombie.parent.as_ref());
            let notes = Self::notes(&zombie.process, zombie.exit.as_ref(), zombie.cause.id(), "still-there");
            let (since, name) = (nanoseconds(zombie.since), zombie.process.comm.clone());
            let length_ns = zombie.age_ns;
            self.slice(Slice { row: &row, bars: Bars::Zombies, since, length_ns, name, notes })?;
        }
        for stop in &report.stops {
            self.stop(stop)?;
        }
        for parent in &report.parents {
            self.parent(parent, report.window.end)?;
        }
        let host = self.tracks.host();
        let notes = vec![
            number("exits", report.totals.exits),
            number("zombies", report.totals.zombies),
            number("reaped", report.totals.reaped),
            number("zombies_now", report.totals.zombies_now),
            number("events_lost", report.loss.events),
            number("processes_evicted", report.loss.evicted),
        ];
        self.instant(host, report.window.start, "window", "recording begins".to_owned(), Vec::new())?;
        self.instant(host, report.window.end, "window", "recording ends".to_owned(), notes)?;
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn note(name: &str, value: Value) -> DebugAnnotation {
    DebugAnnotation { name: Some(name.to_owned()), value: Some(value) }
}

fn text(name: &str, value: String) -> DebugAnnotation {
    note(name, Value::String(value))
}

fn number(name: &str, value: u64) -> DebugAnnotation {
    note(name, Value::Uint(value))
}

fn flag(name: &str, value: bool) -> DebugAnnotation {
    note(name, Value::Bool(value))
}
