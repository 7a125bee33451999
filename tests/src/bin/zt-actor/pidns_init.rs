//! PID 1 of a fresh pid namespace that adopts orphans and does not reap them.
//!
//! Prints `init pid= pid_ns=`, `orphan pid= ns_pid= exit=` for each dead orphan, and `ready`.

use clap::ValueEnum;
use nix::sys::wait::waitpid;
use nix::unistd::{chdir, chroot};

use super::kit::{Channel, fork, in_new_pid_namespace, pid_namespace_of, reap, say, wait_for_hangup};
use super::subreaper::adopt_and_neglect;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What PID 1 does about its children
    #[arg(long, value_enum, default_value_t = Init::NeverWaits)]
    init: Init,
    /// How many orphans
    #[arg(long, default_value_t = 1)]
    orphans: u32,
    /// A folder that becomes the root of the namespace, as a container's image does
    #[arg(long)]
    root: Option<std::path::PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Init {
    /// An application: adopts and never waits
    NeverWaits,
    /// Runs one command and waits for it with a wait for any child, as "os.wait(); serve()" does, and never again
    WaitsOnce,
    /// A script's `wait $pid`: waits for the child it started, and for no other
    WaitsForOthers,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let announced = Channel::new()?;
    let init = in_new_pid_namespace(|| {
        announced.receive();
        if let Some(root) = &args.root
            && let Err(error) = chroot(root).and_then(|()| chdir("/"))
        {
            eprintln!("zt-actor: {}: {error}", root.display());
            return 1;
        }
        if matches!(args.init, Init::WaitsOnce) && fork(|| 0).is_ok() {
            let _ = waitpid(None, None);
        }
        match adopt_and_neglect(args.orphans) {
            Ok(forker) => {
                say("ready");
                match args.init {
                    Init::NeverWaits | Init::WaitsOnce => wait_for_hangup(),
                    // The forker ends at the hang-up.
                    Init::WaitsForOthers => drop(reap(forker)),
                }
                0
            }
            Err(error) => {
                eprintln!("zt-actor: {error:#}");
                1
            }
        }
    })?;
    say(format!("init pid={init} pid_ns={}", pid_namespace_of(init)?));
    announced.send(1);
    reap(init)?;
    Ok(())
}
