//! Zombies whose names are hostile text: escape sequences, line breaks, markup, invalid UTF-8.
//!
//! Prints `parent pid=`, `child pid= name=` (the name's bytes in hexadecimal) when that child is dead, and `ready`.

use std::ffi::CStr;
use std::fmt::Write;

use super::kit::{PidFd, fork, host_pid, reap_everything, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {}

/// At most 15 bytes each, as the kernel keeps them.
const NAMES: [&CStr; 8] = [
    c"\x1b[2J\x1b[31mred",
    c"\x1b]0;title\x07",
    c"two\nlines\r\t.",
    c"\xff\xfe\xc3\x28",
    c"<b>&\"'</b>",
    c"a) Z 1 (b",
    c"a=\"b\\\",}{",
    c"\xe2\x80\xaeevil\xe2\x80\xac",
];

pub(crate) fn run(_: &Args) -> anyhow::Result<()> {
    say(format!("parent pid={}", host_pid()));
    for name in NAMES {
        let pid = fork(|| match nix::sys::prctl::set_name(name) {
            Ok(()) => 0,
            Err(_) => 1,
        })?;
        PidFd::open(pid)?.wait_dead();
        let hexadecimal = name.to_bytes().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        say(format!("child pid={pid} name={hexadecimal}"));
    }
    say("ready");
    wait_for_hangup();
    reap_everything();
    Ok(())
}
