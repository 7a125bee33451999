//! A recording, read and reported as `report` does.

use zombie_trace::{
    model::Config,
    recording::{Batch, Chunk, Reader},
    report::{Bounds, Clock, Replay, ReportWindow, Scope},
};

pub fn replay(file: &[u8], followed: Option<u32>) {
    let folder = tempfile::TempDir::new_in("/dev/shm").expect("a folder in memory");
    let path = folder.path().join("trace.zt");
    std::fs::write(&path, file).expect("there is room");
    let Ok(mut reader) = Reader::open(&path) else { return };
    let bounds = Bounds::of(reader.length(), 1 << 20);
    let mut replay =
        Replay::new(Config::default(), Scope::default(), Clock::default(), ReportWindow::default(), bounds);
    if let Some(pid) = followed {
        replay.follow(pid);
    }
    let mut batch = Batch::default();
    while let Some(chunk) = reader.next(&mut batch).expect("the file is there") {
        match chunk {
            Chunk::Batch { lost } => {
                if lost > 0 {
                    replay.record_gap(lost);
                }
                replay.apply(&batch);
            }
            Chunk::Lost { events } => replay.record_gap(events),
            Chunk::Damage(_) | Chunk::Ended(_) => {}
        }
        while replay.next_notice().is_some() {}
    }
    let _ = replay.report("host", "kernel");
}
