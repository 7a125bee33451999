//! Numbers from one process of an actor to another.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
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

    /// Never torn: a pipe writes up to PIPE_BUF bytes at once.
    pub(crate) fn send(&self, number: u64) {
        write(&self.writer, &number.to_ne_bytes()).expect("the pipe is open as long as this process is");
    }

    /// Waits for the next number; a signal handler may run meanwhile, and then there is none.
    pub(crate) fn try_receive(&self) -> Option<u64> {
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
