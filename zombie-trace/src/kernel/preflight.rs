//! Whether this machine allows tracing, and what to do if not.
//!
//! Pure: [`Facts`] go in and checks come out, so that every failure can be tested. A *failed* check prevents tracing; a
//! *degraded* one makes results poorer; informational ones are always ok.

use std::{fmt::Write as _, path::Path};

use caps::Capability;
use serde::Serialize;

use super::{
    differences::Feature,
    facts::{CgroupLayout, Facts, Fields, Lockdown, Tracefs, TypeInfo},
    offsets::lost_without,
};

// `include/linux/proc_ns.h`; these never changed.
pub(super) const INITIAL_USER_NS: u64 = 0xEFFF_FFFD;
pub(super) const INITIAL_PID_NS: u64 = 0xEFFF_FFFC;
pub(super) const INITIAL_CGROUP_NS: u64 = 0xEFFF_FFFB;

/// How to get the privilege to trace.
pub const GAIN_PRIVILEGE: &str = "run it as root: sudo zombie-trace\n\
    or let a group run it: chgrp GROUP zombie-trace; chmod 750 zombie-trace;\n\
    \x20 setcap cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search+ep zombie-trace\n\
    in a container: --privileged --pid=host (Kubernetes: privileged: true, hostPID: true)";
/// The same for root without capabilities.
const GAIN_CAPABILITIES: &str = "this root user lacks capabilities, as in most containers\n\
    give them back: --privileged --pid=host (Kubernetes: privileged: true, hostPID: true)\n\
    or only these: docker run --pid=host --cap-add BPF --cap-add PERFMON --cap-add SYS_PTRACE\n\
    \x20 --cap-add DAC_READ_SEARCH -v /sys/kernel/tracing:/sys/kernel/tracing:ro\n\
    or in a pod spec hostPID: true, and in the container's securityContext\n\
    \x20 capabilities: {add: [BPF, PERFMON, SYS_PTRACE, DAC_READ_SEARCH]}";
/// How to mount tracefs.
pub const MOUNT_TRACEFS: &str = "mount it: mount -t tracefs tracefs /sys/kernel/tracing\n\
    in a container: -v /sys/kernel/tracing:/sys/kernel/tracing:ro";
/// Advice for a kernel without BTF.
pub const NEED_BTF: &str =
    "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as in all large distributions since about 2021";
/// Advice for a kernel that is too old.
pub const NEED_KERNEL: &str = "use Linux 5.8 or later";
/// Advice for a bug.
pub const REPORT: &str = "report it as a bug, with the output of: zombie-trace doctor --format json";

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing is lost.
    Ok,
    /// Tracing works, but something is missing from its results.
    Degraded,
    /// Tracing is not possible.
    Failed,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// The result.
    pub status: Status,
    /// What was seen.
    pub detail: String,
    /// What to do about it, in lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Check {
    /// A check that is ok or informational.
    #[must_use]
    pub fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, detail: detail.into(), advice: None }
    }

    /// A check whose failure makes results poorer.
    #[must_use]
    pub fn degraded(name: &'static str, detail: impl Into<String>, advice: &str) -> Self {
        Self { name, status: Status::Degraded, detail: detail.into(), advice: Some(advice.to_owned()) }
    }

    /// A check whose failure prevents tracing.
    #[must_use]
    pub fn failed(name: &'static str, detail: impl Into<String>, advice: &str) -> Self {
        Self { name, status: Status::Failed, detail: detail.into(), advice: Some(advice.to_owned()) }
    }
}

/// All checks, in the order in which one would fix failures.
#[must_use]
pub fn checks(facts: &Facts) -> Vec<Check> {
    let mut checks = vec![kernel(facts), types(&facts.types), privileges(facts), pid_namespace(facts)];
    // A lockdown comes before tracefs, which cannot even be mounted under it.
    checks.extend([lockdown(facts), tracefs(facts), cgroups(facts)]);
    checks.extend(locked_memory(facts));
    checks.extend(settings(facts));
    checks
}

/// The first check that prevents tracing.
#[must_use]
pub fn blocking(checks: &[Check]) -> Option<&Check> {
    checks.iter().find(|check| check.status == Status::Failed)
}

/// What prevents tracing on this machine, as far as can be checked without loading anything, in well below a
/// millisecond. The caller passes the fields that it has resolved and the required tracepoints.
#[must_use]
pub fn obstacle(types: TypeInfo, tracepoints: &[(&str, &str)]) -> Option<Check> {
    let checks = checks(&Facts::gather(Path::new("/"), types, tracepoints));
    blocking(&checks).cloned()
}

/// Whether this process may load and attach tracing programs.
#[must_use]
pub fn may_trace(facts: &Facts) -> bool {
    privileges(facts).status != Status::Failed
}

fn kernel(facts: &Facts) -> Check {
    const NAME: &str = "kernel";
    let release = facts.release.as_deref().unwrap_or("unknown release");
    let ring_buffer = match &facts.types {
        TypeInfo::Resolved(fields) => Some(fields.differences.has(Feature::RingBuffer)),
        _ => None,
    };
    // The feature counts, because distributions backport; the release is used only if the feature cannot be looked up.
    match (ring_buffer, facts.release.as_deref().and_then(version)) {
        (Some(true), _) => Check::ok(NAME, format!("{release}, has the BPF ring buffer")),
        (Some(false), _) => {
            Check::failed(NAME, format!("{release} has no BPF ring buffer (new in Linux 5.8)"), NEED_KERNEL)
        }
        (None, Some(version)) if version < (5, 8) => {
            Check::failed(NAME, format!("{release} is too old: the BPF ring buffer is new in Linux 5.8"), NEED_KERNEL)
        }
        (None, _) => Check::ok(NAME, release),
    }
}

/// Major and minor number of a release like `6.1.0-18-amd64`.
pub(crate) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Checks the type information.
#[must_use]
pub fn types(types: &TypeInfo) -> Check {
    const NAME: &str = "BTF";
    match types {
        TypeInfo::Resolved(fields) if fields.missing.is_empty() => Check::ok(NAME, found(fields)),
        TypeInfo::Resolved(fields) => {
            let mut lost: Vec<_> = fields.missing.iter().filter_map(|field| lost_without(field)).collect();
            lost.sort_unstable();
            lost.dedup();
            let detail =
                format!("{}; without {} it cannot say: {}", found(fields), fields.missing.join(", "), lost.join("; "));
            Check::degraded(NAME, detail, "nothing can be done on this kernel; the rest works")
        }
        TypeInfo::Absent => Check::failed(
            NAME,
            "the kernel does not describe its types: there is no /sys/kernel/btf/vmlinux",
            &format!("{NEED_BTF}\nin a container: make sure that /sys is mounted"),
        ),
        TypeInfo::Unreadable(reason) => Check::failed(
            NAME,
            reason,
            &format!("make sure that /sys/kernel/btf/vmlinux is readable; if it is, {REPORT}"),
        ),
        TypeInfo::Lacking(reason) => {
            Check::failed(NAME, reason, &format!("on a kernel before 5.8, upgrade it; on a later one {REPORT}"))
        }
    }
}

fn found(fields: &Fields) -> String {
    let mut text = String::new();
    if let Some(types) = fields.types {
        // Writing to a string cannot fail.
        let _ = write!(text, "{} types, ", thousands(types));
    }
    let _ = write!(text, "{} fields resolved", fields.found);
    if let Some(took) = fields.took {
        let _ = write!(text, " in {}", milliseconds(took));
    }
    text
}

/// A number for people, in groups of three digits.
#[must_use]
pub fn thousands(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration in milliseconds: short ones with a decimal place.
#[must_use]
pub fn milliseconds(duration: std::time::Duration) -> String {
    let value = duration.as_secs_f64() * 1e3;
    if value < 10.0 { format!("{value:.1} ms") } else { format!("{value:.0} ms") }
}

fn privileges(facts: &Facts) -> Check {
    const NAME: &str = "privileges";
    let Some(mask) = facts.capabilities else {
        return Check::degraded(NAME, "unknown: /proc/self/status is not readable", "mount /proc");
    };
    let has = |capability: Capability| mask & capability.bitmask() != 0;
    let names = |wanted: &[Capability]| {
        let missing: Vec<_> = wanted.iter().filter(|it| !has(**it)).map(ToString::to_string).collect();
        missing.join(" and ")
    };
    let who = facts.uid.map_or_else(String::new, |uid| if uid == 0 { "root".into() } else { format!("user {uid}") });
    let gain = if facts.uid == Some(0) { GAIN_CAPABILITIES } else { GAIN_PRIVILEGE };
    let seccomp = if facts.seccomp { "; a seccomp filter is active, which may still forbid bpf()" } else { "" };

    if facts.user_ns.is_some_and(|inode| inode != INITIAL_USER_NS) {
        return Check::failed(
            NAME,
            "in a user namespace, whose capabilities do not allow tracing",
            "run it outside the rootless container (or `unshare --user`), as the host's root",
        );
    }
    if !has(Capability::CAP_SYS_ADMIN) {
        let missing = names(&[Capability::CAP_BPF, Capability::CAP_PERFMON]);
        if !missing.is_empty() {
            return Check::failed(NAME, format!("{who} lacks {missing}{seccomp}"), gain);
        }
    }
    let mut lost = Vec::new();
    if !has(Capability::CAP_SYS_PTRACE) {
        lost.push("CAP_SYS_PTRACE: other users' executables and namespaces stay unknown");
    }
    if !has(Capability::CAP_DAC_READ_SEARCH) {
        lost.push("CAP_DAC_READ_SEARCH: every new container costs a search through all cgroups");
    }
    if !lost.is_empty() {
        return Check::degraded(NAME, format!("{who} can trace, but lacks {}{seccomp}", lost.join("; ")), gain);
    }
    let by = if has(Capability::CAP_BPF) && has(Capability::CAP_PERFMON) {
        "CAP_BPF and CAP_PERFMON"
    } else {
        "CAP_SYS_ADMIN"
    };
    Check::ok(NAME, format!("{who} with {by}{seccomp}"))
}

fn pid_namespace(facts: &Facts) -> Check {
    const NAME: &str = "pid namespace";
    const ADVICE: &str = "run it on the host, or in a container with --pid=host (Kubernetes: hostPID: true)";
    match facts.pid_ns {
        Some(INITIAL_PID_NS) => Check::ok(NAME, "the initial pid namespace"),
        Some(_) => Check::failed(
            NAME,
            "not the initial pid namespace: pids in this /proc differ from the kernel's, so processes would be mixed up",
            ADVICE,
        ),
        // A /proc of another namespace has no `self` for this process.
        None => Check::failed(NAME, "/proc is missing or belongs to another pid namespace", ADVICE),
    }
}

fn tracefs(facts: &Facts) -> Check {
    const NAME: &str = "tracefs";
    match &facts.tracefs {
        Tracefs::NotMounted => Check::failed(NAME, "not mounted, so wait calls cannot be traced", MOUNT_TRACEFS),
        Tracefs::Forbidden(path) => {
            let advice = "give it CAP_DAC_READ_SEARCH, or run it as root: sudo zombie-trace".to_owned();
            // A missing privilege already has advice.
            let advice = may_trace(facts).then_some(advice);
            Check { name: NAME, status: Status::Failed, detail: format!("{} may not be read", path.display()), advice }
        }
        Tracefs::Mounted { at, syscalls: false, .. } => Check::failed(
            NAME,
            format!("{} lists no system calls", at.display()),
            "use a kernel built with CONFIG_FTRACE_SYSCALLS=y, as in all large distributions",
        ),
        Tracefs::Mounted { at, missing, .. } if missing.is_empty() => {
            Check::ok(NAME, format!("{}, lists the wait calls", at.display()))
        }
        Tracefs::Mounted { at, missing, .. } => {
            Check::failed(NAME, format!("{} does not list {}", at.display(), missing.join(", ")), REPORT)
        }
    }
}

fn lockdown(facts: &Facts) -> Check {
    const NAME: &str = "lockdown";
    match facts.lockdown {
        Some(Lockdown::Confidentiality) => Check::failed(
            NAME,
            "confidentiality: not even root may read kernel memory",
            "boot with lockdown=integrity, or without the parameter",
        ),
        Some(Lockdown::Integrity) => Check::ok(NAME, "integrity, which allows tracing"),
        Some(Lockdown::Off) => Check::ok(NAME, "none"),
        None => Check::ok(NAME, "not visible on this kernel or in this container"),
    }
}

fn cgroups(facts: &Facts) -> Check {
    const NAME: &str = "cgroups";
    let layout = match facts.cgroups {
        CgroupLayout::None => {
            return Check::degraded(
                NAME,
                "no hierarchy is mounted, so containers cannot be named",
                "mount it: mount -t cgroup2 none /sys/fs/cgroup\nin a container: -v /sys/fs/cgroup:/sys/fs/cgroup:ro",
            );
        }
        CgroupLayout::V1 => "version 1",
        CgroupLayout::V2 => "version 2",
        CgroupLayout::Hybrid => "hybrid: version 1, and a version 2 hierarchy next to it",
    };
    if facts.cgroup_ns.is_some_and(|inode| inode != INITIAL_CGROUP_NS) {
        return Check::degraded(
            NAME,
            format!("{layout}; in a cgroup namespace, so some containers cannot be named"),
            "run it on the host, or in a container with --cgroupns=host",
        );
    }
    Check::ok(NAME, layout)
}

/// Only kernels before 5.11 charge maps to the user's locked memory. If BTF is unavailable, another check has failed.
fn locked_memory(facts: &Facts) -> Option<Check> {
    const NAME: &str = "locked memory";
    let TypeInfo::Resolved(fields) = &facts.types else { return None };
    let limit = facts.memlock.filter(|_| fields.differences.has(Feature::MapsAreLockedMemory))?;
    let may_raise = facts.capabilities.is_none_or(|mask| mask & Capability::CAP_SYS_RESOURCE.bitmask() != 0);
    Some(match limit {
        u64::MAX => Check::ok(NAME, "not limited"),
        _ if may_raise => Check::ok(NAME, "limited, but can be raised"),
        _ => Check::degraded(
            NAME,
            format!("at most {} KiB, which may be too little: kernels before 5.11 count BPF maps", limit / 1024),
            "give it CAP_SYS_RESOURCE, or raise the limit: ulimit -l unlimited",
        ),
    })
}

fn settings(facts: &Facts) -> Option<Check> {
    let mut texts = Vec::new();
    if let Some(limit) = facts.pid_max {
        texts.push(format!("kernel.pid_max {}", thousands(limit)));
    }
    if let Some(value) = facts.perf_event_paranoid {
        texts.push(format!("kernel.perf_event_paranoid {value}"));
    }
    if let Some(value) = facts.unprivileged_bpf_disabled {
        texts.push(format!("kernel.unprivileged_bpf_disabled {value}"));
    }
    (!texts.is_empty()).then(|| Check::ok("settings", texts.join(", ")))
}

#[cfg(test)]
#[path = "preflight_tests.rs"]
mod tests;
