//! What the threads of a process do: the system call of each, and its object.
//!
//! The numbers of threads, of children, and of others' descriptors looked at are limited. Opens only `/proc`;
//! descriptors are identified by link and `fdinfo`, which access no file system.

use std::time::{Duration, Instant};

use super::{
    Depth, ProcReader,
    holders::Search,
    number_of,
    parse::{Stat, Status},
    process::Directory,
    sockets,
    syscalls::{self, About},
};
use crate::event::{Awaited, Channel, Doing, MAX_DOING, Object, ProcessKey};

/// Maximum time of all searches for holders of the other ends of pipes and sockets, besides their limits on work: a
/// reader has 100 ms for the whole answer.
const SEARCH: Duration = Duration::from_millis(50);
/// Maximum number of descriptors looked at in one call.
const MAX_POLLED: usize = 4;
/// Maximum number of children looked at to find the awaited one.
const MAX_CHILDREN: usize = 64;

impl ProcReader {
    /// What its threads do, the leader first; at most [`MAX_DOING`] of them. Empty if it is gone, may not be read, or
    /// is a 32-bit program, whose system calls have other numbers.
    #[must_use]
    pub fn doing(&self, process: ProcessKey, depth: Depth, is_32bit: Option<bool>) -> Vec<Doing> {
        let mut buffer = Vec::new();
        if is_32bit == Some(true) {
            return Vec::new();
        }
        let Some((directory, _)) = self.open(process.pid, process.start_ns, &mut buffer) else { return Vec::new() };
        let mut tids = directory.numbers("task", MAX_DOING).unwrap_or_default();
        tids.retain(|&tid| tid != process.pid);
        tids.truncate(MAX_DOING - 1);
        let level = match directory.read("status", &mut buffer) {
            Ok(()) => Status::parse(&buffer).ns_pids.len().saturating_sub(1),
            Err(_) => 0,
        };
        let mut looker = Looker {
            proc: self,
            directory: &directory,
            pid: process.pid,
            level,
            depth,
            search: Search::new(self, process.pid, Instant::now() + SEARCH),
            buffer,
        };
        std::iter::once(process.pid).chain(tids).filter_map(|tid| looker.thread(tid)).collect()
    }
}

struct Looker<'a> {
    proc: &'a ProcReader,
    directory: &'a Directory,
    pid: u32,
    /// Depth of its pid namespace below that of the tree.
    level: usize,
    depth: Depth,
    search: Search<'a>,
    buffer: Vec<u8>,
}

impl Looker<'_> {
    fn thread(&mut self, tid: u32) -> Option<Doing> {
        let thread = self.directory.subdirectory(&format!("task/{tid}")).ok()?;
        // The call first: a thread that has moved on before its state is read is reported as running.
        let call = match thread.read("syscall", &mut self.buffer) {
            Ok(()) => syscalls::parse(&self.buffer),
            Err(_) => None,
        };
        thread.read("stat", &mut self.buffer).ok()?;
        let stat = Stat::parse(&self.buffer)?;
        if stat.is_gone() || stat.is_zombie() {
            return None;
        }
        thread.read("status", &mut self.buffer).ok()?;
        let switches = Status::parse(&self.buffer).switches;
        let (syscall, object) = match call {
            Some(syscalls::Where::Processor) if stat.state == b'R' => (None, Object::Processor),
            Some(syscalls::Where::Call(call)) => (Some(call.name()), self.object(&call, stat.state)),
            _ => (None, Object::Unknown),
        };
        Some(Doing { tid, comm: stat.comm, state: char::from(stat.state), syscall, object, switches, since: None })
    }

    fn object(&mut self, call: &syscalls::Call, state: u8) -> Object {
        let [first, second, ..] = call.arguments;
        match call.about() {
            About::Descriptor { writes } => self.descriptor(low(first), writes),
            About::Epoll => Object::Events { count: None, first: Vec::new() },
            About::Poll if second == 0 => Object::Timer,
            About::Poll => Object::Events { count: Some(second), first: self.polled(first, second) },
            About::Select if first == 0 => Object::Timer,
            About::Select => Object::Events { count: None, first: Vec::new() },
            About::Futex => Object::Futex,
            About::Timer => Object::Timer,
            About::Signal => Object::Signal,
            // A fork call that sleeps waits for its child to call exec: vfork, or posix_spawn's clone.
            About::Fork if state != b'R' => Object::Vfork { child: self.newest_child() },
            About::Wait4 => match low(first).cast_signed() {
                -1 => Object::AnyChild,
                group if group <= 0 => Object::Group { number: group.unsigned_abs() },
                pid => Object::Child(self.child(pid.unsigned_abs(), self.level)),
            },
            About::Waitid => match low(first) {
                0 => Object::AnyChild,
                1 => Object::Child(self.child(low(second), self.level)),
                2 => Object::Group { number: low(second) },
                // The number as the reader sees it.
                3 => self.pidfd(low(second)).map_or(Object::Unknown, |number| Object::Child(self.child(number, 0))),
                _ => Object::Unknown,
            },
            About::Fork | About::Other => Object::Unknown,
        }
    }

    fn descriptor(&mut self, descriptor: u32, writes: bool) -> Object {
        let Ok(target) = self.directory.link(&format!("fd/{descriptor}")) else { return Object::Unknown };
        let target = target.to_string_lossy();
        if let Some(inode) = inode(&target, "pipe:[") {
            let (holders, is_cut) = self.search.of_pipe(inode, !writes);
            return Object::Pipe(Channel { inode, writes, holders, is_cut, peer: None });
        }
        if let Some(inode) = inode(&target, "socket:[") {
            let peer = sockets::peer(inode);
            let (holders, is_cut) = peer.map_or_else(Default::default, |peer| self.search.of_socket(peer));
            return Object::Socket(Channel { inode, writes, holders, is_cut, peer });
        }
        match target.as_ref() {
            "anon_inode:[eventpoll]" => Object::Events { count: None, first: Vec::new() },
            "anon_inode:[timerfd]" => Object::Timer,
            "anon_inode:[signalfd]" => Object::Signal,
            path if path.starts_with('/') => Object::File {
                path: path.to_owned(),
                file_system: self.field("mnt_id:", descriptor).and_then(|mount| self.directory.file_system(mount)),
            },
            _ => Object::Unknown,
        }
    }

    /// A number of a descriptor's `fdinfo`.
    fn field(&mut self, key: &str, descriptor: u32) -> Option<u64> {
        self.directory.read(&format!("fdinfo/{descriptor}"), &mut self.buffer).ok()?;
        number_of(&self.buffer, key, 10)
    }

    fn pidfd(&mut self, descriptor: u32) -> Option<u32> {
        self.field("Pid:", descriptor).and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid > 0)
    }

    /// What the first descriptors of a `poll` are, read from the process's memory.
    fn polled(&mut self, address: u64, count: u64) -> Vec<Object> {
        const SIZE: usize = 8;
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(MAX_POLLED);
        if self.depth == Depth::Brief {
            return Vec::new();
        }
        let Some(bytes) = self.directory.memory(address, count * SIZE) else { return Vec::new() };
        let descriptors = bytes.chunks_exact(SIZE).filter_map(|entry| {
            let descriptor = i32::from_ne_bytes(entry[..4].try_into().ok()?);
            let events = i16::from_ne_bytes(entry[4..6].try_into().ok()?);
            Some((u32::try_from(descriptor).ok()?, events & libc::POLLIN == 0))
        });
        descriptors.map(|(descriptor, writes)| self.descriptor(descriptor, writes)).collect()
    }

    /// The child with this number in the pid namespace at this depth.
    fn child(&mut self, number: u32, level: usize) -> Awaited {
        let unknown = Awaited { number, pid: None, comm: None, state: None, wait_channel: None };
        let (children, _) = self.children();
        // In the outermost namespace a number is a pid.
        let candidates = children.iter().copied().filter(|&pid| pid == number).chain(children.iter().copied());
        for pid in candidates.take(MAX_CHILDREN) {
            let Ok(directory) = Directory::open(&self.proc.directory(pid)) else { continue };
            if directory.read("status", &mut self.buffer).is_err() {
                continue;
            }
            // A kernel without pid namespaces shows none.
            let numbers = Status::parse(&self.buffer).ns_pids;
            if numbers.get(level).copied().unwrap_or(pid) == number {
                return self.look_at(&directory, pid, number).unwrap_or(unknown);
            }
        }
        unknown
    }

    fn newest_child(&mut self) -> Option<Awaited> {
        let (children, is_all) = self.children();
        let pid = children.last().copied().filter(|_| is_all)?;
        let directory = Directory::open(&self.proc.directory(pid)).ok()?;
        self.look_at(&directory, pid, pid)
    }

    fn look_at(&mut self, directory: &Directory, pid: u32, number: u32) -> Option<Awaited> {
        directory.read("stat", &mut self.buffer).ok()?;
        let Stat { comm, state, .. } = Stat::parse(&self.buffer)?;
        let wait_channel = super::facts::wait_channel(directory, &mut self.buffer);
        Some(Awaited { number, pid: Some(pid), comm: Some(comm), state: Some(char::from(state)), wait_channel })
    }

    /// The children of its leader, oldest first, and whether these are all.
    fn children(&mut self) -> (Vec<u32>, bool) {
        super::holders::children(self.directory, self.pid, &mut self.buffer)
    }
}

/// The number in `pipe:[4711]`.
fn inode(target: &str, kind: &str) -> Option<u64> {
    target.strip_prefix(kind)?.strip_suffix(']')?.parse().ok()
}

fn low(argument: u64) -> u32 {
    u32::try_from(argument & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}
