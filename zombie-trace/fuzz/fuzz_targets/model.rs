//! Whatever decodes can be modelled, judged and reported; the sums add up and the table keeps its limit.
//!
//! The fuzzer is helped to what is valid: its input is a run of (kind, body), each put behind a fitting header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zombie_trace::abi::EventKind;
use zombie_trace::{
    decode, diagnosis,
    model::{Config, Model},
};

fuzz_target!(|bytes: &[u8]| {
    let config = Config { min_age_ns: 1_000, max_processes: 64, ends: true, ..Config::default() };
    let mut model = Model::new(config);
    let mut wire = Vec::new();
    let mut rest = bytes;
    while let Some((&selector, tail)) = rest.split_first() {
        let kind = EventKind::ALL[usize::from(selector) % EventKind::ALL.len()];
        let len = kind.size();
        // The time comes from the input, and so does the body; what is missing of it is zero.
        let taken = tail.len().min(len - 8);
        let (body, left) = tail.split_at(taken);
        rest = left;
        let mut event = body.to_vec();
        event.resize(len - 8, 0);
        wire.extend_from_slice(&event[..8]);
        wire.extend_from_slice(&(kind as u16).to_le_bytes());
        wire.extend_from_slice(&u16::try_from(len).expect("events are short").to_le_bytes());
        wire.extend_from_slice(&[0; 4]);
        wire.extend_from_slice(&event[8..]);
    }
    for event in decode::events(&wire) {
        model.apply(&event.expect("a fitting header makes an event"));
        while model.next_event().is_some() {}
        while model.next_query().is_some() {}
        let totals = model.totals();
        assert_eq!(totals.zombies, totals.reaped + totals.zombies_now);
        assert!(model.processes().count() <= 64 + 10_000);
    }
    for process in model.processes() {
        let _ = diagnosis::judge(&model, process);
    }
});
