//! A parent whose files in `/proc` stall their readers, by a file system in user space that never answers.
//!
//! Prints `stalled` once a read is known to be held up, or `unsupported`, and `parent pid=` and `child pid= exit=` of a
//! child that it never reaps. When stdin is closed the file system ends, and with it all waits for it.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::ValueEnum;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{chdir, chroot, dup2_stdin, execv, pipe, write};

use super::kit::fuse::{Silence, SilentFiles};
use super::kit::{Channel, fork, host_pid, in_new_pid_namespace, reap, reap_everything, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which part of it stalls its readers
    #[arg(long, value_enum)]
    stalls: What,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Its memory, and so its command line: a page fault that is never answered holds the lock
    Memory,
    /// Its executable and its working directory
    Executable,
    /// Its root directory, as that of a PID 1
    Root,
}

/// A read that takes this long is stalled; others take microseconds.
const HELD_UP: Duration = Duration::from_millis(500);
/// How long it may take to stall.
const PATIENCE: Duration = Duration::from_secs(5);
const EXIT: i32 = 7;

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let Some(files) = SilentFiles::mount()? else {
        say("unsupported");
        return Ok(());
    };
    let begin = Channel::new()?;
    let (orders, order) = pipe()?;
    let (parent, stalls) = match args.stalls {
        What::Memory => {
            let parent = fork(|| done(hold_own_memory(&files, &begin)))?;
            let came = eventually(|| files.unanswered() > 0);
            (parent, came && is_held_up(|| drop(std::fs::read(format!("/proc/{parent}/cmdline"))))?)
        }
        What::Executable => {
            let parent = fork(|| done(run_from(&files, orders.as_fd())))?;
            let link = format!("/proc/{parent}/exe");
            let came = eventually(|| std::fs::read_link(&link).is_ok_and(|exe| exe.starts_with(files.folder())));
            files.fall_silent(Silence::OfAllElse);
            (parent, came && is_held_up(|| drop(File::open(&link)))?)
        }
        What::Root => {
            let ready = Channel::new()?;
            let parent = in_new_pid_namespace(|| done(live_in(&files, &begin, &ready)))?;
            ready.receive();
            files.fall_silent(Silence::OfAllElse);
            (parent, is_held_up(|| drop(std::fs::metadata(format!("/proc/{parent}/root/x"))))?)
        }
    };
    if stalls {
        say("stalled");
        begin.send(1);
        write(&order, b"go\n")?;
        wait_for_hangup();
    } else {
        say("unsupported");
    }
    files.end()?;
    kill(parent, Signal::SIGKILL)?;
    reap(parent)?;
    reap_everything();
    Ok(())
}

fn done(result: anyhow::Result<()>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("zt-actor: {error:#}");
            1
        }
    }
}

fn eventually(so: impl Fn() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if so() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// Whether a process that does this stalls, within this time.
fn is_held_up(read: impl Fn()) -> anyhow::Result<bool> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let finished = Channel::new()?;
        fork(|| {
            read();
            finished.send(1);
            0
        })?;
        let began = Instant::now();
        let mut is_back = false;
        while !is_back && began.elapsed() < HELD_UP {
            is_back = finished.try_receive().is_some();
        }
        if !is_back {
            return Ok(true);
        }
    }
    Ok(false)
}

fn child(begin: &Channel) -> anyhow::Result<()> {
    fork(|| {
        begin.receive();
        say(format!("child pid={} exit={EXIT}", host_pid()));
        EXIT
    })?;
    Ok(())
}

/// One thread reads a page of this process through `/proc`, for which the kernel takes the lock of its memory and waits
/// for the file system; another requests the lock for writing, and from then on nobody else gets it.
fn hold_own_memory(files: &SilentFiles, begin: &Channel) -> anyhow::Result<()> {
    const LENGTH: usize = 1 << 16;
    child(begin)?;
    say(format!("parent pid={}", host_pid()));
    let file = File::open(files.program())?;
    let (read, share) = (ProtFlags::PROT_READ, MapFlags::MAP_SHARED);
    // SAFETY: a new mapping at a place that the kernel chooses; nothing refers to its content.
    let address = unsafe { mmap(None, LENGTH.try_into()?, read, share, &file, 0) }?.addr().get() as u64;
    let memory = File::open("/proc/self/mem")?;
    files.fall_silent(Silence::OfContent);
    std::thread::scope(|scope| {
        // First, because starting a thread needs the lock.
        scope.spawn(|| {
            while files.unanswered() == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
            // SAFETY: as above.
            let _ = unsafe { mmap_anonymous(None, LENGTH.try_into()?, read, MapFlags::MAP_PRIVATE) };
            anyhow::Ok(())
        });
        scope.spawn(|| memory.read_at(&mut [0], address + 8192));
        wait_for_hangup();
    });
    Ok(())
}

fn run_from(files: &SilentFiles, orders: impl AsFd) -> anyhow::Result<()> {
    dup2_stdin(orders)?;
    chdir(files.folder())?;
    let program = std::ffi::CString::new(files.program().as_os_str().as_bytes())?;
    execv(&program, &[program.as_c_str(), c"never-waits", c"--on-order"]).context("exec")?;
    Ok(())
}

fn live_in(files: &SilentFiles, begin: &Channel, ready: &Channel) -> anyhow::Result<()> {
    child(begin)?;
    say(format!("parent pid={}", host_pid()));
    chroot(files.folder())?;
    chdir("/")?;
    ready.send(1);
    wait_for_hangup();
    Ok(())
}
