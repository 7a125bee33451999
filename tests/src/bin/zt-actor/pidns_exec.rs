//! Any command as PID 1 of a fresh pid namespace with a /proc of its own.
//!
//! Prints `init pid= pid_ns=`, and `exited code=` or `exited signal=` when PID 1 has ended. The order `signal NAME`
//! sends a signal from outside; a closed stdin kills the namespace. The command's stdin is /dev/null, its stdout this
//! one.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::wait::WaitStatus;

use super::kit::{
    Channel, PidFd, boot_now, in_new_pid_namespace, in_turn, orders, pid_namespace_of, reap, say, signal_number,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// PID 1 is a program that starts the command and waits for it alone, as a script does
    #[arg(long)]
    under_pid_1: bool,
    /// The command
    #[arg(required = true, last = true)]
    command: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let announced = Channel::new()?;
    let init = in_new_pid_namespace(|| {
        announced.receive();
        let mut command = Command::new(&args.command[0]);
        command.args(&args.command[1..]).stdin(Stdio::null());
        if args.under_pid_1 {
            return match command.status() {
                Ok(status) => status.code().unwrap_or(126),
                Err(error) => {
                    eprintln!("zt-actor: {:?}: {error}", args.command[0]);
                    127
                }
            };
        }
        let error = command.exec();
        eprintln!("zt-actor: {:?}: {error}", args.command[0]);
        127
    })?;
    say(format!("init pid={init} pid_ns={}", pid_namespace_of(init)?));
    announced.send(1);
    let target = PidFd::open(init)?;
    std::thread::spawn(move || {
        for order in orders() {
            match order.split_once(' ') {
                Some(("signal", name)) => match signal_number(name) {
                    Ok(number) => in_turn(|| {
                        target.send(number);
                        say(format!("sent signal={number} at={}", boot_now()));
                    }),
                    Err(error) => say(format!("refused {error:#}")),
                },
                _ => say(format!("refused {order}")),
            }
        }
        target.send(libc::SIGKILL);
    });
    let exited = match reap(init)? {
        WaitStatus::Exited(_, code) => format!("exited code={code}"),
        WaitStatus::Signaled(_, signal, _) => format!("exited signal={}", signal as i32),
        other => anyhow::bail!("PID 1 ended as {other:?}"),
    };
    in_turn(|| say(exited));
    Ok(())
}
