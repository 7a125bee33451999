//! Any file is read to its end or refused; whatever is in it can be replayed and reported.
//!
//! The input is put into frames whose checksums fit, so that the fuzzer gets past them: its first byte says how.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use zombie_trace::{
    model::Config,
    recording::{Batch, Chunk, Header, Limits, Reader, Recorder},
    report::{Bounds, Clock, Replay, ReportWindow, Scope},
};

fuzz_target!(|bytes: &[u8]| {
    let Some((&how, bytes)) = bytes.split_first() else { return };
    let folder = tempfile::TempDir::new_in("/dev/shm").expect("a folder in memory");
    let path = folder.path().join("trace.zt");
    // A whole recording first, unless the input is to be all of the file; then the input over its end or behind it.
    let mut file = Vec::new();
    if how & 1 == 0 {
        let mut recorder = Recorder::create(path.clone(), &Limits::default()).expect("the file can be made");
        recorder.begin(Header::of_this_version()).expect("there is room");
        recorder.wire(bytes);
        recorder.finish(Default::default()).expect("there is room");
        file = std::fs::read(&path).expect("it was made");
        std::fs::remove_file(&path).expect("it was made");
        if how & 2 == 0 {
            let at = file.len() * usize::from(how >> 2) / 64;
            for (to, from) in file.iter_mut().skip(at).zip(bytes) {
                *to ^= from;
            }
        }
    } else {
        file.extend_from_slice(bytes);
    }
    std::fs::File::create(&path).and_then(|mut out| out.write_all(&file)).expect("there is room");
    let Ok(mut reader) = Reader::open(&path) else { return };
    let bounds = Bounds::of(reader.length(), 1 << 20);
    let mut replay =
        Replay::new(Config::default(), Scope::default(), Clock::default(), ReportWindow::default(), bounds);
    if how & 4 != 0 {
        replay.follow(u32::from(how));
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
});
