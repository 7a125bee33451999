use std::{fs, os::unix::fs::symlink, process::Command};

use super::*;
use crate::event::Comm;

/// A tree that looks like `/proc`.
struct Fixture(tempfile::TempDir);

struct Process<'a> {
    pid: u32,
    comm: &'a [u8],
    state: char,
    parent: u32,
    flags: u32,
    start_ticks: u64,
    exit_code: u32,
    pid_ns: Option<u32>,
}

impl Default for Process<'_> {
    fn default() -> Self {
        Self {
            pid: 10,
            comm: b"sleep",
            state: 'S',
            parent: 1,
            flags: 0x40_0000,
            start_ticks: 500,
            exit_code: 0,
            pid_ns: Some(4_026_531_836),
        }
    }
}

impl Fixture {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn add(&self, process: &Process<'_>) -> PathBuf {
        let folder = self.0.path().join(process.pid.to_string());
        fs::create_dir_all(folder.join("ns")).unwrap();
        let mut stat = format!("{} (", process.pid).into_bytes();
        stat.extend_from_slice(process.comm);
        stat.extend_from_slice(
            format!(
                ") {} {} 1 1 0 -1 {} 0 0 0 0 0 0 0 0 20 0 2 0 {} {}{}\n",
                process.state,
                process.parent,
                process.flags,
                process.start_ticks,
                "0 ".repeat(29),
                process.exit_code
            )
            .as_bytes(),
        );
        let leader = folder.join("task").join(process.pid.to_string());
        fs::create_dir_all(&leader).unwrap();
        fs::write(leader.join("stat"), &stat).unwrap();
        fs::write(folder.join("stat"), stat).unwrap();
        fs::write(
            folder.join("status"),
            format!(
                "Name:\tx\nTracerPid:\t0\nUid:\t7\t7\t7\t7\nNSpid:\t{}\t3\nSigBlk:\t0000000000000002\nSigCgt:\t4\n",
                process.pid
            ),
        )
        .unwrap();
        fs::write(folder.join("cmdline"), b"sleep\x0060\0").unwrap();
        fs::write(folder.join("cgroup"), b"0::/\n").unwrap();
        symlink("/bin/sleep", folder.join("exe")).unwrap();
        if let Some(inode) = process.pid_ns {
            symlink(format!("pid:[{inode}]"), folder.join("ns/pid")).unwrap();
        }
        folder
    }

    fn reader(&self) -> ProcReader {
        ProcReader::new(self.0.path().to_owned())
    }

    fn seeds(&self) -> Vec<Seed> {
        seeds(self.reader().seed_all().unwrap())
    }
}

fn seeds(events: Vec<Event>) -> Vec<Seed> {
    let mut seeds: Vec<Seed> = events
        .into_iter()
        .filter_map(|event| match event.what {
            What::Fact(Fact::Seed(seed)) => Some(*seed),
            _ => None,
        })
        .collect();
    seeds.sort_by_key(|seed| seed.process.pid);
    seeds
}

#[test]
fn a_live_process_is_seeded_whole() {
    let fixture = Fixture::new();
    fixture.add(&Process::default());
    let seed = fixture.seeds().remove(0);
    let mut comm = Comm::default();
    comm[..5].copy_from_slice(b"sleep");
    assert_eq!(
        seed,
        Seed {
            process: ProcessKey { pid: 10, start_ns: 5_000_000_000 },
            tick_ns: 10_000_000,
            parent_pid: 1,
            tracer: None,
            comm,
            is_zombie: false,
            threads: 2,
            status: None,
            ns_pids: vec![10, 3],
            pid_ns: 4_026_531_836,
            uid: 7,
            cgroup: 0,
            exe: Some("/bin/sleep".into()),
            cmdline: vec!["sleep".into(), "60".into()],
        }
    );
}

#[test]
fn a_scan_ends_with_the_time_at_which_it_began() {
    let fixture = Fixture::new();
    fixture.add(&Process::default());
    let before = boot_clock_now();
    let events = fixture.reader().seed_all().unwrap();
    let Some(Event { what: What::Fact(Fact::SeedDone { began }), time }) = events.last() else { panic!("{events:?}") };
    assert!(before <= *began && *began <= events[0].time && events[0].time <= *time);
}

#[test]
fn hostile_names_do_not_shift_the_fields() {
    let fixture = Fixture::new();
    let names: [&[u8]; 5] = [b"a) Z 1 (b", b"x\ny) R 0\n", b"\xff\xfe\x1b[31m", b")", b""];
    for (pid, comm) in (20..).zip(names) {
        fixture.add(&Process { pid, comm, ..Process::default() });
    }
    let seeds = fixture.seeds();
    assert_eq!(seeds.len(), names.len());
    for (seed, name) in seeds.iter().zip(names) {
        assert_eq!(&seed.comm[..name.len()], name);
        assert_eq!((seed.parent_pid, seed.is_zombie, seed.process.start_ns), (1, false, 5_000_000_000));
    }
}

#[test]
fn a_zombie_has_its_status_where_the_reader_may_know_it() {
    let fixture = Fixture::new();
    let zombie = Process { state: 'Z', ..Process::default() };
    fixture.add(&Process { pid: 20, exit_code: 3 << 8, ..zombie });
    fixture.add(&Process { pid: 21, exit_code: 0x86, ..zombie });
    fixture.add(&Process { pid: 22, exit_code: 0, ..zombie });
    fixture.add(&Process { pid: 23, exit_code: 0, pid_ns: None, ..zombie });
    let seeds = fixture.seeds();
    let statuses: Vec<_> = seeds.iter().map(|seed| seed.status).collect();
    assert_eq!(
        statuses,
        [
            Some(ExitStatus::Code(3)),
            Some(ExitStatus::Signal { signal: 6, core_dumped: true }),
            Some(ExitStatus::Code(0)),
            None,
        ]
    );
    assert!(seeds.iter().all(|seed| seed.is_zombie && seed.exe.is_none() && seed.cmdline.is_empty()));
}

#[test]
fn a_process_of_the_outermost_namespace_is_told_without_its_link() {
    let fixture = Fixture::new();
    let own = fixture.add(&Process { pid: 20, ..Process::default() });
    fs::write(own.join("status"), "NSpid:\t20\n").unwrap();
    symlink("20", fixture.0.path().join("self")).unwrap();
    let hidden = fixture.add(&Process { pid: 21, pid_ns: None, ..Process::default() });
    fs::write(hidden.join("status"), "NSpid:\t21\n").unwrap();
    fixture.add(&Process { pid: 22, pid_ns: None, ..Process::default() });
    let inodes: Vec<_> = fixture.seeds().iter().map(|seed| seed.pid_ns).collect();
    assert_eq!(inodes, [4_026_531_836, 4_026_531_836, 0]);
    // An outer namespace's tree seen from an inner one: the reader's own namespace says nothing about it.
    fs::write(own.join("status"), "NSpid:\t20\t5\n").unwrap();
    assert_eq!(fixture.seeds()[1].pid_ns, 0);
}

#[test]
fn kernel_threads_and_what_vanishes_are_skipped() {
    let fixture = Fixture::new();
    fixture.add(&Process { pid: 2, flags: 0x20_8040, parent: 0, ..Process::default() });
    fixture.add(&Process { pid: 3, state: 'X', ..Process::default() });
    fs::remove_file(fixture.add(&Process { pid: 4, ..Process::default() }).join("status")).unwrap();
    fs::create_dir(fixture.0.path().join("5")).unwrap();
    fs::write(fixture.add(&Process { pid: 6, ..Process::default() }).join("stat"), "6 (").unwrap();
    fs::create_dir(fixture.0.path().join("sys")).unwrap();
    // In a container a process may well be the child of pid 2.
    fixture.add(&Process { pid: 7, parent: 2, ..Process::default() });
    let pids: Vec<_> = fixture.seeds().iter().map(|seed| seed.process.pid).collect();
    assert_eq!(pids, [7]);
}

#[test]
fn an_unreadable_proc_is_an_error_that_names_it() {
    let fixture = Fixture::new();
    let error = ProcReader::new(fixture.0.path().join("none")).seed_all().unwrap_err();
    assert!(error.to_string().ends_with("/none"), "{error}");
}

#[test]
fn a_long_command_line_is_cut() {
    let fixture = Fixture::new();
    let folder = fixture.add(&Process::default());
    fs::write(folder.join("cmdline"), vec![b'x'; 100_000]).unwrap();
    let seed = fixture.seeds().remove(0);
    assert_eq!(seed.cmdline.iter().map(String::len).sum::<usize>(), CMDLINE_LIMIT);
}

#[test]
fn facts_are_those_of_the_same_process_only() {
    let fixture = Fixture::new();
    let folder = fixture.add(&Process::default());
    fs::write(folder.join("wchan"), "do_wait").unwrap();
    let reader = fixture.reader();
    // The kernel's exact start within the tick that /proc shows.
    let facts = reader.facts(10, 5_009_999_999).unwrap();
    assert_eq!((facts.state, facts.blocked, facts.caught, facts.threads), ('S', 2, 4, 2));
    assert_eq!(facts.wait_channel.as_deref(), Some("do_wait"));
    assert_eq!(facts.cmdline, ["sleep", "60"]);
    assert_eq!((facts.pid_ns, facts.ns_pids), (4_026_531_836, vec![10, 3]));
    assert_eq!(reader.facts(10, 5_010_000_000), None);
    assert_eq!(reader.facts(10, 4_999_999_999), None);
    assert_eq!(reader.facts(11, 5_000_000_000), None);
}

#[test]
fn the_class_of_the_executable_is_read() {
    let fixture = Fixture::new();
    let folder = fixture.add(&Process::default());
    let reader = fixture.reader();
    fs::copy("/proc/self/mountinfo", folder.join("mountinfo")).unwrap();
    for (contents, expected) in [
        (&b"\x7fELF\x01\x01\x01"[..], Some(true)),
        (&b"\x7fELF\x02\x01\x01"[..], Some(false)),
        (&b"#!/bin/sh\n"[..], None),
        (&b"\x7fEL"[..], None),
    ] {
        fs::remove_file(folder.join("exe")).unwrap();
        fs::write(folder.join("exe"), contents).unwrap();
        assert_eq!(reader.is_32bit(10), expected, "{contents:?}");
    }
    assert_eq!(reader.is_32bit(11), None);
}

/// The real `/proc`, so that the fixtures cannot drift from it.
#[test]
fn a_real_zombie_is_found_with_its_status() {
    let mut child = Command::new("/bin/sh").args(["-c", "exit 7"]).spawn().unwrap();
    let reader = ProcReader::new("/proc".into());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let seed = loop {
        let seed = reader.seed(child.id()).unwrap();
        if seed.is_zombie {
            break seed;
        }
        assert!(std::time::Instant::now() < deadline, "{seed:?}");
        std::thread::yield_now();
    };
    assert_eq!(seed.status, Some(ExitStatus::Code(7)));
    assert_eq!(seed.parent_pid, std::process::id());
    let now = boot_clock_now();
    assert!(seed.process.start_ns <= now && now - seed.process.start_ns < 20_000_000_000, "{seed:?} at {now}");
    let all = seeds(reader.seed_all().unwrap());
    let found = all.iter().find(|other| other.process == seed.process).unwrap();
    assert_eq!(found.status, seed.status);
    assert!(reader.facts(child.id(), seed.process.start_ns).is_some_and(|facts| facts.state == 'Z'));
    child.wait().unwrap();
    assert_eq!(reader.facts(child.id(), seed.process.start_ns), None);
    assert_eq!(reader.seed(child.id()), None);
}

#[test]
fn our_own_process_is_seen_as_it_is() {
    let reader = ProcReader::new("/proc".into());
    let seed = reader.seed(std::process::id()).unwrap();
    assert_eq!(seed.exe.unwrap(), std::env::current_exe().unwrap().to_string_lossy());
    assert_ne!(seed.pid_ns, 0);
    assert_eq!(reader.is_32bit(std::process::id()), Some(cfg!(target_pointer_width = "32")));
    if seed.cgroup != 0 {
        assert!(reader.cgroup_path(seed.cgroup, &mut || {}).unwrap().starts_with('/'));
    }
}
