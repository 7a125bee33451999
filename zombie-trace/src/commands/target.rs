//! A command that is traced from its first instruction on.
//!
//! It is forked first and held before its exec, so that the filter knows its pid before it does anything; and it is
//! forked before the tracer gives up its privileges, so it has those of the person who started it.

use std::{
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::{Command, ExitStatus},
    thread,
};

use rustix::{
    io::{read, write},
    pipe::{PipeFlags, pipe_with},
    process::{Signal, set_parent_process_death_signal},
};
use tokio::sync::oneshot;

/// A command that waits to be let go.
#[derive(Debug)]
pub(super) struct Target {
    pid: u32,
    release: Option<OwnedFd>,
    ended: oneshot::Receiver<io::Result<ExitStatus>>,
}

impl Target {
    /// Forks the command; it stands still until [`Self::release`].
    ///
    /// # Errors
    /// No process or pipe could be made.
    pub(super) fn prepare(argv: &[OsString]) -> io::Result<Self> {
        let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let (pid_reader, pid_writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let (gate_reader, gate_writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let mut command = Command::new(program);
        command.args(arguments);
        // SAFETY: between fork and exec only system calls are made, on descriptors that this closure owns.
        unsafe {
            command.pre_exec(move || {
                // The fork holds a writing end of the gate itself, so the gate does not close when the tracer dies. The
                // pid is told afterwards: a tracer that refuses as soon as it knows it would leave the fork behind.
                set_parent_process_death_signal(Some(Signal::KILL))?;
                write(&pid_writer, &std::process::id().to_ne_bytes())?;
                read(&gate_reader, &mut [0])?;
                set_parent_process_death_signal(None)?;
                Ok(())
            });
        }
        let (sender, ended) = oneshot::channel();
        // `spawn` returns only after the exec, and that comes only after the release.
        thread::Builder::new().name("target".to_owned()).spawn(move || {
            let outcome = command.spawn().and_then(|mut child| child.wait());
            // Nobody listens any more: the tracer is on its way out.
            let _ = sender.send(outcome);
        })?;
        let mut bytes = [0; 4];
        if read(&pid_reader, &mut bytes)? != bytes.len() {
            return Err(io::Error::other("the command could not be forked"));
        }
        Ok(Self { pid: u32::from_ne_bytes(bytes), release: Some(gate_writer), ended })
    }

    /// Its pid.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Lets it go.
    ///
    /// # Errors
    /// It is gone already.
    pub(super) fn release(&mut self) -> io::Result<()> {
        if let Some(gate) = self.release.take() {
            write(&gate, &[1])?;
        }
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It could not be started.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        (&mut self.ended).await.unwrap_or_else(|_| Err(io::Error::other("nobody waited for the command")))
    }
}
