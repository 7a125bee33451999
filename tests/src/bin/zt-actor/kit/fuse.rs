//! A file system in user space whose server stops answering: one folder with one file in it, the actor's own program.
//!
//! Implemented without a library, so that it runs wherever the actor does (`include/uapi/linux/fuse.h`).

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, read, write};

use super::{fork, reap};

/// The name of the file.
const NAME: &[u8] = b"program";
const ROOT: u64 = 1;
const PROGRAM: u64 = 2;

/// Requests that are no longer answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Reads of the file's content.
    OfContent = 1,
    /// All others, so that a program from there keeps running.
    OfAllElse = 2,
}

/// Memory shared by this process, the server and all users of the file system.
#[repr(C)]
struct Shared {
    silence: AtomicU32,
    unanswered: AtomicU32,
}

/// The file system, mounted for this process and its future children.
pub(crate) struct SilentFiles {
    folder: PathBuf,
    server: Pid,
    shared: &'static Shared,
}

impl SilentFiles {
    /// Mounts it, served by a separate process; `None` if the kernel has no such file systems.
    pub(crate) fn mount() -> anyhow::Result<Option<Self>> {
        let Ok(device) = open("/dev/fuse", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()) else { return Ok(None) };
        unshare(CloneFlags::CLONE_NEWNS).context("a new mount namespace")?;
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
        let folder = tempfile::tempdir()?.keep();
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        if mount(Some("zt"), &folder, Some("fuse"), flags, Some(options.as_str())).is_err() {
            std::fs::remove_dir(&folder)?;
            return Ok(None);
        }
        let shared = shared()?;
        let program = File::open("/proc/self/exe")?;
        // Its exit must end the connection, so nobody else may keep the device open.
        let server = fork(|| {
            let done = serve(&device, &program, shared);
            i32::from(done.is_err())
        })?;
        Ok(Some(Self { folder, server, shared }))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.folder.join("program")
    }

    /// Stops answering these requests.
    pub(crate) fn fall_silent(&self, silence: Silence) {
        self.shared.silence.store(silence as u32, Ordering::SeqCst);
    }

    /// How many requests have not been answered.
    pub(crate) fn unanswered(&self) -> u32 {
        self.shared.unanswered.load(Ordering::SeqCst)
    }

    /// Ends the server: waiting processes get an error.
    pub(crate) fn end(self) -> anyhow::Result<()> {
        kill(self.server, Signal::SIGKILL)?;
        reap(self.server)?;
        umount2(&self.folder, MntFlags::MNT_DETACH)?;
        std::fs::remove_dir(&self.folder)?;
        Ok(())
    }
}

fn shared() -> anyhow::Result<&'static Shared> {
    let length = size_of::<Shared>().try_into()?;
    let flags = MapFlags::MAP_SHARED;
    // SAFETY: a new mapping at a place that the kernel chooses touches no other memory.
    let address = unsafe { mmap_anonymous(None, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags) }?;
    // SAFETY: the mapping is long enough, aligned to a page, zeroed, never unmapped, and both fields are atomic.
    Ok(unsafe { address.cast::<Shared>().as_ref() })
}

mod opcode {
    pub(super) const LOOKUP: u32 = 1;
    pub(super) const FORGET: u32 = 2;
    pub(super) const GETATTR: u32 = 3;
    pub(super) const OPEN: u32 = 14;
    pub(super) const READ: u32 = 15;
    pub(super) const RELEASE: u32 = 18;
    pub(super) const FLUSH: u32 = 25;
    pub(super) const INIT: u32 = 26;
    pub(super) const OPENDIR: u32 = 27;
    pub(super) const RELEASEDIR: u32 = 29;
    pub(super) const INTERRUPT: u32 = 36;
    pub(super) const BATCH_FORGET: u32 = 42;
}

/// `fuse_in_header` with what follows it.
struct Request<'a> {
    opcode: u32,
    unique: u64,
    node: u64,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (_, body) = bytes.split_at_checked(40)?;
        Some(Self { opcode: u32_at(bytes, 4)?, unique: u64_at(bytes, 8)?, node: u64_at(bytes, 16)?, body })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn serve(device: &OwnedFd, program: &File, shared: &Shared) -> anyhow::Result<()> {
    let mut buffer = vec![0; 1 << 18];
    let length = program.metadata()?.len();
    loop {
        let filled = match read(device, &mut buffer) {
            Ok(filled) => filled,
            // The request was withdrawn meanwhile.
            Err(Errno::EINTR | Errno::ENOENT | Errno::EAGAIN) => continue,
            Err(Errno::ENODEV) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let request = Request::parse(&buffer[..filled]).context("a request is cut short")?;
        let silence = shared.silence.load(Ordering::SeqCst);
        let of_content = request.opcode == opcode::READ;
        if matches!(request.opcode, opcode::FORGET | opcode::BATCH_FORGET | opcode::INTERRUPT) {
            continue;
        }
        if silence == Silence::OfContent as u32 && of_content || silence == Silence::OfAllElse as u32 && !of_content {
            shared.unanswered.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        let (error, body) = match answer(&request, program, length) {
            Ok(body) => (0, body),
            Err(error) => (-(error as i32), Vec::new()),
        };
        let whole = u32::try_from(16 + body.len())?;
        let mut reply = [whole.to_ne_bytes(), error.to_ne_bytes()].concat();
        reply.extend(request.unique.to_ne_bytes());
        reply.extend(body);
        match write(device, &reply) {
            Ok(_) | Err(Errno::ENOENT) => {}
            Err(Errno::ENODEV) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn answer(request: &Request<'_>, program: &File, length: u64) -> Result<Vec<u8>, Errno> {
    match request.opcode {
        opcode::INIT => {
            let mut body = numbers(&[7, 31, 0, 0]);
            // Requests in the background, and when they are too many.
            body.extend([12u16, 9].into_iter().flat_map(u16::to_ne_bytes));
            // The longest write, the steps of times, and what is zero.
            body.extend(numbers(&[65_536, 1]));
            body.resize(64, 0);
            Ok(body)
        }
        opcode::LOOKUP if request.node == ROOT && request.body.strip_suffix(b"\0") == Some(NAME) => {
            // Never cached: each lookup asks the server again.
            let mut body = PROGRAM.to_ne_bytes().to_vec();
            body.resize(40, 0);
            body.extend(attributes(PROGRAM, length));
            Ok(body)
        }
        opcode::LOOKUP => Err(Errno::ENOENT),
        opcode::GETATTR => Ok([vec![0; 16], attributes(request.node, length)].concat()),
        opcode::OPEN | opcode::OPENDIR => Ok(vec![0; 16]),
        opcode::READ => {
            let offset = u64_at(request.body, 8).ok_or(Errno::EINVAL)?;
            let wanted = u32_at(request.body, 16).ok_or(Errno::EINVAL)?;
            let mut content = vec![0; usize::try_from(wanted).map_err(|_| Errno::EINVAL)?];
            let mut filled = 0;
            while filled < content.len() {
                match program.read_at(&mut content[filled..], offset + filled as u64) {
                    Ok(0) => break,
                    Ok(more) => filled += more,
                    Err(_) => return Err(Errno::EIO),
                }
            }
            content.truncate(filled);
            Ok(content)
        }
        opcode::RELEASE | opcode::RELEASEDIR | opcode::FLUSH => Ok(Vec::new()),
        _ => Err(Errno::ENOSYS),
    }
}

fn numbers(all: &[u32]) -> Vec<u8> {
    all.iter().flat_map(|number| number.to_ne_bytes()).collect()
}

/// `fuse_attr`.
fn attributes(node: u64, length: u64) -> Vec<u8> {
    let (mode, links, length) = if node == ROOT { (0o040_755, 2, 0) } else { (0o100_755, 1, length) };
    let mut body: Vec<u8> =
        [node, length, length.div_ceil(512), 0, 0, 0].into_iter().flat_map(u64::to_ne_bytes).collect();
    body.extend(numbers(&[0, 0, 0, mode, links, 0, 0, 0, 4096, 0]));
    body
}
