//! Installs what was made as its users would, and lets it trace its demonstration in each place.
//!
//! Nothing is installed on the machine itself: packages go into roots of their own, and the runtimes keep their files in a
//! mount namespace that ends with them. The kernel is the machine's, for all of them.

mod containers;
mod debian;
mod findings;
mod plain;
mod root;
mod unit;

use std::path::Path;

use anyhow::Result;

use crate::{
    architecture::Architecture,
    setup::{self, Wants},
};

type Trial = fn(&Path, &'static Architecture) -> Result<String>;

/// Tries everything that was made for this machine's architecture.
pub(super) fn all(results: &Path) -> Result<()> {
    setup::ensure(Wants { tracefs: true, tests: true, dist: true, cross: true, ..Wants::default() })?;
    let native = Architecture::native()?;
    let trials: [Trial; 8] = [
        plain::archive_in_a_root_of_busybox,
        plain::rpm_in_a_root_of_busybox,
        debian::bookworm,
        debian::trixie,
        containers::podman,
        containers::containerd,
        unit::is_sealed,
        unit::records,
    ];
    for trial in trials {
        println!("ok       {}", trial(results, native)?);
    }
    Ok(())
}
