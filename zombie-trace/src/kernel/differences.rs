//! How kernels differ, as far as zombie-trace behaves differently: a table with one row per difference.
//!
//! BTF decides what a kernel has, never its version, because distributions backport. The table describes what changes;
//! code asks [`Differences::has`]. Fields that merely moved have no row: see [`super::offsets`].

use super::btf::{Btf, Kind, TypeId};

/// Something that not all kernels have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Feature {
    /// BPF maps of the type ring buffer.
    RingBuffer,
    /// BPF maps are charged to the locked memory of the user.
    MapsAreLockedMemory,
    /// `sched_process_exit` says whether the whole group is dead.
    ExitTellsGroupDead,
    /// The start on the boot clock has its present name.
    StartBoottime,
    /// `is_child_subreaper` is a `bool`.
    SubreaperIsBool,
    /// A child can ask to be reaped by the kernel, whatever its parent does with SIGCHLD.
    ChildrenAutoReap,
    /// Programs at raw tracepoints can be preempted, and are then skipped for other tasks.
    TracepointsArePreempted,
    /// The same for programs at the tracepoints of system calls.
    SyscallsArePreempted,
    /// The verifier knows the type behind the pointer to the running task.
    TasksAreTyped,
    /// A helper says where a task's registers are.
    RegistersHaveHelper,
}

/// How BTF shows a feature.
#[derive(Clone, Copy, Debug)]
enum Sign {
    /// There is a type of this name.
    Named(Kind, &'static str),
    /// The struct has this member.
    Member(&'static str, &'static str),
    /// The struct has this member, and it is a whole byte, not a bit.
    ByteMember(&'static str, &'static str),
    /// The enumeration has this enumerator.
    Enumerator(&'static str, &'static str),
    /// The function behind the tracepoint's typedef has at least this number of parameters, its own data included.
    Parameters(&'static str, u32),
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// What it is about.
    pub feature: Feature,
    /// What zombie-trace does with and without it.
    pub changes: &'static str,
    sign: Sign,
}

const fn row(feature: Feature, sign: Sign, changes: &'static str) -> Difference {
    Difference { feature, changes, sign }
}

/// Every difference, in the order of [`Feature`].
pub const DIFFERENCES: &[Difference] = &[
    row(
        Feature::RingBuffer,
        Sign::Enumerator("bpf_map_type", "BPF_MAP_TYPE_RINGBUF"),
        "events come through it; without it tracing is refused, with the kernel as the reason",
    ),
    row(
        Feature::MapsAreLockedMemory,
        Sign::Named(Kind::Struct, "bpf_map_memory"),
        "the doctor looks at the limit of locked memory; without it that limit does not matter",
    ),
    row(
        Feature::ExitTellsGroupDead,
        Sign::Parameters("btf_trace_sched_process_exit", 3),
        "the exit probe takes the argument; without it it reads signal_struct.live, which several threads may see at 0",
    ),
    row(
        Feature::StartBoottime,
        Sign::Member("task_struct", "start_boottime"),
        "read under this name; without it as real_start_time, the same clock",
    ),
    row(
        Feature::SubreaperIsBool,
        Sign::ByteMember("signal_struct", "is_child_subreaper"),
        "the whole byte is the flag; without it one bit of it is",
    ),
    row(
        Feature::ChildrenAutoReap,
        Sign::Member("signal_struct", "autoreap"),
        "a child that is gone without SIGCHLD may have asked for it; without it its parent ignores the signal",
    ),
    row(
        Feature::TracepointsArePreempted,
        // The grace period that callers of tracepoints pass instead of disabling preemption.
        Sign::Member("tp_transition_snapshot", "srcu_gp"),
        "probes go to places that are not preempted; without it to the raw tracepoints, which are not either",
    ),
    row(
        Feature::SyscallsArePreempted,
        Sign::Named(Kind::Func, "trace_call_bpf_faultable"),
        "a backup program does what the primary was left out for; without it there is no backup",
    ),
    row(
        Feature::TasksAreTyped,
        Sign::Enumerator("bpf_func_id", "BPF_FUNC_get_current_task_btf"),
        "the programs read fields by plain loads; without it by a helper, which takes ten times as long",
    ),
    row(
        Feature::RegistersHaveHelper,
        Sign::Enumerator("bpf_func_id", "BPF_FUNC_task_pt_regs"),
        "arguments of wait calls are read where it says; without it at the end of the kernel stack",
    ),
];

/// The features of one kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Differences(u32);

impl Differences {
    /// Whether this kernel has it.
    #[must_use]
    pub fn has(self, feature: Feature) -> bool {
        self.0 & 1 << feature as u32 != 0
    }

    /// The same kernel with this feature, or without.
    #[must_use]
    pub fn with(self, feature: Feature, has: bool) -> Self {
        let bit = 1 << feature as u32;
        Self(if has { self.0 | bit } else { self.0 & !bit })
    }

    /// Looks up every row; `root` gives the named types.
    pub(super) fn find(btf: &Btf, root: impl Fn(&str) -> Option<TypeId>) -> Self {
        DIFFERENCES.iter().fold(Self::default(), |found, row| found.with(row.feature, row.sign.shows(btf, &root)))
    }
}

/// The named types that the table looks at.
pub(super) fn roots() -> impl Iterator<Item = (Kind, &'static str)> {
    DIFFERENCES.iter().map(|row| row.sign.root())
}

impl Sign {
    fn root(self) -> (Kind, &'static str) {
        match self {
            Self::Named(kind, name) => (kind, name),
            Self::Member(owner, _) | Self::ByteMember(owner, _) => (Kind::Struct, owner),
            Self::Enumerator(owner, _) => (Kind::Enum, owner),
            Self::Parameters(typedef, _) => (Kind::Typedef, typedef),
        }
    }

    fn shows(self, btf: &Btf, root: impl Fn(&str) -> Option<TypeId>) -> bool {
        let Some(id) = root(self.root().1) else { return false };
        match self {
            Self::Named(..) => true,
            Self::Member(_, path) => btf.field(id, path).is_some(),
            Self::ByteMember(_, path) => {
                btf.field(id, path).is_some_and(|it| it.bit_size.is_none() && btf.size(it.type_id) == Some(1))
            }
            Self::Enumerator(_, name) => btf.enumerator(id, name).is_some(),
            // The typedef is a pointer to a function whose first parameter is the probe's own data.
            Self::Parameters(_, least) => {
                btf.pointee(id).and_then(|prototype| btf.parameters(prototype)).is_some_and(|count| count >= least)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::offsets::resolve, *};

    const FIXTURES: [&[u8]; 5] = [
        include_bytes!("fixtures/btf-5.10.bin"),
        include_bytes!("fixtures/btf-6.1.bin"),
        include_bytes!("fixtures/btf-6.12.bin"),
        include_bytes!("fixtures/btf-6.18.bin"),
        include_bytes!("fixtures/btf-7.2.bin"),
    ];

    /// The features of the fixtures' kernels (5.10, 6.1, 6.12, 6.18, 7.2), looked up with other tools.
    const EXPECTED: &[(Feature, [bool; 5])] = &[
        (Feature::RingBuffer, [true; 5]),
        (Feature::MapsAreLockedMemory, [true, false, false, false, false]),
        (Feature::ExitTellsGroupDead, [false, false, false, true, true]),
        (Feature::StartBoottime, [true; 5]),
        (Feature::SubreaperIsBool, [false, false, false, false, true]),
        (Feature::ChildrenAutoReap, [false, false, false, false, true]),
        (Feature::TracepointsArePreempted, [false, false, false, false, true]),
        (Feature::SyscallsArePreempted, [false, false, false, false, true]),
        (Feature::TasksAreTyped, [false, true, true, true, true]),
        (Feature::RegistersHaveHelper, [false, true, true, true, true]),
    ];

    #[test]
    fn every_kernel_has_what_it_is_known_to_have() {
        for (column, fixture) in FIXTURES.iter().enumerate() {
            let resolved = resolve(&Btf::parse(fixture.to_vec()).unwrap()).unwrap();
            for (feature, expected) in EXPECTED {
                assert_eq!(resolved.differences.has(*feature), expected[column], "{feature:?}, kernel {column}");
            }
            let group_dead = resolved.differences.has(Feature::ExitTellsGroupDead);
            assert_eq!(resolved.offsets.exit_has_group_dead, u32::from(group_dead));
            let whole_byte = resolved.differences.has(Feature::SubreaperIsBool);
            assert_eq!(resolved.offsets.signal_subreaper_mask == 0xff, whole_byte);
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_feature_in_order() {
        for (index, (row, expected)) in DIFFERENCES.iter().zip(EXPECTED).enumerate() {
            assert_eq!((row.feature as usize, row.feature), (index, expected.0));
            assert!(!row.changes.is_empty());
        }
        assert_eq!(DIFFERENCES.len(), EXPECTED.len());
    }

    #[test]
    fn one_feature_does_not_touch_another() {
        let has = Differences::default().with(Feature::ExitTellsGroupDead, true).with(Feature::RingBuffer, true);
        assert!(has.has(Feature::ExitTellsGroupDead) && has.has(Feature::RingBuffer));
        assert!(!has.has(Feature::MapsAreLockedMemory));
        assert!(!has.with(Feature::RingBuffer, false).has(Feature::RingBuffer));
    }
}
