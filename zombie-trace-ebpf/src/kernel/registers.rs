//! The registers with which the running thread entered the kernel: the number and arguments of its system call.

use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs};

use super::{
    memory::{Plain, read, read_untyped},
    settings::{offset, registers_have_helper},
    task::{STACK_LEN, Task},
};

/// Offsets in `struct pt_regs`, whose begin is fixed on each architecture (`arch/x86/include/asm/ptrace.h`,
/// `arch/arm64/include/asm/ptrace.h`).
#[cfg(bpf_target_arch = "x86_64")]
mod layout {
    /// `orig_ax`
    pub(super) const NUMBER: u32 = 120;
    /// `di`, `si`, `dx`, `r10`
    pub(super) const ARGUMENTS: [u32; 4] = [112, 104, 96, 56];
    pub(super) const WAIT4: u32 = 61;
    pub(super) const WAITID: u32 = 247;
}
#[cfg(bpf_target_arch = "aarch64")]
mod layout {
    /// `syscallno`
    pub(super) const NUMBER: u32 = 280;
    /// `orig_x0`, since `x0` is the result when the call returns; `x1` to `x3`
    pub(super) const ARGUMENTS: [u32; 4] = [272, 8, 16, 24];
    pub(super) const WAIT4: u32 = 260;
    pub(super) const WAITID: u32 = 95;
}

/// A native system call that waits for children. A number of a 32-bit call is never one of these where children are
/// waited for: those numbers stand for other calls there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitSyscall {
    Wait4,
    Waitid,
}

/// A `struct pt_regs`.
#[derive(Clone, Copy)]
pub(crate) struct Registers(u64);

impl Registers {
    /// Those of the running thread. What is read from them is right only in a system call.
    #[inline(always)]
    pub(crate) fn current() -> Self {
        // A frozen constant: where the kernel lacks the helper, the verifier does not see the call.
        if registers_have_helper() {
            // SAFETY: no arguments, and a task that the kernel gave.
            Self(unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) } as u64)
        } else {
            // At the upper end of the kernel stack (`task_pt_regs`). With a longer stack, as of a debugging kernel, no
            // number fits what is found.
            Self(Task::current().stack().wrapping_add(STACK_LEN).wrapping_sub(u64::from(offset!(pt_regs_size))))
        }
    }

    #[inline(always)]
    fn read<T: Plain>(self, at: u32) -> T {
        if registers_have_helper() { read(self.0, at) } else { read_untyped(self.0, at) }
    }

    /// Which wait call this is, if it is one.
    #[inline(always)]
    pub(crate) fn wait_syscall(self) -> Option<WaitSyscall> {
        match self.read::<u32>(layout::NUMBER) {
            layout::WAIT4 => Some(WaitSyscall::Wait4),
            layout::WAITID => Some(WaitSyscall::Waitid),
            _ => None,
        }
    }

    /// Argument `n` of the call, of four.
    #[inline(always)]
    pub(crate) fn argument(self, n: usize) -> u64 {
        self.read(layout::ARGUMENTS[n])
    }
}
