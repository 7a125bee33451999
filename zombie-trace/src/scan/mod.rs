//! The current state, without tracing: zombies and their parents, what each PID 1 does with the usual signals, and how
//! near the limits on pids are.
//!
//! Pure: [`Observation`] in, [`Report`] out. It cannot say when a process died or why it is not reaped, which needs
//! events.

mod inits;
mod limits;
mod report;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{HashMap, HashSet};

use crate::{
    container::Container,
    event::{BootNs, ProcFacts, ProcessKey, Seed, Task},
    report::ProcessRecord,
    source::proc::{PidsUsage, SignalReaders},
    text::escape,
};

pub use inits::{InitRecord, Reason, SignalRecord, Verdict};
pub use limits::{LimitKind, LimitRecord};
pub use report::{HeldThread, ParentRecord, Report, SCHEMA, ZombieRecord};

/// What was read from the machine.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// Wall-clock time, RFC 3339.
    pub time: String,
    /// Name of the host.
    pub host: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Time of the second look.
    pub now: BootNs,
    /// All processes at the first look.
    pub first: Vec<Seed>,
    /// Zombies of the first look that still were zombies at the second.
    pub second: Vec<Seed>,
    /// How many of the first look's zombies could not be looked at again.
    pub unsure: usize,
    /// Threads of zombies that have more than one.
    pub threads: HashMap<ProcessKey, Vec<Task>>,
    /// The inits of pid namespaces.
    pub inits: Vec<Init>,
    /// The containers of zombies, parents and inits.
    pub containers: HashMap<ProcessKey, Container>,
    /// Usage of the cgroups that zombies are charged to, innermost first.
    pub cgroups: HashMap<ProcessKey, Vec<PidsUsage>>,
    /// Soft `RLIMIT_NPROC` of parents; absent without a limit.
    pub process_limits: HashMap<ProcessKey, u64>,
    /// Tasks of the whole machine, and the highest pid.
    pub tasks: Option<(u64, u64)>,
}

/// The init of a pid namespace.
#[derive(Clone, Debug)]
pub struct Init {
    /// The process.
    pub process: ProcessKey,
    /// Its masks.
    pub facts: ProcFacts,
    /// What it fetches itself.
    pub takers: SignalReaders,
}

impl Observation {
    /// The zombies that count: those seen twice.
    fn persistent(&self) -> impl Iterator<Item = &Seed> {
        let zombies: HashSet<ProcessKey> = self.first.iter().filter(|seed| seed.is_zombie).map(|s| s.process).collect();
        self.second.iter().filter(move |seed| seed.is_zombie && zombies.contains(&seed.process))
    }

    fn by_pid(&self) -> HashMap<u32, &Seed> {
        self.first.iter().map(|seed| (seed.process.pid, seed)).collect()
    }

    fn record(&self, seed: &Seed) -> ProcessRecord {
        let text = |text: &str| escape::text(text.as_bytes()).into_owned();
        ProcessRecord {
            pid: seed.process.pid,
            start_ns: seed.process.start_ns,
            ns_pid: seed.ns_pids.last().copied(),
            pid_ns: Some(seed.pid_ns).filter(|&inode| inode != 0),
            comm: escape::comm(&seed.comm).into_owned(),
            exe: seed.exe.as_deref().map(text),
            cmdline: (!seed.cmdline.is_empty()).then(|| text(&seed.cmdline.join(" "))),
            container: self.containers.get(&seed.process).cloned().map(escaped),
            parent: None,
            program: String::new(),
            descends: false,
        }
    }
}

/// The names in a container's identity come from its cgroup, so they are untrusted.
fn escaped(container: Container) -> Container {
    container.map_texts(&|text| escape::text(text.as_bytes()).into_owned())
}
