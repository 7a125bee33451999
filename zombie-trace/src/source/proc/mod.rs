//! Reads `/proc`: the processes that exist, and the facts for the diagnosis of one.
//!
//! Processes come and go while they are read. One that is gone is skipped; a new one with the same pid is not mistaken
//! for the old one, see [`ProcReader::facts`]. What the reader may not see is `None` or zero.

mod cgroup;
mod clock;
mod doing;
mod facts;
mod handle;
mod holders;
mod limits;
mod parse;
mod process;
mod rings;
mod sockets;
mod syscalls;
mod takers;
#[cfg(test)]
mod tests;

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::event::{BootNs, Event, ExitStatus, Fact, ProcessKey, Seed, What};

use cgroup::{Hierarchies, IdCache};
use parse::{Stat, Status};
use process::Directory;

pub use crate::event::PidsUsage;
pub use cgroup::MAX_CGROUPS;
pub use clock::{Clocks, boot_clock_now, boot_id, enter_time_namespace, wall_clock_offset};
pub use limits::Census;
pub use rings::RingCache;
pub use takers::SignalReaders;

/// How much of a process's arguments is kept, in bytes.
pub const CMDLINE_LIMIT: usize = 4096;

/// How much of a process is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All.
    Full,
    /// Not its memory and its files: a process that holds the lock of its address space, or serves its file system, can
    /// stall a reader for ever.
    Brief,
}

/// `/proc` as a whole could not be read.
#[derive(Debug, Error)]
#[error("cannot read {path}")]
pub struct ProcError {
    /// What was to be read.
    pub path: PathBuf,
    /// Why it was not.
    pub source: io::Error,
}

/// Reads `/proc`, or for tests a tree that looks like it.
#[derive(Clone, Debug)]
pub struct ProcReader {
    root: PathBuf,
    tick_ns: u64,
    /// Offset of process starts in `/proc/PID/stat`, ns: not 0 in a time namespace. If it is not a multiple of a tick,
    /// as only after a checkpoint, a start may be off by a tick.
    starts_set_off_by: i64,
    /// Inode of the pid namespace of the tree; 0 if unknown.
    own_pid_ns: u32,
    hierarchies: Hierarchies,
}

impl ProcReader {
    /// A reader of the tree at `root`, normally `/proc`. Looks up the mounts of the cgroup hierarchies once, now.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        let mountinfo = fs::read(root.join("self/mountinfo")).unwrap_or_default();
        let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
        Self {
            hierarchies: Hierarchies::parse(&mountinfo),
            tick_ns: 1_000_000_000 / ticks_per_second,
            starts_set_off_by: clock::set_off_by(&root),
            own_pid_ns: own_pid_ns(&root).unwrap_or(0),
            root,
        }
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A [`Fact::Seed`] for each process that is not a kernel thread, and a [`Fact::SeedDone`] at the end.
    ///
    /// An event's time is before its process was read: the content may be newer, but not older.
    ///
    /// # Errors
    ///
    /// If the processes cannot be listed.
    pub fn seed_all(&self) -> Result<Vec<Event>, ProcError> {
        let began = boot_clock_now();
        let pids = self.pids()?;
        let mut events = Vec::with_capacity(pids.len());
        let mut buffer = Vec::new();
        let mut cgroups = IdCache::new();
        for pid in pids {
            let time = boot_clock_now();
            if let Some(seed) = self.read_seed(pid, Depth::Full, &mut buffer, &mut cgroups) {
                events.push(Event { time, what: What::Fact(Fact::Seed(Box::new(seed))) });
            }
        }
        events.push(Event { time: boot_clock_now(), what: What::Fact(Fact::SeedDone { began }) });
        Ok(events)
    }

    /// One process as in [`Self::seed_all`]; `None` if there is none, or it is a kernel thread.
    #[must_use]
    pub fn seed(&self, pid: u32) -> Option<Seed> {
        self.seed_to(Depth::Full, pid)
    }

    /// Like [`Self::seed`], to this depth.
    #[must_use]
    pub fn seed_to(&self, depth: Depth, pid: u32) -> Option<Seed> {
        self.read_seed(pid, depth, &mut Vec::new(), &mut IdCache::new())
    }

    /// Whether the process runs a 32-bit program; `None` if its executable cannot be read.
    #[must_use]
    pub fn is_32bit(&self, pid: u32) -> Option<bool> {
        // e_ident: the magic number, then the class, 1 for 32 bits and 2 for 64.
        let file = Directory::open(&self.directory(pid)).ok()?.executable().ok()?;
        let mut start = [0; 5];
        if rustix::io::read(&file, &mut start) != Ok(start.len()) {
            return None;
        }
        match start {
            [0x7f, b'E', b'L', b'F', class] => Some(class == 1),
            _ => None,
        }
    }

    /// The path within its hierarchy of the cgroup with this id, as [`Seed::cgroup`] and the kernel's events have it;
    /// `None` if it is gone. Searches all cgroups if the reader may not open file handles: cache the answer.
    #[must_use]
    pub fn cgroup_path(&self, id: u64, alive: &mut dyn FnMut()) -> Option<String> {
        if id == 0 { None } else { self.hierarchies.path(id, alive) }
    }

    /// The contents of `/proc/PID/cgroup`; `None` also for a zombie, where it says `/` in every v1 hierarchy.
    #[must_use]
    pub fn cgroup_lines(&self, process: ProcessKey) -> Option<Vec<u8>> {
        let (mut lines, mut stat) = (Vec::new(), Vec::new());
        let (directory, _) = self.open(process.pid, process.start_ns, &mut stat)?;
        directory.read("cgroup", &mut lines).ok()?;
        // It may have died meanwhile, so the later state counts.
        directory.read("stat", &mut stat).ok()?;
        Stat::parse(&stat).is_some_and(|stat| !stat.is_zombie() && !stat.is_gone()).then_some(lines)
    }

    /// Whether [`Self::pids_usage`] leaves out cgroups, because the nesting is too deep.
    #[must_use]
    pub fn cgroups_are_cut(&self, cgroup_lines: &[u8]) -> bool {
        self.hierarchies.are_cut(cgroup_lines)
    }

    /// Pids in use and allowed for each cgroup from the one in `cgroup_lines` up to the root, innermost first.
    #[must_use]
    pub fn pids_usage(&self, cgroup_lines: &[u8]) -> Vec<PidsUsage> {
        self.hierarchies.pids_usage(cgroup_lines)
    }

    /// The contents of a file of a process; `None` if the process is gone or replaced, or reading is not permitted.
    #[must_use]
    pub fn file(&self, process: ProcessKey, name: &str) -> Option<Vec<u8>> {
        let mut buffer = Vec::new();
        let (directory, _) = self.open(process.pid, process.start_ns, &mut buffer)?;
        directory.read(name, &mut buffer).ok()?;
        Some(buffer)
    }

    /// The current pids. Touches no process.
    ///
    /// # Errors
    ///
    /// They cannot be listed.
    pub fn pids(&self) -> Result<Vec<u32>, ProcError> {
        let list = || -> io::Result<Vec<u32>> {
            let mut pids = Vec::new();
            for entry in fs::read_dir(&self.root)? {
                pids.extend(number(&entry?.file_name()));
            }
            Ok(pids)
        };
        list().map_err(|source| ProcError { path: self.root.clone(), source })
    }

    /// The pid namespace of a process whose link cannot be read, if its only pid is the one in this tree.
    fn outermost_pid_ns(&self, status: &Status) -> u32 {
        if status.ns_pids.len() == 1 { self.own_pid_ns } else { 0 }
    }

    fn directory(&self, pid: u32) -> PathBuf {
        self.root.join(pid.to_string())
    }

    fn open(&self, pid: u32, start_ns: BootNs, buffer: &mut Vec<u8>) -> Option<(Directory, Stat)> {
        let directory = Directory::open(&self.directory(pid)).ok()?;
        // The leader's own `stat`: for that of the process the kernel adds up the times of all threads
        // (fs/proc/array.c, `do_task_stat`), which are not needed.
        directory.read(&format!("task/{pid}/stat"), buffer).ok()?;
        let stat = Stat::parse(buffer)?;
        let is_it = self.start_ns(&stat) / self.tick_ns == start_ns / self.tick_ns;
        (is_it && !stat.is_gone()).then_some((directory, stat))
    }

    /// Its start on the kernel's boot clock, rounded down to a tick.
    fn start_ns(&self, stat: &Stat) -> BootNs {
        stat.start_ticks.saturating_mul(self.tick_ns).saturating_add_signed(-self.starts_set_off_by)
    }

    fn read_seed(&self, pid: u32, depth: Depth, buffer: &mut Vec<u8>, cgroups: &mut IdCache) -> Option<Seed> {
        let directory = Directory::open(&self.directory(pid)).ok()?;
        directory.read("stat", buffer).ok()?;
        let stat = Stat::parse(buffer)?;
        if stat.is_kernel_thread || stat.is_gone() {
            return None;
        }
        directory.read("status", buffer).ok()?;
        let status = Status::parse(buffer);
        let is_zombie = stat.is_zombie();
        let pid_ns = directory.namespace("ns/pid");
        // The link and the exit code need the same permission; without it the code reads 0.
        let exit_code = Some(stat.exit_code).filter(|&code| is_zombie && (code != 0 || pid_ns.is_some()));
        let exe = if is_zombie { None } else { executable(&directory) };
        let arguments = if is_zombie || depth == Depth::Brief { Vec::new() } else { cmdline(&directory, buffer) };
        let cgroup = match directory.read("cgroup", buffer) {
            Ok(()) => self.hierarchies.id(buffer, is_zombie, cgroups),
            Err(_) => 0,
        };
        Some(Seed {
            process: ProcessKey { pid, start_ns: self.start_ns(&stat) },
            tick_ns: self.tick_ns,
            parent_pid: stat.parent_pid,
            tracer: status.tracer,
            comm: stat.comm,
            is_zombie,
            threads: stat.threads,
            status: exit_code.map(ExitStatus::from_raw),
            pid_ns: pid_ns.unwrap_or_else(|| self.outermost_pid_ns(&status)),
            uid: status.uid,
            ns_pids: ns_pids(status.ns_pids, pid),
            cgroup,
            exe,
            cmdline: arguments,
        })
    }
}

/// The pid namespace of the tree: the reader's own, unless it looks at an outer namespace's `/proc`.
fn own_pid_ns(root: &Path) -> Option<u32> {
    let own = Directory::open(&root.join("self")).ok()?;
    let mut status = Vec::new();
    own.read("status", &mut status).ok()?;
    (Status::parse(&status).ns_pids.len() == 1).then(|| own.namespace("ns/pid"))?
}

fn number(name: &OsString) -> Option<u32> {
    name.to_str()?.parse().ok()
}

fn executable(directory: &Directory) -> Option<String> {
    directory.link("exe").ok().map(|path| path.to_string_lossy().into_owned())
}

fn cmdline(directory: &Directory, buffer: &mut Vec<u8>) -> Vec<String> {
    match directory.read_up_to("cmdline", buffer, CMDLINE_LIMIT) {
        Ok(cut) => parse::arguments(buffer, cut),
        Err(_) => Vec::new(),
    }
}

/// A kernel without pid namespaces shows no `NSpid`.
fn ns_pids(pids: Vec<u32>, pid: u32) -> Vec<u32> {
    if pids.is_empty() { vec![pid] } else { pids }
}

/// The number after this word at the start of a line of `fdinfo`.
fn number_of(text: &[u8], key: &str, radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    u64::from_str_radix(value.split_ascii_whitespace().next()?, radix).ok()
}
