//! Why tracing could not begin, in words for the person at the terminal.
//!
//! [`crate::kernel::preflight`] checks before loading; this explains the kernel's errors at loading.

use std::{error::Error, io};

use aya::{
    EbpfError,
    maps::MapError,
    programs::{ProgramError, trace_point::TracePointError},
};

use super::live::LiveError;
use crate::{
    kernel::{
        BtfError,
        facts::TypeInfo,
        preflight::{self, GAIN_PRIVILEGE, MOUNT_TRACEFS, NEED_KERNEL, REPORT},
    },
    probe::LoadError,
};

const REFUSED: &str = "see what is missing with: zombie-trace doctor\n\
    in a container, its seccomp or AppArmor profile may forbid bpf() and perf_event_open(): \
    --security-opt seccomp=FILE with a profile that allows them";
/// Debian's kernels have a level 3 of this setting, at which only `CAP_SYS_ADMIN` opens a perf event (EACCES); so of 5.10
/// and of 6.12. A seccomp filter answers EPERM.
const PARANOID: &str = "kernel.perf_event_paranoid above 2 asks for CAP_SYS_ADMIN on Debian's kernels and others:\n\
    \x20 give it that as well, or set it to 2: sysctl kernel.perf_event_paranoid=2\n\
    see what else is missing with: zombie-trace doctor\n\
    in a container, its AppArmor profile may forbid perf_event_open()";
const FEWER_FILES: &str = "raise the limit of open files: ulimit -n 4096";
const LESS_MEMORY: &str = "take a smaller ring buffer (--ring-kib), or raise the memory limit of this cgroup";

/// What happened, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What happened, in one line.
    pub message: String,
    /// What to do, in one or more lines.
    pub advice: String,
}

/// Explains why there is no live source.
#[must_use]
pub fn explain(error: &LiveError) -> Explanation {
    let advice = match error {
        LiveError::Btf(error) => types(&error.into()),
        LiveError::Offsets(error) => types(&error.into()),
        LiveError::Obstacle(check) => check.advice.clone().unwrap_or_else(|| REFUSED.to_owned()),
        LiveError::Load(error) => return explain_load(error),
        LiveError::Proc(_) => "mount /proc, and see that it can be read".to_owned(),
        LiveError::Poll(_) => REPORT.to_owned(),
    };
    let message = match error {
        // The path is named already; a missing file is described in the words of the check.
        LiveError::Btf(BtfError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            "the kernel does not describe its types: there is no /sys/kernel/btf/vmlinux".to_owned()
        }
        _ => chain(error),
    };
    Explanation { message, advice }
}

/// Explains why the kernel does not run the probes, or one of them.
#[must_use]
pub fn explain_load(error: &LoadError) -> Explanation {
    let advice = match error {
        LoadError::Object(source) => object(source),
        LoadError::Load { source, .. } => program(source),
        LoadError::Attach { source, .. } => attachment(source),
        LoadError::Inconsistent(_) => "build it anew: cargo xtask build",
        LoadError::Map { .. } => REPORT,
    };
    let mut message = chain(error);
    if let LoadError::Load { source, .. } = error
        && let ProgramError::LoadError { verifier_log, .. } = &**source
        && let Some(verdict) = verdict(&verifier_log.to_string())
    {
        message = format!("{message}; the verifier says: {verdict}");
    }
    Explanation { message, advice: advice.to_owned() }
}

fn types(info: &TypeInfo) -> String {
    preflight::types(info).advice.unwrap_or_else(|| REPORT.to_owned())
}

fn object(error: &EbpfError) -> &'static str {
    match error {
        EbpfError::MapError(MapError::CreateError { io_error, .. }) => match io_error.raw_os_error() {
            // Map parameters are constant, so the kernel does not know their type.
            Some(libc::EINVAL) => NEED_KERNEL,
            _ => general(io_error),
        },
        _ => io_error(error).map_or(REPORT, general),
    }
}

fn program(error: &ProgramError) -> &'static str {
    match error {
        ProgramError::LoadError { io_error, .. } => refusal(io_error),
        _ => io_error(error).map_or(REPORT, general),
    }
}

/// Advice if the kernel did not load a program.
fn refusal(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        // Errors of the verifier; a missing privilege is EPERM.
        Some(libc::EACCES | libc::EINVAL | libc::E2BIG) => REPORT,
        _ => general(error),
    }
}

fn attachment(error: &ProgramError) -> &'static str {
    match error {
        // How aya says that it found no tracefs.
        ProgramError::IOError(_) => MOUNT_TRACEFS,
        ProgramError::TracePointError(TracePointError::FileError { io_error, .. }) => match io_error.kind() {
            io::ErrorKind::NotFound => "use a kernel built with CONFIG_FTRACE_SYSCALLS=y",
            io::ErrorKind::PermissionDenied => GAIN_PRIVILEGE,
            _ => REPORT,
        },
        _ => match io_error(error) {
            Some(error) if error.kind() == io::ErrorKind::NotFound => {
                "this kernel has no such tracepoint: use Linux 5.8 or later"
            }
            Some(error) if error.raw_os_error() == Some(libc::EACCES) => PARANOID,
            Some(error) => general(error),
            None => REPORT,
        },
    }
}

fn general(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => REFUSED,
        Some(libc::ENOMEM) => LESS_MEMORY,
        Some(libc::EMFILE | libc::ENFILE) => FEWER_FILES,
        Some(libc::ENOSYS) => "use a kernel built with CONFIG_BPF_SYSCALL=y and CONFIG_PERF_EVENTS=y",
        _ => REPORT,
    }
}

/// The system's own error at the bottom of a chain.
fn io_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut found = None;
    let mut next = Some(error);
    while let Some(error) = next {
        found = error.downcast_ref().or(found);
        next = error.source();
    }
    found
}

/// An error and what caused it, in one line. Some errors repeat their causes, and one has the verifier's whole log.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let whole = error.to_string();
        let part = first_line(&whole);
        if !part.is_empty() && !text.contains(part) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(part);
        }
        next = error.source();
    }
    text
}

/// The first line of an error, without the verifier's log.
fn first_line(text: &str) -> &str {
    text.split(". Verifier output:").next().and_then(|text| text.lines().next()).unwrap_or_default()
}

/// The line of the verifier's log that says why: the last one before the statistics.
fn verdict(log: &str) -> Option<&str> {
    const STATISTICS: [&str; 4] = ["processed ", "verification time", "stack depth", "-- "];
    log.lines().map(str::trim).rfind(|line| !line.is_empty() && !STATISTICS.iter().any(|it| line.starts_with(it)))
}

#[cfg(test)]
mod tests {
    use aya::sys::SyscallError;

    use super::*;
    use crate::kernel::{OffsetError, preflight::Check};

    fn os(code: i32) -> io::Error {
        io::Error::from_raw_os_error(code)
    }

    fn map(code: i32) -> LiveError {
        let error = MapError::CreateError { name: "EVENTS".to_owned(), io_error: os(code) };
        LoadError::Object(Box::new(EbpfError::MapError(error))).into()
    }

    fn attach(source: ProgramError) -> LiveError {
        LoadError::Attach { probe: "tracepoint/syscalls/sys_exit_wait4".to_owned(), source: Box::new(source) }.into()
    }

    fn tracefs_file(code: i32) -> LiveError {
        let filename = "/sys/kernel/tracing/events/syscalls/sys_exit_wait4/id".into();
        attach(ProgramError::TracePointError(TracePointError::FileError { filename, io_error: os(code) }))
    }

    #[track_caller]
    fn assert_explains(error: impl Into<LiveError>, message: &str, advice: &str) {
        let found = explain(&error.into());
        assert!(found.message.contains(message), "{found:#?}");
        assert!(found.advice.contains(advice), "{found:#?}");
        assert!(!found.message.contains('\n') && !found.message.contains("Verifier output"), "{found:#?}");
    }

    #[test]
    fn a_kernel_without_type_information() {
        let read = |code| BtfError::Read { path: "/sys/kernel/btf/vmlinux".into(), source: os(code) };
        assert_explains(read(libc::ENOENT), "does not describe its types", "CONFIG_DEBUG_INFO_BTF");
        assert_explains(read(libc::EACCES), "/sys/kernel/btf/vmlinux: Permission denied", "is readable");
        assert_explains(BtfError::BigEndian, "big-endian", "doctor");
    }

    #[test]
    fn a_missing_field_names_it() {
        let error = OffsetError::Missing { field: "task_pid", owner: "task_struct", path: "pid" };
        assert_explains(error, "task_struct.pid", "5.8");
    }

    #[test]
    fn an_obstacle_keeps_its_advice() {
        let check = Check::failed("tracefs", "not mounted", MOUNT_TRACEFS);
        assert_explains(LiveError::Obstacle(check), "tracefs: not mounted", "mount -t tracefs");
    }

    #[test]
    fn refused_privilege_points_to_the_doctor() {
        assert_explains(map(libc::EPERM), "Operation not permitted", "zombie-trace doctor");
        assert_eq!(refusal(&os(libc::EPERM)), REFUSED);
        let refused = SyscallError { call: "perf_event_open_trace_point", io_error: os(libc::EACCES) };
        assert_explains(attach(refused.into()), "perf_event_open_trace_point` failed: Permission", "perf_event_open()");
        let refused = SyscallError { call: "perf_event_open_trace_point", io_error: os(libc::EACCES) };
        assert_explains(attach(refused.into()), "Permission", "sysctl kernel.perf_event_paranoid=2");
    }

    #[test]
    fn a_map_that_cannot_be_made_is_of_an_old_kernel_or_too_large() {
        assert_explains(map(libc::EINVAL), "Invalid argument", "Linux 5.8");
        assert_explains(map(libc::ENOMEM), "EVENTS", "--ring-kib");
        assert_explains(map(libc::EMFILE), "EVENTS", "ulimit -n");
        assert_explains(map(libc::ENOSYS), "EVENTS", "CONFIG_BPF_SYSCALL");
    }

    #[test]
    fn the_verifier_is_quoted_with_its_reason_alone() {
        let log = "0: (bf) r6 = r1\nR1 invalid mem access 'scalar'\nprocessed 7 insns (limit 1000000)\n\n";
        assert_eq!(verdict(log), Some("R1 invalid mem access 'scalar'"));
        assert_eq!(verdict("processed 7 insns\n"), None);
        let shown = format!("the BPF_PROG_LOAD syscall returned Permission denied. Verifier output: {log}");
        assert_eq!(first_line(&shown), "the BPF_PROG_LOAD syscall returned Permission denied");
        assert_eq!(refusal(&os(libc::EACCES)), REPORT);
    }

    #[test]
    fn a_tracepoint_that_cannot_be_attached() {
        assert_explains(attach(io::Error::other("tracefs not found").into()), "tracefs not found", "mount -t tracefs");
        assert_explains(tracefs_file(libc::ENOENT), "sys_exit_wait4/id", "CONFIG_FTRACE_SYSCALLS");
        assert_explains(tracefs_file(libc::EACCES), "sys_exit_wait4/id", "sudo");
        let absent = SyscallError { call: "bpf_raw_tracepoint_open", io_error: os(libc::ENOENT) };
        assert_explains(attach(absent.into()), "No such file", "no such tracepoint");
    }
}
