//! A recording, read and reported as `report` does.

#[path = "../../../../tests/tests/memory/reading.rs"]
mod reading;

use zombie_trace::{
    model::Config,
    recording::Reader,
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
    reading::read_whole(&mut reader, &mut replay);
    let _ = replay.report("host", "kernel");
}
