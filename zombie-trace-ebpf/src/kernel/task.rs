//! Views of the kernel's structures by address, through the resolved offsets.

use aya_ebpf::helpers::bpf_get_current_task;
use zombie_trace_ebpf::abi::{Comm, Handler, NS_LEVELS, NsPid, TaskKey};

use super::{
    memory::{read, read_pointer},
    settings::offset,
};

const PF_EXITING: u32 = 0x4;
const PF_KTHREAD: u32 = 0x0020_0000;
const SIG_DFL: u64 = 0;
const SIG_IGN: u64 = 1;

/// Bits of `signal_struct.flags` (`include/linux/sched/signal.h`).
pub(crate) const SIGNAL_GROUP_EXIT: u32 = 0x4;
pub(crate) const SIGNAL_UNKILLABLE: u32 = 0x40;
/// `SA_NOCLDWAIT` (`include/uapi/asm-generic/signal-defs.h`).
const SA_NOCLDWAIT: u64 = 2;

/// A `task_struct`: one thread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task(u64);

/// What a process does with one signal.
#[derive(Clone, Copy)]
pub(crate) struct Disposition {
    pub(crate) handler: Handler,
    pub(crate) nocldwait: bool,
}

impl Task {
    #[inline(always)]
    pub(crate) fn at(address: u64) -> Self {
        Self(address)
    }

    #[inline(always)]
    pub(crate) fn current() -> Self {
        // SAFETY: no arguments, always succeeds.
        Self(unsafe { bpf_get_current_task() })
    }

    #[inline(always)]
    pub(crate) fn pid(self) -> u32 {
        read(self.0, offset!(task_pid)).unwrap_or(0)
    }

    #[inline(always)]
    pub(crate) fn tgid(self) -> u32 {
        read(self.0, offset!(task_tgid)).unwrap_or(0)
    }

    #[inline(always)]
    fn flags(self) -> u32 {
        read(self.0, offset!(task_flags)).unwrap_or(0)
    }

    #[inline(always)]
    pub(crate) fn is_exiting(self) -> bool {
        self.flags() & PF_EXITING != 0
    }

    #[inline(always)]
    pub(crate) fn is_kernel_thread(self) -> bool {
        self.flags() & PF_KTHREAD != 0
    }

    #[inline(always)]
    pub(crate) fn leader(self) -> Self {
        Self(read_pointer(self.0, offset!(task_group_leader)).unwrap_or(self.0))
    }

    #[inline(always)]
    pub(crate) fn real_parent(self) -> Self {
        Self(read_pointer(self.0, offset!(task_real_parent)).unwrap_or(0))
    }

    /// The tracing thread, if this thread is traced (`ptrace` set: `parent` is the tracer).
    #[inline(always)]
    pub(crate) fn tracer(self) -> Option<Self> {
        match read::<u32>(self.0, offset!(task_ptrace)) {
            Some(0) | None => None,
            Some(_) => read_pointer(self.0, offset!(task_parent)).map(Self),
        }
    }

    /// Identity of this thread's process, with the thread's own id.
    #[inline(always)]
    pub(crate) fn key(self) -> TaskKey {
        TaskKey { start_ns: self.leader().start_boottime(), tgid: self.tgid(), tid: self.pid() }
    }

    #[inline(always)]
    pub(crate) fn start_boottime(self) -> u64 {
        read(self.0, offset!(task_start_boottime)).unwrap_or(0)
    }

    #[inline(always)]
    pub(crate) fn comm(self) -> Comm {
        read(self.0, offset!(task_comm)).unwrap_or([0; 16])
    }

    #[inline(always)]
    pub(crate) fn exit_code(self) -> u32 {
        read(self.0, offset!(task_exit_code)).unwrap_or(0)
    }

    #[inline(always)]
    pub(crate) fn exit_signal(self) -> i32 {
        read(self.0, offset!(task_exit_signal)).unwrap_or(-1)
    }

    #[inline(always)]
    pub(crate) fn uid(self) -> u32 {
        read_pointer(self.0, offset!(task_real_cred)).and_then(|cred| read(cred, offset!(cred_uid))).unwrap_or(u32::MAX)
    }

    /// Whether the thread has the signal blocked, now (`blocked`) or while it waits in `sigtimedwait` (`real_blocked`).
    #[inline(always)]
    pub(crate) fn blocks(self, signal: u32) -> bool {
        let masks = read::<u64>(self.0, offset!(task_blocked)).unwrap_or(0)
            | read::<u64>(self.0, offset!(task_real_blocked)).unwrap_or(0);
        signal.checked_sub(1).is_some_and(|bit| masks >> (bit & 63) & 1 != 0)
    }

    #[inline(always)]
    pub(crate) fn signal(self) -> SignalStruct {
        SignalStruct(read_pointer(self.0, offset!(task_signal)).unwrap_or(0))
    }

    /// `None` where the thread has no `sighand` any more, or it cannot be read.
    #[inline(always)]
    pub(crate) fn disposition(self, signal: u32) -> Option<Disposition> {
        let sighand = read_pointer(self.0, offset!(task_sighand))?;
        let index = signal.checked_sub(1)? & 63;
        let action = sighand + u64::from(offset!(sighand_action)) + u64::from(index * offset!(sighand_action_stride));
        let handler = match read::<u64>(action, offset!(action_handler))? {
            SIG_DFL => Handler::Default,
            SIG_IGN => Handler::Ignore,
            _ => Handler::Function,
        };
        let nocldwait = read::<u64>(action, offset!(action_flags))? & SA_NOCLDWAIT != 0;
        Some(Disposition { handler, nocldwait })
    }

    /// The `struct pid` of the thread; gone (null) once it is released.
    #[inline(always)]
    pub(crate) fn pid_struct(self) -> PidStruct {
        PidStruct(read_pointer(self.0, offset!(task_thread_pid)).unwrap_or(0))
    }

    /// The `struct pid` behind a pidfd of this thread (`kernel/pid.c`, `pidfd_pid`); `None` where it is not certain to
    /// be one: the place it is kept at has changed, so what is found must belong to `namespace` at `level`.
    #[inline(always)]
    pub(crate) fn pidfd(self, fd: u32, namespace: u64, level: u32) -> Option<PidStruct> {
        let table = read_pointer(read_pointer(self.0, offset!(task_files))?, offset!(files_fdt))?;
        if fd >= read::<u32>(table, offset!(fdtable_max_fds))? {
            return None;
        }
        let files = read_pointer(table, offset!(fdtable_fd))?;
        let file = read_pointer(files + 8 * u64::from(fd), 0)?;
        let is_it = |pid: &PidStruct| pid.level() >= level && pid.level() <= 32 && pid.namespace(level) == namespace;
        let of_pidfs =
            read_pointer(file, offset!(file_inode)).and_then(|inode| read_pointer(inode, offset!(inode_private)));
        of_pidfs
            .map(PidStruct)
            .filter(is_it)
            .or_else(|| read_pointer(file, offset!(file_private_data)).map(PidStruct).filter(is_it))
    }

    /// The id of the v2 cgroup, or where that is the root (v1 and hybrid hosts) of the `pids` controller's cgroup.
    #[inline(always)]
    pub(crate) fn cgroup_id(self) -> u64 {
        let Some(css_set) = read_pointer(self.0, offset!(task_cgroups)) else { return 0 };
        let default = read_pointer(css_set, offset!(css_set_dfl_cgrp)).unwrap_or(0);
        let cgroup = if read::<u32>(default, offset!(cgroup_level)).unwrap_or(0) > 0 {
            default
        } else {
            read_pointer(css_set, offset!(css_set_pids_subsys))
                .and_then(|css| read_pointer(css, offset!(css_cgroup)))
                .unwrap_or(default)
        };
        read_pointer(cgroup, offset!(cgroup_kn)).and_then(|kn| read(kn, offset!(kernfs_node_id))).unwrap_or(0)
    }
}

/// A `signal_struct`: what the threads of a process share.
#[derive(Clone, Copy)]
pub(crate) struct SignalStruct(u64);

impl SignalStruct {
    #[inline(always)]
    pub(crate) fn flags(self) -> u32 {
        read(self.0, offset!(signal_flags)).unwrap_or(0)
    }

    #[inline(always)]
    pub(crate) fn live(self) -> u32 {
        read(self.0, offset!(signal_live)).unwrap_or(0)
    }

    #[inline(always)]
    pub(crate) fn group_exit_code(self) -> u32 {
        read(self.0, offset!(signal_group_exit_code)).unwrap_or(0)
    }

    #[inline(always)]
    pub(crate) fn is_subreaper(self) -> bool {
        read::<u8>(self.0, offset!(signal_subreaper_byte))
            .is_some_and(|byte| u32::from(byte) & offset!(signal_subreaper_mask) != 0)
    }
}

/// A `struct pid`: the numbers of a thread in its pid namespace and in all above.
#[derive(Clone, Copy)]
pub(crate) struct PidStruct(u64);

impl PidStruct {
    #[inline(always)]
    pub(crate) fn level(self) -> u32 {
        read(self.0, offset!(pid_level)).unwrap_or(0)
    }

    #[inline(always)]
    fn upid(self, level: u32) -> u64 {
        self.0 + u64::from(offset!(pid_numbers)) + u64::from(level & 31) * u64::from(offset!(upid_stride))
    }

    /// The number at this level; 0 if there is none.
    #[inline(always)]
    pub(crate) fn nr(self, level: u32) -> u32 {
        if self.0 == 0 {
            return 0;
        }
        read(self.upid(level), offset!(upid_nr)).unwrap_or(0)
    }

    /// Address of the namespace at this level; 0 if there is none.
    #[inline(always)]
    pub(crate) fn namespace(self, level: u32) -> u64 {
        if self.0 == 0 {
            return 0;
        }
        read(self.upid(level), offset!(upid_ns)).unwrap_or(0)
    }

    #[inline(always)]
    pub(crate) fn at(self, level: u32) -> NsPid {
        NsPid { nr: self.nr(level), inum: read(self.namespace(level), offset!(pid_namespace_inum)).unwrap_or(0) }
    }

    /// Number and namespace at the process's own level.
    #[inline(always)]
    pub(crate) fn innermost(self) -> NsPid {
        self.at(self.level())
    }

    /// Whether this is the init of its pid namespace: number 1 in it.
    #[inline(always)]
    pub(crate) fn is_init(self) -> bool {
        self.nr(self.level()) == 1
    }

    /// All numbers from the outermost namespace inwards; the innermost takes the last place if there are too many.
    #[inline(always)]
    pub(crate) fn all(self) -> [NsPid; NS_LEVELS] {
        let level = self.level();
        let mut numbers = [NsPid { nr: 0, inum: 0 }; NS_LEVELS];
        numbers[0] = self.at(0);
        if level >= 1 {
            numbers[1] = self.at(1);
        }
        if level >= 2 {
            numbers[2] = self.at(2);
        }
        if level >= 3 {
            numbers[3] = self.at(level);
        }
        numbers
    }
}
