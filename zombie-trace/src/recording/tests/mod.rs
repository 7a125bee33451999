//! What is written is read again, and corruption costs only the corrupt part.

mod bounds;
mod damage;
mod rotation;
mod window;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::abi::{
    EventKind, ExitEvent, ForkEvent, FreeEvent, Header as WireHeader, MAX_EVENT_LEN, TaskKey, WaitEvent, exit_flags,
};
use proptest::prelude::*;
use tempfile::TempDir;
use zerocopy::{FromBytes, IntoBytes};

use super::{
    batch::{Rest, Unfinished, contents, encode},
    body::Parts,
    columns::{Decoder, Encoder},
    limits::Budget,
    *,
};
use crate::event::{Cgroup, Event, Fact, ProcessKey, Seed, What};

/// Limits for a recording of any length.
fn bounds() -> crate::report::Bounds {
    crate::report::Bounds::of(u64::MAX, 1 << 20)
}

fn header() -> Header {
    Header { host: "node".to_owned(), boot_id: "b".to_owned(), started: 5, ..Header::of_this_version() }
}

/// A process's life as it looks on the wire.
fn life(pid: u32, time: u64) -> Vec<u8> {
    let parent = TaskKey { start_ns: 1_000, tgid: 77, tid: 77 };
    let process = TaskKey { start_ns: time - 3_000, tgid: pid, tid: pid };
    let head = |kind: EventKind, after| WireHeader {
        time_ns: time + after,
        kind: kind as u16,
        len: kind.size().try_into().unwrap(),
        cpu: pid % 2,
    };
    let mut fork = ForkEvent::read_from_bytes(&[0; 96]).unwrap();
    (fork.header, fork.forker, fork.child, fork.parent_tgid) = (head(EventKind::Fork, 0), parent, process, 77);
    (fork.ns.nr, fork.ns.inum, fork.comm) = (pid, 4_026_531_836, *b"storm\0\0\0\0\0\0\0\0\0\0\0");
    let mut exit = ExitEvent::read_from_bytes(&[0; 144]).unwrap();
    (exit.header, exit.process, exit.parent, exit.exit_signal) =
        (head(EventKind::Exit, 40_000 + u64::from(pid) * 37 % 9_000), process, parent, 17);
    (exit.ns[0].nr, exit.ns[0].inum, exit.comm, exit.flags) = (pid, 4_026_531_836, fork.comm, exit_flags::GROUP_DEAD);
    let mut wait = WaitEvent::read_from_bytes(&[0; 64]).unwrap();
    (wait.header, wait.reaper, wait.child_nr) = (head(EventKind::Wait, 70_000), parent, pid);
    let free = FreeEvent { header: head(EventKind::Free, 90_000), process };
    [fork.as_bytes(), exit.as_bytes(), wait.as_bytes(), free.as_bytes()].concat()
}

fn lives(count: u32) -> Vec<u8> {
    (0..count).flat_map(|it| life(1_000 + it, 1_000_000 + u64::from(it) * 100_000)).collect()
}

fn seed(pid: u32) -> Event {
    Event {
        time: 9,
        what: What::Fact(Fact::Seed(Box::new(Seed {
            process: ProcessKey { pid, start_ns: 7 },
            tick_ns: 10_000_000,
            parent_pid: 1,
            tracer: None,
            comm: *b"\xff\x1b[31m\0\0\0\0\0\0\0\0\0\0",
            is_zombie: true,
            threads: 1,
            status: Some(crate::event::ExitStatus::Code(3)),
            ns_pids: vec![pid, 1],
            pid_ns: 0,
            uid: u32::MAX,
            cgroup: u64::MAX,
            exe: None,
            cmdline: vec!["\u{1b}".to_owned(), String::new()],
        }))),
    }
}

fn cgroup() -> Event {
    Event { time: 8, what: What::Fact(Fact::Cgroup(Cgroup::new(3, "/a\n".to_owned(), None))) }
}

fn tick(time: u64) -> Event {
    Event { time, what: What::Tick }
}

fn record(path: &Path, batches: &[Batch]) {
    let mut recorder = Recorder::create(path.to_owned(), &Limits::default()).unwrap();
    recorder.begin(header()).unwrap();
    for batch in batches {
        let mut wire = batch.wire.as_slice();
        for item in &batch.items {
            match item {
                Item::Wire(length) => {
                    recorder.wire(&wire[..*length]);
                    wire = &wire[*length..];
                }
                Item::Context(event) => recorder.context(event),
                Item::Settled => recorder.settle().unwrap(),
            }
        }
        recorder.flush().unwrap();
    }
    recorder.finish(Ended { argv: vec!["cmd".to_owned()], status: Some(256) }).unwrap();
}

/// Some batches of one kind of life and of context.
fn batches() -> Vec<Batch> {
    (0..5)
        .map(|number: u32| {
            let mut batch = Batch::default();
            batch.items.push(Item::Context(seed(number + 1)));
            batch.add_wire(&lives(20 + number));
            batch.items.push(Item::Context(tick(u64::from(number) * 1_000)));
            batch.items.push(Item::Context(cgroup()));
            batch.add_wire(&life(9, 40_000_000));
            batch.items.push(Item::Settled);
            batch
        })
        .collect()
}

/// Everything in a file: batches, events missing, damages, and whether it ends as it should.
#[derive(Debug, Default)]
struct Read {
    batches: Vec<Batch>,
    lost: u64,
    damages: Vec<Damage>,
    ended: Option<Ended>,
}

impl Read {
    /// All batches as one, however they were cut.
    fn joined(&self) -> Batch {
        let mut all = Batch::default();
        for batch in &self.batches {
            let mut wire = batch.wire.as_slice();
            for item in &batch.items {
                match item {
                    Item::Wire(length) => {
                        all.add_wire(&wire[..*length]);
                        wire = &wire[*length..];
                    }
                    item => all.items.push(item.clone()),
                }
            }
        }
        all
    }
}

fn read(path: &Path) -> Result<Read, OpenError> {
    let mut reader = Reader::open(path)?;
    let mut all = Read::default();
    let mut batch = Batch::default();
    while let Some(chunk) = reader.next(&mut batch)? {
        match chunk {
            Chunk::Batch { lost } => {
                all.lost += lost;
                all.batches.push(batch.clone());
            }
            Chunk::Damage(damage) => all.damages.push(damage),
            Chunk::Lost { events } => all.lost += events,
            Chunk::Ended(ended) => all.ended = Some(ended),
        }
    }
    Ok(all)
}

fn recorded() -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("trace.zt");
    record(&path, &batches());
    (folder, path)
}

#[test]
fn what_is_recorded_is_read_again_in_its_order() {
    let (_folder, path) = recorded();
    let all = read(&path).unwrap();
    assert_eq!(all.batches, batches());
    assert!(all.damages.is_empty() && all.lost == 0, "{all:?}");
    assert_eq!(all.ended, Some(Ended { argv: vec!["cmd".to_owned()], status: Some(256) }));
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.header(), &header());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn a_recording_is_a_file_that_zstd_takes() {
    let (_folder, path) = recorded();
    let unpacked = zstd::stream::decode_all(fs::File::open(path).unwrap()).unwrap();
    let text = String::from_utf8_lossy(&unpacked);
    assert!(text.starts_with(r#"{"abi":4"#) && text.contains(r#""host":"node""#), "{text:.100}");
}

#[test]
fn columns_take_a_fraction_of_the_events() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("trace.zt");
    let mut batch = Batch::default();
    batch.add_wire(&lives(10_000));
    let raw = batch.wire.len() as u64;
    record(&path, &[batch]);
    // These lives are regular; that real ones take less than 16 bytes is measured by the benchmark.
    let length = fs::metadata(&path).unwrap().len();
    assert!(length < raw / 60, "{length} of {raw}");
}

/// Wire events of any content.
fn any_event() -> impl Strategy<Value = Vec<u8>> {
    let kinds = proptest::sample::select(EventKind::ALL.to_vec());
    (kinds, proptest::collection::vec(prop_oneof![3 => Just(0u8), 1 => any::<u8>()], MAX_EVENT_LEN)).prop_map(
        |(kind, mut bytes)| {
            bytes.truncate(kind.size());
            bytes[8..10].copy_from_slice(&(kind as u16).to_le_bytes());
            bytes[10..12].copy_from_slice(&u16::try_from(kind.size()).unwrap().to_le_bytes());
            bytes
        },
    )
}

proptest! {
    #[test]
    fn columns_give_back_every_bit(
        events in proptest::collection::vec(any_event(), 0..400),
        rest in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut batch = Batch::default();
        batch.add_wire(&[events.concat(), rest].concat());
        let mut encoder = Encoder::new();
        // Twice, because nothing may remain from the batch before.
        for _ in 0..2 {
            let mut rest = Rest::of(&batch);
            encode(&mut rest, &mut encoder);
            prop_assert!(rest.is_empty());
            let mut body = contents(&encoder.streams);
            encoder.streams.iter().for_each(|stream| body.extend_from_slice(stream));
            let again = decoded(&body).unwrap();
            prop_assert_eq!(&again.wire, &batch.wire);
        }
    }

    #[test]
    fn any_body_is_a_batch_or_malformed(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decoded(&body);
    }
}

#[test]
fn a_fact_of_a_later_version_is_passed_over_and_the_rest_is_read() {
    let mut batch = Batch::default();
    batch.items.extend([seed(1), cgroup(), seed(2)].map(Item::Context));
    let mut encoder = Encoder::new();
    encode(&mut Rest::of(&batch), &mut encoder);
    let mut body = contents(&encoder.streams);
    encoder.streams.iter().for_each(|stream| body.extend_from_slice(stream));
    let known = b"\"Cgroup\"";
    let at = body.windows(known.len()).position(|window| window == known).unwrap();
    body[at..at + known.len()].copy_from_slice(b"\"Future\"");
    let later = decoded(&body).unwrap();
    assert_eq!(later.items, [seed(1), seed(2)].map(Item::Context));
}

/// A body put together again.
fn decoded(body: &[u8]) -> Option<Batch> {
    let parts = Parts::read(|| Ok(std::io::Cursor::new(body.to_vec())), body.len() as u64).ok()?;
    let (mut decoder, mut budget, mut read) = (Decoder::new(), Budget::of(1 << 20), Read::default());
    let mut unfinished = Unfinished::new(parts, &mut decoder);
    while !unfinished.is_done() {
        let mut batch = Batch::default();
        unfinished.next(&mut decoder, &mut budget, &mut batch).ok()?;
        read.batches.push(batch);
    }
    Some(read.joined())
}
