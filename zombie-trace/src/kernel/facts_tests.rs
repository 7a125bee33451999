use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::kernel::differences::Feature;
use crate::kernel::preflight::{INITIAL_CGROUP_NS, INITIAL_PID_NS, INITIAL_USER_NS};
use crate::probe::required_tracepoints;

impl Facts {
    /// A machine on which all is well.
    pub(crate) fn good() -> Self {
        Self {
            release: Some("6.18.44".to_owned()),
            types: TypeInfo::Resolved(Fields {
                found: 43,
                missing: Vec::new(),
                differences: Differences::default().with(Feature::RingBuffer, true),
                types: Some(126_610),
                took: Some(Duration::from_millis(7)),
            }),
            tracefs: Tracefs::Mounted { at: PathBuf::from("/sys/kernel/tracing"), syscalls: true, missing: Vec::new() },
            capabilities: Some(u64::MAX),
            uid: Some(0),
            seccomp: false,
            user_ns: Some(INITIAL_USER_NS),
            pid_ns: Some(INITIAL_PID_NS),
            cgroup_ns: Some(INITIAL_CGROUP_NS),
            lockdown: Some(Lockdown::Integrity),
            unprivileged_bpf_disabled: Some(2),
            perf_event_paranoid: Some(2),
            cgroups: CgroupLayout::V2,
            pid_max: Some(4_194_304),
            memlock: Some(65_536),
        }
    }
}

const STATUS: &str = "Name:\tx\nUid:\t1000\t65534\t0\t0\nCapPrm:\t0000000000000000\n\
    CapEff:\t000000c000000000\nSeccomp:\t2\nSeccomp_filters:\t1\n";

struct Root(tempfile::TempDir);

impl Root {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn link(self, path: &str, target: &str) -> Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    fn facts(&self) -> Facts {
        Facts::gather(self.0.path(), TypeInfo::Absent, &required_tracepoints())
    }
}

fn wait_calls(root: Root, at: &str) -> Root {
    let id = |root: Root, (category, name)| root.file(&format!("{at}/events/{category}/{name}/id"), "7\n");
    required_tracepoints().into_iter().fold(root, id)
}

#[test]
fn an_empty_root_gives_no_facts_and_no_panic() {
    let facts = Root::new().facts();
    assert_eq!(facts.tracefs, Tracefs::NotMounted);
    assert_eq!(facts.cgroups, CgroupLayout::None);
    assert_eq!((facts.release, facts.capabilities, facts.pid_ns, facts.lockdown), (None, None, None, None));
    assert!(!facts.seccomp);
}

#[test]
fn facts_are_read_from_the_kernels_files() {
    let facts = Root::new()
        .file("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n")
        .file("proc/sys/kernel/pid_max", "32768\n")
        .file("proc/sys/kernel/unprivileged_bpf_disabled", "2\n")
        .file("proc/sys/kernel/perf_event_paranoid", "-1\n")
        .file("proc/self/status", STATUS)
        .file("proc/self/limits", "Limit   Soft   Hard   Units\nMax locked memory   65536   unlimited   bytes\n")
        .file("proc/self/mountinfo", "4 3 0:28 / /a - b rw - cgroup cgroup rw,pids\n5 3 0:29 / /c rw - cgroup2 x rw\n")
        .file("sys/kernel/security/lockdown", "none integrity [confidentiality]\n")
        .link("proc/self/ns/pid", "pid:[4026531836]")
        .link("proc/self/ns/user", "user:[4026531837]")
        .facts();
    assert_eq!(facts.release.as_deref(), Some("6.1.0-18-amd64"));
    assert_eq!((facts.pid_max, facts.unprivileged_bpf_disabled), (Some(32_768), Some(2)));
    assert_eq!(facts.perf_event_paranoid, Some(-1));
    assert_eq!((facts.capabilities, facts.uid, facts.seccomp), (Some(0xc0_0000_0000), Some(65_534), true));
    assert_eq!(facts.memlock, Some(65_536));
    assert_eq!(facts.lockdown, Some(Lockdown::Confidentiality));
    assert_eq!((facts.pid_ns, facts.user_ns, facts.cgroup_ns), (Some(4_026_531_836), Some(4_026_531_837), None));
}

#[test]
fn hierarchies_are_told_by_their_file_system() {
    assert_eq!(cgroups("4 3 0:28 / /a rw - cgroup cgroup rw,pids\n"), CgroupLayout::V1);
    assert_eq!(cgroups("4 3 0:28 / /a rw shared:9 - cgroup2 cgroup rw\n"), CgroupLayout::V2);
    assert_eq!(
        cgroups("4 3 0:28 / /a rw - cgroup c rw\n5 3 0:29 / /b rw - cgroup2 c rw\n6 3 0:1 / / rw - ext4 /dev/x rw"),
        CgroupLayout::Hybrid
    );
    assert_eq!(cgroups("garbage\n - \n"), CgroupLayout::None);
}

#[test]
fn tracefs_is_looked_for_where_the_loader_looks() {
    for place in TRACEFS {
        let root = wait_calls(Root::new(), place);
        let at = root.0.path().join(place);
        assert_eq!(root.facts().tracefs, Tracefs::Mounted { at, syscalls: true, missing: Vec::new() });
    }
    // Empty: only the mount point.
    let root = Root::new();
    fs::create_dir_all(root.0.path().join(TRACEFS[0])).unwrap();
    assert_eq!(root.facts().tracefs, Tracefs::NotMounted);
}

#[test]
fn tracepoints_that_lack_are_named() {
    let root = Root::new().file("sys/kernel/tracing/events/syscalls/sys_exit_wait4/id", "7\n");
    let Tracefs::Mounted { syscalls: true, missing, .. } = root.facts().tracefs else { panic!("not mounted") };
    assert_eq!(missing, ["syscalls/sys_exit_waitid"]);

    let root = Root::new().file("sys/kernel/tracing/events/sched/enable", "0\n");
    assert!(matches!(root.facts().tracefs, Tracefs::Mounted { syscalls: false, .. }));
}

#[test]
fn a_tracefs_that_may_not_be_read_is_not_taken_for_none() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may read everything");
        return;
    }
    let root = wait_calls(Root::new(), TRACEFS[0]);
    let at = root.0.path().join(TRACEFS[0]);
    fs::set_permissions(&at, fs::Permissions::from_mode(0o000)).unwrap();
    let facts = root.facts();
    fs::set_permissions(&at, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(facts.tracefs, Tracefs::Forbidden(at));
}

#[test]
fn type_information_is_absent_damaged_or_lacking() {
    let root = Root::new();
    assert_eq!(TypeInfo::read(root.0.path()).0, TypeInfo::Absent);

    let root = root.file("sys/kernel/btf/vmlinux", "not BTF, but longer than its header");
    assert!(matches!(TypeInfo::read(root.0.path()).0, TypeInfo::Unreadable(text) if text.starts_with("not BTF")));

    // A header, no types, an empty string.
    let empty: Vec<u8> =
        [0x0001_eb9f_u32, 24, 0, 0, 0, 1].iter().flat_map(|word| word.to_le_bytes()).chain([0]).collect();
    let root = root.file("sys/kernel/btf/vmlinux", empty);
    assert!(matches!(TypeInfo::read(root.0.path()).0, TypeInfo::Lacking(text) if text.contains("task_struct.pid")));
}

#[test]
fn a_fixture_resolves_and_is_counted() {
    let root = Root::new().file("sys/kernel/btf/vmlinux", include_bytes!("fixtures/btf-6.18.bin"));
    let (types, resolved) = TypeInfo::read(root.0.path());
    let TypeInfo::Resolved(fields) = types else { panic!("{types:?}") };
    assert_eq!((fields.found, fields.missing.len()), (field_count(), 0));
    assert!(fields.differences.has(Feature::RingBuffer));
    assert!(resolved.is_some() && fields.took.is_some());
}
