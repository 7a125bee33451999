//! The arguments of a tracepoint with tasks among them, and the macro that makes its programs.

use super::{memory::read_untyped, task::Task};

/// The arguments, in 8-byte slots whatever their types.
#[derive(Clone, Copy)]
pub(crate) struct Arguments(*const u64);

impl Arguments {
    /// Those behind the context of a program at a raw or a typed tracepoint.
    #[inline(always)]
    pub(crate) fn of(ctx: &impl aya_ebpf::EbpfContext) -> Self {
        Self(ctx.as_ptr().cast())
    }

    /// Argument `n`; if it is a pointer, the verifier knows its type where the tracepoint is typed.
    #[inline(always)]
    fn get(self, n: usize) -> u64 {
        // SAFETY: the verifier checks that the tracepoint has this argument.
        unsafe { *self.0.add(n) }
    }

    /// Argument `n`, a task.
    #[inline(always)]
    pub(crate) fn task(self, n: usize) -> Task {
        Task::at(self.get(n))
    }

    /// Argument `n`, a number of 32 bits.
    #[inline(always)]
    pub(crate) fn number(self, n: usize) -> u32 {
        self.get(n) as u32
    }

    /// Argument `n` as a mere number, also if it is a pointer. A typed one the verifier takes for not null, and lets
    /// nobody calculate with.
    #[inline(always)]
    pub(crate) fn address(self, n: usize) -> u64 {
        read_untyped(self.0 as u64, 8 * n as u32)
    }
}

/// The programs at a tracepoint whose arguments `$run` gets: `$typed` where the verifier knows the types of tasks, else
/// `$raw`.
macro_rules! tracepoint_with_tasks {
    ($name:tt: $raw:ident, $typed:ident => $run:ident) => {
        #[aya_ebpf::macros::raw_tracepoint(tracepoint = $name)]
        pub(crate) fn $raw(ctx: aya_ebpf::programs::RawTracePointContext) -> i32 {
            $run($crate::kernel::arguments::Arguments::of(&ctx));
            0
        }

        #[aya_ebpf::macros::btf_tracepoint(function = $name)]
        pub(crate) fn $typed(ctx: aya_ebpf::programs::BtfTracePointContext) -> i32 {
            $run($crate::kernel::arguments::Arguments::of(&ctx));
            0
        }
    };
}
pub(crate) use tracepoint_with_tasks;
