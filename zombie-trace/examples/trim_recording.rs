//! Takes out of a recording what is of one machine, so that it can be kept as a fixture: all processes that were there
//! before and are not named, and the names of host, kernel and boot. Every other event stays as it was recorded.
//!
//! `cargo run -p zombie-trace --example trim_recording -- FROM TO HOST [PID…]`

use std::{collections::BTreeSet, path::PathBuf};

use zombie_trace::{
    event::{Fact, What},
    recording::{Batch, Chunk, Ended, Header, Item, Limits, Reader, Recorder},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to, host, pids @ ..] = arguments.as_slice() else { return Err("FROM TO HOST [PID…]".into()) };
    let keep = pids.iter().map(|it| it.parse()).collect::<Result<BTreeSet<u32>, _>>()?;
    let mut reader = Reader::open(&PathBuf::from(from))?;
    let mut recorder = Recorder::create(to.into(), &Limits::default())?;
    // A made-up boot for each host.
    let digit = host.bytes().last().unwrap_or(b'0') % 10;
    let boot_id = format!("{digit}0000000-0000-4000-8000-00000000000{digit}");
    recorder.begin(Header { host: host.clone(), kernel: "6.1.0".to_owned(), boot_id, ..reader.header().clone() })?;
    let (mut batch, mut end) = (Batch::default(), Ended::default());
    while let Some(chunk) = reader.next(&mut batch)? {
        match chunk {
            Chunk::Ended(ended) => {
                end = ended;
                continue;
            }
            Chunk::Damage(damage) => return Err(damage.to_string().into()),
            Chunk::Lost { events } => return Err(format!("{events} events are missing").into()),
            Chunk::Batch { .. } => {}
        }
        let mut wire = batch.wire.as_slice();
        for item in &batch.items {
            match item {
                Item::Wire(length) => {
                    let (run, rest) = wire.split_at(*length);
                    recorder.wire(run);
                    wire = rest;
                }
                Item::Context(event) => match &event.what {
                    What::Fact(Fact::Seed(seed)) if !keep.contains(&seed.process.pid) => {}
                    _ => recorder.context(event),
                },
                Item::Settled => recorder.settle()?,
            }
        }
        // The same frames as before.
        recorder.flush()?;
    }
    recorder.finish(end)?;
    Ok(())
}
