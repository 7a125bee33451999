//! What a recording costs: bytes for a process's life, time to write and to read, and the memory of a report.
//!
//! `cargo bench -p zombie-trace --bench recording` records and reads a made-up storm; with `ZT_RECORDING=FILE` that
//! recording is read. Memory is measured in a process of its own for a recording and for one ten times as long.

use std::path::PathBuf;

use divan::{Bencher, counter::ItemsCount};
use zerocopy::{FromBytes, IntoBytes};
use zombie_trace::abi::{ChildSignalEvent, ExitEvent, ForkEvent, FreeEvent, Header as WireHeader, TaskKey, WaitEvent};
use zombie_trace::{
    event::{Event, What},
    model::Config,
    recording::{Batch, Chunk, Ended, Header, Limits, Reader, Recorder},
    report::{Bounds, Clock, Replay, ReportWindow, Scope},
};

fn main() {
    if let Some(path) = std::env::var_os(PEAK_OF) {
        report(path.as_ref());
        println!("{}", peak_kib());
        return;
    }
    let storm = Storm::record(LIVES);
    println!("{:.1} bytes on disk for a process's life", storm.length() as f64 / f64::from(LIVES));
    for storm in [storm, Storm::record(10 * LIVES)] {
        let this = std::env::current_exe().expect("the kernel names the running program");
        let child = std::process::Command::new(this).env(PEAK_OF, &storm.path).output().expect("it runs already");
        let peak = String::from_utf8_lossy(&child.stdout).trim().to_owned();
        println!("{peak} KiB of memory at most for the report on {} KiB", storm.length() / 1024);
    }
    divan::main();
}

/// Names a recording whose report's memory is to be measured.
const PEAK_OF: &str = "ZT_PEAK_OF";

/// The most memory that this process has had at a time.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux has it");
    line.trim().trim_end_matches(" kB").parse().expect("it is a number")
}

/// Processes in a storm.
const LIVES: u32 = 200_000;
/// Processes whose events come in one batch.
const BATCH: u32 = 2_000;
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
    /// The events, a batch at a time: a long storm has more than fits into memory.
    fn batches(lives: u32) -> impl Iterator<Item = Vec<u8>> {
        let (mut time, mut noise) = (1_000_000_000, Noise(1));
        (0..lives).step_by(BATCH as usize).map(move |first| {
            let mut out = Vec::new();
            (first..lives.min(first + BATCH)).for_each(|it| life(1_000 + it % 30_000, &mut time, &mut noise, &mut out));
            out
        })
    }

    fn record(lives: u32) -> Self {
        let folder = tempfile::TempDir::new().expect("a folder for the recording");
        let path = folder.path().join("storm.zt");
        write(&path, Self::batches(lives));
        Self { _folder: folder, path }
    }

    fn length(&self) -> u64 {
        std::fs::metadata(&self.path).expect("it was recorded").len()
    }
}

fn write(path: &std::path::Path, batches: impl Iterator<Item = Vec<u8>>) {
    let limits = Limits { overwrite: true, ..Limits::default() };
    let mut recorder = Recorder::create(path.to_owned(), &limits).expect("the file can be made");
    recorder.begin(Header::of_this_version()).expect("the header can be written");
    for (number, batch) in (1..).zip(batches) {
        recorder.wire(&batch);
        recorder.context(&Event { time: number * 100_000_000, what: What::Tick });
        recorder.settle().expect("the disk is not full");
    }
    recorder.finish(Ended::default()).expect("the disk is not full");
}

#[divan::bench(sample_count = 10)]
fn write_a_storm(bencher: Bencher<'_, '_>) {
    let batches: Vec<Vec<u8>> = Storm::batches(LIVES).collect();
    let folder = tempfile::TempDir::new().expect("a folder for the recording");
    let path = folder.path().join("storm.zt");
    bencher.counter(ItemsCount::new(LIVES * EVENTS)).bench_local(|| write(&path, batches.iter().cloned()));
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
    bencher.counter(ItemsCount::new(events)).bench_local(|| report(&path));
}

fn report(path: &std::path::Path) -> zombie_trace::report::Report {
    let mut replay = Replay::new(
        Config::default(),
        Scope::default(),
        Clock::default(),
        ReportWindow::default(),
        Bounds::of(u64::MAX, 1 << 20),
    );
    read(path, |batch| {
        replay.apply(batch);
        while replay.next_notice().is_some() {}
    });
    replay.report("host", "kernel")
}
