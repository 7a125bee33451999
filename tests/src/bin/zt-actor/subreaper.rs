//! A child subreaper that adopts orphans and never waits.
//!
//! The orphans' forker is itself reaped by its own, diligent parent, so that the orphans are all that the subreaper
//! fails to reap. Prints `subreaper pid=`, `orphan pid= exit=` for each dead orphan, and `ready`.

use nix::unistd::Pid;

use super::kit::{Channel, PidFd, fork, fork_orphan, host_pid, reap_everything, say, wait_for_hangup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many orphans
    #[arg(long, default_value_t = 1)]
    orphans: u32,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)?;
    say(format!("subreaper pid={}", host_pid()));
    adopt_and_neglect(args.orphans)?;
    say("ready");
    wait_for_hangup();
    reap_everything();
    Ok(())
}

/// Makes orphans of the calling process, which must be their adopter, and lets them die. Returns their forker, a child
/// of the caller that lives until stdin is closed.
pub(crate) fn adopt_and_neglect(orphans: u32) -> anyhow::Result<Pid> {
    let (adopted, die) = (Channel::new()?, Channel::new()?);
    let forker = fork(|| {
        for index in 0..orphans {
            let orphan = Orphan { exit: 40_u8.wrapping_add(index as u8), ..Orphan::default() };
            let forked = fork_orphan(|| {
                adopted.send(Orphan { ns_pid: std::process::id() as i32, pid: host_pid(), ..orphan }.pack());
                die.receive();
                i32::from(orphan.exit)
            });
            if forked.is_err() {
                return 1;
            }
        }
        wait_for_hangup();
        0
    })?;
    let mut dying = Vec::new();
    for _ in 0..orphans {
        let orphan = Orphan::unpack(adopted.receive());
        dying.push((PidFd::open(Pid::from_raw(orphan.ns_pid))?, orphan));
    }
    // They share one gate, so all may pass before any is waited for.
    (0..orphans).for_each(|_| die.send(1));
    for (pidfd, Orphan { pid, ns_pid, exit }) in dying {
        pidfd.wait_dead();
        say(format!("orphan pid={pid} ns_pid={ns_pid} exit={exit}"));
    }
    Ok(forker)
}

/// An orphan's data, in one number so that it arrives atomically.
#[derive(Clone, Copy, Default)]
struct Orphan {
    /// The number by which the adopter knows it.
    ns_pid: i32,
    /// The number by which the test knows it.
    pid: i32,
    exit: u8,
}

impl Orphan {
    /// No pid reaches 2^22 on Linux.
    fn pack(self) -> u64 {
        u64::from(self.ns_pid.unsigned_abs()) << 32 | u64::from(self.pid.unsigned_abs()) << 8 | u64::from(self.exit)
    }

    fn unpack(number: u64) -> Self {
        Self { ns_pid: (number >> 32) as i32, pid: (number >> 8 & 0xff_ffff) as i32, exit: number as u8 }
    }
}
