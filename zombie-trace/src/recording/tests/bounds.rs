//! The writer's limits against the reader's.

use super::{
    super::limits::{FRAME_CONTEXT, FRAME_ITEMS, FRAME_WIRE, MAX_CONTEXT_EVENT},
    *,
};

/// A process with a repeated character as argument. A control character takes six bytes as JSON.
fn wordy(pid: u32, character: char, length: usize) -> Event {
    let Event { time, what: What::Fact(Fact::Seed(mut found)) } = seed(pid) else { unreachable!() };
    found.cmdline = vec![character.to_string().repeat(length)];
    Event { time, what: What::Fact(Fact::Seed(found)) }
}

fn json_length(event: &Event) -> usize {
    serde_json::to_string(event).unwrap().len() + 1
}

/// What one batch holds, in pieces of all sizes around the limits.
#[derive(Clone, Debug)]
enum Piece {
    Lives(u32),
    Noise(Vec<u8>),
    Wordy(u32, char, usize),
    Ticks(u64),
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        4 => (0_u32..200).prop_map(Piece::Lives),
        1 => (9_300_u32..9_400).prop_map(Piece::Lives),
        1 => proptest::collection::vec(any::<u8>(), 0..3_000).prop_map(Piece::Noise),
        4 => (any::<u32>(), prop_oneof![Just('x'), Just('\u{1}'), Just('"')], 0..5_000_usize)
            .prop_map(|(pid, character, length)| Piece::Wordy(pid, character, length)),
        1 => (any::<u32>(), MAX_CONTEXT_EVENT / 6 - 400..MAX_CONTEXT_EVENT / 6)
            .prop_map(|(pid, length)| Piece::Wordy(pid, '\u{1}', length)),
        3 => (0_u64..100).prop_map(Piece::Ticks),
        1 => (60_000_u64..70_000).prop_map(Piece::Ticks),
    ]
}

fn batch_of(pieces: &[Piece]) -> Batch {
    let mut batch = Batch::default();
    for piece in pieces {
        match piece {
            Piece::Lives(count) => batch.add_wire(&lives(*count)),
            Piece::Noise(bytes) => batch.add_wire(bytes),
            Piece::Wordy(pid, character, length) => batch.items.push(Item::Context(wordy(*pid, *character, *length))),
            Piece::Ticks(count) => {
                batch.items.extend((0..*count).flat_map(|time| [Item::Context(tick(time)), Item::Settled]));
            }
        }
    }
    batch
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_recorded_is_read(pieces in proptest::collection::vec(piece(), 0..30)) {
        let mut batch = batch_of(&pieces);
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("trace.zt");
        record(&path, std::slice::from_ref(&batch));
        let all = read(&path).unwrap();
        prop_assert!(all.damages.is_empty() && all.ended.is_some(), "{:?}", all.damages);
        prop_assert_eq!(all.lost, 0);
        // What does not fit even alone is reported as lost.
        for item in &mut batch.items {
            if let Item::Context(event) = item && json_length(event) > MAX_CONTEXT_EVENT {
                *event = Event { time: event.time, what: What::Loss { events: 1 } };
            }
        }
        let read = all.joined();
        prop_assert_eq!(read.wire, batch.wire);
        prop_assert!(read.items == batch.items, "items differ");
    }
}

#[test]
fn a_batch_of_any_size_becomes_frames_that_are_read() {
    let mut batch = Batch::default();
    for pid in 1..=3_200 {
        batch.items.push(Item::Context(wordy(pid, '\u{1}', 4_060)));
    }
    batch.add_wire(&lives(1_000));
    assert!(
        batch.items.iter().map(|item| if let Item::Context(it) = item { json_length(it) } else { 0 }).sum::<usize>()
            > 64 << 20
    );
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("trace.zt");
    record(&path, std::slice::from_ref(&batch));
    let all = read(&path).unwrap();
    assert!(all.damages.is_empty() && all.lost == 0, "{:?}", all.damages);
    assert!(all.joined() == batch, "it is not what was recorded");
}

#[test]
fn the_limits_of_a_frame_cut_where_they_say() {
    let mut encoder = Encoder::new();
    let mut cuts = |batch: &Batch| {
        let mut rest = Rest::of(batch);
        let mut frames = 0;
        while !rest.is_empty() {
            encode(&mut rest, &mut encoder);
            frames += 1;
        }
        frames
    };
    let life = life(1, 1_000_000).len();
    let mut wire = Batch::default();
    wire.add_wire(&lives(u32::try_from(2 * FRAME_WIRE / life).unwrap()));
    assert_eq!(cuts(&wire), 2);
    let mut noise = Batch::default();
    noise.add_wire(&vec![0xff; 2 * FRAME_WIRE + 1]);
    assert_eq!(cuts(&noise), 3);
    let items = Batch { items: vec![Item::Settled; 2 * FRAME_ITEMS], ..Batch::default() };
    assert_eq!(cuts(&items), 2);
    let one = wordy(1, 'x', 100_000);
    let context = Batch {
        items: vec![Item::Context(one.clone()); 2 * (FRAME_CONTEXT / json_length(&one) + 1)],
        ..Batch::default()
    };
    assert_eq!(cuts(&context), 2);
}
