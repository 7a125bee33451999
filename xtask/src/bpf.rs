//! Finds the BPF toolchain and builds the eBPF object with it.
//!
//! This one file serves two crates: `xtask`, as a module, and `zombie-trace/build.rs`, by `#[path]`. It therefore uses
//! nothing but `std`. It looks and builds; it never installs anything, that is `cargo xtask setup`.
//!
//! Two kinds of Rust can build for BPF, and both are supported: one whose `core` for BPF is already built (Debian
//! ships it), and one that has the sources of `core` (rustup's `rust-src`), which cargo then builds itself. Which one a
//! `rustc` is follows from what lies in its sysroot, so a distribution that is not known here works as well.

use std::{
    env,
    ffi::{OsStr, OsString},
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The version of bpf-linker that the set-up installs.
pub(crate) const LINKER_VERSION: &str = "0.13.0";
/// The LLVM that bpf-linker is built with. It reads the bitcode of any rustc whose LLVM is not newer.
pub(crate) const LINKER_LLVM: u32 = 22;
/// The oldest Rust that the eBPF crate builds with, the workspace's `rust-version`.
const MIN_RUST: (u32, u32) = (1, 88);
/// What every message about a missing tool ends with.
pub(crate) const SETUP_HINT: &str = "run `cargo xtask setup`, which installs what is missing or says how to";

const EBPF_PACKAGE: &str = "zombie-trace-ebpf";
const EBPF_BIN: &str = "zombie-trace";

/// Why the eBPF object cannot be built.
#[derive(Debug)]
pub(crate) enum Error {
    /// None of the compilers found can build for BPF; each with the reason.
    NoCompiler(Vec<(PathBuf, Rejection)>),
    /// The tool that the environment variable names is of no use.
    BadOverride(&'static str, PathBuf, String),
    /// There is no bpf-linker that runs; each place with the reason.
    NoLinker(Vec<(PathBuf, String)>),
    /// There are no eBPF programs for this architecture yet.
    Architecture(String),
    /// The nested cargo failed; its own output says why.
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
                // The set-up does not replace what a person has chosen, so it is no help here.
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
                write!(f, "no eBPF programs for {arch}: supported are x86_64 and aarch64")
            }
            Self::Build(what) => write!(f, "the eBPF programs did not build: {what}"),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(error),
            _ => None,
        }
    }
}

/// Where a compiler's `core` for BPF comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Core {
    /// It lies in the sysroot, built.
    Prebuilt,
    /// Its sources lie in the sysroot: `-Z build-std=core`.
    Source,
}

/// What was learned about one `rustc`.
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
    /// The sources of `core` need the cargo of their own release. A built `core` does not, and there the outer cargo is
    /// the better choice: a distribution's own may be years older than its newest rustc.
    fn cargo(&self) -> PathBuf {
        let own = self.sysroot.join("bin/cargo");
        if self.core == Core::Source && own.is_file() {
            return own;
        }
        env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
    }

    /// The clippy of the very same compiler, if it is installed: another one could not read its `core`.
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

/// The `rustc`s that may be able to build for BPF, the preferred ones first.
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
        // `nightly-x86_64…` sorts after the dated `nightly-2026-…` and is the one that people keep up to date.
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
    // A rustup proxy chooses by the directory and the environment; the compiler behind it is always the same.
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

/// The folder into which the set-up installs bpf-linker; `None` where there is no home directory.
pub(crate) fn linker_root() -> Option<PathBuf> {
    let absolute = |dir: OsString| Some(PathBuf::from(dir)).filter(|dir| dir.is_absolute());
    let cache = env::var_os("XDG_CACHE_HOME").and_then(absolute).or_else(|| Some(home()?.join(".cache")))?;
    Some(cache.join("zombie-trace").join(format!("bpf-linker-{LINKER_VERSION}-llvm-{LINKER_LLVM}")))
}

fn home() -> Option<PathBuf> {
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

/// Runs the linker, because one whose LLVM library was removed is as good as none.
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

/// What is to be done with the eBPF crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Build the object.
    Build,
    /// Compile it with warnings denied, under clippy where the compiler's own clippy is installed.
    Lint,
}

/// One build of the eBPF crate.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    /// The workspace's root.
    pub(crate) workspace: &'a Path,
    /// The nested cargo's target directory. It must not be the outer cargo's, whose lock is taken.
    pub(crate) target_dir: &'a Path,
    /// The architecture of the kernel that runs the object, in Rust's words.
    pub(crate) arch: &'a str,
}

impl Job<'_> {
    /// Runs cargo and returns the path of the object.
    pub(crate) fn run(&self, toolchain: &Toolchain, action: Action) -> Result<PathBuf, Error> {
        if !matches!(self.arch, "x86_64" | "aarch64") {
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
            // Otherwise bpf-linker reads and optimises the whole of `core` for every object, which takes five times as
            // long as rustc's taking from it what is used. The programs come out the same.
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
            // What `cargo clippy` does as well, but that would find the clippy of another toolchain.
            cargo.env("RUSTC_WORKSPACE_WRAPPER", driver);
        }
        let program = cargo.get_program().to_string_lossy().into_owned();
        let status = cargo.status().map_err(|error| Error::Build(format!("{program}: {error}")))?;
        if !status.success() {
            return Err(Error::Build(format!("{program} ended with {status}")));
        }
        Ok(self.target_dir.join(target).join("release").join(EBPF_BIN))
    }

    /// The compiler's flags, separated as `CARGO_ENCODED_RUSTFLAGS` wants it, so that paths may have spaces.
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
        // BTF is made from the debug information. The loader wants it for maps, and the verifier's log for its lines.
        push("-Cdebuginfo=2", OsStr::new(""));
        push("-Clink-arg=--btf", OsStr::new(""));
        push("-Clink-arg=--disable-memory-builtins", OsStr::new(""));
        push("--cfg=bpf_target_arch=", OsStr::new(&format!("\"{}\"", self.arch)));
        // The same sources give the same object in whatever directory they lie.
        push("--remap-path-prefix=", &{
            let mut map = self.workspace.as_os_str().to_owned();
            map.push("=.");
            map
        });
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

/// The files and folders whose change makes a new object.
pub(crate) fn inputs(workspace: &Path) -> Vec<PathBuf> {
    ["Cargo.toml", "Cargo.lock", "zombie-trace-ebpf/Cargo.toml", "zombie-trace-ebpf/src", "xtask/src/bpf.rs"]
        .map(|path| workspace.join(path))
        .into()
}

/// The target directory that a build script's `OUT_DIR` lies in: cargo marks it with a `CACHEDIR.TAG`.
pub(crate) fn outer_target_dir(out_dir: &Path) -> &Path {
    out_dir.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file()).unwrap_or(out_dir)
}

/// Removes from a command's environment what an outer cargo has put there for its own build.
pub(crate) fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(belongs_to_outer_build) {
            command.env_remove(name);
        }
    }
    command
}

/// Tells the settings of the outer build from those of the machine, such as a proxy or a registry mirror.
fn belongs_to_outer_build(name: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: Facts = Facts { rust: (1, 96), llvm: 22, has_core: true, has_source: false };

    #[test]
    fn a_built_core_is_preferred_to_its_sources() {
        assert_eq!(assess(&DEBIAN), Ok(Core::Prebuilt));
        assert_eq!(assess(&Facts { has_source: true, ..DEBIAN }), Ok(Core::Prebuilt));
        assert_eq!(assess(&Facts { has_core: false, has_source: true, ..DEBIAN }), Ok(Core::Source));
    }

    #[test]
    fn a_compiler_that_cannot_build_for_bpf_is_rejected_with_its_reason() {
        assert_eq!(assess(&Facts { has_core: false, ..DEBIAN }), Err(Rejection::NoCore));
        assert_eq!(assess(&Facts { rust: (1, 87), ..DEBIAN }), Err(Rejection::TooOld((1, 87))));
        assert_eq!(assess(&Facts { llvm: 23, ..DEBIAN }), Err(Rejection::LlvmTooNew(23)));
        assert_eq!(assess(&Facts { llvm: 21, ..DEBIAN }), Ok(Core::Prebuilt));
    }

    #[test]
    fn the_minimum_is_the_workspace_s_rust_version() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        let manifest = fs::read_to_string(manifest).unwrap();
        assert!(manifest.contains(&format!("rust-version = \"{}.{}\"", MIN_RUST.0, MIN_RUST.1)));
    }

    #[test]
    fn versions_are_read_from_stable_and_nightly() {
        let nightly = "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\nbinary: rustc\nrelease: 1.97.0-nightly\n\
                       LLVM version: 22.1.4\n";
        assert_eq!(parse_verbose_version(nightly), Some(((1, 97), 22)));
        let debian = "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\nrelease: 1.96.0\n\
                      LLVM version: 22.1.8\n";
        assert_eq!(parse_verbose_version(debian), Some(((1, 96), 22)));
        assert_eq!(parse_verbose_version("hello"), None);
        assert_eq!(parse_verbose_version(""), None);
    }

    #[test]
    fn a_missing_override_is_named() {
        let error = examine(Path::new("/nonexistent/rustc")).unwrap_err();
        let text = Error::BadOverride("BPF_RUSTC", "/nonexistent/rustc".into(), error.to_string()).to_string();
        assert!(text.starts_with("BPF_RUSTC=/nonexistent/rustc cannot be used: it does not run"), "{text}");
    }

    #[test]
    fn messages_say_what_was_tried_and_what_to_do() {
        let text = Error::NoCompiler(vec![("/opt/rustc".into(), Rejection::NoCore)]).to_string();
        assert!(text.contains("/opt/rustc: has no `core`"), "{text}");
        assert!(text.contains("cargo xtask setup"), "{text}");
        let text = Error::NoLinker(vec![("/opt/bpf-linker".into(), "is version 0.9.0".to_owned())]).to_string();
        assert!(text.contains("/opt/bpf-linker: is version 0.9.0"), "{text}");
        assert!(text.contains("cargo xtask setup"), "{text}");
    }

    #[test]
    fn the_outer_build_does_not_leak_into_the_nested_one() {
        for name in [
            "RUSTFLAGS",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "CARGO_TARGET_DIR",
            "CARGO_CFG_TARGET_ARCH",
            "CARGO_PKG_NAME",
            "RUSTUP_TOOLCHAIN",
            "CLIPPY_ARGS",
            "OUT_DIR",
        ] {
            assert!(belongs_to_outer_build(name), "{name}");
        }
        for name in ["PATH", "HOME", "CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_X_INDEX", "HTTPS_PROXY"] {
            assert!(!belongs_to_outer_build(name), "{name}");
        }
    }

    #[test]
    fn flags_are_separated_so_that_paths_may_have_spaces() {
        let job = Job { workspace: Path::new("/a b"), target_dir: Path::new("/t"), arch: "aarch64" };
        let flags = job.rustflags(Path::new("/c d/bpf-linker"), Action::Build).into_string().unwrap();
        let flags: Vec<_> = flags.split('\x1f').collect();
        assert_eq!(flags[0], "-Clinker=/c d/bpf-linker");
        assert!(flags.contains(&"--cfg=bpf_target_arch=\"aarch64\""), "{flags:?}");
        assert!(flags.contains(&"--remap-path-prefix=/a b=."), "{flags:?}");
        assert!(!flags.contains(&"-Dwarnings"), "{flags:?}");
    }

    #[test]
    fn an_architecture_without_programs_is_refused_before_anything_runs() {
        let compiler = Compiler { rustc: "r".into(), core: Core::Prebuilt, rust: (1, 96), sysroot: "/".into() };
        let toolchain = Toolchain { compiler, linker: "l".into() };
        let job = Job { workspace: Path::new("/w"), target_dir: Path::new("/t"), arch: "riscv64" };
        assert!(matches!(job.run(&toolchain, Action::Build), Err(Error::Architecture(arch)) if arch == "riscv64"));
    }

    #[test]
    fn every_input_of_the_object_exists() {
        for path in inputs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")) {
            assert!(path.exists(), "{}", path.display());
        }
    }
}
