//! Any file is read to its end or refused; whatever is in it can be replayed and reported.
//!
//! The input is recorded as wire events, or spoils what was recorded, or is the file: its first byte says how.
#![no_main]

mod replaying;

use libfuzzer_sys::fuzz_target;
use zombie_trace::recording::{Header, Limits, Recorder};

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
    replaying::replay(&file, (how & 4 != 0).then_some(u32::from(how)));
});
