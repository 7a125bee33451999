//! What a nested cargo must not inherit from the outer one, and where its dependencies lie.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::home;

/// The folders into which cargo has unpacked packages, one for each registry, named by the registry's address.
pub(crate) fn registries() -> Vec<PathBuf> {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(home()?.join(".cargo")));
    cargo_home.map(|home| folders(&home.join("registry/src"))).unwrap_or_default()
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// Removes from a command's environment what an outer cargo has set for its own build.
pub(crate) fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(belongs_to_outer_build) {
            command.env_remove(name);
        }
    }
    command
}

/// Distinguishes settings of the outer build from those of the machine, such as a proxy or a registry mirror.
pub(super) fn belongs_to_outer_build(name: &str) -> bool {
    const KEPT: &[&str] = &["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_", "CARGO_TERM_"];
    const OUTER: &[&str] = &["CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS", "CLIPPY_", "DEP_"];
    const EXACT: &[&str] = &[
        "TARGET",
        "HOST",
        "PROFILE",
        "OPT_LEVEL",
        "DEBUG",
        "OUT_DIR",
        "NUM_JOBS",
        "RUSTUP_TOOLCHAIN",
        // Cargo puts its own toolchain's libraries here, which another rustc must not load.
        "LD_LIBRARY_PATH",
    ];
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    EXACT.contains(&name) || (starts(OUTER) && !starts(KEPT))
}
