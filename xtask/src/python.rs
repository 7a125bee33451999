//! The Python packages with which tests read output: DuckDB and Spark for tables, Perfetto's definitions for traces.
//! They have their own environment under the cache folder, where `tests/src/require.rs` looks for it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{bpf, system};

const REQUIREMENTS: &str = include_str!("../../tests/requirements.txt");

/// Where they are.
fn folder() -> Option<PathBuf> {
    Some(bpf::linker::linker_root()?.parent()?.join("python"))
}

/// A note of the installed versions, so that a change is noticed.
fn note(folder: &Path) -> PathBuf {
    folder.join("requirements.txt")
}

/// Whether all are installed in the wanted versions.
pub(crate) fn is_there() -> bool {
    folder().is_some_and(|folder| {
        folder.join("bin/python").exists() && fs::read_to_string(note(&folder)).is_ok_and(|it| it == REQUIREMENTS)
    })
}

/// Installs them from pip's configured registry.
pub(crate) fn install() -> Result<()> {
    let folder = folder().context("no place for Python packages: neither XDG_CACHE_HOME nor HOME is set")?;
    println!("install  Python packages (DuckDB, Spark, Perfetto, pytest) into {}: some 450 MB", folder.display());
    let python = system::find_program("python3").context("there is no python3")?;
    system::run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&folder))?;
    let wanted = folder.join("wanted.txt");
    fs::write(&wanted, REQUIREMENTS).with_context(|| wanted.display().to_string())?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "-r"]);
    system::run(pip.arg(&wanted))?;
    // Only now, so that an interrupted installation is repeated next time.
    fs::rename(&wanted, note(&folder)).with_context(|| folder.display().to_string())
}
