//! Corruption of every kind: reported and skipped, never a reason to stop or panic.

use std::os::unix::fs::FileExt;

use super::{
    super::{
        frame::{HEAD, Head, Kind, MARKER, Numbers, append},
        limits::MAX_BODY,
    },
    *,
};
use crate::{
    model::Config,
    report::{Clock, Replay, ReportWindow, Scope},
};

fn bytes_in(bytes: &[u8]) -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("trace.zt");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn heads(bytes: &[u8]) -> Vec<usize> {
    memchr::memmem::find_iter(bytes, &MARKER).collect()
}

fn sealed(mut head: Head) -> Head {
    head.head_crc = crc32fast::hash(&head.as_bytes()[..HEAD - 4]);
    head
}

/// Whatever is read, the report is made without a panic.
fn replayed(read: &Read) {
    let mut replay =
        Replay::new(Config::default(), Scope::default(), Clock::default(), ReportWindow::default(), bounds());
    read.batches.iter().for_each(|batch| replay.apply(batch));
    let _ = replay.report("host", "kernel");
}

#[test]
fn a_damaged_frame_costs_only_itself_and_what_it_cost_is_known() {
    let (_folder, path) = recorded();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    // The header, five batches, the end. The second batch is hit in its body, the fourth in its head.
    let heads = heads(&bytes);
    assert_eq!(heads.len(), 7);
    file.write_at(&[!bytes[heads[2] + HEAD + 9]], (heads[2] + HEAD + 9) as u64).unwrap();
    file.write_at(&[!bytes[heads[4] + 33]], (heads[4] + 33) as u64).unwrap();
    let all = read(&path).unwrap();
    let expected: Vec<Batch> = [0, 2, 4].map(|at| batches()[at].clone()).to_vec();
    assert_eq!(all.batches, expected);
    assert_eq!(all.lost, (21 + 1 + 23 + 1) * 4);
    let named: Vec<(u64, u64)> = all.damages.iter().map(|damage| (damage.offset, damage.length)).collect();
    let frame = |at: usize| (heads[at] as u64, (heads[at + 1] - heads[at]) as u64);
    assert_eq!(named, [frame(2), frame(4)]);
    assert!(all.ended.is_some());
}

#[test]
fn a_damaged_header_is_made_up_for_by_a_later_one() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("trace.zt");
    let many: Vec<Batch> = (0..70).map(|_| batches().remove(0)).collect();
    record(&path, &many);
    let mut bytes = fs::read(&path).unwrap();
    bytes[HEAD + 12] ^= 4;
    fs::write(&path, &bytes).unwrap();
    let all = read(&path).unwrap();
    assert_eq!((all.batches.len(), all.damages.len(), all.lost), (70, 1, 0));
    // Without that one, too, nothing says which run the events are of.
    let heads = heads(&bytes);
    let later = heads.iter().skip(1).find(|&&at| bytes[at + 18] == Kind::Header as u8).unwrap();
    bytes[later + HEAD + 12] ^= 4;
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(read(&path), Err(OpenError::NoHeader)));
}

#[test]
fn a_part_missing_from_the_middle_is_passed_over() {
    let (_folder, path) = recorded();
    let mut bytes = fs::read(&path).unwrap();
    let heads = heads(&bytes);
    bytes.drain(heads[2] + 20..heads[3] + 30);
    fs::write(&path, &bytes).unwrap();
    let all = read(&path).unwrap();
    assert_eq!(all.batches.len(), 3);
    assert_eq!(all.lost, (22 + 23) * 4);
}

#[test]
fn what_is_no_recording_is_refused_with_its_reason() {
    let refused = |bytes: &[u8]| read(&bytes_in(bytes).1).unwrap_err().to_string();
    assert_eq!(refused(b""), "empty file");
    assert_eq!(refused(b"hello"), "not a zombie-trace recording");
    assert_eq!(refused(&[0; 100_000]), "not a zombie-trace recording");
    assert_eq!(refused(&MARKER[..9]), "no intact header found");
    let folder = TempDir::new().unwrap();
    assert_eq!(read(folder.path()).unwrap_err().to_string(), "not a regular file");
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert_eq!(read(&pipe).unwrap_err().to_string(), "not a regular file");
    assert!(matches!(read(&folder.path().join("none")), Err(OpenError::Io(_))));
}

#[test]
fn another_version_is_refused_with_those_that_would_do() {
    let (_folder, path) = recorded();
    let mut bytes = fs::read(&path).unwrap();
    for at in heads(&bytes) {
        let (mut head, _) = Head::read_from_prefix(&bytes[at..]).unwrap();
        head.format = 99;
        bytes[at..at + HEAD].copy_from_slice(sealed(head).as_bytes());
    }
    let (_folder, path) = bytes_in(&bytes);
    assert_eq!(read(&path).unwrap_err().to_string(), "it has format 99; this zombie-trace reads 1 to 4");
    let mut frame = Vec::new();
    let numbers = Numbers { kind: Kind::Header, number: 0, events_before: 0, events: 0 };
    append(&mut frame, numbers, &[br#"{"abi":99}"#]).unwrap();
    let (_folder, path) = bytes_in(&frame);
    assert_eq!(read(&path).unwrap_err().to_string(), "its events have layout 99; this zombie-trace reads 1 to 4");
}

#[test]
fn lengths_that_lie_are_bounded() {
    let (_folder, path) = recorded();
    let bytes = fs::read(&path).unwrap();
    let heads = heads(&bytes);
    let (head, _) = Head::read_from_prefix(&bytes[heads[1]..]).unwrap();
    let lies = [
        Head { stored: u32::MAX, ..head },
        Head { unpacked: u32::MAX, ..head },
        Head { stored: MAX_BODY as u32, ..head },
        Head { unpacked: MAX_BODY as u32, ..head },
        Head { unpacked: head.unpacked - 1, ..head },
        Head { stored: 0, ..head },
        Head { events_before: u64::MAX, ..head },
        Head { kind: 77, ..head },
    ];
    for lie in lies {
        let mut bytes = bytes.clone();
        bytes[heads[1]..heads[1] + HEAD].copy_from_slice(sealed(lie).as_bytes());
        let all = read(&bytes_in(&bytes).1).unwrap();
        assert!(all.batches.len() >= 4, "{lie:?}: {} batches", all.batches.len());
        replayed(&all);
    }
}

#[test]
fn a_file_full_of_lies_is_read_in_reasonable_time() {
    let (_folder, path) = recorded();
    let bytes = fs::read(&path).unwrap();
    let heads = heads(&bytes);
    let (head, _) = Head::read_from_prefix(&bytes[heads[1]..]).unwrap();
    // Each claims most of what follows.
    let mut hostile = bytes[..heads[1]].to_vec();
    for _ in 0..20_000 {
        hostile.extend_from_slice(sealed(Head { stored: 600_000, ..head }).as_bytes());
    }
    let started = std::time::Instant::now();
    assert!(read(&bytes_in(&hostile).1).unwrap().batches.is_empty());
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_cut_at_any_byte_costs_the_last_frame_at_the_most(part in 0.0..1.0f64) {
        let (_folder, path) = recorded();
        let bytes = fs::read(&path).unwrap();
        let cut = (bytes.len() as f64 * part) as usize;
        let heads = heads(&bytes);
        fs::write(&path, &bytes[..cut]).unwrap();
        let whole = heads.iter().skip(1).filter(|&&at| at <= cut).count();
        match read(&path) {
            Ok(all) => {
                prop_assert_eq!(all.batches.len(), whole.saturating_sub(1).min(5));
                prop_assert_eq!(&all.batches[..], &batches()[..all.batches.len()]);
                prop_assert_eq!(all.damages.len(), usize::from(!heads.contains(&cut)));
                replayed(&all);
            }
            Err(_) => prop_assert!(cut < heads[1]),
        }
    }

    #[test]
    fn flipped_bits_cost_the_frames_they_are_in(flips in proptest::collection::vec((0.0..1.0f64, 0u8..8), 1..6)) {
        let (_folder, path) = recorded();
        let mut bytes = fs::read(&path).unwrap();
        let heads = heads(&bytes);
        let mut hit = std::collections::BTreeSet::new();
        let first = heads[1];
        for (part, bit) in flips {
            // Without the header nothing can be read; that is tested elsewhere.
            let at = first + ((bytes.len() - first) as f64 * part) as usize;
            bytes[at] ^= 1 << bit;
            hit.insert(heads.partition_point(|&head| head <= at));
        }
        fs::write(&path, &bytes).unwrap();
        let all = read(&path).unwrap();
        prop_assert!(all.batches.len() >= 5 - hit.len());
        prop_assert!(all.batches.iter().all(|batch| batches().contains(batch)));
        replayed(&all);
    }

    #[test]
    fn random_bytes_are_refused_or_read_but_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..4_000),
        marked in any::<bool>(),
    ) {
        let bytes = if marked { [MARKER.as_slice(), &bytes].concat() } else { bytes };
        if let Ok(all) = read(&bytes_in(&bytes).1) {
            replayed(&all);
        }
    }

    #[test]
    fn whole_frames_of_any_content_are_replayed_without_a_panic(
        events in proptest::collection::vec(any_event(), 0..60),
        context in proptest::collection::vec((any::<u64>(), any::<u32>(), any::<u64>()), 0..5),
    ) {
        let mut batch = Batch::default();
        batch.add_wire(&events.concat());
        for (time, pid, start) in context {
            let Event { what: What::Fact(Fact::Seed(mut found)), .. } = seed(pid) else { unreachable!() };
            (found.process.start_ns, found.tick_ns) = (start, start % 3);
            batch.items.push(Item::Context(Event { time, what: What::Fact(Fact::Seed(found)) }));
            batch.items.push(Item::Context(Event { time, what: What::Fact(Fact::SeedDone { began: start }) }));
            batch.items.push(Item::Context(Event { time, what: What::Loss { events: start } }));
        }
        batch.items.push(Item::Settled);
        replayed(&Read { batches: vec![batch], ..Read::default() });
    }
}
