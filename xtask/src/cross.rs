//! Builds for another architecture than this machine's.
//!
//! The C compiler and the libc are Debian's cross packages. Rust's standard library comes from the toolchain that runs
//! this (`rustup target add`), or else from Debian's archive, for Debian's own compiler. That package is for the other
//! architecture, so it is not installed but unpacked into the cache, without adding a foreign architecture to the
//! machine's dpkg.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    apt::{Apt, Source},
    architecture::Architecture,
    bpf, cache, system,
};

/// What a cross build needs beside cargo.
#[derive(Debug)]
pub(crate) struct Cross {
    architecture: &'static Architecture,
    linker: String,
    rust: Rust,
}

/// Where Rust's standard library for the other architecture comes from.
#[derive(Debug, PartialEq, Eq)]
enum Rust {
    /// The workspace's own toolchain has it.
    Own,
    /// Another compiler, with the library in a folder of the cache.
    Cached { rustc: PathBuf, sysroot: PathBuf },
}

impl Cross {
    /// Finds everything and downloads what is missing; the packages of the set-up must be installed.
    pub(crate) fn to(architecture: &'static Architecture) -> Result<Self> {
        let linker = format!("{}-gcc", architecture.gnu);
        if system::find_program(&linker).is_none() {
            // The set-up installs cross packages only for arm64.
            bail!("{linker} is missing: zombie-trace cannot be built here for {}", architecture.triple);
        }
        Ok(Self { architecture, linker, rust: rust(architecture)? })
    }

    /// Makes a command of cargo one that builds for the architecture.
    pub(crate) fn apply(&self, cargo: &mut Command) {
        let triple = self.architecture.triple;
        cargo.args(["--target", triple]);
        let setting = |name: &str| format!("CARGO_TARGET_{}_{name}", triple.replace('-', "_").to_uppercase());
        cargo.env(setting("LINKER"), &self.linker);
        if let Rust::Cached { rustc, sysroot } = &self.rust {
            cargo.env("RUSTC", rustc);
            // Build scripts and macros, which run here, do not get these flags.
            let mut flags = std::ffi::OsString::from("--sysroot\x1f");
            flags.push(sysroot);
            cargo.env("CARGO_ENCODED_RUSTFLAGS", flags);
        }
    }
}

fn rust(architecture: &'static Architecture) -> Result<Rust> {
    let triple = architecture.triple;
    let mut ask = Command::new("rustc");
    ask.args(["--print", "target-libdir", "--target", triple]).current_dir(system::workspace());
    let own = ask.output().ok().filter(|output| output.status.success());
    let own = own.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end()));
    if own.is_some_and(|folder| has_std(&folder)) {
        return Ok(Rust::Own);
    }
    let elsewhere = || format!("no standard library of Rust for {triple} (with rustup: rustup target add {triple})");
    let compiler = bpf::find_compiler()?;
    let (package, version) = debians(&compiler.rustc).with_context(elsewhere)?;
    let sysroot = cache::folder(triple)?.join(format!("rust-{version}"));
    cache::keep(&sysroot, false, |scratch| bring(architecture, &package, &version, scratch)).with_context(elsewhere)?;
    Ok(Rust::Cached { rustc: compiler.rustc, sysroot })
}

/// Downloads the standard library and returns a folder with the layout of the compiler's own.
fn bring(architecture: &'static Architecture, package: &str, version: &str, scratch: &Path) -> Result<PathBuf> {
    println!("download {package} {version} for {} (10 MB of lists, 50 MB)", architecture.debian);
    let apt = Apt::update(scratch, architecture.debian, &Source::of_this_machine()?)?;
    let unpacked = scratch.join("unpacked");
    apt.unpack(&format!("{package}={version}"), &unpacked)?;
    let below = |root: &Path| root.join("lib/rustlib").join(architecture.triple);
    let (from, made) = (below(&unpacked.join("usr")), scratch.join("made"));
    if !has_std(&from.join("lib")) {
        bail!("{package} has no standard library for {}", architecture.triple);
    }
    let to = below(&made);
    fs::create_dir_all(to.parent().context("it lies in a folder")?)?;
    fs::rename(from, to)?;
    Ok(made)
}

/// The package with the standard library of a compiler installed from Debian, and its version.
fn debians(rustc: &Path) -> Result<(String, String)> {
    let ask = |arguments: &[&str]| {
        let output = Command::new("dpkg-query").args(arguments).output().context("dpkg-query could not be started")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        anyhow::Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let owner = ask(&["--search", &rustc.to_string_lossy()])?;
    let owner = owner.split(':').next().unwrap_or_default();
    let package = std_of(owner).with_context(|| format!("{owner} is no known package of rustc"))?;
    let version = ask(&["--show", "--showformat", "${Version}", owner])?;
    Ok((package, version))
}

/// `rustc` and `rustc-web`, the newer one that Debian's stable releases build their browsers with.
fn std_of(compiler: &str) -> Option<String> {
    let kind = compiler.strip_prefix("rustc")?;
    (kind.is_empty() || kind.starts_with('-')).then(|| format!("libstd-rust{kind}-dev"))
}

fn has_std(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        name.starts_with(b"libstd-") && name.ends_with(b".rlib")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_library_goes_with_the_compiler() {
        assert_eq!(std_of("rustc").as_deref(), Some("libstd-rust-dev"));
        assert_eq!(std_of("rustc-web").as_deref(), Some("libstd-rust-web-dev"));
        assert_eq!(std_of("rustchecker"), None);
        assert_eq!(std_of("gcc"), None);
    }

    #[test]
    fn cargo_is_told_of_target_linker_and_library() {
        let architecture = Architecture::of_debian("arm64").unwrap();
        let rust = Rust::Cached { rustc: "/usr/bin/rustc".into(), sysroot: "/a b".into() };
        let mut cargo = Command::new("cargo");
        Cross { architecture, linker: "aarch64-linux-gnu-gcc".to_owned(), rust }.apply(&mut cargo);
        let set = |name: &str| {
            let (_, value) = cargo.get_envs().find(|(key, _)| *key == name)?;
            Some(value?.to_string_lossy().into_owned())
        };
        assert_eq!(set("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER").as_deref(), Some("aarch64-linux-gnu-gcc"));
        assert_eq!(set("CARGO_ENCODED_RUSTFLAGS").as_deref(), Some("--sysroot\x1f/a b"));
        assert_eq!(set("RUSTC").as_deref(), Some("/usr/bin/rustc"));
        assert_eq!(cargo.get_args().collect::<Vec<_>>(), ["--target", "aarch64-unknown-linux-gnu"]);
    }

    #[test]
    fn an_own_standard_library_needs_no_other_compiler() {
        let architecture = Architecture::of_debian("arm64").unwrap();
        let mut cargo = Command::new("cargo");
        Cross { architecture, linker: "gcc".to_owned(), rust: Rust::Own }.apply(&mut cargo);
        assert!(cargo.get_envs().all(|(key, _)| key != "RUSTC" && key != "CARGO_ENCODED_RUSTFLAGS"));
    }
}
