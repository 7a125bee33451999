//! Finds the BPF toolchain and builds the eBPF object with it.
//!
//! This one file serves two crates: the build script of `zombie-trace`, in whose package it has to lie, and `xtask`, by
//! `#[path]`. It therefore uses only `std`. It never installs anything; `cargo xtask setup` does.
//!
//! Two kinds of Rust can build for BPF, and both are supported: one whose `core` for BPF is already built (Debian ships
//! it), and one that has the sources of `core` (rustup's `rust-src`), which cargo then builds itself. The content of a
//! `rustc`'s sysroot decides, so unknown distributions work as well.

use std::{
    env,
    ffi::{OsStr, OsString},
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

// By path, because `xtask` takes this file by its path, too.
#[path = "bpf/environment.rs"]
mod environment;
#[path = "bpf/linker.rs"]
pub(crate) mod linker;

pub(crate) use environment::{clean, registries};
pub(crate) use linker::find_linker;
use linker::home;

/// The version of bpf-linker that the set-up installs.
pub(crate) const LINKER_VERSION: &str = "0.13.0";
/// The LLVM version of bpf-linker, which reads the bitcode of any rustc whose LLVM is not newer.
pub(crate) const LINKER_LLVM: u32 = 22;
/// The oldest Rust that the eBPF crate builds with, the workspace's `rust-version`.
const MIN_RUST: (u32, u32) = (1, 88);
/// End of every message about a missing tool.
pub(crate) const SETUP_HINT: &str = "run `cargo xtask setup`, which installs what is missing or says how to";

const EBPF_PACKAGE: &str = "zombie-trace-ebpf";
const EBPF_BIN: &str = "zombie-trace";
/// The root of the programs' sources, seen from the workspace's.
pub(crate) const EBPF_SOURCE: &str = "zombie-trace-ebpf/src/main.rs";
/// The architectures of the kernels that there are programs for, as Rust names them.
pub(crate) const ARCHITECTURES: &[&str] = &["x86_64", "aarch64"];
/// The folder of the prebuilt objects in a package of `zombie-trace`.
pub(crate) const PREBUILT: &str = "prebuilt";

/// Why the eBPF object cannot be built.
#[derive(Debug)]
pub(crate) enum Error {
    /// None of the compilers found can build for BPF; each with the reason.
    NoCompiler(Vec<(PathBuf, Rejection)>),
    /// The tool that the environment variable names is unusable.
    BadOverride(&'static str, PathBuf, String),
    /// No bpf-linker runs; each place with the reason.
    NoLinker(Vec<(PathBuf, String)>),
    /// There are no eBPF programs for this architecture yet.
    Architecture(String),
    /// The package lacks a prebuilt object.
    NotPrebuilt(PathBuf, std::io::Error),
    /// The nested cargo failed; its output says why.
    Build(String),
    /// A file could not be read or written.
    Io(PathBuf, std::io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCompiler(tried) => {
                write!(f, "no Rust compiler that can build eBPF programs was found")?;
                for (path, why) in tried {
                    write!(f, "\n  {}: {why}", path.display())?;
                }
                write!(f, "\n{SETUP_HINT}")
            }
            Self::BadOverride(name, path, why) => {
                // The set-up does not replace the user's choice, so it does not help here.
                write!(f, "{name}={} cannot be used: it {why}\ncorrect {name}, or unset it", path.display())
            }
            Self::NoLinker(tried) => {
                write!(f, "bpf-linker {LINKER_VERSION} was not found")?;
                for (path, why) in tried {
                    write!(f, "\n  {}: {why}", path.display())?;
                }
                write!(f, "\n{SETUP_HINT}")
            }
            Self::Architecture(arch) => {
                write!(f, "no eBPF programs for {arch}: supported are {}", ARCHITECTURES.join(" and "))
            }
            Self::NotPrebuilt(path, error) => {
                write!(f, "{}: {error}\nthis package was not made by `cargo xtask package`", path.display())
            }
            Self::Build(what) => write!(f, "the eBPF programs did not build: {what}"),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, error) | Self::NotPrebuilt(_, error) => Some(error),
            _ => None,
        }
    }
}

/// Where a compiler's `core` for BPF comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Core {
    /// Built, in the sysroot.
    Prebuilt,
    /// From sources in the sysroot: `-Z build-std=core`.
    Source,
}

/// Facts about one `rustc`.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Its version, major and minor.
    pub(crate) rust: (u32, u32),
    /// The major version of its LLVM.
    pub(crate) llvm: u32,
    /// Its sysroot has a built `core` for BPF.
    pub(crate) has_core: bool,
    /// Its sysroot has the sources of `core`.
    pub(crate) has_source: bool,
}

/// Why a `rustc` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// It could not be run, or does not answer like a rustc.
    NotRunnable(String),
    /// It is older than the eBPF crates allow.
    TooOld((u32, u32)),
    /// bpf-linker would not understand its bitcode.
    LlvmTooNew(u32),
    /// It has neither a built `core` for BPF nor its sources.
    NoCore,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunnable(why) => write!(f, "does not run ({why})"),
            Self::TooOld((major, minor)) => {
                write!(f, "is Rust {major}.{minor}, older than {}.{}", MIN_RUST.0, MIN_RUST.1)
            }
            Self::LlvmTooNew(llvm) => {
                write!(f, "uses LLVM {llvm}, newer than the LLVM {LINKER_LLVM} of bpf-linker {LINKER_VERSION}")
            }
            Self::NoCore => write!(f, "has no `core` for the target bpfel-unknown-none and no rust-src to build it"),
        }
    }
}

/// A compiler that can build for BPF.
#[derive(Clone, Debug)]
pub(crate) struct Compiler {
    pub(crate) rustc: PathBuf,
    pub(crate) core: Core,
    pub(crate) rust: (u32, u32),
    sysroot: PathBuf,
}

impl Compiler {
    /// The cargo that goes with the compiler.
    ///
    /// The sources of `core` need the cargo of their own release. For a built `core` the outer cargo is better: a
    /// distribution's own may be years older than its newest rustc.
    fn cargo(&self) -> PathBuf {
        let own = self.sysroot.join("bin/cargo");
        if self.core == Core::Source && own.is_file() {
            return own;
        }
        env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
    }

    /// The clippy of the same compiler, if installed: another one could not read its `core`.
    pub(crate) fn clippy_driver(&self) -> Option<PathBuf> {
        let driver = self.rustc.with_file_name("clippy-driver");
        let output = clean(&mut Command::new(&driver)).args(["--rustc", "-vV"]).output().ok()?;
        let own = clean(&mut Command::new(&self.rustc)).arg("-vV").output().ok()?;
        (output.stdout == own.stdout).then_some(driver)
    }
}

/// The compiler and the linker that build the eBPF object.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    pub(crate) compiler: Compiler,
    pub(crate) linker: PathBuf,
}

impl Toolchain {
    /// Finds both, or says what is missing.
    pub(crate) fn find() -> Result<Self, Error> {
        Ok(Self { compiler: find_compiler()?, linker: find_linker()? })
    }
}

/// Decides whether a compiler can be used, and how.
pub(crate) fn assess(facts: &Facts) -> Result<Core, Rejection> {
    if facts.rust < MIN_RUST {
        return Err(Rejection::TooOld(facts.rust));
    }
    if facts.llvm > LINKER_LLVM {
        return Err(Rejection::LlvmTooNew(facts.llvm));
    }
    match (facts.has_core, facts.has_source) {
        (true, _) => Ok(Core::Prebuilt),
        (false, true) => Ok(Core::Source),
        (false, false) => Err(Rejection::NoCore),
    }
}

/// The `rustc`s that may be able to build for BPF, preferred ones first.
///
/// Distribution compilers come before rustup's, because a built `core` needs no download and less time.
fn candidates() -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/usr/bin/rustc")];
    let path = env::var_os("PATH").unwrap_or_default();
    found.extend(env::split_paths(&path).map(|dir| dir.join("rustc")));
    let rustup = env::var_os("RUSTUP_HOME").map(PathBuf::from).or_else(|| Some(home()?.join(".rustup")));
    if let Some(toolchains) = rustup.and_then(|dir| fs::read_dir(dir.join("toolchains")).ok()) {
        let mut nightly: Vec<_> = toolchains
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|dir| dir.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"nightly")))
            .map(|dir| dir.join("bin/rustc"))
            .collect();
        nightly.sort();
        // `nightly-x86_64…` sorts after the dated `nightly-2026-…` and is the one usually kept up to date.
        found.extend(nightly.into_iter().rev());
    }
    // `/bin` is often the same as `/usr/bin`: asking one compiler twice costs time and repeats its line in the error.
    let mut seen = Vec::new();
    found.retain(|rustc| match fs::canonicalize(rustc) {
        Ok(real) if !seen.contains(&real) => {
            seen.push(real);
            true
        }
        _ => false,
    });
    found
}

/// Finds the compiler: the one that `BPF_RUSTC` names, or the first that can build for BPF.
pub(crate) fn find_compiler() -> Result<Compiler, Error> {
    if let Some(rustc) = env::var_os("BPF_RUSTC").map(PathBuf::from) {
        return examine(&rustc).map_err(|why| Error::BadOverride("BPF_RUSTC", rustc, why.to_string()));
    }
    let mut tried = Vec::new();
    for rustc in candidates() {
        match examine(&rustc) {
            Ok(compiler) => return Ok(compiler),
            Err(why) => tried.push((rustc, why)),
        }
    }
    Err(Error::NoCompiler(tried))
}

/// Asks one `rustc` what it is.
fn examine(rustc: &Path) -> Result<Compiler, Rejection> {
    let ask = |args: &[&str]| -> Result<String, Rejection> {
        let output = clean(&mut Command::new(rustc))
            .args(args)
            .output()
            .map_err(|error| Rejection::NotRunnable(error.to_string()))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(Rejection::NotRunnable(stderr.lines().next().unwrap_or("no output").to_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?.trim_end());
    let (rust, llvm) = parse_verbose_version(&ask(&["-vV"])?)
        .ok_or_else(|| Rejection::NotRunnable("its version is not understood".to_owned()))?;
    let facts = Facts {
        rust,
        llvm,
        has_core: has_core(&sysroot, &bpf_target()),
        has_source: sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml").is_file(),
    };
    let core = assess(&facts)?;
    // A rustup proxy depends on the directory and the environment; the compiler behind it does not.
    let behind = sysroot.join("bin/rustc");
    let rustc = if behind.is_file() { behind } else { rustc.to_owned() };
    Ok(Compiler { rustc, core, rust, sysroot })
}

/// The versions of Rust and of LLVM in the output of `rustc -vV`.
fn parse_verbose_version(text: &str) -> Option<((u32, u32), u32)> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let mut release = field("release")?.split('.');
    let rust = (release.next()?.parse().ok()?, release.next()?.parse().ok()?);
    let llvm = field("LLVM version")?.split('.').next()?.parse().ok()?;
    Some((rust, llvm))
}

fn has_core(sysroot: &Path, target: &str) -> bool {
    let Ok(entries) = fs::read_dir(sysroot.join("lib/rustlib").join(target).join("lib")) else { return false };
    entries.filter_map(Result::ok).any(|entry| {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        name.starts_with(b"libcore-") && name.ends_with(b".rlib")
    })
}

/// What to do with the eBPF crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Build the object.
    Build,
    /// Compile it with warnings denied, under clippy if the compiler's own clippy is installed.
    Lint,
}

/// One build of the eBPF crate.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    /// The workspace's root.
    pub(crate) workspace: &'a Path,
    /// The nested cargo's target directory. Not the outer cargo's, which is locked.
    pub(crate) target_dir: &'a Path,
    /// The architecture of the kernel that runs the object, as Rust names it.
    pub(crate) arch: &'a str,
}

impl Job<'_> {
    /// Runs cargo and returns the path of the object.
    pub(crate) fn run(&self, toolchain: &Toolchain, action: Action) -> Result<PathBuf, Error> {
        if !ARCHITECTURES.contains(&self.arch) {
            return Err(Error::Architecture(self.arch.to_owned()));
        }
        let target = bpf_target();
        let mut cargo = Command::new(toolchain.compiler.cargo());
        clean(&mut cargo)
            .current_dir(self.workspace)
            .env("RUSTC", &toolchain.compiler.rustc)
            // The target is tier 3 and the linker's options are unstable; Debian's compiler is not a nightly.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", self.rustflags(&toolchain.linker, action))
            // Otherwise bpf-linker reads and optimises all of `core` for every object, which takes five times as long
            // as rustc's LTO. The programs are the same.
            .env("CARGO_PROFILE_RELEASE_LTO", "fat")
            .arg(if action == Action::Lint { "check" } else { "build" })
            .args(["--locked", "--release", "--package", EBPF_PACKAGE, "--bin", EBPF_BIN, "--features", "bpf"])
            .args(["--target", &target])
            .arg("--target-dir")
            .arg(self.target_dir);
        if toolchain.compiler.core == Core::Source {
            cargo.args(["-Z", "build-std=core"]);
        }
        if action == Action::Lint
            && let Some(driver) = toolchain.compiler.clippy_driver()
        {
            // As `cargo clippy` does, which would find another toolchain's clippy.
            cargo.env("RUSTC_WORKSPACE_WRAPPER", driver);
        }
        let program = cargo.get_program().to_string_lossy().into_owned();
        let status = cargo.status().map_err(|error| Error::Build(format!("{program}: {error}")))?;
        if !status.success() {
            return Err(Error::Build(format!("{program} ended with {status}")));
        }
        Ok(self.target_dir.join(target).join("release").join(EBPF_BIN))
    }

    /// The compiler's flags, encoded for `CARGO_ENCODED_RUSTFLAGS`, so that paths may have spaces.
    fn rustflags(&self, linker: &Path, action: Action) -> OsString {
        let mut flags = OsString::new();
        let mut push = |prefix: &str, value: &OsStr| {
            if !flags.is_empty() {
                flags.push("\x1f");
            }
            flags.push(prefix);
            flags.push(value);
        };
        push("-Clinker=", linker.as_os_str());
        // BTF is made from the debug information. The loader needs it for maps, and the verifier's log for source
        // lines.
        push("-Cdebuginfo=2", OsStr::new(""));
        push("-Clink-arg=--btf", OsStr::new(""));
        push("-Clink-arg=--disable-memory-builtins", OsStr::new(""));
        push("--cfg=bpf_target_arch=", OsStr::new(&format!("\"{}\"", self.arch)));
        // The same sources give the same object in any directory and with any registry mirror.
        let mut remap = |from: &Path, to: &str| {
            let mut map = from.as_os_str().to_owned();
            map.push("=");
            map.push(to);
            push("--remap-path-prefix=", &map);
        };
        remap(self.workspace, ".");
        for folder in registries() {
            remap(&folder, "registry");
        }
        if action == Action::Lint {
            push("-Dwarnings", OsStr::new(""));
        }
        flags
    }
}

/// The BPF target with the byte order of the machine that the object is for; all of ours are little-endian.
fn bpf_target() -> String {
    let endian = env::var("CARGO_CFG_TARGET_ENDIAN");
    let big = endian.map_or(cfg!(target_endian = "big"), |endian| endian == "big");
    format!("bpf{}-unknown-none", if big { "eb" } else { "el" })
}

/// The files and folders whose change requires a new object.
pub(crate) fn inputs(workspace: &Path) -> Vec<PathBuf> {
    [
        "Cargo.toml",
        "Cargo.lock",
        "zombie-trace-ebpf/Cargo.toml",
        "zombie-trace-ebpf/src",
        "zombie-trace/build",
        "zombie-trace/src/abi",
    ]
    .map(|path| workspace.join(path))
    .into()
}

/// Writes an object without the debug information that only compilers read. The BTF stays, and with it the source lines
/// in the verifier's log.
pub(crate) fn strip(llvm_strip: &Path, from: &Path, to: &Path) -> Result<(), Error> {
    let mut command = Command::new(llvm_strip);
    let status = command.arg("--strip-debug").arg("-o").args([to, from]).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::Build(format!("{} ended with {status}", llvm_strip.display()))),
        Err(error) => Err(Error::Io(llvm_strip.to_owned(), error)),
    }
}

/// The file name of a prebuilt object.
pub(crate) fn prebuilt_name(arch: &str) -> String {
    format!("{arch}.bpf.o")
}

/// The target directory of a build script's `OUT_DIR`, which cargo marks with a `CACHEDIR.TAG`.
pub(crate) fn outer_target_dir(out_dir: &Path) -> &Path {
    out_dir.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file()).unwrap_or(out_dir)
}

#[cfg(test)]
#[path = "bpf/tests.rs"]
mod tests;
