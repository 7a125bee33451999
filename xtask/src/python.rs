//! The Python packages that the tests use, in an environment of their own under `target/`.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::system;

/// Names and versions, one a line, as pip reads it.
pub(crate) const REQUIREMENTS: &str = "tests/requirements.txt";

fn environment() -> PathBuf {
    system::workspace().join("target/python")
}

/// Whether the environment has been made from these requirements.
pub(crate) fn is_there() -> bool {
    let wanted = fs::read(system::workspace().join(REQUIREMENTS)).ok();
    wanted.is_some() && wanted == fs::read(environment().join("requirements.txt")).ok()
}

/// Makes the environment.
pub(crate) fn make() -> Result<()> {
    let (environment, requirements) = (environment(), system::workspace().join(REQUIREMENTS));
    println!("install  Python packages of {REQUIREMENTS}, into {}", environment.display());
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&environment);
    system::run(&mut venv).context("no environment for Python packages could be made")?;
    let mut pip = Command::new(environment.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&requirements);
    system::run(&mut pip).context("pip could not install the packages")?;
    // Last, so that it is there only when all is.
    fs::copy(&requirements, environment.join("requirements.txt")).context(REQUIREMENTS)?;
    Ok(())
}
