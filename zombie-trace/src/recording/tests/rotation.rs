//! Files: what is made, what is kept, and what is never touched.

use std::{os::unix::fs::symlink, time::Duration};

use super::*;

fn limits(rotation: Rotation) -> Limits {
    Limits { rotation, ..Limits::default() }
}

fn names(folder: &TempDir) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Records `parts` files of one batch each.
fn rotate(path: &Path, rotation: Rotation, parts: u32) {
    let mut recorder = Recorder::create(path.to_owned(), &limits(rotation)).unwrap();
    recorder.begin(header()).unwrap();
    for part in 0..parts {
        recorder.context(&cgroup());
        recorder.wire(&life(1_000 + part, 1_000_000 + u64::from(part)));
        if part + 1 < parts {
            recorder.rotate(u64::from(part) + 10).unwrap();
        }
    }
    recorder.finish(Ended::default()).unwrap();
}

#[test]
fn rotated_files_can_be_read_each_for_itself_and_one_after_the_other() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("trace.zt");
    rotate(&path, Rotation { size: Some(1), ..Rotation::default() }, 3);
    let names = names(&folder);
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names[0].starts_with("trace-20") && names[0].ends_with("Z.zt"), "{names:?}");
    let mut events = None;
    for (part, name) in names.iter().enumerate() {
        let mut reader = Reader::open(&folder.path().join(name)).unwrap();
        assert_eq!(reader.header().part, part as u64);
        assert_eq!(fs::metadata(reader.path()).unwrap().permissions().mode() & 0o7777, 0o600);
        if let Some(events) = events {
            reader.continue_from(events);
        }
        let mut batch = Batch::default();
        let mut cgroups = 0;
        while let Some(chunk) = reader.next(&mut batch).unwrap() {
            assert!(!matches!(chunk, Chunk::Damage(_) | Chunk::Batch { lost: 1.. }), "{chunk:?}");
            cgroups += batch.items.iter().filter(|item| **item == Item::Context(cgroup())).count();
        }
        assert!(cgroups > 0, "what cgroups are is said in every file");
        events = reader.events();
    }
    assert_eq!(events, Some(12));
}

#[test]
fn a_missing_file_of_a_set_is_a_gap_of_known_size() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("trace.zt");
    rotate(&path, Rotation { size: Some(1), ..Rotation::default() }, 3);
    let mut first = Reader::open(&folder.path().join(&names(&folder)[0])).unwrap();
    while first.next(&mut Batch::default()).unwrap().is_some() {}
    let mut last = Reader::open(&path).unwrap();
    last.continue_from(first.events().unwrap());
    let chunk = last.next(&mut Batch::default()).unwrap();
    assert!(matches!(chunk, Some(Chunk::Batch { lost: 4 })), "{chunk:?}");
}

#[test]
fn only_so_many_files_are_kept_and_strangers_are_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("trace.zt");
    let strangers = ["trace-20260714T120102.345678901Z.txt", "trace-2026.zt", "other-20260714T120102.345678901Z.zt"];
    strangers.iter().for_each(|name| fs::write(folder.path().join(name), b"mine").unwrap());
    symlink("/nowhere", folder.path().join("trace-20260101T000000.000000000Z.zt")).unwrap();
    rotate(&path, Rotation { size: Some(1), keep_files: Some(2), ..Rotation::default() }, 6);
    let names = names(&folder);
    assert_eq!(names.len(), 2 + strangers.len() + 1, "{names:?}");
    rotate(&path, Rotation { size: Some(1), keep_bytes: Some(1), ..Rotation::default() }, 3);
    assert_eq!(self::names(&folder).len(), 1 + strangers.len() + 1, "{:?}", self::names(&folder));
}

#[test]
fn a_recorder_that_is_started_anew_keeps_what_was_recorded() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("trace.zt");
    let rotation = Rotation { age: Some(Duration::from_secs(900)), ..Rotation::default() };
    rotate(&path, rotation, 1);
    rotate(&path, rotation, 1);
    assert_eq!(names(&folder).len(), 2);
}

#[test]
fn nothing_is_overwritten_unasked_nor_anything_but_ones_own_file() {
    let (folder, path) = recorded();
    let create = |name: &str, overwrite| {
        Recorder::create(folder.path().join(name), &Limits { overwrite, ..Limits::default() }).map(|_| ())
    };
    assert!(matches!(create("trace.zt", false), Err(FileError::Exists(_))));
    symlink(&path, folder.path().join("link.zt")).unwrap();
    fs::hard_link(&path, folder.path().join("hard.zt")).unwrap();
    for name in ["link.zt", "hard.zt", "."] {
        assert!(create(name, true).is_err(), "{name}");
    }
    assert_eq!(read(&path).unwrap().batches, batches());
    fs::remove_file(folder.path().join("hard.zt")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    // Nothing is deleted before there is something new.
    create("trace.zt", true).unwrap();
    assert_eq!(read(&path).unwrap().batches, batches());
    let limits = Limits { overwrite: true, ..Limits::default() };
    let mut recorder = Recorder::create(path.clone(), &limits).unwrap();
    recorder.begin(header()).unwrap();
    recorder.finish(Ended::default()).unwrap();
    assert!(read(&path).unwrap().batches.is_empty());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn a_recorder_that_never_began_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    drop(Recorder::create(folder.path().join("trace.zt"), &Limits::default()).unwrap());
    assert!(names(&folder).is_empty());
}

#[test]
fn recording_stops_before_the_disk_is_too_full() {
    let folder = TempDir::new().unwrap();
    let limits = Limits { min_free: u64::MAX, ..Limits::default() };
    let mut recorder = Recorder::create(folder.path().join("trace.zt"), &limits).unwrap();
    let stop = recorder.begin(header()).unwrap_err();
    assert!(matches!(stop, Stop::DiskFloor { floor: u64::MAX, .. }), "{stop}");
}
