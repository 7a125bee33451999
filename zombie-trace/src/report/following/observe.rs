//! From events to what is known of clients and containers.

use super::{
    facts::{Client, Following, Init, Seen},
    request::Request,
};
use crate::{
    event::{BootNs, Event, Fact, ProcessKey, What},
    model::{Model, Process},
    report::clients,
    text::escape,
};

/// Maximum number of clients that are kept.
const MAX_CLIENTS: usize = 1 << 12;
/// With so many cgroups, those that are known to belong to no container are forgotten.
const MAX_CGROUPS: usize = 1 << 12;

impl Following {
    /// Takes in an event that the model has taken in. Returns a process whose command line should be looked at.
    pub(in crate::report) fn observe(&mut self, event: &Event, model: &Model) -> Option<ProcessKey> {
        match &event.what {
            What::Fork(fork) if fork.ns.nr == 1 => {
                self.saw(model, model.process_of(fork.child)?, fork.cgroup);
            }
            What::Exec(exec) => {
                let process = model.process_of(exec.process)?;
                self.saw(model, process, exec.cgroup);
                return self.saw_program(event.time, process);
            }
            What::Exit(exit) if exit.group_dead => {
                let key = model.process_of(exit.process)?.key;
                self.ends(key, event.time);
                // It may have been put into another cgroup after its fork, and was seen in both.
                let inits = self.cgroups.values_mut().filter_map(|seen| seen.init.as_mut());
                for init in inits.filter(|init| init.key == key) {
                    init.exit = Some((event.time, exit.status));
                }
            }
            What::Fact(Fact::Seed(seed)) if !seed.is_zombie => {
                let process = model.living(seed.process.pid)?;
                self.saw(model, process, seed.cgroup);
                let key = self.saw_program(process.key.start_ns, process)?;
                self.hear(key, &seed.cmdline);
            }
            What::Fact(Fact::Evidence(evidence)) => {
                let key = model.process_of(evidence.process)?.key;
                self.hear(key, &evidence.proc.as_ref()?.cmdline);
            }
            _ => {}
        }
        None
    }

    /// A process is in this cgroup.
    fn saw(&mut self, model: &Model, process: &Process, cgroup: u64) {
        if cgroup == 0 {
            return;
        }
        if self.cgroups.len() >= MAX_CGROUPS && !self.cgroups.contains_key(&cgroup) {
            self.cgroups.retain(|id, _| model.cgroup(*id).is_none_or(|cgroup| cgroup.container().is_some()));
            if self.cgroups.len() >= MAX_CGROUPS {
                self.is_overfull = true;
                return;
            }
        }
        let seen = self.cgroups.entry(cgroup).or_default();
        seen.preexisting |= process.key.start_ns < self.began;
        let is_pid_1 = process.identity.ns.is_some_and(|ns| ns.nr == 1);
        let is_better = match seen.init {
            None => true,
            Some(init) if init.is_pid_1 == is_pid_1 => process.key.start_ns < init.key.start_ns,
            Some(_) => is_pid_1,
        };
        if is_better {
            seen.init = Some(Init {
                key: process.key,
                is_pid_1,
                descends: process.identity.descends,
                pid_ns: process.identity.ns.map_or(0, |ns| ns.inum),
                exit: None,
            });
        }
    }

    /// A process is this program now; returns it if it is a client of which more should be known.
    fn saw_program(&mut self, time: BootNs, process: &Process) -> Option<ProcessKey> {
        let descends = process.identity.descends;
        let name = escape::comm(&process.identity.comm);
        // Shims run low-level runtimes all the time; only the command's own are a client of their own.
        let client = clients::of_containers(&name)
            .or_else(|| descends.then(|| ["runc", "crun"].into_iter().find(|it| *it == name)).flatten());
        let Some(name) = client else {
            self.ends(process.key, time);
            return None;
        };
        if self.clients.len() >= MAX_CLIENTS {
            self.is_overfull = true;
            return None;
        }
        self.clients.insert(process.key, Client { name, descends, began: time, ended: None, request: None });
        Some(process.key)
    }

    fn ends(&mut self, key: ProcessKey, time: BootNs) {
        if let Some(client) = self.clients.get_mut(&key) {
            client.ended.get_or_insert(time);
        }
    }

    fn hear(&mut self, key: ProcessKey, words: &[String]) {
        if let Some(client) = self.clients.get_mut(&key).filter(|_| !words.is_empty()) {
            client.request = Some(Request::parse(client.name, words));
        }
    }
}

impl Seen {
    /// Whether the first process that was seen in it is PID 1 of a namespace.
    pub(super) fn is_of_pid_1(&self) -> bool {
        self.init.is_some_and(|init| init.is_pid_1)
    }
}
