//! Offsets of the kernel fields that the programs read.

#[cfg(not(target_arch = "bpf"))]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The value of an offset whose field this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

macro_rules! offsets {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Byte offsets of kernel fields, which userspace resolves from BTF and passes as the frozen global `OFFSETS`.
        /// rustc emits no CO-RE relocations, but the verifier sees constants, because the global is read-only before
        /// the load. [`ABSENT`] marks a field that this kernel does not have.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(not(target_arch = "bpf"), derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
        #[repr(C)]
        pub struct Offsets {
            $($(#[$doc])* pub $name: u32,)*
        }

        impl Default for Offsets {
            fn default() -> Self {
                Self::NONE
            }
        }

        impl Offsets {
            /// Every field absent.
            pub const NONE: Self = Self { $($name: ABSENT,)* };
            /// Names of the fields in the order of the layout.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)*];
        }
    };
}

offsets! {
    /// `task_struct.pid`
    task_pid,
    /// `task_struct.tgid`
    task_tgid,
    /// `task_struct.flags` (`PF_EXITING` 0x4, `PF_KTHREAD` 0x200000)
    task_flags,
    /// `task_struct.real_parent`
    task_real_parent,
    /// `task_struct.parent`: the tracer while `ptrace` is not 0
    task_parent,
    /// `task_struct.ptrace`
    task_ptrace,
    /// `task_struct.group_leader`
    task_group_leader,
    /// `task_struct.signal`
    task_signal,
    /// `task_struct.sighand`
    task_sighand,
    /// `task_struct.blocked` (first 64 signals)
    task_blocked,
    /// `task_struct.real_blocked`
    task_real_blocked,
    /// `task_struct.exit_code`
    task_exit_code,
    /// `task_struct.exit_signal`
    task_exit_signal,
    /// `task_struct.start_boottime`; `real_start_time` before 5.5
    task_start_boottime,
    /// `task_struct.comm`
    task_comm,
    /// `task_struct.thread_pid`
    task_thread_pid,
    /// `task_struct.cgroups`
    task_cgroups,
    /// `task_struct.stack`: the lowest address of the kernel stack
    task_stack,
    /// `task_struct.real_cred`
    task_real_cred,
    /// `cred.uid` (a `kuid_t`, a 32-bit value)
    cred_uid,
    /// `signal_struct.live`
    signal_live,
    /// `signal_struct.flags` (`SIGNAL_GROUP_EXIT` 0x4, `SIGNAL_UNKILLABLE` 0x40)
    signal_flags,
    /// `signal_struct.group_exit_code`
    signal_group_exit_code,
    /// Byte that holds `signal_struct.is_child_subreaper`
    signal_subreaper_byte,
    /// Mask of the flag in that byte: a bit of a bitfield, or 0xff for a `bool`
    signal_subreaper_mask,
    /// Byte that holds `signal_struct.autoreap` (since 7.1)
    signal_autoreap_byte,
    /// Mask of the flag in that byte
    signal_autoreap_mask,
    /// `signal_struct.oom_mm`: not null in a process that the OOM killer chose
    signal_oom_mm,
    /// `sighand_struct.action`
    sighand_action,
    /// Distance between two elements of `sighand_struct.action`
    sighand_action_stride,
    /// `k_sigaction.sa.sa_handler`, within an element
    action_handler,
    /// `k_sigaction.sa.sa_flags`, within an element
    action_flags,
    /// `pid.level`
    pid_level,
    /// `pid.numbers`
    pid_numbers,
    /// Size of an element of `pid.numbers` (`struct upid`)
    upid_stride,
    /// `upid.nr`
    upid_nr,
    /// `upid.ns`
    upid_ns,
    /// `pid_namespace.ns.inum`
    pid_namespace_inum,
    /// `pid_namespace.pid_max` (since 6.14; one for the machine before)
    pid_namespace_max,
    /// `pid_namespace.pid_allocated`
    pid_namespace_allocated,
    /// `css_set.dfl_cgrp`
    css_set_dfl_cgrp,
    /// Address of `css_set.subsys[pids_cgrp_id]` within `css_set`
    css_set_pids_subsys,
    /// Address of `css_set.subsys[memory_cgrp_id]` within `css_set`
    css_set_memory_subsys,
    /// `cgroup_subsys_state.cgroup`
    css_cgroup,
    /// `cgroup.root`: the tree that it is in
    cgroup_root,
    /// `cgroup.level`
    cgroup_level,
    /// `cgroup.kn`
    cgroup_kn,
    /// `kernfs_node.id`
    kernfs_node_id,
    /// `mem_cgroup.css`
    mem_cgroup_css,
    /// `mem_cgroup.memory`, a `struct page_counter`
    mem_cgroup_memory,
    /// `page_counter.max`, in pages
    page_counter_max,
    /// `page_counter.parent`
    page_counter_parent,
    /// `task_struct.files`
    task_files,
    /// `files_struct.fdt`
    files_fdt,
    /// `fdtable.max_fds`
    fdtable_max_fds,
    /// `fdtable.fd`
    fdtable_fd,
    /// `file.private_data`: the `struct pid` of a pidfd before 6.9
    file_private_data,
    /// `file.f_inode`
    file_inode,
    /// `inode.i_private`: the `struct pid` of a pidfd since 6.9 (pidfs)
    inode_private,
    /// Size of `struct pt_regs`
    pt_regs_size,
    /// 1 if `sched_process_exit` passes `group_dead` as its second argument (since 6.16), else 0. Never absent.
    exit_has_group_dead,
}
