//! Whatever is in the frames of a recording whose checksums fit, it can be read, replayed and reported.
//!
//! The input is a header and any number of bodies, each with its kind (a byte) and its length (two bytes) before it.
#![no_main]

#[path = "../../../tests/tests/memory/framing.rs"]
mod framing;
mod replaying;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = Vec::new();
    let mut rest = bytes;
    while let Some(([kind, low, high], tail)) = rest.split_first_chunk::<3>().map(|(head, tail)| (*head, tail)) {
        let length = usize::from(u16::from_le_bytes([low, high])).min(tail.len());
        let (body, tail) = tail.split_at(length);
        rest = tail;
        file.extend(framing::frame(u16::from(kind), body, 21));
    }
    replaying::replay(&file, None);
});
