//! Any bytes decode or fail; nothing is read twice, nothing past the end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zombie_trace::decode;

fuzz_target!(|bytes: &[u8]| {
    let mut failed = false;
    for event in decode::events(bytes) {
        assert!(!failed, "nothing is read after an error");
        failed = event.is_err();
    }
    assert!(decode::events(bytes).count() <= bytes.len() / 16 + 1);
});
