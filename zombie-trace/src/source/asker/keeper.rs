//! The keeper: a process that starts, kills and reaps readers.
//!
//! The tracer cannot start programs once it traces, but must still replace stalled readers. So the keeper is started
//! before; it reads no other process itself and never stalls.

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
        recvmsg, sendmsg,
    },
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::reader::{Peer, READER, Start};

/// Orders to the keeper, each with a pid and answered with a number.
mod order {
    /// Start a reader on the attached socket; answered with its pid, or 0.
    pub(super) const BEGIN: u8 = 1;
    /// Kill this reader.
    pub(super) const KILL: u8 = 2;
    /// Whether this reader has exited: 1 if so.
    pub(super) const IS_GONE: u8 = 3;
}

/// Length of an order: code and pid.
const ORDER: usize = 5;
/// The keeper answers at once; without an answer in this time it is gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// Poll interval for a reader that has exited but cannot be reaped, because another process traces it.
const TRACED: Duration = Duration::from_millis(100);
/// How long the keeper may take to exit.
const LAST_MOMENTS: Duration = Duration::from_millis(100);

/// Starts readers by a keeper, which is started with the first one.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    line: Arc<Mutex<Line>>,
}

/// The socket to the keeper, and the keeper itself, a child of this process.
#[derive(Debug, Default)]
struct Line {
    to: Option<(UnixStream, Child)>,
    has_ended: bool,
}

impl Line {
    fn command(&mut self, what: u8, pid: u32, socket: Option<&UnixStream>) -> io::Result<u32> {
        let (line, _) = self.to.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        command(line, what, pid, socket)
    }
}

struct Kept {
    pid: u32,
    line: Arc<Mutex<Line>>,
}

impl Start for Keeper {
    fn start(&self) -> io::Result<(UnixStream, Box<dyn Peer>)> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if line.to.is_none() && !line.has_ended {
            line.to = Some(begin()?);
        }
        let (ours, theirs) = UnixStream::pair()?;
        let pid = line.command(order::BEGIN, 0, Some(&theirs))?;
        drop(line);
        if pid == 0 {
            return Err(io::Error::other("the keeper could not begin a reader"));
        }
        Ok((ours, Box::new(Kept { pid, line: Arc::clone(&self.line) })))
    }

    fn end(&self) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.has_ended = true;
        let Some((socket, mut keeper)) = line.to.take() else { return };
        drop(socket);
        // This makes it exit, unless somebody stopped it: then it is left to its adopter.
        let deadline = Instant::now() + LAST_MOMENTS;
        while !matches!(keeper.try_wait(), Ok(Some(_)) | Err(_)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Starts this program again, as a keeper.
fn begin() -> io::Result<(UnixStream, Child)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_read_timeout(Some(PATIENCE))?;
    let child = Command::new("/proc/self/exe")
        .arg0("zombie-trace")
        .arg(READER)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        // A stuck reader must not keep a pipe open that somebody reads to its end.
        .stderr(Stdio::null())
        .current_dir("/")
        // Ctrl-C goes to the terminal's foreground group.
        .process_group(0)
        .spawn()?;
    Ok((ours, child))
}

fn command(line: &mut UnixStream, what: u8, pid: u32, socket: Option<&UnixStream>) -> io::Result<u32> {
    let mut bytes = [what; ORDER];
    bytes[1..].copy_from_slice(&pid.to_le_bytes());
    let descriptors = socket.map(|socket| [socket.as_fd()]);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if let Some(descriptors) = &descriptors {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    sendmsg(&*line, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
    let mut answer = [0; 4];
    line.read_exact(&mut answer)?;
    Ok(u32::from_le_bytes(answer))
}

impl Kept {
    fn command(&self, what: u8) -> io::Result<u32> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.command(what, self.pid, None)
    }
}

impl Peer for Kept {
    fn is_running(&mut self) -> bool {
        // Reading its state takes no lock that it may wait for. If it was reaped and another process has its pid, this
        // only waits a little longer than necessary.
        let stat = std::fs::read(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let state = stat.iter().rposition(|&byte| byte == b')').and_then(|end| stat.get(end + 2));
        state == Some(&b'R')
    }

    fn kill(&mut self) {
        // Without a keeper there are no readers.
        let _ = self.command(order::KILL);
    }

    fn is_gone(&mut self) -> bool {
        self.command(order::IS_GONE).map_or(true, |answer| answer == 1)
    }
}

/// Keeps readers until the other end of this socket is closed. `read` is what a reader does with its socket.
///
/// # Errors
/// An order is invalid.
pub(super) fn keep(mut line: UnixStream, read: fn(UnixStream) -> io::Result<()>) -> io::Result<()> {
    let mut readers: Vec<KeptReader> = Vec::new();
    let result = loop {
        await_order(&line, &mut readers);
        let (what, pid, socket) = match receive(&line) {
            Ok(Some(order)) => order,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        let pid = pid.cast_signed();
        let answer = match (what, socket) {
            (order::BEGIN, Some(socket)) => {
                // SAFETY: this process has one thread, so its copy may do all that it may.
                match unsafe { libc::fork() } {
                    0 => {
                        drop(line);
                        let result = read(UnixStream::from(socket));
                        std::process::exit(i32::from(result.is_err()));
                    }
                    child if child > 0 => {
                        readers.push(KeptReader::new(child));
                        child.cast_unsigned()
                    }
                    _ => 0,
                }
            }
            (order::KILL, _) if readers.iter().any(|it| it.pid == pid) => {
                kill(pid);
                0
            }
            (order::IS_GONE, _) => {
                readers.retain(|it| it.pid != pid || !reap(pid));
                u32::from(readers.iter().all(|it| it.pid != pid))
            }
            _ => 0,
        };
        line.write_all(&answer.to_le_bytes())?;
    };
    for reader in &readers {
        kill(reader.pid);
    }
    // Those that are stalled for good are left to their adopter.
    let deadline = Instant::now() + LAST_MOMENTS / 2;
    while !readers.is_empty() && Instant::now() < deadline {
        readers.retain(|it| !reap(it.pid));
        thread::sleep(Duration::from_millis(1));
    }
    result
}

/// A child of the keeper.
struct KeptReader {
    pid: i32,
    /// Becomes readable when it has exited; `None` without free descriptors.
    pidfd: Option<OwnedFd>,
}

impl KeptReader {
    fn new(pid: i32) -> Self {
        let pidfd = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        Self { pid, pidfd }
    }
}

/// Waits for the next order, and meanwhile reaps each reader as soon as it has exited, which may be long after it was
/// killed.
fn await_order(line: &UnixStream, readers: &mut Vec<KeptReader>) {
    loop {
        let watched = readers.iter().filter_map(|it| it.pidfd.as_ref());
        let mut polled: Vec<PollFd<'_>> = std::iter::once(line.as_fd())
            .chain(watched.map(AsFd::as_fd))
            .map(|it| PollFd::from_borrowed_fd(it, PollFlags::IN))
            .collect();
        // If this fails, reading the order reports the error.
        if poll(&mut polled, None).is_err_and(|error| error != Errno::INTR) {
            return;
        }
        let has_order = polled.first().is_some_and(|it| !it.revents().is_empty());
        let has_exited = polled.iter().skip(1).any(|it| !it.revents().is_empty());
        let before = readers.len();
        readers.retain(|it| !reap(it.pid));
        if has_order {
            return;
        }
        if has_exited && readers.len() == before {
            // A tracer has not waited for it yet, and there is no notification when it does.
            thread::sleep(TRACED);
        }
    }
}

/// Reaps the child. Returns whether it has exited.
fn reap(pid: i32) -> bool {
    // SAFETY: waitpid(pid_t, int *, int); it may be told not to store the status.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) != 0 }
}

fn kill(pid: i32) {
    // SAFETY: kill(pid_t, int). The pid is that of a child which has not been waited for.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// `None` when the other end is closed.
fn receive(line: &UnixStream) -> io::Result<Option<(u8, u32, Option<OwnedFd>)>> {
    let mut bytes = [0; ORDER];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(line, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Ok(None);
    }
    if received.bytes != ORDER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let socket = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let [what, pid @ ..] = bytes;
    Ok(Some((what, u32::from_le_bytes(pid), socket)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_all_is_over_no_reader_is_begun_any_more() {
        let keeper = Keeper::default();
        keeper.end();
        assert!(keeper.start().is_err());
        let mut late = Kept { pid: 1, line: Arc::clone(&keeper.line) };
        late.kill();
        assert!(late.is_gone(), "nobody waits for a reader of a keeper that is gone");
    }
}
