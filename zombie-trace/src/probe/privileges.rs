//! Giving up what only loading and attaching took.

use caps::{CapSet, Capability, CapsHashSet, errors::CapsError};

/// What stays, and why: `CAP_BPF` reads the maps (kernels before 6.0 ask for it at every look-up),
/// `CAP_SYS_PTRACE` reads `/proc/PID/exe` and namespaces of others, `CAP_DAC_READ_SEARCH` resolves cgroup ids by file
/// handle, `CAP_KILL` forwards signals to a command that runs as another user.
pub const KEPT: &[Capability] =
    &[Capability::CAP_BPF, Capability::CAP_SYS_PTRACE, Capability::CAP_DAC_READ_SEARCH, Capability::CAP_KILL];

/// Drops every capability but [`KEPT`] and these from the calling thread. Call it while there is only one.
///
/// Without capabilities (an unprivileged process) there is nothing to drop, and that is fine.
///
/// # Errors
/// The kernel refused the new sets.
pub fn drop_privileges(also_kept: &[Capability]) -> Result<(), CapsError> {
    let permitted = caps::read(None, CapSet::Permitted)?;
    let kept: CapsHashSet = KEPT.iter().chain(also_kept).copied().filter(|it| permitted.contains(it)).collect();
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new())?;
    caps::set(None, CapSet::Permitted, &kept)
}
