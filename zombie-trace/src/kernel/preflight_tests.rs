use std::{path::PathBuf, time::Instant};

use super::*;
use crate::probe::required_tracepoints;

fn capabilities(list: &[Capability]) -> Option<u64> {
    Some(list.iter().fold(0, |mask, capability| mask | capability.bitmask()))
}

/// The failed check on a machine that differs from the good one in this: name, detail and advice.
#[track_caller]
fn blocked(change: impl FnOnce(&mut Facts)) -> (&'static str, String, String) {
    let mut facts = Facts::good();
    change(&mut facts);
    let checks = checks(&facts);
    let check = blocking(&checks).expect("something blocks");
    (check.name, check.detail.clone(), check.advice.clone().unwrap_or_default())
}

/// The only degraded check on a machine that differs from the good one in this.
#[track_caller]
fn degraded(change: impl FnOnce(&mut Facts)) -> (&'static str, String, String) {
    let mut facts = Facts::good();
    change(&mut facts);
    let checks = checks(&facts);
    assert_eq!(blocking(&checks), None);
    let mut unwell = checks.into_iter().filter(|check| check.status != Status::Ok);
    let check = unwell.next().expect("a check is degraded");
    assert_eq!(unwell.next(), None);
    (check.name, check.detail, check.advice.unwrap_or_default())
}

#[track_caller]
fn assert_says((name, detail, advice): &(&str, String, String), expected: (&str, &str, &str)) {
    assert_eq!(*name, expected.0);
    assert!(detail.contains(expected.1), "{detail:?} lacks {:?}", expected.1);
    assert!(advice.contains(expected.2), "{advice:?} lacks {:?}", expected.2);
}

#[test]
fn on_a_good_machine_all_is_well() {
    let checks = checks(&Facts::good());
    assert!(checks.iter().all(|check| check.status == Status::Ok && check.advice.is_none()), "{checks:#?}");
    assert_eq!(checks[1].detail, "126,610 types, 43 fields resolved in 7.0 ms");
}

#[test]
fn a_kernel_is_too_old_by_its_features_and_not_by_its_number() {
    let without = blocked(|facts| {
        if let TypeInfo::Resolved(fields) = &mut facts.types {
            fields.differences = fields.differences.with(Feature::RingBuffer, false);
        }
    });
    assert_says(&without, ("kernel", "no BPF ring buffer", "5.8"));

    let mut backported = Facts::good();
    backported.release = Some("4.18.0-553.el8.x86_64".to_owned());
    assert_eq!(blocking(&checks(&backported)), None);

    let unknown = blocked(|facts| {
        facts.release = Some("5.4.0-200-generic".to_owned());
        facts.types = TypeInfo::Absent;
    });
    assert_says(&unknown, ("kernel", "5.4.0-200-generic is too old", "5.8"));

    let mut unreadable = Facts::good();
    unreadable.release = None;
    assert_eq!(blocking(&checks(&unreadable)), None);
}

#[test]
fn without_type_information_nothing_works() {
    assert_says(
        &blocked(|facts| facts.types = TypeInfo::Absent),
        ("BTF", "no /sys/kernel/btf/vmlinux", "CONFIG_DEBUG_"),
    );
    let damaged = blocked(|facts| facts.types = TypeInfo::Unreadable("BTF is truncated".to_owned()));
    assert_says(&damaged, ("BTF", "BTF is truncated", "zombie-trace doctor"));
    let lacking = blocked(|facts| facts.types = TypeInfo::Lacking("has no task_struct.pid".to_owned()));
    assert_says(&lacking, ("BTF", "task_struct.pid", "upgrade"));
}

#[test]
fn a_missing_optional_field_says_once_what_is_lost() {
    let found = degraded(|facts| {
        if let TypeInfo::Resolved(fields) = &mut facts.types {
            fields.missing = vec!["task_blocked", "task_real_blocked", "cred_uid"];
        }
    });
    assert_says(&found, ("BTF", "task_blocked, task_real_blocked, cred_uid", "the rest works"));
    assert_eq!(found.1.matches("blocks the signal").count(), 1);
    assert!(found.1.contains("user id"));
}

#[test]
fn without_privilege_it_is_told_how_to_gain_it() {
    let nobody = blocked(|facts| {
        (facts.capabilities, facts.uid) = (Some(0), Some(65_534));
        facts.tracefs = Tracefs::Forbidden("/sys/kernel/tracing".into());
    });
    assert_says(&nobody, ("privileges", "user 65534 lacks CAP_BPF and CAP_PERFMON", "sudo zombie-trace"));
    assert!(nobody.2.contains("setcap cap_bpf") && nobody.2.contains("--privileged"));

    let half = blocked(|facts| facts.capabilities = capabilities(&[Capability::CAP_BPF]));
    assert_says(&half, ("privileges", "root lacks CAP_PERFMON", "--cap-add PERFMON"));
}

#[test]
fn a_user_namespace_gives_no_privilege() {
    let rootless = blocked(|facts| facts.user_ns = Some(4_026_532_000));
    assert_says(&rootless, ("privileges", "user namespace", "rootless"));
}

#[test]
fn cap_sys_admin_stands_for_the_two_newer_ones() {
    let mut facts = Facts::good();
    facts.capabilities =
        capabilities(&[Capability::CAP_SYS_ADMIN, Capability::CAP_SYS_PTRACE, Capability::CAP_DAC_READ_SEARCH]);
    let checks = checks(&facts);
    assert_eq!(checks[2], Check::ok("privileges", "root with CAP_SYS_ADMIN"));
}

#[test]
fn what_the_lesser_capabilities_give_is_told_when_they_lack() {
    let found = degraded(|facts| facts.capabilities = capabilities(&[Capability::CAP_BPF, Capability::CAP_PERFMON]));
    assert_says(&found, ("privileges", "lacks CAP_SYS_PTRACE", "--cap-add SYS_PTRACE"));
    assert!(found.1.contains("CAP_DAC_READ_SEARCH"));
}

#[test]
fn a_seccomp_filter_is_mentioned() {
    let mut facts = Facts::good();
    facts.seccomp = true;
    assert!(checks(&facts)[2].detail.contains("seccomp"));
}

#[test]
fn in_a_pid_namespace_pids_would_be_mixed_up() {
    let nested = blocked(|facts| facts.pid_ns = Some(4_026_532_177));
    assert_says(&nested, ("pid namespace", "mixed up", "--pid=host"));
    assert!(nested.2.contains("hostPID: true"));
    assert_says(&blocked(|facts| facts.pid_ns = None), ("pid namespace", "another pid namespace", "--pid=host"));
}

#[test]
fn tracefs_fails_in_four_ways() {
    let at = || PathBuf::from("/sys/kernel/tracing");
    let absent = blocked(|facts| facts.tracefs = Tracefs::NotMounted);
    assert_says(&absent, ("tracefs", "not mounted", "mount -t tracefs tracefs /sys/kernel/tracing"));
    let forbidden = blocked(|facts| facts.tracefs = Tracefs::Forbidden(at()));
    assert_says(&forbidden, ("tracefs", "may not be read", "CAP_DAC_READ_SEARCH"));
    let bare =
        blocked(|facts| facts.tracefs = Tracefs::Mounted { at: at(), syscalls: false, missing: vec!["a/b".into()] });
    assert_says(&bare, ("tracefs", "lists no system calls", "CONFIG_FTRACE_SYSCALLS"));
    let missing = blocked(|facts| {
        facts.tracefs = Tracefs::Mounted { at: at(), syscalls: true, missing: vec!["syscalls/sys_exit_waitid".into()] };
    });
    assert_says(&missing, ("tracefs", "does not list syscalls/sys_exit_waitid", "doctor"));
}

#[test]
fn only_the_lockdown_of_confidentiality_blocks() {
    let locked = blocked(|facts| facts.lockdown = Some(Lockdown::Confidentiality));
    assert_says(&locked, ("lockdown", "confidentiality", "lockdown=integrity"));
    for level in [None, Some(Lockdown::Off), Some(Lockdown::Integrity)] {
        let mut facts = Facts::good();
        facts.lockdown = level;
        assert_eq!(blocking(&checks(&facts)), None);
    }
}

#[test]
fn containers_need_cgroups() {
    let none = degraded(|facts| facts.cgroups = CgroupLayout::None);
    assert_says(&none, ("cgroups", "cannot be named", "mount -t cgroup2"));
    let inside = degraded(|facts| facts.cgroup_ns = Some(4_026_532_200));
    assert_says(&inside, ("cgroups", "cgroup namespace", "--cgroupns=host"));
}

#[test]
fn locked_memory_matters_to_old_kernels_only() {
    let old = |facts: &mut Facts| {
        let TypeInfo::Resolved(fields) = &mut facts.types else { panic!("{facts:?}") };
        fields.differences = fields.differences.with(Feature::MapsAreLockedMemory, true);
    };
    let limited = degraded(|facts| {
        old(facts);
        facts.capabilities = facts.capabilities.map(|mask| mask & !Capability::CAP_SYS_RESOURCE.bitmask());
    });
    assert_says(&limited, ("locked memory", "64 KiB", "ulimit -l unlimited"));
    let mut privileged = Facts::good();
    old(&mut privileged);
    assert!(checks(&privileged).iter().any(|check| check.name == "locked memory" && check.status == Status::Ok));
    assert!(!checks(&Facts::good()).iter().any(|check| check.name == "locked memory"));
}

#[test]
fn what_comes_first_is_mended_first() {
    let all = blocked(|facts| {
        facts.capabilities = Some(0);
        facts.tracefs = Tracefs::NotMounted;
        facts.lockdown = Some(Lockdown::Confidentiality);
    });
    assert_eq!(all.0, "privileges");
}

#[test]
fn releases_are_read_as_far_as_needed() {
    assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
    assert_eq!(version("5.15"), Some((5, 15)));
    assert_eq!(version("7.2-rc1"), Some((7, 2)));
    assert_eq!(version("next"), None);
    assert_eq!(version(""), None);
}

#[test]
fn numbers_are_grouped() {
    assert_eq!([7, 999, 1000, 126_610, 4_194_304].map(thousands), ["7", "999", "1,000", "126,610", "4,194,304"]);
}

#[test]
fn nothing_blocks_root_on_this_machine() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: not root");
        return;
    }
    let (types, resolved) = TypeInfo::read(Path::new("/"));
    let facts = Facts::gather(Path::new("/"), types, &required_tracepoints());
    // In a container, or without tracefs, the check is right to fail.
    if facts.pid_ns != Some(INITIAL_PID_NS) || facts.user_ns != Some(INITIAL_USER_NS) {
        println!("skipped: in a namespace");
        return;
    }
    if facts.tracefs == Tracefs::NotMounted {
        println!("skipped: tracefs is not mounted");
        return;
    }
    assert_eq!(blocking(&checks(&facts)), None);
    let resolved = resolved.expect("nothing blocks");
    let started = Instant::now();
    assert_eq!(obstacle(TypeInfo::from(&resolved), &required_tracepoints()), None);
    println!("looked for obstacles in {:?}", started.elapsed());
}
