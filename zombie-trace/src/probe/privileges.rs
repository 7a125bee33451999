//! Drops the privileges that only loading and attaching required.
//!
//! All input from then on comes from others: names, arguments, files of containers. A bug in reading it must not give
//! an attacker more than the remaining privileges.

use std::collections::BTreeMap;

use caps::{CapSet, Capability, CapsHashSet, errors::CapsError};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::kernel::preflight;

/// Capabilities that stay, and why: `CAP_BPF` reads the maps (see [`FREE_ACCESS_SINCE`]),
/// `CAP_SYS_PTRACE` reads `/proc/PID/exe` and namespaces of others, `CAP_DAC_READ_SEARCH` resolves cgroup ids by file
/// handle, `CAP_KILL` forwards signals to a command that runs as another user.
pub const KEPT: &[Capability] =
    &[Capability::CAP_BPF, Capability::CAP_SYS_PTRACE, Capability::CAP_DAC_READ_SEARCH, Capability::CAP_KILL];

/// The first kernel that asks for no capability each time that a map is read (`kernel/bpf/syscall.c`, `__sys_bpf`); those
/// before ask for `CAP_BPF` or `CAP_SYS_ADMIN`, unless users without privileges may use BPF.
const FREE_ACCESS_SINCE: (u32, u32) = (6, 0);

/// Drops every capability except [`KEPT`] and these from the calling thread. Call it while there is only one thread.
/// `CAP_SYS_ADMIN` stays where it alone allows to read the maps.
///
/// Does nothing in a process without capabilities.
///
/// # Errors
/// The kernel refused the new sets.
pub fn drop_privileges(also_kept: &[Capability]) -> Result<(), CapsError> {
    let mut kept: Vec<Capability> = KEPT.iter().chain(also_kept).copied().collect();
    let release = rustix::system::uname();
    let is_asked = preflight::version(&release.release().to_string_lossy()).is_none_or(|it| it < FREE_ACCESS_SINCE);
    if is_asked && !caps::has_cap(None, CapSet::Permitted, Capability::CAP_BPF)? {
        kept.push(Capability::CAP_SYS_ADMIN);
    }
    keep_only(&kept)
}

/// Drops every capability except these from the calling thread. Call it while there is only one thread.
///
/// # Errors
/// The kernel refused the new sets.
pub fn keep_only(kept: &[Capability]) -> Result<(), CapsError> {
    let permitted = caps::read(None, CapSet::Permitted)?;
    let kept: CapsHashSet = kept.iter().copied().filter(|it| permitted.contains(it)).collect();
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new())?;
    caps::set(None, CapSet::Permitted, &kept)
}

/// System calls that are not needed once the probes are attached, answered with EPERM; above all tracing, which
/// [`KEPT`] capabilities would allow. Kill is needed for the command, and open by handle for cgroups.
const DENIED: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_delete_module,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_listen,
    libc::SYS_mount,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_reboot,
    libc::SYS_setns,
    libc::SYS_setuid,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

/// Commands of `bpf(2)` that load, attach, pin or access foreign objects (`enum bpf_cmd`, `include/uapi/linux/bpf.h`):
/// only our own maps are still read.
const DENIED_BPF: [u64; 12] = [0, 5, 6, 7, 8, 10, 13, 14, 17, 18, 28, 30];

/// Forbids what is no longer needed, for all threads and for good.
///
/// # Errors
/// There are no such filters for this architecture, or in this kernel.
pub fn confine() -> Result<(), seccompiler::Error> {
    seccompiler::apply_filter_all_threads(&filter()?)
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut denied: BTreeMap<i64, Vec<SeccompRule>> = DENIED.iter().map(|&call| (call, Vec::new())).collect();
    let is = |value| {
        let same = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?;
        SeccompRule::new(vec![same])
    };
    denied.insert(libc::SYS_bpf, DENIED_BPF.into_iter().map(is).collect::<Result<_, _>>()?);
    let action = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let architecture = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(denied, SeccompAction::Allow, action, architecture)?.try_into()
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io, process::Command, thread};

    use super::*;

    #[test]
    fn a_confined_process_reads_and_writes_but_starts_traces_and_loads_nothing() {
        // In a separate thread: the filter stays with it.
        let denied = thread::spawn(|| {
            seccompiler::apply_filter(&filter().unwrap()).unwrap();
            assert!(File::open("/proc/self/stat").is_ok());
            let started = Command::new("/bin/true").status();
            // SAFETY: system calls on numbers; the address of the attributes is none.
            let calls = unsafe {
                [
                    libc::syscall(libc::SYS_ptrace, libc::PTRACE_SEIZE, 1, 0, 0),
                    libc::syscall(libc::SYS_bpf, 5, std::ptr::null::<u8>(), 0),
                    libc::syscall(libc::SYS_unshare, libc::CLONE_NEWNS),
                ]
                .map(|result| (result, io::Error::last_os_error().raw_os_error()))
            };
            // SAFETY: as above.
            let lookup = unsafe { libc::syscall(libc::SYS_bpf, 1, std::ptr::null::<u8>(), 0) };
            (started.is_err(), calls, lookup, io::Error::last_os_error().raw_os_error())
        });
        let (starts_nothing, calls, lookup, why) = denied.join().unwrap();
        assert!(starts_nothing);
        assert_eq!(calls.map(|(result, _)| result), [-1; 3]);
        assert_eq!(calls[2].1, Some(libc::EPERM));
        assert_eq!(lookup, -1);
        assert_ne!(why, None);
    }
}
