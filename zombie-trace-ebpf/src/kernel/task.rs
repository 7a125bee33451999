//! Views of the kernel's structures by address, through the resolved offsets.

use aya_ebpf::helpers::{bpf_get_current_task, generated::bpf_get_current_task_btf};
use zombie_trace_ebpf::abi::{ABSENT, Comm, Handler, MAX_LEVEL, NS_LEVELS, NsPid, TaskKey};

use super::{
    memory::{read, read_pointer, read_untyped},
    settings::{offset, tasks_are_typed},
};

const PF_EXITING: u32 = 0x4;
const PF_KTHREAD: u32 = 0x0020_0000;

/// Bits of `signal_struct.flags` (`include/linux/sched/signal.h`).
pub(crate) const SIGNAL_GROUP_EXIT: u32 = 0x4;
pub(crate) const SIGNAL_UNKILLABLE: u32 = 0x40;
/// Set in `pid_namespace.pid_allocated` while the namespace takes processes (`include/linux/pid_namespace.h`).
const PIDNS_ADDING: u32 = 1 << 31;
/// Minimum length of a kernel stack (`THREAD_SIZE`). On a longer one the calls of interest are too far up and not
/// found.
pub(super) const STACK_LEN: u64 = 16 * 1024;
/// `SA_NOCLDWAIT` (`include/uapi/asm-generic/signal-defs.h`).
const SA_NOCLDWAIT: u64 = 2;

const SIGCHLD: u32 = 17;

/// Where `sighand_struct` has what the process does with this signal.
#[inline(always)]
fn action_offset(signal: u32) -> u32 {
    let index = signal.wrapping_sub(1) & 63;
    offset!(sighand_action).wrapping_add(index.wrapping_mul(offset!(sighand_action_stride)))
}

/// Where `struct pid` has its number and namespace at this level.
#[inline(always)]
fn upid_offset(level: u32) -> u64 {
    // 32 bits bound it for the verifier: that of 6.1 knows no bounds of a product with a number that is no constant
    // (`kernel/bpf/verifier.c`, `adjust_scalar_min_max_vals`).
    u64::from(offset!(pid_numbers).wrapping_add(level.wrapping_mul(offset!(upid_stride))))
}

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
        // A frozen constant: where the kernel lacks the helper, the verifier does not see the call.
        if tasks_are_typed() {
            // SAFETY: no arguments, always succeeds.
            Self(unsafe { bpf_get_current_task_btf() } as u64)
        } else {
            // SAFETY: no arguments, always succeeds.
            Self(unsafe { bpf_get_current_task() })
        }
    }

    #[inline(always)]
    pub(crate) fn pid(self) -> u32 {
        read(self.0, offset!(task_pid))
    }

    #[inline(always)]
    pub(crate) fn tgid(self) -> u32 {
        read(self.0, offset!(task_tgid))
    }

    #[inline(always)]
    fn flags(self) -> u32 {
        read(self.0, offset!(task_flags))
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
        Self(read_pointer(self.0, offset!(task_group_leader)))
    }

    #[inline(always)]
    pub(crate) fn real_parent(self) -> Self {
        Self(read_pointer(self.0, offset!(task_real_parent)))
    }

    #[inline(always)]
    pub(crate) fn is_traced(self) -> bool {
        read::<u32>(self.0, offset!(task_ptrace)) != 0
    }

    /// The process notified of its death first: the tracer if it is traced, else the parent.
    #[inline(always)]
    pub(crate) fn parent(self) -> Self {
        Self(read_pointer(self.0, offset!(task_parent)))
    }

    /// The lowest address of the thread's kernel stack.
    #[inline(always)]
    pub(super) fn stack(self) -> u64 {
        read_pointer(self.0, offset!(task_stack))
    }

    /// Whether this address is on the thread's kernel stack.
    #[inline(always)]
    pub(crate) fn has_on_stack(self, address: u64) -> bool {
        let lowest = self.stack();
        lowest != 0 && address.wrapping_sub(lowest) < STACK_LEN
    }

    /// Identity of this thread's process, with the thread's own id.
    #[inline(always)]
    pub(crate) fn key(self) -> TaskKey {
        TaskKey { start_ns: self.leader().start_boottime(), tgid: self.tgid(), tid: self.pid() }
    }

    /// Identity of this leader's process, if its `group_leader` may no longer be valid.
    #[inline(always)]
    pub(crate) fn key_of_leader(self) -> TaskKey {
        TaskKey { start_ns: self.start_boottime(), tgid: self.tgid(), tid: self.pid() }
    }

    #[inline(always)]
    pub(crate) fn start_boottime(self) -> u64 {
        read(self.0, offset!(task_start_boottime))
    }

    #[inline(always)]
    pub(crate) fn comm(self) -> Comm {
        read(self.0, offset!(task_comm))
    }

    #[inline(always)]
    pub(crate) fn exit_code(self) -> u32 {
        read(self.0, offset!(task_exit_code))
    }

    #[inline(always)]
    pub(crate) fn exit_signal(self) -> i32 {
        read(self.0, offset!(task_exit_signal))
    }

    /// `u32::MAX` if it cannot be read: zero would be root.
    #[inline(always)]
    pub(crate) fn uid(self) -> u32 {
        let cred = read_pointer(self.0, offset!(task_real_cred));
        let uid = read(cred, offset!(cred_uid));
        if cred == 0 { u32::MAX } else { uid }
    }

    /// Whether the thread has the signal blocked, now (`blocked`) or while it waits in `sigtimedwait` (`real_blocked`).
    #[inline(always)]
    pub(crate) fn blocks(self, signal: u32) -> bool {
        let masks = read::<u64>(self.0, offset!(task_blocked)) | read::<u64>(self.0, offset!(task_real_blocked));
        masks >> (signal.wrapping_sub(1) & 63) & 1 != 0
    }

    #[inline(always)]
    pub(crate) fn signal(self) -> SignalStruct {
        SignalStruct(read_pointer(self.0, offset!(task_signal)))
    }

    /// What the process does with a signal; [`Handler::Unknown`] if the thread no longer has a `sighand`.
    #[inline(always)]
    pub(crate) fn disposition(self, signal: u32) -> Disposition {
        let sighand = read_pointer(self.0, offset!(task_sighand));
        // Apart, because an offset must be a constant to be read by a plain load.
        let (address, flags): (u64, u64) = if signal == SIGCHLD {
            let action = action_offset(SIGCHLD);
            (read(sighand, action + offset!(action_handler)), read(sighand, action + offset!(action_flags)))
        } else {
            let action = sighand.wrapping_add(u64::from(action_offset(signal)));
            (read_untyped(action, offset!(action_handler)), read_untyped(action, offset!(action_flags)))
        };
        let handler = if sighand == 0 { Handler::Unknown } else { Handler::from_address(address) };
        Disposition { handler, nocldwait: flags & SA_NOCLDWAIT != 0 }
    }

    /// The `struct pid` of the thread; gone (null) once it is released.
    #[inline(always)]
    pub(crate) fn pid_struct(self) -> PidStruct {
        PidStruct(read_pointer(self.0, offset!(task_thread_pid)))
    }

    /// The `struct pid` behind a pidfd of this thread (`kernel/pid.c`, `pidfd_pid`); null if that is uncertain: its
    /// location has changed between kernels, so what is found must belong to `namespace` at `level`.
    #[inline(always)]
    pub(crate) fn pidfd(self, fd: u32, namespace: u64, level: u32) -> UntypedPid {
        let table = read_pointer(read_pointer(self.0, offset!(task_files)), offset!(files_fdt));
        if fd >= read::<u32>(table, offset!(fdtable_max_fds)) {
            return UntypedPid(0);
        }
        let files = read_pointer(table, offset!(fdtable_fd));
        let file = read_untyped(files.wrapping_add(8 * u64::from(fd)), 0);
        let is_it = |pid: UntypedPid| {
            let own = pid.level();
            own >= level && own <= MAX_LEVEL && pid.namespace(level) == namespace
        };
        let of_pidfs = UntypedPid(read_untyped(read_untyped(file, offset!(file_inode)), offset!(inode_private)));
        if is_it(of_pidfs) {
            return of_pidfs;
        }
        let of_file = UntypedPid(read_untyped(file, offset!(file_private_data)));
        if is_it(of_file) { of_file } else { UntypedPid(0) }
    }

    /// The id of the v2 cgroup, or if that is the root (v1 and hybrid hosts) of the `pids` controller's cgroup.
    #[inline(always)]
    pub(crate) fn cgroup_id(self) -> u64 {
        let css_set = read_pointer(self.0, offset!(task_cgroups));
        let default = read_pointer(css_set, offset!(css_set_dfl_cgrp));
        let of_pids = read_pointer(read_pointer(css_set, offset!(css_set_pids_subsys)), offset!(css_cgroup));
        let is_root = read::<u32>(default, offset!(cgroup_level)) == 0;
        let cgroup = if is_root && of_pids != 0 { of_pids } else { default };
        read(read_pointer(cgroup, offset!(cgroup_kn)), offset!(kernfs_node_id))
    }

    /// The state of the memory controller, embedded in its `mem_cgroup`, for the cgroup of the thread, or on v2 for the
    /// nearest one above it for which the controller is enabled. Untyped: fields of the `mem_cgroup` are read from it.
    #[inline(always)]
    pub(super) fn memory_subsys(self) -> u64 {
        read_untyped(read_pointer(self.0, offset!(task_cgroups)), offset!(css_set_memory_subsys))
    }

    /// How many levels a cgroup with this state of the memory controller is above the thread's own.
    #[inline(always)]
    pub(super) fn levels_to(self, state: u64) -> u32 {
        let css_set = read_pointer(self.0, offset!(task_cgroups));
        let default = read_pointer(css_set, offset!(css_set_dfl_cgrp));
        let of_memory = read_pointer(read_pointer(css_set, offset!(css_set_memory_subsys)), offset!(css_cgroup));
        let is_v2 = read_pointer(default, offset!(cgroup_root)) == read_pointer(of_memory, offset!(cgroup_root));
        let own: u32 = read(if is_v2 { default } else { of_memory }, offset!(cgroup_level));
        let there: u32 = read_untyped(read_untyped(state, offset!(css_cgroup)), offset!(cgroup_level));
        own.saturating_sub(there)
    }
}

/// A `signal_struct`: what the threads of a process share.
#[derive(Clone, Copy)]
pub(crate) struct SignalStruct(u64);

impl SignalStruct {
    #[inline(always)]
    pub(crate) fn flags(self) -> u32 {
        read(self.0, offset!(signal_flags))
    }

    #[inline(always)]
    pub(crate) fn live(self) -> u32 {
        read(self.0, offset!(signal_live))
    }

    #[inline(always)]
    pub(crate) fn group_exit_code(self) -> u32 {
        read(self.0, offset!(signal_group_exit_code))
    }

    #[inline(always)]
    pub(crate) fn is_subreaper(self) -> bool {
        let byte: u8 = read(self.0, offset!(signal_subreaper_byte));
        u32::from(byte) & offset!(signal_subreaper_mask) != 0
    }

    /// Whether the kernel reaps the process as soon as it is dead, as requested at its creation (since 7.1).
    #[inline(always)]
    pub(crate) fn reaps_itself(self) -> bool {
        let byte: u8 = read(self.0, offset!(signal_autoreap_byte));
        u32::from(byte) & offset!(signal_autoreap_mask) != 0
    }

    /// Whether the OOM killer chose the process; `None` where that cannot be read.
    #[inline(always)]
    pub(crate) fn is_oom_victim(self) -> Option<bool> {
        if offset!(signal_oom_mm) == ABSENT { None } else { Some(read_pointer(self.0, offset!(signal_oom_mm)) != 0) }
    }
}

/// A `struct pid`: the numbers of a thread in its pid namespace and in all above.
#[derive(Clone, Copy)]
pub(crate) struct PidStruct(u64);

/// The same behind a pointer whose type the verifier does not know.
#[derive(Clone, Copy)]
pub(crate) struct UntypedPid(u64);

impl UntypedPid {
    #[inline(always)]
    fn level(self) -> u32 {
        read_untyped(self.0, offset!(pid_level))
    }

    /// The number at this level, which the process must have; 0 if it cannot be read.
    #[inline(always)]
    pub(crate) fn nr(self, level: u32) -> u32 {
        read_untyped(self.0.wrapping_add(upid_offset(level)), offset!(upid_nr))
    }

    /// Address of the namespace at this level, which the process must have; 0 if it cannot be read.
    #[inline(always)]
    fn namespace(self, level: u32) -> u64 {
        read_untyped(self.0.wrapping_add(upid_offset(level)), offset!(upid_ns))
    }
}

impl PidStruct {
    #[inline(always)]
    pub(crate) fn level(self) -> u32 {
        read(self.0, offset!(pid_level))
    }

    // Most processes are in the initial namespace, and what is at its constant offset is read by plain loads.

    #[inline(always)]
    fn untyped(self) -> UntypedPid {
        UntypedPid(self.0)
    }

    /// The number at this level, which the process must have; 0 if it cannot be read.
    #[inline(always)]
    pub(crate) fn nr(self, level: u32) -> u32 {
        if level == 0 { read(self.0, offset!(pid_numbers) + offset!(upid_nr)) } else { self.untyped().nr(level) }
    }

    /// Address of the namespace at this level, which the process must have; 0 if it cannot be read.
    #[inline(always)]
    pub(crate) fn namespace(self, level: u32) -> u64 {
        self.untyped().namespace(level)
    }

    #[inline(always)]
    pub(crate) fn at(self, level: u32) -> NsPid {
        if level == 0 {
            let namespace = read_pointer(self.0, offset!(pid_numbers) + offset!(upid_ns));
            NsPid { nr: self.nr(0), inum: read(namespace, offset!(pid_namespace_inum)) }
        } else {
            let untyped = self.untyped();
            NsPid { nr: untyped.nr(level), inum: read_untyped(untyped.namespace(level), offset!(pid_namespace_inum)) }
        }
    }

    /// The `pid_max` of the namespace at this level, and how many of its numbers are in use; 0 and 0 on kernels before
    /// 6.14, which have no `pid_max` per namespace.
    #[inline(always)]
    pub(crate) fn pid_max(self, level: u32) -> (u32, u32) {
        let namespace = self.namespace(level);
        let allocated: u32 = read_untyped(namespace, offset!(pid_namespace_allocated));
        (read_untyped(namespace, offset!(pid_namespace_max)), allocated & !PIDNS_ADDING)
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

    /// All numbers from the outermost namespace inwards; if there are too many, those between the outermost and the
    /// three innermost are left out: a waiting process is nearly always in one of these.
    #[inline(always)]
    pub(crate) fn all(self) -> [NsPid; NS_LEVELS] {
        let level = self.level();
        let left_out = level.saturating_sub(3);
        let mut numbers = [NsPid { nr: 0, inum: 0 }; NS_LEVELS];
        numbers[0] = self.at(0);
        if level >= 1 {
            numbers[1] = self.at(left_out.wrapping_add(1));
        }
        if level >= 2 {
            numbers[2] = self.at(left_out.wrapping_add(2));
        }
        if level >= 3 {
            numbers[3] = self.at(level);
        }
        numbers
    }
}
