//! Finding bpf-linker.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Error, LINKER_LLVM, LINKER_VERSION};

/// The folder into which the set-up installs bpf-linker; `None` without a home directory.
pub(crate) fn linker_root() -> Option<PathBuf> {
    let absolute = |dir: OsString| Some(PathBuf::from(dir)).filter(|dir| dir.is_absolute());
    let cache = env::var_os("XDG_CACHE_HOME").and_then(absolute).or_else(|| Some(home()?.join(".cache")))?;
    Some(cache.join("zombie-trace").join(format!("bpf-linker-{LINKER_VERSION}-llvm-{LINKER_LLVM}")))
}

pub(super) fn home() -> Option<PathBuf> {
    env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// Finds bpf-linker: the one that `BPF_LINKER` names, the one of the set-up, or one of the right version on the path.
pub(crate) fn find_linker() -> Result<PathBuf, Error> {
    if let Some(linker) = env::var_os("BPF_LINKER").map(PathBuf::from) {
        return match linker_version(&linker) {
            Ok(_) => Ok(linker),
            Err(why) => Err(Error::BadOverride("BPF_LINKER", linker, why)),
        };
    }
    let mut places: Vec<_> = linker_root().map(|root| root.join("bin/bpf-linker")).into_iter().collect();
    let path = env::var_os("PATH").unwrap_or_default();
    places.extend(env::split_paths(&path).map(|dir| dir.join("bpf-linker")).filter(|linker| linker.is_file()));
    let mut tried = Vec::new();
    for linker in places {
        match linker_version(&linker) {
            Ok(version) if version == LINKER_VERSION => return Ok(linker),
            Ok(version) => tried.push((linker, format!("is version {version}"))),
            Err(why) => tried.push((linker, why)),
        }
    }
    Err(Error::NoLinker(tried))
}

/// Runs the linker, because without its LLVM library it is useless.
fn linker_version(linker: &Path) -> Result<String, String> {
    if !linker.is_file() {
        return Err("does not exist".to_owned());
    }
    let output = Command::new(linker).arg("--version").output().map_err(|error| error.to_string())?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    match stdout.trim_end().strip_prefix("bpf-linker ") {
        Some(version) if output.status.success() => Ok(version.to_owned()),
        _ => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            Err(format!("does not run ({})", stderr.lines().next().unwrap_or("no output")))
        }
    }
}
