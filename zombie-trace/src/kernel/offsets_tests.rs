use std::time::Instant;

use super::*;
use crate::kernel::btf::{self, BtfError, tests::Builder};

const FIXTURES: [(&str, &[u8]); 5] = [
    ("5.10", include_bytes!("fixtures/btf-5.10.bin")),
    ("6.1", include_bytes!("fixtures/btf-6.1.bin")),
    ("6.12", include_bytes!("fixtures/btf-6.12.bin")),
    ("6.18", include_bytes!("fixtures/btf-6.18.bin")),
    ("7.2", include_bytes!("fixtures/btf-7.2.bin")),
];

/// The offsets of the fixtures' kernels (5.10.223, 6.1.176, 6.12.117, 6.18.44, 7.2.13), read from their full BTF with
/// other tools.
#[rustfmt::skip]
const EXPECTED: &[(&str, [u32; 5])] = &[
    ("task_pid",               [2232, 2416, 2432, 1264, 2808]),
    ("task_tgid",              [2236, 2420, 2436, 1268, 2812]),
    ("task_flags",             [36, 44, 44, 44, 44]),
    ("task_real_parent",       [2248, 2432, 2448, 1280, 2824]),
    ("task_parent",            [2256, 2440, 2456, 1288, 2832]),
    ("task_ptrace",            [40, 48, 48, 48, 48]),
    ("task_group_leader",      [2296, 2480, 2496, 1328, 2872]),
    ("task_signal",            [2832, 3072, 3072, 1848, 3448]),
    ("task_sighand",           [2840, 3080, 3080, 1856, 3456]),
    ("task_blocked",           [2848, 3088, 3088, 1864, 3464]),
    ("task_real_blocked",      [2856, 3096, 3096, 1872, 3472]),
    ("task_exit_code",         [2136, 2312, 2332, 1164, 2708]),
    ("task_exit_signal",       [2140, 2316, 2336, 1168, 2712]),
    ("task_start_boottime",    [2544, 2784, 2784, 1560, 3160]),
    ("task_comm",              [2736, 2976, 2976, 1752, 3344]),
    ("task_thread_pid",        [2336, 2520, 2536, 1368, 2912]),
    ("task_cgroups",           [3328, 3600, 3584, 2376, 4000]),
    ("task_stack",             [24, 32, 32, 32, 32]),
    ("task_real_cred",         [2712, 2952, 2952, 1728, 3320]),
    ("cred_uid",               [8; 5]),
    ("signal_live",            [4; 5]),
    ("signal_flags",           [116; 5]),
    ("signal_group_exit_code", [96; 5]),
    ("signal_subreaper_byte",  [120, 128, 128, 128, 128]),
    ("signal_subreaper_mask",  [1, 1, 1, 1, 0xff]),
    ("signal_autoreap_byte",   [ABSENT, ABSENT, ABSENT, ABSENT, 130]),
    ("signal_autoreap_mask",   [ABSENT, ABSENT, ABSENT, ABSENT, 1]),
    ("signal_oom_mm",          [1016, 1032, 1024, 1064, 1080]),
    ("sighand_action",         [32; 5]),
    ("sighand_action_stride",  [32; 5]),
    ("action_handler",         [0; 5]),
    ("action_flags",           [8; 5]),
    ("pid_level",              [4; 5]),
    ("pid_numbers",            [96, 96, 112, 144, 128]),
    ("upid_stride",            [16; 5]),
    ("upid_nr",                [0; 5]),
    ("upid_ns",                [8; 5]),
    ("pid_namespace_inum",     [120 + 16, 112 + 16, 112 + 16, 112 + 24, 256 + 88]),
    ("pid_namespace_max",      [ABSENT, ABSENT, ABSENT, 68, 180]),
    ("pid_namespace_allocated", [48, 40, 40, 40, 40]),
    ("css_set_dfl_cgrp",       [120, 128, 128, 112, 128]),
    ("css_set_pids_subsys",    [88; 5]),
    ("css_set_memory_subsys",  [32; 5]),
    ("css_cgroup",             [0; 5]),
    ("cgroup_root",            [480, 656, 720, 696, 808]),
    ("cgroup_level",           [208, 208, 216, 216, 256]),
    ("cgroup_kn",              [248, 248, 256, 256, 296]),
    ("kernfs_node_id",         [104, 104, 96, 96, 96]),
    ("mem_cgroup_css",         [0; 5]),
    ("mem_cgroup_memory",      [208, 256, 256, 256, 256]),
    ("page_counter_max",       [32, 152, 224, 160, 160]),
    ("page_counter_parent",    [40, 160, 232, 168, 168]),
    ("task_files",             [2808, 3048, 3048, 1824, 3416]),
    ("files_fdt",              [32; 5]),
    ("fdtable_max_fds",        [0; 5]),
    ("fdtable_fd",             [8; 5]),
    ("file_private_data",      [200, 200, 32, 24, 24]),
    ("file_inode",             [32, 32, 40, 32, 32]),
    ("inode_private",          [592, 624, 616, 608, 552]),
    ("pt_regs_size",           [168; 5]),
    ("exit_has_group_dead",    [0, 0, 0, 1, 1]),
];

/// A field's value by its name; `exit_has_group_dead` is not in the table.
fn value(offsets: &Offsets, name: &str) -> u32 {
    let mut offsets = *offsets;
    if name == "exit_has_group_dead" {
        return offsets.exit_has_group_dead;
    }
    let row = TABLE.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("{name} is not in the table"));
    *(row.slot)(&mut offsets)
}

fn parse(bytes: &[u8]) -> Btf {
    Btf::parse(bytes.to_vec()).unwrap()
}

/// The fixture with every occurrence of a name changed, as if the kernel did not have it.
fn without(fixture: &[u8], name: &str) -> Btf {
    let mut bytes = fixture.to_vec();
    let needle: Vec<u8> = [&[0], name.as_bytes(), &[0]].concat();
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap_or_else(|| panic!("no {name}"));
    bytes[at + 1] = b'?';
    parse(&bytes)
}

#[test]
fn every_kernel_has_the_known_offsets() {
    for (column, (version, fixture)) in FIXTURES.iter().enumerate() {
        let resolved = resolve(&parse(fixture)).unwrap();
        for (name, expected) in EXPECTED {
            assert_eq!(value(&resolved.offsets, name), expected[column], "{name} of {version}");
        }
        assert_eq!(resolved.missing, [""; 0], "{version}");
    }
}

#[test]
fn the_table_and_the_expectations_cover_the_abi_in_its_order() {
    let table: Vec<_> = TABLE.iter().map(|row| row.name).chain(["exit_has_group_dead"]).collect();
    assert_eq!(table, Offsets::NAMES);
    let expected: Vec<_> = EXPECTED.iter().map(|(name, _)| *name).collect();
    assert_eq!(expected, Offsets::NAMES);
}

#[test]
fn a_missing_required_field_is_named_with_its_struct() {
    for (_, fixture) in FIXTURES {
        let error = resolve(&without(fixture, "exit_code")).unwrap_err();
        let expected = OffsetError::Missing { field: "task_exit_code", owner: "task_struct", path: "exit_code" };
        assert_eq!(error, expected);
        assert_eq!(
            error.to_string(),
            "the kernel's type information has no task_struct.exit_code, without which zombie-trace cannot work \
             (task_exit_code)"
        );
    }
}

#[test]
fn a_missing_required_struct_names_its_first_field() {
    let error = resolve(&without(FIXTURES[0].1, "sighand_struct")).unwrap_err();
    assert_eq!(error, OffsetError::Missing { field: "sighand_action", owner: "sighand_struct", path: "action" });
}

#[test]
fn missing_optional_fields_are_absent_and_listed() {
    let resolved = resolve(&without(FIXTURES[3].1, "is_child_subreaper")).unwrap();
    assert_eq!(resolved.missing, ["signal_subreaper_byte", "signal_subreaper_mask"]);
    assert_eq!(resolved.offsets.signal_subreaper_byte, ABSENT);
    assert_eq!(resolved.offsets.signal_subreaper_mask, ABSENT);
    assert_eq!(resolved.offsets.task_pid, 1264, "the rest is still there");
    for field in resolved.missing {
        assert!(lost_without(field).is_some(), "{field}");
    }
    assert_eq!(lost_without("task_pid"), None);
}

#[test]
fn a_kernel_without_a_controller_has_no_slot_for_it() {
    let missing = |name| resolve(&without(FIXTURES[1].1, name)).unwrap().missing;
    assert_eq!(missing("pids_cgrp_id"), ["css_set_pids_subsys"]);
    assert_eq!(missing("memory_cgrp_id"), ["css_set_memory_subsys"]);
    assert_eq!(missing("cgroup_subsys_id"), ["css_set_pids_subsys", "css_set_memory_subsys"]);
    let resolved = resolve(&without(FIXTURES[1].1, "pids_cgrp_id")).unwrap();
    assert_eq!(resolved.offsets.css_set_pids_subsys, ABSENT);
}

#[test]
fn the_tracepoints_of_the_kernel_are_listed() {
    for (version, fixture) in FIXTURES {
        let resolved = resolve(&parse(fixture)).unwrap();
        assert_eq!(resolved.tracepoints.len(), TRACEPOINT_TYPEDEFS.len(), "{version}");
        assert!(resolved.has_tracepoint("signal_generate"));
        assert!(!resolved.has_tracepoint("sys_enter"));
    }
    let resolved = resolve(&without(FIXTURES[4].1, "btf_trace_sched_process_exit")).unwrap();
    assert!(!resolved.has_tracepoint("sched_process_exit"));
    assert_eq!(resolved.offsets.exit_has_group_dead, 0, "never absent");
}

#[test]
fn the_functions_of_the_kernel_are_numbered() {
    for (version, fixture) in FIXTURES {
        let btf = parse(fixture);
        let resolved = resolve(&btf).unwrap();
        let release = btf.get(resolved.functions["release_task"]).unwrap();
        assert_eq!(release.kind, Kind::Func, "{version}");
        assert_eq!(btf.string(release.name_offset).unwrap(), b"release_task", "{version}");
    }
    assert!(resolve(&without(FIXTURES[4].1, "release_task")).unwrap().functions.is_empty());
}

/// Resolves one field of the table in a struct made for the purpose.
fn resolve_row(name: &str, btf: &Btf, owner: TypeId) -> Option<u32> {
    TABLE.iter().find(|row| row.name == name).unwrap().fact.resolve(btf, owner, None)
}

#[test]
fn start_boottime_is_found_under_its_old_name() {
    let mut b = Builder::new();
    let int = b.int(8, 0, 64);
    let old = b.structure("task_struct", false, &[("start_time", int, 0), ("real_start_time", int, 64)]);
    let both = b.structure("task_struct", false, &[("real_start_time", int, 64), ("start_boottime", int, 128)]);
    let btf = b.btf();
    assert_eq!(resolve_row("task_start_boottime", &btf, old), Some(8));
    assert_eq!(resolve_row("task_start_boottime", &btf, both), Some(16));
}

#[test]
fn a_flag_is_one_bit_or_one_byte_and_nothing_else() {
    let mut b = Builder::new();
    let (int, bool) = (b.int(4, 0, 32), b.int(1, 0, 8));
    let flags = [
        ((int, 1 << 24 | 43), Some((5, 0x08))),
        ((bool, 48), Some((6, 0xff))),
        ((int, 2 << 24 | 43), None),
        ((int, 32), None),
    ];
    let cases: Vec<_> = flags
        .iter()
        .map(|((id, offset), expected)| (b.structure("s", true, &[("is_child_subreaper", *id, *offset)]), expected))
        .collect();
    let btf = b.btf();
    for (owner, expected) in cases {
        assert_eq!(resolve_row("signal_subreaper_byte", &btf, owner), expected.map(|(byte, _)| byte));
        assert_eq!(resolve_row("signal_subreaper_mask", &btf, owner), expected.map(|(_, mask)| mask));
    }
}

#[test]
fn a_bitfield_is_not_taken_for_a_number() {
    let mut b = Builder::new();
    let int = b.int(4, 0, 32);
    let owner = b.structure("pid", true, &[("level", int, 8 << 24 | 32)]);
    assert_eq!(resolve_row("pid_level", &b.btf(), owner), None);
}

#[test]
fn the_running_kernel_resolves_like_its_fixture() {
    let start = Instant::now();
    let btf = match Btf::running() {
        Ok(btf) => btf,
        Err(BtfError::Read { path, source }) => {
            eprintln!("skipped: {}: {source}", path.display());
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let parsed = start.elapsed();
    let resolved = resolve(&btf).unwrap();
    eprintln!(
        "{}: {} types, parsed in {parsed:?}, resolved after {:?}",
        btf::RUNNING_KERNEL,
        btf.len(),
        start.elapsed()
    );

    // Another build of the same version may differ from the fixture, so compare only on the same host.
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    if !release.starts_with("6.18.44-fc") {
        eprintln!("skipped: the running kernel is {}, the fixture's is 6.18.44-fc", release.trim());
        return;
    }
    let fixture = resolve(&parse(FIXTURES[3].1)).unwrap();
    // The fixture has few types.
    assert_eq!(resolved.without_numbers(), fixture.without_numbers());
}
