//! `cargo xtask vendor`: compares the charting library in reports with its npm package.
//!
//! The library's files are in the repository, so that a build needs neither npm nor a network. To check them byte for
//! byte, npm installs the version and digest of `package-lock.json` into `target/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::system;

/// Check the vendored charting library against its npm package
///
/// Needs npm and, the first time, the registry.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask vendor            fail if a file is not the package's
  cargo xtask vendor --update   take the files of the version in package.json")]
pub(crate) struct Options {
    /// Take the package's files: for a new version, named in `package.json`
    #[arg(long)]
    update: bool,
}

const FOLDER: &str = "zombie-trace/src/output/html/vendor/uplot";
/// Files in the folder, and their paths in the package.
const FILES: &[(&str, &str)] = &[
    ("uPlot.iife.min.js", "node_modules/uplot/dist/uPlot.iife.min.js"),
    ("uPlot.min.css", "node_modules/uplot/dist/uPlot.min.css"),
    ("LICENSE", "node_modules/uplot/LICENSE"),
];
const MANIFESTS: &[&str] = &["package.json", "package-lock.json"];

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    if options.update {
        let package = install(true)?;
        for (ours, theirs) in FILES {
            fs::copy(package.join(theirs), folder().join(ours)).with_context(|| format!("{theirs} of the package"))?;
        }
        fs::copy(package.join("package-lock.json"), folder().join("package-lock.json")).context("the lock file")?;
    }
    check()?;
    println!("ok       {} files are the npm package's", FILES.len());
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn can_check() -> bool {
    system::find_program("npm").is_some()
}

/// Fails if a file differs from the package's.
pub(crate) fn check() -> Result<()> {
    let differing = differing(&folder(), &install(false)?)?;
    if !differing.is_empty() {
        bail!(
            "not what the npm package has: {}; take its files with: cargo xtask vendor --update",
            differing.join(", ")
        );
    }
    Ok(())
}

fn differing(ours: &Path, package: &Path) -> Result<Vec<&'static str>> {
    let mut differing = Vec::new();
    for (file, theirs) in FILES {
        let (ours, theirs) = (ours.join(file), package.join(theirs));
        let read = |path: &Path| fs::read(path).with_context(|| path.display().to_string());
        if read(&ours)? != read(&theirs)? {
            differing.push(*file);
        }
    }
    Ok(differing)
}

fn folder() -> PathBuf {
    system::workspace().join(FOLDER)
}

/// Lets npm install the package under `target/`, unless done for this lock file. npm compares the download with the
/// digest in the lock file.
fn install(update: bool) -> Result<PathBuf> {
    let target = system::workspace().join("target/vendor");
    let same = |name: &&str| fs::read(folder().join(name)).ok() == fs::read(target.join(name)).ok();
    let installed = FILES.iter().all(|(_, theirs)| target.join(theirs).is_file());
    if !update && installed && MANIFESTS.iter().all(same) {
        return Ok(target);
    }
    if !can_check() {
        bail!("there is no npm to compare the charting library with: apt-get install npm");
    }
    let _ = fs::remove_dir_all(&target);
    fs::create_dir_all(&target).with_context(|| target.display().to_string())?;
    for name in MANIFESTS.iter().filter(|name| !update || **name == "package.json") {
        fs::copy(folder().join(name), target.join(name)).with_context(|| format!("{FOLDER}/{name}"))?;
    }
    let mut npm = Command::new("npm");
    // The lock file names the digest; the registry is whatever this machine uses.
    npm.arg(if update { "install" } else { "ci" })
        .args(["--ignore-scripts", "--no-audit", "--no-fund", "--omit-lockfile-registry-resolved", "--silent"])
        .current_dir(&target);
    system::run(&mut npm).context("npm could not install the charting library")?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_found() {
        let folder = std::env::temp_dir().join(format!("xtask-vendor-{}", std::process::id()));
        let (ours, package) = (folder.join("ours"), folder.join("package"));
        fs::create_dir_all(&ours).expect("the temporary folder can be written");
        for (file, theirs) in FILES {
            let theirs = package.join(theirs);
            fs::create_dir_all(theirs.parent().expect("it lies in a folder")).expect("the folder is ours");
            fs::write(ours.join(file), "same").expect("the folder is ours");
            fs::write(theirs, "same").expect("the folder is ours");
        }
        assert_eq!(differing(&ours, &package).expect("all is there"), [""; 0]);
        fs::write(ours.join("LICENSE"), "sane").expect("the folder is ours");
        assert_eq!(differing(&ours, &package).expect("all is there"), ["LICENSE"]);
        fs::remove_dir_all(&folder).expect("the folder is ours");
    }

    #[test]
    fn the_lock_file_has_a_digest_and_no_registry() {
        let lock = fs::read_to_string(folder().join("package-lock.json")).expect("it is in the repository");
        assert!(lock.contains("\"integrity\": \"sha512-"), "{lock}");
        assert!(!lock.contains("\"resolved\""), "{lock}");
    }
}
