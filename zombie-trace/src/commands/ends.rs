//! What may end a run.

use std::{io, time::Duration};

use anyhow::Context;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep_until},
};

use super::target::Target;

/// Why the run ends.
pub(super) enum End {
    Command(io::Result<std::process::ExitStatus>),
    Asked,
    Limit,
}

/// Everything that may end a run.
pub(super) struct Ends {
    interrupt: Signal,
    terminate: Signal,
    limit: Option<Instant>,
    interrupts: u32,
}

impl Ends {
    pub(super) fn new(limit: Option<Duration>) -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("no handler for SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("no handler for SIGTERM")?,
            limit: limit.and_then(|limit| Instant::now().checked_add(limit)),
            interrupts: 0,
        })
    }

    pub(super) async fn next(&mut self, target: Option<&mut Target>, command_runs: bool) -> End {
        let pid = target.as_ref().map(|target| target.pid());
        let limit = self.limit;
        let mut target = target.filter(|_| command_runs);
        loop {
            tokio::select! {
                status = ended(&mut target) => return End::Command(status),
                () = at(limit) => return End::Limit,
                _ = self.interrupt.recv() => {
                    self.interrupts += 1;
                    // The terminal sent it to the command, too; how that takes it is part of the story. Who presses
                    // it again wants to be rid of both.
                    if pid.is_none() || self.interrupts > 1 {
                        return End::Asked;
                    }
                }
                _ = self.terminate.recv() => match pid.and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed())) {
                    None => return End::Asked,
                    Some(pid) => {
                        // Gone already is fine: then its end is the next thing to be seen.
                        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
                    }
                }
            }
        }
    }
}

async fn ended(target: &mut Option<&mut Target>) -> io::Result<std::process::ExitStatus> {
    match target {
        Some(target) => target.ended().await,
        None => std::future::pending().await,
    }
}

async fn at(limit: Option<Instant>) {
    match limit {
        Some(limit) => sleep_until(limit).await,
        None => std::future::pending().await,
    }
}
