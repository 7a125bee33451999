//! A recording, read and replayed to its end. The fuzz targets do so, too.

use zombie_trace::{
    recording::{Batch, Chunk, Reader},
    report::Replay,
};

/// Replays what can be read of it; returns how many parts are damaged.
pub(crate) fn read_whole(reader: &mut Reader, replay: &mut Replay) -> u64 {
    let (mut batch, mut damages) = (Batch::default(), 0);
    while let Some(chunk) = reader.next(&mut batch).expect("the file is there") {
        match chunk {
            Chunk::Batch { lost } => {
                if lost > 0 {
                    replay.record_gap(lost);
                }
                replay.apply(&batch);
            }
            Chunk::Lost { events } => replay.record_gap(events),
            Chunk::Damage(_) => damages += 1,
            Chunk::Ended(_) => {}
        }
        while replay.next_notice().is_some() {}
    }
    damages
}
