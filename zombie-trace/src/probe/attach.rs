//! Loading the programs into the kernel, and attaching them to their hooks.

use std::{
    collections::BTreeMap,
    num::NonZero,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, FEntry, Program, RawTracePoint, TracePoint},
};
use log::debug;

use super::{
    error::LoadError,
    table::{Hook, Probe},
};
use crate::kernel::Resolved;

/// More would rarely be used: there are some twenty programs, and one takes longer than most others together.
const MAX_THREADS: usize = 4;

/// What became of the loading of each program.
pub(super) struct Programs(BTreeMap<&'static str, Result<(), LoadError>>);

/// Loads the programs of these probes. Most of the start is the verifier's work, program by program; it looks at those
/// of different threads at the same time.
pub(super) fn load(
    ebpf: &mut Ebpf,
    resolved: &Resolved,
    types: &Btf,
    probes: impl Iterator<Item = &'static Probe>,
) -> Programs {
    // One that serves several hooks is loaded once, for any of them.
    let hooks: BTreeMap<&'static str, Hook> = probes.flat_map(|probe| probe.on(resolved.differences).all()).collect();
    let mut of_object: BTreeMap<String, &mut Program> =
        ebpf.programs_mut().map(|(name, program)| (name.to_owned(), program)).collect();
    let waiting: Vec<_> = hooks.iter().map(|(&name, &hook)| (name, hook, of_object.remove(name))).collect();
    let waiting = Mutex::new(waiting);
    let work = || {
        let mut done = Vec::new();
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((name, hook, program)) = next else { return done };
            let loaded =
                program.ok_or(LoadError::Inconsistent(name)).and_then(|it| load_program(it, types, name, hook));
            done.push((name, loaded));
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
    let done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        others.into_iter().filter_map(|it| it.join().ok()).flatten().chain(own).collect()
    });
    Programs(done)
}

impl Programs {
    /// Attaches the programs of a probe, in their order.
    ///
    /// # Errors
    /// One of them could not be loaded or attached.
    pub(super) fn attach(&self, ebpf: &mut Ebpf, resolved: &Resolved, probe: &'static Probe) -> Result<(), LoadError> {
        let programs = probe.on(resolved.differences);
        // Tracepoints that replace others are not looked up.
        if let Hook::Raw(tracepoint) = programs.hook
            && programs.hook == probe.hook
            && !resolved.has_tracepoint(tracepoint)
        {
            debug!("the kernel's BTF does not list {}", programs.hook.name());
        }
        programs.all().try_for_each(|(name, hook)| match self.0.get(name) {
            Some(Ok(())) => attach_program(ebpf.program_mut(name).ok_or(LoadError::Inconsistent(name))?, name, hook),
            Some(Err(LoadError::Load { source, .. })) => {
                Err(LoadError::Load { probe: hook.name(), source: Arc::clone(source) })
            }
            Some(Err(_)) | None => Err(LoadError::Inconsistent(name)),
        })
    }
}

fn load_program(program: &mut Program, types: &Btf, name: &'static str, hook: Hook) -> Result<(), LoadError> {
    let other_kind = |_| LoadError::Inconsistent(name);
    let result = match hook {
        Hook::Raw(_) => <&mut RawTracePoint>::try_from(program).map_err(other_kind)?.load(),
        Hook::Typed(tracepoint) => <&mut BtfTracePoint>::try_from(program).map_err(other_kind)?.load(tracepoint, types),
        Hook::Classic(..) => <&mut TracePoint>::try_from(program).map_err(other_kind)?.load(),
        Hook::Fentry(function) => <&mut FEntry>::try_from(program).map_err(other_kind)?.load(function, types),
    };
    result.map_err(|source| LoadError::Load { probe: hook.name(), source: Arc::new(source) })
}

fn attach_program(program: &mut Program, name: &'static str, hook: Hook) -> Result<(), LoadError> {
    let other_kind = |_| LoadError::Inconsistent(name);
    let result = match hook {
        Hook::Raw(tracepoint) => {
            <&mut RawTracePoint>::try_from(program).map_err(other_kind)?.attach(tracepoint).map(|_| ())
        }
        Hook::Typed(_) => <&mut BtfTracePoint>::try_from(program).map_err(other_kind)?.attach().map(|_| ()),
        Hook::Classic(category, tracepoint) => {
            <&mut TracePoint>::try_from(program).map_err(other_kind)?.attach(category, tracepoint).map(|_| ())
        }
        Hook::Fentry(_) => <&mut FEntry>::try_from(program).map_err(other_kind)?.attach().map(|_| ()),
    };
    result.map_err(|source| LoadError::Attach { probe: hook.name(), source: Box::new(source) })
}
