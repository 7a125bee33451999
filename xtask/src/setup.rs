//! `cargo xtask setup`: installs what a fresh machine lacks.
//!
//! First it checks everything, in a fraction of a second, then installs all that is missing at once. The other commands
//! call [`ensure`] with what they need; it is silent if nothing has to be done.

mod install;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{
    bpf,
    packages::{self, Need, Package},
    python, system,
};
use install::install;

const TRACEFS: &str = "/sys/kernel/tracing";

/// Install what the build, the tests and the lints need
///
/// Brings what a fresh machine lacks and does nothing where all is there: a Rust compiler with BPF as a target,
/// bpf-linker, tracefs, and the small programs that the tests trace. Installs with apt-get, by sudo if not root.
/// Elsewhere it lists what is missing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask setup             install what is missing
  cargo xtask setup --check     say what is missing, change nothing, fail if there is something

Environment:
  BPF_RUSTC     the Rust compiler to build the eBPF programs with
  BPF_LINKER    the bpf-linker to use, of whatever version
  LLVM_PREFIX   where LLVM 22 lies, to build bpf-linker with")]
pub(crate) struct Options {
    /// Only say what is missing, and fail if there is something
    #[arg(long)]
    check: bool,
}

/// What a command needs besides the BPF toolchain, which all need.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wants {
    /// tracefs, to attach the programs.
    pub(crate) tracefs: bool,
    /// The programs that the tests use.
    pub(crate) tests: bool,
    /// Further programs that are graded as PID 1.
    pub(crate) grading: bool,
    /// Tools that boot other kernels, and build for those of another architecture.
    pub(crate) vms: bool,
    /// Tools that build for another architecture.
    pub(crate) cross: bool,
    /// Tools that make what is shipped.
    pub(crate) dist: bool,
    /// The clippy of the BPF compiler.
    pub(crate) clippy: bool,
}

impl Wants {
    /// What a developer needs; what is graded as PID 1 is hundreds of packages for one command, which fetches them.
    const ORDINARY: Self =
        Self { tracefs: true, tests: true, grading: false, vms: true, cross: true, dist: true, clippy: true };
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    let plan = Plan::make(Wants::ORDINARY, true)?;
    if options.check {
        if plan.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        for line in plan.lines() {
            println!("missing  {line}");
        }
        println!("install it with: cargo xtask setup");
        return Ok(ExitCode::FAILURE);
    }
    plan.carry_out()?;
    Ok(ExitCode::SUCCESS)
}

/// Sets up what a command needs; silent if nothing is missing.
pub(crate) fn ensure(wants: Wants) -> Result<()> {
    Plan::make(wants, false)?.carry_out()
}

/// A package to install and what for.
type Wanted = (&'static str, &'static str);

/// What has to be done.
#[derive(Debug, Default)]
struct Plan {
    packages: Vec<Wanted>,
    /// Why there is no compiler.
    compiler: Option<bpf::Error>,
    /// bpf-linker has to be built.
    linker: bool,
    tracefs: bool,
    /// The Python packages of the tests are missing.
    python: bool,
}

impl Plan {
    /// Checks the machine; `say` prints a line for each thing found.
    fn make(wants: Wants, say: bool) -> Result<Self> {
        let ok = |what: String| {
            if say {
                println!("ok       {what}");
            }
        };
        let mut plan = Self::default();
        let mut needs = Vec::new();
        match bpf::find_compiler() {
            Ok(compiler) => {
                ok(format!(
                    "Rust for BPF: {} ({}.{}, {})",
                    compiler.rustc.display(),
                    compiler.rust.0,
                    compiler.rust.1,
                    if compiler.core == bpf::Core::Prebuilt { "with core for BPF" } else { "core from rust-src" }
                ));
                if wants.clippy {
                    match compiler.clippy_driver() {
                        Some(driver) => ok(format!("clippy for BPF: {}", driver.display())),
                        // Another distribution's compiler has another clippy; without one the lint says so.
                        None if is_debians(&compiler) => plan.packages.push(CLIPPY),
                        None => {}
                    }
                }
            }
            // A user's choice is not repaired by installing something else.
            Err(error @ bpf::Error::BadOverride(..)) => return Err(error.into()),
            Err(error) => {
                plan.packages.extend(packages::COMPILER.iter().map(|name| (*name, "Rust that builds eBPF programs")));
                if wants.clippy {
                    plan.packages.push(CLIPPY);
                }
                plan.compiler = Some(error);
            }
        }
        match bpf::find_linker() {
            Ok(linker) => ok(format!("bpf-linker: {}", linker.display())),
            Err(error @ bpf::Error::BadOverride(..)) => return Err(error.into()),
            Err(_) => {
                plan.linker = true;
                if llvm_prefix().is_none() {
                    needs.push(Need::Linker);
                }
            }
        }
        let wanted = [
            (wants.tests, Need::Tests),
            (wants.grading, Need::Grading),
            (wants.vms, Need::Vms),
            (wants.vms || wants.cross, Need::Cross),
            (wants.dist, Need::Dist),
        ];
        needs.extend(wanted.into_iter().filter_map(|(is_wanted, need)| is_wanted.then_some(need)));
        let missing = packages::missing(packages::PACKAGES, &needs, packages::is_there);
        let there =
            |package: &&Package| needs.contains(&package.need) && missing.iter().all(|m| m.name != package.name);
        for package in packages::PACKAGES.iter().filter(there) {
            ok(format!("{}: {}", package.name, package.purpose));
        }
        if wants.tests {
            plan.python = !python::is_there();
            if !plan.python {
                ok("Python packages: what the tests read tables and traces with".to_owned());
            }
        }
        plan.packages.extend(missing.iter().map(|package| (package.name, package.purpose)));

        if wants.tracefs {
            let mounts = fs::read_to_string("/proc/self/mounts").context("/proc/self/mounts")?;
            if is_mounted(&mounts, "tracefs", TRACEFS) {
                ok(format!("tracefs: {TRACEFS}"));
            } else {
                plan.tracefs = true;
            }
        }
        Ok(plan)
    }

    fn is_empty(&self) -> bool {
        self.packages.is_empty() && !self.linker && !self.tracefs && !self.python
    }

    /// What has to be done, one line per step.
    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.packages.iter().map(|(name, purpose)| format!("{name}: {purpose}")).collect();
        if self.linker {
            lines.push(format!("bpf-linker {}: links the eBPF programs", bpf::LINKER_VERSION));
        }
        if self.python {
            lines.push("Python packages: what the tests read tables and traces with".to_owned());
        }
        if self.tracefs {
            lines.push(format!("tracefs: has to be mounted at {TRACEFS}"));
        }
        lines
    }

    fn carry_out(&self) -> Result<()> {
        if !self.packages.is_empty() {
            if system::find_program("apt-get").is_none() {
                bail!("{}", self.without_apt());
            }
            for (name, purpose) in &self.packages {
                println!("install  {name}: {purpose}");
            }
            install(&self.names())?;
            let still: Vec<_> = packages::PACKAGES
                .iter()
                .filter(|package| self.names().contains(&package.name) && !packages::is_there(package))
                .map(|package| package.name)
                .collect();
            if !still.is_empty() {
                bail!("apt-get installed {}, but its content is not where it is expected", still.join(", "));
            }
        }
        if self.compiler.is_some() {
            // The archive may have an older compiler than the one known to work.
            bpf::find_compiler().context("the compiler that was installed is of no use")?;
        }
        if self.linker {
            build_linker()?;
        }
        if self.tracefs {
            mount_tracefs()?;
        }
        if self.python
            && let Err(error) = python::install()
        {
            // The registry may be unreachable although all else works.
            eprintln!("warning: {error:#}; the tests that need Python packages will be skipped, or in the CI fail");
        }
        Ok(())
    }

    fn names(&self) -> Vec<&'static str> {
        self.packages.iter().map(|(name, _)| *name).collect()
    }

    /// The message for a machine without apt.
    fn without_apt(&self) -> String {
        let mut text = "this is missing, and there is no apt-get to install it with:".to_owned();
        for line in self.lines() {
            text += &format!("\n  {line}");
        }
        text += &format!("\non Debian as root: {}", packages::install_command(&self.names()));
        if let Some(error) = &self.compiler {
            text += "\nelsewhere, Rust for BPF: rustup toolchain install nightly --component rust-src";
            // Without its last line, which refers to this command.
            text += &format!("\nwhat is there: {}", error.to_string().replace(bpf::SETUP_HINT, "").trim_end());
        }
        if self.linker && llvm_prefix().is_none() {
            text += &format!(
                "\nelsewhere, bpf-linker: install LLVM {}, then LLVM_PREFIX=DIR cargo xtask setup",
                bpf::LINKER_LLVM
            );
        }
        text
    }
}

const CLIPPY: Wanted = (packages::CLIPPY, "clippy for the eBPF programs");

/// Whether it is Debian's compiler, judged by its path.
fn is_debians(compiler: &bpf::Compiler) -> bool {
    compiler.rustc == Path::new("/usr/bin/rustc") && Path::new("/var/lib/dpkg/status").exists()
}

/// The folder of an LLVM of the linker's version, with headers.
fn llvm_prefix() -> Option<PathBuf> {
    if let Some(prefix) = env::var_os("LLVM_PREFIX").map(PathBuf::from) {
        return Some(prefix);
    }
    let version = bpf::LINKER_LLVM.to_string();
    let debian = PathBuf::from(format!("/usr/lib/llvm-{version}/bin/llvm-config"));
    let named = system::find_program(&format!("llvm-config-{version}"));
    let config = [Some(debian), named, system::find_program("llvm-config")];
    config.into_iter().flatten().find_map(|config| {
        let ask = |what| String::from_utf8(Command::new(&config).arg(what).output().ok()?.stdout).ok();
        let major = ask("--version")?.split('.').next()?.to_owned();
        let include = ask("--includedir")?;
        let usable = major == version && Path::new(include.trim_end()).join("llvm-c/Core.h").is_file();
        // Debian packages Polly separately, although llvm-config names it.
        let polly = packages::missing(packages::PACKAGES, &[Need::Linker], packages::is_there).is_empty();
        let is_debian = Path::new("/var/lib/dpkg/status").exists();
        (usable && (polly || !is_debian)).then(|| ask("--prefix").map(|prefix| prefix.trim_end().into()))?
    })
}

fn build_linker() -> Result<()> {
    let version = bpf::LINKER_VERSION;
    let root = bpf::linker::linker_root().context("no place for bpf-linker: neither XDG_CACHE_HOME nor HOME is set")?;
    let prefix = llvm_prefix().with_context(|| format!("no LLVM {} with headers was found", bpf::LINKER_LLVM))?;
    println!("build    bpf-linker {version} with {}, into {} (takes a minute)", prefix.display(), root.display());
    let feature = format!("llvm-{}", bpf::LINKER_LLVM);
    let mut cargo = system::plain_cargo();
    cargo
        .args(["install", "bpf-linker", "--version", version, "--locked", "--quiet"])
        // Replaces a linker that does not run without its LLVM.
        .arg("--force")
        .args(["--no-default-features", "--features", &feature, "--root"])
        .arg(&root)
        .env("LLVM_PREFIX", prefix);
    system::run(&mut cargo).context("bpf-linker could not be built")?;
    bpf::find_linker().context("the bpf-linker that was built is of no use")?;
    Ok(())
}

/// Looks for a file system in the text of `/proc/self/mounts`.
fn is_mounted(mounts: &str, kind: &str, place: &str) -> bool {
    mounts.lines().any(|line| {
        let mut fields = line.split(' ').skip(1);
        fields.next() == Some(place) && fields.next() == Some(kind)
    })
}

fn mount_tracefs() -> Result<()> {
    println!("mount    tracefs at {TRACEFS}");
    if !Path::new(TRACEFS).is_dir() {
        bail!("this kernel has no {TRACEFS}: it was built without tracing, or /sys is not mounted");
    }
    let mut mount = system::as_root("mount")?;
    system::run(mount.args(["-t", "tracefs", "tracefs", TRACEFS])).context("tracefs could not be mounted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracefs_is_seen_only_where_it_belongs() {
        let mounts = "proc /proc proc rw 0 0\ntracefs /sys/kernel/tracing tracefs rw,relatime 0 0\n";
        assert!(is_mounted(mounts, "tracefs", TRACEFS));
        assert!(!is_mounted("tracefs /sys/kernel/debug/tracing tracefs rw 0 0\n", "tracefs", TRACEFS));
        assert!(!is_mounted("tmpfs /sys/kernel/tracing tmpfs rw 0 0\n", "tracefs", TRACEFS));
        assert!(!is_mounted("", "tracefs", TRACEFS));
    }

    #[test]
    fn without_apt_the_message_says_what_is_missing_and_what_to_type() {
        let plan = Plan {
            packages: vec![("rustc-web", "Rust that builds eBPF programs"), ("tini", "an init")],
            compiler: Some(bpf::Error::NoCompiler(Vec::new())),
            linker: true,
            tracefs: false,
            python: false,
        };
        let text = plan.without_apt();
        for part in [
            "\n  tini: an init",
            "\n  bpf-linker 0.13.0",
            "apt-get install -y --no-install-recommends rustc-web tini",
            "rustup toolchain install nightly --component rust-src",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert!(!text.contains("tracefs"), "{text}");
        assert!(!text.contains("run `cargo xtask setup`"), "{text}");
    }

    #[test]
    fn a_plan_without_work_is_empty() {
        assert!(Plan::default().is_empty());
        assert!(Plan::default().lines().is_empty());
        assert!(!Plan { tracefs: true, ..Plan::default() }.is_empty());
    }
}
