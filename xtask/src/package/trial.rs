//! Installs a package as someone would who has a stable Rust and a C compiler, and nothing of this workspace.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{bpf, scratch::Scratch, system};

/// Unpacks the package in an empty folder, installs it from an empty cargo home, and lets it trace its demonstration.
pub(crate) fn install(package: &Path) -> Result<()> {
    // Not below the workspace, whose configuration of cargo and whose sources it must not find.
    let place = Scratch::new("package")?;
    system::run(Command::new("tar").arg("-xzf").arg(package).arg("-C").arg(place.path()))?;
    let name = package.file_stem().context("a package has a name")?;
    let root = place.path().join("root");
    let home = place.path().join("cargo-home");
    fs::create_dir(&home)?;
    if let Some(config) = config().filter(|config| config.is_file()) {
        // Where this machine gets its packages from.
        fs::copy(&config, home.join("config.toml")).with_context(|| config.display().to_string())?;
    }
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    bpf::clean(&mut cargo)
        .current_dir(place.path().join(name))
        // Without optimisations, which take minutes: the test is whether it builds.
        .args(["install", "--path", ".", "--locked", "--debug", "--quiet", "--root"])
        .arg(&root)
        .env("CARGO_HOME", &home)
        .env("CARGO_PROFILE_DEV_DEBUG", "none")
        // A build script that looked for the toolchain would fail.
        .env("BPF_RUSTC", "/nonexistent")
        .env("BPF_LINKER", "/nonexistent");
    system::run(&mut cargo).context("the package does not install")?;
    let mut demo = system::as_root(root.join("bin/zombie-trace"))?;
    let output = demo.arg("demo").stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("{} could not be started", system::display(&demo)))?;
    let text = String::from_utf8_lossy(&output.stdout);
    for cause in ["never-waits", "init-does-not-reap"] {
        if !text.contains(cause) {
            bail!("the demonstration of the installed program did not find {cause}:\n{text}");
        }
    }
    Ok(())
}

/// The user's configuration of cargo.
fn config() -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    Some(home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))?.join("config.toml"))
}
