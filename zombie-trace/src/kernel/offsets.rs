//! Offsets of the fields that the eBPF programs read, resolved from the kernel's BTF.
//!
//! One table has, for each field of [`Offsets`], the struct, the path of its member, and what is lost without it. A
//! field without which results would be *wrong* (identity, life and death, parents, dispositions) is required; one
//! without which they are only *poorer* is optional and becomes [`ABSENT`].
//!
//! BTF decides, never the kernel's version, because distributions backport.

use std::collections::{BTreeMap, BTreeSet};

use crate::abi::{ABSENT, Offsets};

use super::{
    btf::{Btf, Kind, TypeId},
    differences::{self, Differences, Feature},
};

/// Tracepoints whose presence is looked up; each has a typedef `btf_trace_<name>` in BTF (since 5.5).
///
/// Written with the prefix so that the search compares whole names.
const TRACEPOINT_TYPEDEFS: &[&str] = &[
    "btf_trace_sched_process_exit",
    "btf_trace_sched_process_free",
    "btf_trace_sched_process_fork",
    "btf_trace_sched_process_exec",
    "btf_trace_sched_process_wait",
    "btf_trace_signal_generate",
    "btf_trace_signal_deliver",
    "btf_trace_sched_wakeup_new",
];
pub(super) const TRACEPOINT_PREFIX: &str = "btf_trace_";

/// Functions whose entry programs attach to.
const FUNCTIONS: &[&str] = &["release_task"];

/// `enum cgroup_subsys_id` numbers the controllers that the kernel was built with.
const SUBSYS_ENUM: &str = "cgroup_subsys_id";
const PIDS_ENUMERATOR: &str = "pids_cgrp_id";
const MEMORY_ENUMERATOR: &str = "memory_cgrp_id";
/// Size of a pointer in the supported kernels, all of them 64-bit.
const POINTER: u32 = 8;

/// Why offsets could not be resolved.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OffsetError {
    /// BTF does not have the member; `path` names the newest of its names.
    #[error("the kernel's type information has no {owner}.{path}, without which zombie-trace cannot work ({field})")]
    Missing {
        /// Field of [`Offsets`] that is required.
        field: &'static str,
        /// Kernel struct.
        owner: &'static str,
        /// Dotted path of the member.
        path: &'static str,
    },
}

/// What a kernel's BTF says about the fields and tracepoints that the programs use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// The offsets, in bytes, ready to be handed to the eBPF programs.
    pub offsets: Offsets,
    /// Optional fields that this kernel lacks, by their names in [`Offsets`]; see [`lost_without`].
    pub missing: Vec<&'static str>,
    /// Tracepoints that this kernel has, of those looked up, without prefix (`sched_process_exit`), and the numbers of
    /// their typedefs.
    pub tracepoints: BTreeMap<&'static str, TypeId>,
    /// Functions that this kernel has, of those looked up, and their numbers.
    pub functions: BTreeMap<&'static str, TypeId>,
    /// Features of this kernel that not all have.
    pub differences: Differences,
}

impl Resolved {
    /// The same without the numbers of types, which differ between builds of one kernel.
    #[must_use]
    pub fn without_numbers(mut self) -> Self {
        self.functions.values_mut().chain(self.tracepoints.values_mut()).for_each(|id| *id = TypeId(0));
        self
    }

    /// Whether the kernel has this tracepoint. False for those that are not looked up: those of system calls are not in
    /// BTF.
    pub fn has_tracepoint(&self, name: &str) -> bool {
        self.tracepoints.contains_key(name)
    }
}

/// What to look for in BTF.
#[derive(Clone, Copy)]
enum Fact {
    /// Byte offset of the first of these members that exists: the newest name first.
    Offset(&'static [&'static str]),
    /// Size in bytes of an element of this array.
    Stride(&'static str),
    /// Size in bytes of the struct.
    Size(&'static str),
    /// The byte of a flag that is a bitfield of one bit or a `bool`.
    FlagByte(&'static str),
    /// Its mask in that byte.
    FlagMask(&'static str),
    /// Byte offset of the slot of the pids controller in this array of pointers.
    PidsSlot(&'static str),
    /// The same for the memory controller.
    MemorySlot(&'static str),
}

#[derive(Clone, Copy)]
enum Need {
    Required,
    /// What is lost without the field.
    Optional(&'static str),
    /// A kernel without the field lacks the feature, too, so nothing is lost.
    Newer,
}
use Need::{Newer, Optional, Required};

struct Row {
    name: &'static str,
    slot: fn(&mut Offsets) -> &mut u32,
    owner: &'static str,
    fact: Fact,
    need: Need,
}

macro_rules! table {
    ($($name:ident: $owner:literal, $fact:ident($($arg:tt)*), $need:expr;)*) => {
        &[$(Row {
            name: stringify!($name),
            slot: |offsets| &mut offsets.$name,
            owner: $owner,
            fact: table!(@fact $fact $($arg)*),
            need: $need,
        },)*]
    };
    (@fact Offset $($path:literal),+) => { Fact::Offset(&[$($path),+]) };
    (@fact $fact:ident $path:literal) => { Fact::$fact($path) };
}

const SIGNAL_SETS: Need = Optional("whether a process blocks the signal that was sent to it");
const FORGED: Need =
    Optional("who sent a signal whose origin the sender made up (rt_sigqueueinfo): it is told as the kernel's");
const UID: Need = Optional("the user id of processes and of senders");
const SUBREAPER: Need = Optional("which process asked to adopt orphans");
const OOM: Need = Optional("whether the OOM killer ended a process");
const CGROUP: Need = Optional("the cgroup of processes, and with it their container");
const PIDFD: Need =
    Optional("whom a wait by pidfd reaped, where the caller takes no status; the time is an upper bound then");
const SELECTORS: Need = Optional("which children wait calls select");
const PIDS_MAX: Need = Optional("the cgroup of processes under the pids controller");

const MEMORY: Need = Optional("the memory limit of a process that the OOM killer chose");

/// Every field of [`Offsets`] except `exit_has_group_dead`, which is not an offset.
const TABLE: &[Row] = table! {
    task_pid: "task_struct", Offset("pid"), Required;
    task_tgid: "task_struct", Offset("tgid"), Required;
    task_flags: "task_struct", Offset("flags"), Required;
    task_real_parent: "task_struct", Offset("real_parent"), Required;
    task_parent: "task_struct", Offset("parent"), Required;
    task_ptrace: "task_struct", Offset("ptrace"), Required;
    task_group_leader: "task_struct", Offset("group_leader"), Required;
    task_signal: "task_struct", Offset("signal"), Required;
    task_sighand: "task_struct", Offset("sighand"), Required;
    task_blocked: "task_struct", Offset("blocked"), SIGNAL_SETS;
    task_real_blocked: "task_struct", Offset("real_blocked"), SIGNAL_SETS;
    task_exit_code: "task_struct", Offset("exit_code"), Required;
    task_exit_signal: "task_struct", Offset("exit_signal"), Required;
    // Renamed in 5.5; the clock is the same.
    task_start_boottime: "task_struct", Offset("start_boottime", "real_start_time"), Required;
    task_comm: "task_struct", Offset("comm"), Required;
    task_thread_pid: "task_struct", Offset("thread_pid"), Required;
    task_cgroups: "task_struct", Offset("cgroups"), CGROUP;
    task_stack: "task_struct", Offset("stack"), FORGED;
    task_real_cred: "task_struct", Offset("real_cred"), UID;
    cred_uid: "cred", Offset("uid"), UID;
    signal_live: "signal_struct", Offset("live"), Required;
    signal_flags: "signal_struct", Offset("flags"), Required;
    signal_group_exit_code: "signal_struct", Offset("group_exit_code"), Required;
    // A bit of a bitfield up to 6.18, a bool in 7.2.
    signal_subreaper_byte: "signal_struct", FlagByte("is_child_subreaper"), SUBREAPER;
    signal_subreaper_mask: "signal_struct", FlagMask("is_child_subreaper"), SUBREAPER;
    signal_autoreap_byte: "signal_struct", FlagByte("autoreap"), Newer;
    signal_autoreap_mask: "signal_struct", FlagMask("autoreap"), Newer;
    signal_oom_mm: "signal_struct", Offset("oom_mm"), OOM;
    sighand_action: "sighand_struct", Offset("action"), Required;
    sighand_action_stride: "sighand_struct", Stride("action"), Required;
    action_handler: "k_sigaction", Offset("sa.sa_handler"), Required;
    action_flags: "k_sigaction", Offset("sa.sa_flags"), Required;
    pid_level: "pid", Offset("level"), Required;
    // Declared with one element in 5.10, as a flexible array later; the element is the same.
    pid_numbers: "pid", Offset("numbers"), Required;
    upid_stride: "pid", Stride("numbers"), Required;
    upid_nr: "upid", Offset("nr"), Required;
    upid_ns: "upid", Offset("ns"), Required;
    pid_namespace_inum: "pid_namespace", Offset("ns.inum"), Required;
    pid_namespace_max: "pid_namespace", Offset("pid_max"), Newer;
    pid_namespace_allocated: "pid_namespace", Offset("pid_allocated"), Newer;
    css_set_dfl_cgrp: "css_set", Offset("dfl_cgrp"), CGROUP;
    css_set_pids_subsys: "css_set", PidsSlot("subsys"), PIDS_MAX;
    css_set_memory_subsys: "css_set", MemorySlot("subsys"), MEMORY;
    css_cgroup: "cgroup_subsys_state", Offset("cgroup"), PIDS_MAX;
    cgroup_root: "cgroup", Offset("root"), MEMORY;
    cgroup_level: "cgroup", Offset("level"), CGROUP;
    cgroup_kn: "cgroup", Offset("kn"), CGROUP;
    // A union up to 5.4, with the 64-bit number at the same place.
    kernfs_node_id: "kernfs_node", Offset("id"), CGROUP;
    mem_cgroup_css: "mem_cgroup", Offset("css"), MEMORY;
    mem_cgroup_memory: "mem_cgroup", Offset("memory"), MEMORY;
    page_counter_max: "page_counter", Offset("max"), MEMORY;
    page_counter_parent: "page_counter", Offset("parent"), MEMORY;
    task_files: "task_struct", Offset("files"), PIDFD;
    files_fdt: "files_struct", Offset("fdt"), PIDFD;
    fdtable_max_fds: "fdtable", Offset("max_fds"), PIDFD;
    fdtable_fd: "fdtable", Offset("fd"), PIDFD;
    file_private_data: "file", Offset("private_data"), PIDFD;
    file_inode: "file", Offset("f_inode"), PIDFD;
    inode_private: "inode", Offset("i_private"), PIDFD;
    pt_regs_size: "pt_regs", Size(""), SELECTORS;
};

/// How many fields are looked up in BTF.
pub(super) fn field_count() -> usize {
    TABLE.len()
}

/// What is lost on a kernel without this field of [`Offsets`]; `None` if that is everything or nothing.
pub fn lost_without(field: &str) -> Option<&'static str> {
    TABLE.iter().find(|row| row.name == field).and_then(|row| match row.need {
        Required | Newer => None,
        Optional(lost) => Some(lost),
    })
}

/// The named types that [`resolve`] starts from; test fixtures must keep these.
pub fn roots() -> Vec<(Kind, &'static str)> {
    let structs: BTreeSet<_> = TABLE.iter().map(|row| row.owner).collect();
    let mut roots: Vec<_> = structs.into_iter().map(|name| (Kind::Struct, name)).collect();
    roots.push((Kind::Enum, SUBSYS_ENUM));
    roots.extend(TRACEPOINT_TYPEDEFS.iter().map(|name| (Kind::Typedef, *name)));
    roots.extend(FUNCTIONS.iter().map(|name| (Kind::Func, *name)));
    let further: Vec<_> = differences::roots().filter(|root| !roots.contains(root)).collect();
    roots.extend(further);
    roots
}

/// Finds every field and tracepoint in a kernel's BTF.
///
/// # Errors
/// A required field is missing; the first one is named.
pub fn resolve(btf: &Btf) -> Result<Resolved, OffsetError> {
    let roots = roots();
    let found = btf.find(&roots);
    let root = |name: &str| roots.iter().zip(&found).find(|((_, root), _)| *root == name).and_then(|(_, id)| *id);

    let mut resolved = Resolved {
        offsets: Offsets::NONE,
        missing: Vec::new(),
        tracepoints: BTreeMap::new(),
        functions: FUNCTIONS.iter().filter_map(|name| Some((*name, root(name)?))).collect(),
        differences: Differences::find(btf, root),
    };
    for row in TABLE {
        let value = root(row.owner).and_then(|owner| row.fact.resolve(btf, owner, root(SUBSYS_ENUM)));
        match (value, row.need) {
            (Some(value), _) => *(row.slot)(&mut resolved.offsets) = value,
            (None, Optional(_)) => resolved.missing.push(row.name),
            (None, Newer) => {}
            (None, Required) => {
                return Err(OffsetError::Missing { field: row.name, owner: row.owner, path: row.fact.path() });
            }
        }
    }
    resolved.tracepoints = TRACEPOINT_TYPEDEFS
        .iter()
        .filter_map(|name| Some((name.strip_prefix(TRACEPOINT_PREFIX)?, root(name)?)))
        .collect();
    // Without the tracepoint no program reads the second argument.
    let group_dead = resolved.differences.has(Feature::ExitTellsGroupDead);
    resolved.offsets.exit_has_group_dead = u32::from(group_dead);
    Ok(resolved)
}

impl Fact {
    fn path(self) -> &'static str {
        match self {
            Self::Offset(paths) => paths.first().copied().unwrap_or_default(),
            Self::Stride(path)
            | Self::Size(path)
            | Self::FlagByte(path)
            | Self::FlagMask(path)
            | Self::PidsSlot(path)
            | Self::MemorySlot(path) => path,
        }
    }

    /// The value; `None` if the kernel does not have it, or if it equals [`ABSENT`].
    fn resolve(self, btf: &Btf, owner: TypeId, subsys: Option<TypeId>) -> Option<u32> {
        let value = match self {
            Self::Offset(paths) => {
                let field = paths.iter().find_map(|path| btf.field(owner, path))?;
                // A bitfield has no address; reading its bytes as a number would be wrong.
                if field.bit_size.is_some() {
                    return None;
                }
                field.byte_offset()
            }
            Self::Stride(path) => {
                let (element, _) = btf.array(btf.field(owner, path)?.type_id)?;
                btf.size(element).filter(|size| *size > 0)?
            }
            Self::Size(_) => btf.size(owner)?,
            Self::FlagByte(path) => flag(btf, owner, path)?.0,
            Self::FlagMask(path) => flag(btf, owner, path)?.1,
            Self::PidsSlot(path) => slot(btf, owner, path, btf.enumerator(subsys?, PIDS_ENUMERATOR)?)?,
            Self::MemorySlot(path) => slot(btf, owner, path, btf.enumerator(subsys?, MEMORY_ENUMERATOR)?)?,
        };
        (value != ABSENT).then_some(value)
    }
}

/// Byte offset of an element of an array of pointers; `None` if the array is shorter.
fn slot(btf: &Btf, owner: TypeId, path: &str, index: i64) -> Option<u32> {
    let index = u32::try_from(index).ok()?;
    let field = btf.field(owner, path)?;
    let (_, count) = btf.array(field.type_id)?;
    if index >= count {
        return None;
    }
    field.byte_offset().checked_add(index.checked_mul(POINTER)?)
}

/// Byte and mask of a flag; `None` for a member that is neither one bit nor one byte.
fn flag(btf: &Btf, owner: TypeId, path: &str) -> Option<(u32, u32)> {
    let field = btf.field(owner, path)?;
    let mask = match field.bit_size {
        Some(1) => 1 << (field.bit_offset % 8),
        None if btf.size(field.type_id) == Some(1) => 0xff,
        _ => return None,
    };
    Some((field.byte_offset(), mask))
}

#[cfg(test)]
#[path = "offsets_tests.rs"]
mod tests;
