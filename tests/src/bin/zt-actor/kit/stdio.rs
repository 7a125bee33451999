//! Lines to the test and orders from it.

use std::io::BufRead;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Prints one line in one write, so that lines of several processes do not mix and a fork does not repeat a buffer.
pub(crate) fn say(line: impl AsRef<str>) {
    let line = format!("{}\n", line.as_ref());
    // A test that is gone is not a failure: the closed stdin ends the actor.
    let _ = nix::unistd::write(std::io::stdout(), line.as_bytes());
}

/// Does something and prints it without interruption by other threads that use `in_turn`: so a process's end is not
/// printed before the signal that caused it, and the actor does not exit in between.
pub(crate) fn in_turn<T>(act_and_say: impl FnOnce() -> T) -> T {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    act_and_say()
}

/// Blocks until the other end of stdin is closed. Reads nothing, so every process of an actor may wait for it.
pub(crate) fn wait_for_hangup() {
    while !hangup(PollTimeout::NONE) {}
}

/// Waits for the hang-up no longer than this; true when it came.
pub(crate) fn wait_for_hangup_within(limit: Duration) -> bool {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if hangup(PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            return true;
        }
        if left.is_zero() {
            return false;
        }
    }
}

fn hangup(timeout: PollTimeout) -> bool {
    let stdin = std::io::stdin();
    let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
    match poll(&mut fds, timeout) {
        Ok(0) | Err(Errno::EINTR) => false,
        Ok(_) => true,
        Err(error) => panic!("poll on stdin: {error}"),
    }
}

/// The orders of the test, until it closes stdin.
pub(crate) fn orders() -> impl Iterator<Item = String> {
    std::io::stdin().lock().lines().map_while(Result::ok).map(|line| line.trim().to_owned())
}
