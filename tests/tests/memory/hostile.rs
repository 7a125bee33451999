//! Small recordings that were made to be large in memory.

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;
use zerocopy::{FromBytes, IntoBytes};
use zombie_trace::abi::{ExitEvent, ForkEvent, Header as WireHeader, SignalEvent, TaskKey, WaitEvent};
use zombie_trace::model::Config;
use zombie_trace::recording::{Ended, Header, Limits, Reader, Recorder};
use zombie_trace::report::{Bounds, Clock, Replay, Report, ReportWindow, Scope};

use super::counting::peak_of;
use super::forging::{body, context, frame, number, recording};
use super::reading::read_whole;

/// What a recording may cost, bytes; what zstd takes for itself (two windows of 2 MiB) is not counted.
const MOST: usize = 56 << 20;

/// What is told of a recording, how much of it was skipped, and what that cost.
pub(crate) struct Told {
    pub(crate) report: Report,
    damages: u64,
    pub(crate) peak: usize,
}

pub(crate) fn told_of(path: &Path) -> Told {
    let ((report, damages), peak) = peak_of(|| {
        let mut reader = Reader::open(path).expect("its header is intact");
        let bounds = Bounds::of(reader.length(), Config::default().max_processes);
        let mut replay =
            Replay::new(Config::default(), Scope::default(), Clock::default(), ReportWindow::default(), bounds);
        let damages = read_whole(&mut reader, &mut replay);
        (replay.report("host", "kernel"), damages)
    });
    Told { report, damages, peak }
}

/// That a file is short, and cheap to read.
#[track_caller]
fn cheap(bytes: &[u8]) -> Told {
    let folder = TempDir::new().expect("there is room for a folder");
    let path = folder.path().join("trace.zt");
    std::fs::write(&path, bytes).expect("the folder is ours");
    assert!(bytes.len() < 1 << 20, "{} bytes are no bomb", bytes.len());
    let told = told_of(&path);
    assert!(told.peak <= MOST, "{} bytes of memory for {} of recording", told.peak, bytes.len());
    told
}

/// The same, and that what was not read is said.
#[track_caller]
fn cheap_and_lossy(bytes: &[u8]) {
    let told = cheap(bytes);
    assert!(told.damages > 0 && told.report.loss.events > 0, "{} damages", told.damages);
}

fn seed(pid: u32, exe: &str, cmdline: &[&str]) -> String {
    json!({ "time": 5, "what": { "Seed": {
        "process": { "pid": pid, "start_ns": 7 }, "tick_ns": 1, "parent_pid": 1, "tracer": null, "comm": vec![120; 16],
        "is_zombie": false, "threads": 1, "status": null, "ns_pids": [pid], "pid_ns": 3, "uid": 0, "cgroup": 0,
        "exe": exe, "cmdline": cmdline,
    }}})
    .to_string()
}

#[test]
fn millions_of_items_of_a_byte_each() {
    for item in [&[4_u8][..], &[3, 0], &[0, 0]] {
        let script = item.repeat(11_000_000 / item.len());
        cheap(&recording([body(&[(0, &script)]).as_slice()]));
        // More of them than fits into memory is not read, and again and again is too much.
        cheap_and_lossy(&recording([body(&[(0, &item.repeat(60_000_000 / item.len()))]).as_slice()]));
        let frames = vec![body(&[(0, &script)]); 3];
        cheap_and_lossy(&recording(frames.iter().map(Vec::as_slice)));
    }
}

#[test]
fn millions_of_events_of_a_byte_each() {
    // The shape of a fork that is as expected, and then only ever the same.
    let shapes = vec![0_u8; 9_000_000];
    let new = [&7_u16.to_le_bytes()[..], &0_u64.to_le_bytes()].concat();
    let script = [number(0), number(shapes.len())].concat();
    let first: Vec<u8> = std::iter::once(0xff).chain(shapes).collect();
    let times = vec![2_u8; first.len()];
    cheap_and_lossy(&recording([body(&[(0, &script), (3, &first), (4, &new), (6, &times)]).as_slice()]));
}

#[test]
fn long_texts() {
    let long = "x".repeat(60 << 20);
    cheap_and_lossy(&context(&[seed(7, &long, &[])], 1));
    let text = "x".repeat(900 << 10);
    let many: Vec<String> = (2..120).map(|pid| seed(pid, &text, &[&text[..100]])).collect();
    assert!(cheap(&context(&many, 60)).damages == 0);
    // Texts that are not there take a place, too.
    let empty = vec![""; 300_000];
    let many: Vec<String> = (2..120).map(|pid| seed(pid, "", &empty)).collect();
    assert!(cheap(&context(&many, 60)).damages == 0);
    let many: Vec<String> =
        (0..120).map(|id| json!({ "time": 5, "what": { "Cgroup": { "id": id, "path": text } } }).to_string()).collect();
    cheap(&context(&many, 60));
    let many: Vec<String> = (2..120)
        .map(|pid| {
            let cgroup = json!({ "path": text, "current": 1, "max": 2, "refused": 3 });
            let limits = json!({ "process": { "pid": pid, "start_ns": 7 }, "cgroups": [cgroup], "rlimit": null, "pid_max": null });
            json!({ "time": 5, "what": { "Limits": limits } }).to_string()
        })
        .collect();
    cheap(&context(&many, 60));
}

#[test]
fn deep_and_senseless_texts() {
    let deep = "[".repeat(900 << 10);
    cheap(&context(&[deep.clone(), "{\"time\":".to_owned() + &deep], 2));
    cheap(&context(&["null".to_owned(), String::new(), "{}".to_owned()], 1));
    cheap(&recording([body(&[(0, &[2, 100]), (1, b"{}")]).as_slice()]));
}

#[test]
fn times_from_the_end_of_the_world() {
    for time in [u64::MAX, u64::MAX / 2, i64::MAX as u64] {
        let tick = json!({ "time": time, "what": "Tick" }).to_string();
        let loss = json!({ "time": time, "what": { "Loss": { "events": u64::MAX } } }).to_string();
        let done = json!({ "time": 5, "what": { "SeedDone": { "began": time } } }).to_string();
        let told = cheap(&context(&[seed(7, "", &[]), tick, done, loss], 2));
        assert_eq!(told.report.loss.events, 0);
    }
}

#[test]
fn windows_that_are_larger_than_any_frame() {
    let noise: Vec<u8> = (0..200_000_u32).map(|it| it.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let body = body(&[(0, &[0, 0]), (2, &noise)]);
    let mut file = recording([]);
    file.extend(frame(2, &body, 27));
    cheap_and_lossy(&file);
}

pub(crate) fn zeroed<T: FromBytes>() -> T {
    T::read_from_bytes(&vec![0; size_of::<T>()]).expect("all zeroes are any of these")
}

pub(crate) fn head(kind: u16, length: usize, time_ns: u64) -> WireHeader {
    WireHeader { time_ns, kind, len: u16::try_from(length).expect("events are short"), cpu: 0 }
}

pub(crate) fn task(pid: u32) -> TaskKey {
    TaskKey { start_ns: 10_000 + u64::from(pid), tgid: pid, tid: pid }
}

/// A recording of wire events, each made of its number, as the recorder itself packs them.
fn events(count: u32, each: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let folder = TempDir::new().expect("there is room for a folder");
    let path = folder.path().join("trace.zt");
    let mut recorder = Recorder::create(path.clone(), &Limits::default()).expect("the folder is ours");
    recorder.begin(Header::of_this_version()).expect("there is room");
    for number in 0..count {
        recorder.wire(&each(number));
        if number % 10_000 == 0 {
            recorder.settle().expect("there is room");
        }
    }
    recorder.finish(Ended::default()).expect("there is room");
    std::fs::read(path).expect("it was recorded")
}

#[test]
fn processes_without_number() {
    let file = events(200_000, |it| {
        let mut fork: ForkEvent = zeroed();
        fork.header = head(7, size_of::<ForkEvent>(), 1_000_000 + u64::from(it) * 64);
        (fork.forker, fork.child, fork.parent_tgid) = (task(1), task(2 + it), 1);
        fork.as_bytes().to_vec()
    });
    let told = cheap(&file);
    assert!(told.report.loss.events > 0 || told.report.totals.exits == 0);
}

#[test]
fn parents_without_number() {
    // Each has more children than are remembered one by one.
    let file = events(20_000, |it| {
        let mut out = Vec::new();
        let parent = task(2 + it / 20);
        let time = 1_000_000 + u64::from(it) * 4_000;
        let child = task(1_000_000 + it);
        let mut exit: ExitEvent = zeroed();
        (exit.header, exit.process, exit.parent, exit.exit_signal, exit.flags) =
            (head(1, size_of::<ExitEvent>(), time), child, parent, 0, 3);
        (exit.ns[0].nr, exit.ns[0].inum) = (child.tgid, 7);
        let mut wait: WaitEvent = zeroed();
        (wait.header, wait.reaper, wait.child_nr, wait.ns) =
            (head(5, size_of::<WaitEvent>(), time + 2_000), parent, child.tgid, 7);
        out.extend_from_slice(exit.as_bytes());
        out.extend_from_slice(wait.as_bytes());
        out
    });
    let told = cheap(&file);
    assert_eq!(told.report.totals.exits, 20_000);
}

#[test]
fn dropped_signals_without_number() {
    let file = events(200_000, |it| {
        let mut signal: SignalEvent = zeroed();
        signal.header = head(3, size_of::<SignalEvent>(), 1_000_000 + u64::from(it) * 64);
        (signal.target, signal.sender, signal.signal) = (task(2 + it % 5_000), task(1), 15);
        (signal.flags, signal.target_level) = (u32::MAX, 1);
        signal.as_bytes().to_vec()
    });
    cheap(&file);
}

/// How many times each fixture is changed in each way: ten thousand recordings in all. `ZT_MUTATIONS` makes it more, for
/// a long run by hand.
fn mutations() -> usize {
    std::env::var("ZT_MUTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(2_500)
}

/// What is in the frames of a recording, each with its kind.
fn frames(mut file: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some((head, rest)) = file.split_at_checked(56) {
        let stored = u32::from_le_bytes(head[20..24].try_into().expect("these are four bytes"));
        let (stored, rest) = rest.split_at(usize::try_from(stored).expect("frames are short"));
        let kind = u16::from_le_bytes(head[18..20].try_into().expect("these are two bytes"));
        all.push((kind, zstd::decode_all(stored).expect("the fixture is whole")));
        file = rest;
    }
    all
}

/// What happens to files: bits turn, parts are missing, and parts come twice. So it does to what is in the frames, in a
/// second turn, which no checksum shows.
#[test]
fn damaged_recordings_cost_no_more() {
    let mut noise = 1_u64;
    let mut random = move |below: usize| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(noise >> 33).expect("31 bits fit") % below
    };
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings");
    let folder = TempDir::new().expect("there is room for a folder");
    let path = folder.path().join("trace.zt");
    for name in ["format-1.zt", "format-2.zt"] {
        let whole = std::fs::read(fixtures.join(name)).expect("the fixture is there");
        let frames = frames(&whole);
        let mut damage = |whole: &[u8]| {
            let mut bytes = whole.to_vec();
            for _ in 0..=random(4) {
                let at = random(bytes.len().max(2) - 1).min(bytes.len());
                let end = (at + random(300)).min(bytes.len());
                match random(4) {
                    0 if at < bytes.len() => bytes[at] ^= 1 << random(8),
                    1 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random(5)],
                    2 => drop(bytes.drain(at..end)),
                    _ => bytes
                        .splice(at..at, whole[at.min(whole.len())..end.min(whole.len())].iter().copied())
                        .for_each(drop),
                }
            }
            bytes
        };
        for turn in 0..2 * mutations() {
            let bytes = if turn % 2 == 0 {
                damage(&whole)
            } else {
                let kept = frames.iter().enumerate();
                // The header alone decides whether anything is read at all: it stays mostly.
                let damaged = kept.flat_map(|(place, (kind, content))| {
                    let content = if place == 0 && turn % 16 != 1 { content.clone() } else { damage(content) };
                    frame(*kind, &content, 21)
                });
                damaged.collect()
            };
            std::fs::write(&path, &bytes).expect("the folder is ours");
            if Reader::open(&path).is_ok() {
                let told = told_of(&path);
                assert!(told.peak <= MOST, "{} bytes of memory", told.peak);
            }
        }
    }
}
