//! Relays a graded command's output to our stderr: bounded, marked as the command's, and without control characters,
//! because it may be hostile, and terminals and CI systems execute control sequences.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use rustix::{
    io::{read, write},
    pipe::{PipeFlags, pipe_with},
};

/// Maximum bytes shown.
const MAX_SHOWN: usize = 256 << 10;
/// Prefix of each line.
const MARK: &[u8] = b"| ";
const MORE: &[u8] = b"\n| ... (further output is not shown)\n";

/// A relaying process; it exits when all writers are gone, and is waited for on drop.
#[derive(Debug)]
pub(super) struct Relay {
    input: Option<OwnedFd>,
    process: libc::pid_t,
}

impl Relay {
    /// Starts it. Call it from a process with one thread, before its children go to another pid namespace.
    ///
    /// # Errors
    /// No pipe or process can be created.
    pub(super) fn start() -> io::Result<Self> {
        let (output, input) = pipe_with(PipeFlags::CLOEXEC)?;
        // SAFETY: this process has one thread, and the child makes system calls only.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                // SAFETY: system calls on descriptors that are open, and no way back.
                unsafe {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    libc::close(input.as_raw_fd());
                }
                relay(&output);
                // SAFETY: as above.
                unsafe { libc::_exit(0) }
            }
            process => Ok(Self { input: Some(input), process }),
        }
    }

    /// The descriptor that the command prints to.
    pub(super) fn input(&self) -> io::Result<OwnedFd> {
        self.input.as_ref().ok_or(io::ErrorKind::BrokenPipe)?.try_clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.input = None;
        // SAFETY: the status is not asked for.
        unsafe { libc::waitpid(self.process, std::ptr::null_mut(), 0) };
    }
}

/// Reads to the end, even when nothing more is shown, so that the command does not block.
fn relay(from: &OwnedFd) {
    let (mut text, mut line, mut shown) = ([0; 4096], Line::default(), 0);
    loop {
        let count = match read(from, &mut text) {
            Ok(0) => return,
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
        };
        if shown > MAX_SHOWN {
            continue;
        }
        let mut out = [0; 3 * 4096];
        let length = line.pass(&text[..count], &mut out);
        print(&out[..length]);
        shown += length;
        if shown > MAX_SHOWN {
            print(MORE);
        }
    }
}

/// A missing reader is not a reason to exit.
fn print(mut text: &[u8]) {
    while let Ok(count @ 1..) = write(rustix::stdio::stderr(), text) {
        text = &text[count..];
    }
}

/// Position in a line.
#[derive(Debug, Default)]
struct Line {
    has_begun: bool,
    /// The byte before was the first of a control character of two (U+0080 to U+009F in UTF-8).
    after_c2: bool,
}

impl Line {
    /// Makes text harmless. Returns its length in `out`, which has room for three times as much.
    fn pass(&mut self, text: &[u8], out: &mut [u8]) -> usize {
        let mut length = 0;
        let mut push = |byte: u8| {
            out[length] = byte;
            length += 1;
        };
        for &byte in text {
            if !self.has_begun {
                MARK.iter().copied().for_each(&mut push);
                self.has_begun = true;
            }
            let is_second = std::mem::replace(&mut self.after_c2, byte == 0xc2);
            match byte {
                b'\n' => {
                    push(b'\n');
                    self.has_begun = false;
                }
                b'\t' | b' '..=b'~' => push(byte),
                0x80..=0x9f if is_second => push(b'?'),
                0x80.. => push(byte),
                _ => push(b'?'),
            }
        }
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(parts: &[&[u8]]) -> Vec<u8> {
        let mut line = Line::default();
        let mut all = Vec::new();
        for part in parts {
            let mut out = vec![0; 3 * part.len()];
            let length = line.pass(part, &mut out);
            all.extend_from_slice(&out[..length]);
        }
        all
    }

    #[test]
    fn every_line_is_marked_wherever_it_is_cut() {
        assert_eq!(passed(&[b"one\ntw", b"o\n", b"::error::x\n"]), b"| one\n| two\n| ::error::x\n");
    }

    #[test]
    fn control_characters_are_shown_as_question_marks() {
        assert_eq!(passed(&[b"a\x1b[2Jb\x07\r\n"]), b"| a?[2Jb??\n");
        // U+009B, which some terminals take for ESC [, and letters that are not control characters.
        assert_eq!(passed(&[b"\xc2", b"\x9b2J \xc3\xa9 \xc2\xa9"]), b"| \xc2?2J \xc3\xa9 \xc2\xa9");
    }
}
