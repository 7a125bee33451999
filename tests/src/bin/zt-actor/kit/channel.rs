//! Numbers from one process of an actor to another.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::unistd::{pipe, read, write};

/// A pipe of numbers that any process forked after it may send to and receive from. Also a gate: receiving waits.
pub(crate) struct Channel {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Channel {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let (reader, writer) = pipe()?;
        Ok(Self { reader, writer })
    }

    /// Atomic: a pipe writes up to PIPE_BUF bytes at once.
    pub(crate) fn send(&self, number: u64) {
        write(&self.writer, &number.to_ne_bytes()).expect("the pipe is open as long as this process is");
    }

    /// All at once: no signal handler runs in between.
    pub(crate) fn send_all(&self, numbers: &[u64]) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
        assert_eq!(write(&self.writer, &bytes), Ok(bytes.len()), "it is less than PIPE_BUF");
    }

    /// Waits only a moment for the next number: if a signal handler runs just before the wait, its note must not stay
    /// unread until the next order.
    pub(crate) fn try_receive(&self) -> Option<u64> {
        const MOMENT_MS: u8 = 20;
        let mut readable = [PollFd::new(self.reader.as_fd(), PollFlags::POLLIN)];
        match poll(&mut readable, MOMENT_MS) {
            Ok(0) | Err(Errno::EINTR) => return None,
            Ok(_) => {}
            Err(error) => panic!("poll of a pipe gave {error}"),
        }
        let mut bytes = [0; 8];
        match read(&self.reader, &mut bytes) {
            Ok(8) => Some(u64::from_ne_bytes(bytes)),
            Err(Errno::EINTR) => None,
            other => panic!("read of eight bytes from a pipe gave {other:?}"),
        }
    }

    pub(crate) fn receive(&self) -> u64 {
        loop {
            if let Some(number) = self.try_receive() {
                return number;
            }
        }
    }
}
