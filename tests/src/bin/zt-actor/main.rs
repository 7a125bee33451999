//! Real programs that create the situations that zombie-trace has to distinguish.
//!
//! One subcommand per situation. Each prints what it did as lines of `word key=value…` on stdout, with boot-clock times
//! and host pids, so that a test can compare the tracer's output with the actor's. Nothing is synchronised by sleeping:
//! an actor holds its situation until its stdin is closed, or takes orders from it line by line. Its children die with
//! it.

mod adopting_init;
mod auto_reap;
mod before_exec;
mod cannot_run;
mod cgroups;
mod clone_autoreap;
mod clone_parent;
mod crowd;
mod deep;
mod end_by;
mod escape;
mod exec_by_thread;
mod exit_signal_zero;
mod forge;
mod fork_limit;
mod hold;
mod hostile_name;
mod init_signals;
mod instead;
mod kit;
mod late_return;
mod lazy;
mod leader_first;
mod never_waits;
mod no_fork;
mod orphan_storm;
mod pid_reuse;
mod pidns_exec;
mod pidns_init;
mod poll_wait;
mod ptrace_hold;
mod race_wait;
mod reap;
mod reparent;
mod reraise;
mod rhythm;
mod shim;
mod sigchld;
mod signal_storm;
mod sigurg_storm;
mod status_stolen;
mod stop_storm;
mod stop_tree;
mod stopped_child;
mod storm;
mod subreaper;
mod unanswered;
mod waits_for_others;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Causes the zombies and signals that the tests of zombie-trace look at")]
struct Cli {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// Children that are never waited for
    NeverWaits(never_waits::Args),
    /// A child is reaped a known time after its death
    Reap(reap::Args),
    /// Children that the kernel reaps at once
    AutoReap(auto_reap::Args),
    /// A process that has something from before exec
    BeforeExec(before_exec::Args),
    /// A parent that reaps only now and then
    Lazy(lazy::Args),
    /// A child subreaper that adopts orphans and never waits for them
    Subreaper(subreaper::Args),
    /// A parent that dies and leaves a grandchild behind, as a zombie or alive
    Reparent(reparent::Args),
    /// A program whose handler raises its signal again
    Reraise(reraise::Args),
    /// PID 1 of a fresh pid namespace that adopts orphans
    PidnsInit(pidns_init::Args),
    /// Any command as PID 1 of a fresh pid namespace
    PidnsExec(pidns_exec::Args),
    /// Many orphans, to be run under an init
    OrphanStorm(orphan_storm::Args),
    /// PID 1 of a fresh pid namespace that gets signals from inside and outside, as ordered
    InitSignals(init_signals::Args),
    /// A tracer that does not wait for its dead tracee
    PtraceHold(ptrace_hold::Args),
    /// A thread other than the leader calls execve
    ExecByThread(exec_by_thread::Args),
    /// The thread-group leader exits before another thread
    LeaderFirst(leader_first::Args),
    /// A child that sends no signal when it dies
    ExitSignalZero(exit_signal_zero::Args),
    /// A child made with CLONE_PARENT: its parent is not the process that cloned it
    CloneParent(clone_parent::Args),
    /// A child made with CLONE_AUTOREAP: nobody has to wait for it, and nobody can
    CloneAutoreap(clone_autoreap::Args),
    /// One pid used by several processes in turn
    PidReuse(pid_reuse::Args),
    /// Fork, exit, wait, as fast as possible
    Storm(storm::Args),
    /// A zombie whose name is hostile text
    HostileName(hostile_name::Args),
    /// PID 1 of a fresh pid namespace that sends itself SIGURG, as Go's scheduler does
    SigurgStorm(sigurg_storm::Args),
    /// Two processes that send each other signals as fast as possible
    SignalStorm(signal_storm::Args),
    /// A parent that polls waitpid(WNOHANG)
    PollWait(poll_wait::Args),
    /// A parent that fails at reaping on SIGCHLD
    Sigchld(sigchld::Args),
    /// A parent that waits for one child while another lies dead
    WaitsForOthers(waits_for_others::Args),
    /// A process that the kernel ends for what it does
    EndBy(end_by::Args),
    /// A parent that does something else than to wait
    Instead(instead::Args),
    /// A parent that waits at first and then not, or late
    Rhythm(rhythm::Args),
    /// A parent that is kept from running
    CannotRun(cannot_run::Args),
    /// A container runtime that misses the end of a process
    Shim(shim::Args),
    /// One thread takes the status that another waits for
    StatusStolen(status_stolen::Args),
    /// A parent whose wait call takes long to return after it has reaped
    LateReturn(late_return::Args),
    /// Many pid namespaces that are stopped at once
    StopStorm(stop_storm::Args),
    /// PID 1 of a fresh pid namespace that takes SIGTERM, and a worker beside it
    StopTree(stop_tree::Args),
    /// A child that is stopped, continued, killed and reaped, as ordered
    StoppedChild(stopped_child::Args),
    /// A parent that fills its cgroup with zombies until nobody there can fork
    ForkLimit(fork_limit::Args),
    /// A process that cannot fork
    NoFork(no_fork::Args),
    /// Tries the ways out of a root file system
    Escape(escape::Args),
    /// PID 1 of a fresh pid namespace that reaps what it adopts, and processes put in from outside
    AdoptingInit(adopting_init::Args),
    /// A PID 1 in the deepest pid namespace that neglects its child
    Deep(deep::Args),
    /// Many threads that wait and processes that have waited
    Crowd(crowd::Args),
    /// PID 1 that gets signals whose origin is made up
    Forge(forge::Args),
    /// Threads that poll for one child at once
    RaceWait(race_wait::Args),
    /// Parents with zombies in very deep cgroups, and processes in very many
    Cgroups(cgroups::Args),
    /// A parent whose files in /proc stall their readers
    Unanswered(unanswered::Args),
    /// Does nothing until stdin is closed
    Hold(hold::Args),
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    kit::prepare()?;
    match cli.scenario {
        Scenario::NeverWaits(args) => never_waits::run(&args),
        Scenario::Reap(args) => reap::run(&args),
        Scenario::AutoReap(args) => auto_reap::run(&args),
        Scenario::BeforeExec(args) => before_exec::run(&args),
        Scenario::Lazy(args) => lazy::run(&args),
        Scenario::Subreaper(args) => subreaper::run(&args),
        Scenario::Reparent(args) => reparent::run(&args),
        Scenario::Reraise(args) => reraise::run(&args),
        Scenario::PidnsInit(args) => pidns_init::run(&args),
        Scenario::PidnsExec(args) => pidns_exec::run(&args),
        Scenario::OrphanStorm(args) => orphan_storm::run(&args),
        Scenario::InitSignals(args) => init_signals::run(&args),
        Scenario::PtraceHold(args) => ptrace_hold::run(&args),
        Scenario::ExecByThread(args) => exec_by_thread::run(&args),
        Scenario::LeaderFirst(args) => leader_first::run(&args),
        Scenario::ExitSignalZero(args) => exit_signal_zero::run(&args),
        Scenario::CloneAutoreap(args) => clone_autoreap::run(&args),
        Scenario::CloneParent(args) => clone_parent::run(&args),
        Scenario::PidReuse(args) => pid_reuse::run(&args),
        Scenario::Storm(args) => storm::run(&args),
        Scenario::HostileName(args) => hostile_name::run(&args),
        Scenario::SigurgStorm(args) => sigurg_storm::run(&args),
        Scenario::SignalStorm(args) => signal_storm::run(&args),
        Scenario::PollWait(args) => poll_wait::run(&args),
        Scenario::Sigchld(args) => sigchld::run(&args),
        Scenario::WaitsForOthers(args) => waits_for_others::run(&args),
        Scenario::EndBy(args) => end_by::run(&args),
        Scenario::Instead(args) => instead::run(&args),
        Scenario::Rhythm(args) => rhythm::run(&args),
        Scenario::CannotRun(args) => cannot_run::run(&args),
        Scenario::Shim(args) => shim::run(&args),
        Scenario::StatusStolen(args) => status_stolen::run(&args),
        Scenario::LateReturn(args) => late_return::run(&args),
        Scenario::StopStorm(args) => stop_storm::run(&args),
        Scenario::StopTree(args) => stop_tree::run(&args),
        Scenario::StoppedChild(args) => stopped_child::run(&args),
        Scenario::ForkLimit(args) => fork_limit::run(&args),
        Scenario::NoFork(args) => no_fork::run(&args),
        Scenario::Escape(args) => escape::run(&args),
        Scenario::AdoptingInit(args) => adopting_init::run(&args),
        Scenario::Deep(args) => deep::run(&args),
        Scenario::Crowd(args) => crowd::run(&args),
        Scenario::Forge(args) => forge::run(&args),
        Scenario::RaceWait(args) => race_wait::run(&args),
        Scenario::Cgroups(args) => cgroups::run(&args),
        Scenario::Unanswered(args) => unanswered::run(&args),
        Scenario::Hold(args) => hold::run(&args),
    }
}
