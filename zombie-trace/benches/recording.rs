//! What a recording costs: bytes for a process's life, and time to write and to read.
//!
//! `cargo bench -p zombie-trace --bench recording` records and reads a made-up storm; with `ZT_RECORDING=FILE` that
//! recording is read.

use std::path::PathBuf;

use divan::{Bencher, counter::ItemsCount};
use zerocopy::{FromBytes, IntoBytes};
use zombie_trace::{
    event::{Event, What},
    model::Config,
    recording::{Batch, Chunk, Ended, Header, Limits, Reader, Recorder},
    report::{Clock, Replay, ReportWindow, Scope},
};
use zombie_trace_ebpf::abi::{
    ChildSignalEvent, ExitEvent, ForkEvent, FreeEvent, Header as WireHeader, TaskKey, WaitEvent,
};

fn main() {
    let storm = Storm::record(LIVES);
    println!("{:.1} bytes on disk for a process's life", storm.length() as f64 / f64::from(LIVES));
    divan::main();
}

/// Processes in a storm.
const LIVES: u32 = 200_000;
/// Events that each makes.
const EVENTS: u32 = 5;

/// Numbers without a pattern, alike in every run.
struct Noise(u64);

impl Noise {
    /// Below `limit`, small ones more often: as times between events are.
    fn next(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (one, two) = (self.0 >> 40 & 0xffff, self.0 >> 20 & 0xffff);
        (one * two % (limit << 16)) >> 16
    }
}

fn zeroed<T: FromBytes>() -> T {
    T::read_from_bytes(&vec![0; size_of::<T>()]).expect("all zeroes are any of these")
}

/// The five events of a process that is forked, exits and is reaped at once, with times as a machine has them.
fn life(pid: u32, time: &mut u64, noise: &mut Noise, out: &mut Vec<u8>) {
    let cpu = u32::from(noise.next(100) > 60);
    let mut head = |kind, len| {
        *time += 1_500 + noise.next(20_000);
        WireHeader { time_ns: *time, kind, len, cpu }
    };
    let parent = TaskKey { start_ns: 1_000, tgid: 77 + cpu, tid: 77 + cpu };
    let mut fork: ForkEvent = zeroed();
    fork.header = head(7, 96);
    let process = TaskKey { start_ns: fork.header.time_ns - 40_000 - fork.header.time_ns % 7_919, tgid: pid, tid: pid };
    (fork.forker, fork.child, fork.parent_tgid, fork.comm) =
        (parent, process, parent.tgid, *b"storm\0\0\0\0\0\0\0\0\0\0\0");
    (fork.ns.nr, fork.ns.inum) = (pid, 4_026_531_836);
    let mut exit: ExitEvent = zeroed();
    (exit.header, exit.process, exit.parent, exit.comm, exit.parent_comm) =
        (head(1, 144), process, parent, fork.comm, fork.comm);
    (exit.ns[0].nr, exit.ns[0].inum, exit.exit_signal, exit.flags) = (pid, 4_026_531_836, 17, 3);
    let mut signal: ChildSignalEvent = zeroed();
    (signal.header, signal.current, signal.target, signal.child_nr) = (head(2, 112), process, parent, pid);
    (signal.signal, signal.code, signal.flags, signal.target_comm) = (17, 1, 0x30, fork.comm);
    (signal.target_ns, signal.target_nr) = (4_026_531_836, parent.tgid);
    let mut wait: WaitEvent = zeroed();
    (wait.header, wait.reaper, wait.child_nr, wait.ns) = (head(5, 64), parent, pid, 4_026_531_836);
    let free = FreeEvent { header: head(6, 32), process };
    for bytes in [fork.as_bytes(), exit.as_bytes(), signal.as_bytes(), wait.as_bytes(), free.as_bytes()] {
        out.extend_from_slice(bytes);
    }
}

struct Storm {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Storm {
    fn events(lives: u32) -> Vec<u8> {
        let (mut out, mut time, mut noise) = (Vec::new(), 1_000_000_000, Noise(1));
        (0..lives).for_each(|it| life(1_000 + it % 30_000, &mut time, &mut noise, &mut out));
        out
    }

    fn record(lives: u32) -> Self {
        let folder = tempfile::TempDir::new().expect("a folder for the recording");
        let path = folder.path().join("storm.zt");
        write(&path, &Self::events(lives));
        Self { _folder: folder, path }
    }

    fn length(&self) -> u64 {
        std::fs::metadata(&self.path).expect("it was recorded").len()
    }
}

fn write(path: &std::path::Path, events: &[u8]) {
    let limits = Limits { overwrite: true, ..Limits::default() };
    let mut recorder = Recorder::create(path.to_owned(), &limits).expect("the file can be made");
    recorder.begin(Header::of_this_version()).expect("the header can be written");
    let one: usize = 96 + 144 + 112 + 64 + 32;
    for (number, batch) in (1..).zip(events.chunks(one * 2_000)) {
        recorder.wire(batch);
        recorder.context(&Event { time: number * 100_000_000, what: What::Tick });
        recorder.settle().expect("the disk is not full");
    }
    recorder.finish(Ended::default()).expect("the disk is not full");
}

#[divan::bench(sample_count = 10)]
fn write_a_storm(bencher: Bencher<'_, '_>) {
    let events = Storm::events(LIVES);
    let folder = tempfile::TempDir::new().expect("a folder for the recording");
    let path = folder.path().join("storm.zt");
    bencher.counter(ItemsCount::new(LIVES * EVENTS)).bench_local(|| write(&path, &events));
}

/// The recording to read, and how many events are in it.
fn input() -> (Option<Storm>, PathBuf, u64) {
    let (storm, path) = match std::env::var_os("ZT_RECORDING") {
        Some(path) => (None, path.into()),
        None => {
            let storm = Storm::record(LIVES);
            let path = storm.path.clone();
            (Some(storm), path)
        }
    };
    let events = read(&path, |_| {});
    (storm, path, events)
}

fn read(path: &std::path::Path, mut each: impl FnMut(&Batch)) -> u64 {
    let mut reader = Reader::open(path).expect("it is a recording");
    let mut batch = Batch::default();
    while let Some(chunk) = reader.next(&mut batch).expect("it can be read") {
        if let Chunk::Batch { .. } = chunk {
            each(&batch);
        }
    }
    reader.events().unwrap_or(0)
}

#[divan::bench(sample_count = 10)]
fn read_a_recording(bencher: Bencher<'_, '_>) {
    let (_storm, path, events) = input();
    bencher.counter(ItemsCount::new(events)).bench_local(|| read(&path, |batch| _ = divan::black_box(batch)));
}

#[divan::bench(sample_count = 10)]
fn report_on_a_recording(bencher: Bencher<'_, '_>) {
    let (_storm, path, events) = input();
    bencher.counter(ItemsCount::new(events)).bench_local(|| {
        let mut replay = Replay::new(Config::default(), Scope::default(), Clock::default(), ReportWindow::default());
        read(&path, |batch| {
            replay.apply(batch);
            while replay.next_notice().is_some() {}
        });
        replay.report("host", "kernel")
    });
}
