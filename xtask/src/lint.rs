//! `cargo xtask lint`: formatting, clippy on the host's code and on the eBPF programs, and the repository's hygiene.

use std::{
    env, fmt, fs,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{
    bpf::{self, Action, Job, Toolchain},
    grade_inits,
    setup::{self, Wants},
    system, vendor,
};

/// Check formatting, lints and the repository's hygiene
///
/// Runs every check, then fails if one did. Sets up what is missing first.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask lint
  cargo fmt && cargo clippy --fix --allow-dirty     mend most of what it finds")]
pub(crate) struct Options {}

type Check = fn() -> Result<()>;

pub(crate) fn main(_options: &Options) -> Result<ExitCode> {
    setup::ensure(Wants { clippy: true, ..Wants::default() })?;
    let checks = [
        ("formatting", formatting as Check),
        ("clippy", clippy),
        ("eBPF programs", ebpf_programs),
        ("repository", repository),
        ("vendored files", vendored_files),
        ("table of inits", grade_inits::check),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        match check() {
            Ok(()) => println!("ok       {name}"),
            Err(error) => {
                println!("FAILED   {name}: {error:#}");
                failed.push(name);
            }
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

fn formatting() -> Result<()> {
    system::run(system::cargo().args(["fmt", "--all", "--check"]))
        .context("mend it with `cargo fmt`; if cargo has no such command: rustup component add rustfmt")
}

fn clippy() -> Result<()> {
    system::run(system::cargo().args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
        .context("if cargo has no such command: rustup component add clippy")
}

fn ebpf_programs() -> Result<()> {
    let toolchain = Toolchain::find()?;
    if toolchain.compiler.clippy_driver().is_none() {
        println!("note     {} has no clippy: its warnings alone are checked", toolchain.compiler.rustc.display());
    }
    let this = env::current_exe().context("the path of xtask")?;
    // Separate from the build's folder, because different flags would cause rebuilds.
    let target_dir = bpf::outer_target_dir(this.parent().context("xtask lies in a folder")?).join("bpf-lint");
    let job = Job { workspace: system::workspace(), target_dir: &target_dir, arch: env::consts::ARCH };
    job.run(&toolchain, Action::Lint)?;
    Ok(())
}

fn vendored_files() -> Result<()> {
    if !vendor::can_check() {
        println!("note     no npm: the vendored files are not compared with their package");
        return Ok(());
    }
    vendor::check()
}

fn repository() -> Result<()> {
    let mut git = Command::new("git");
    // New files count before they are added, when a mistake is cheapest.
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(system::workspace());
    let output = git.output().context("git could not be started")?;
    if !output.status.success() {
        bail!("`{}`: {}", system::display(&git), String::from_utf8_lossy(&output.stderr).trim_end());
    }
    let mut findings = Vec::new();
    for path in output.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
        let path = String::from_utf8_lossy(path);
        let file = system::workspace().join(&*path);
        match fs::symlink_metadata(&file) {
            Ok(data) if data.is_file() => {}
            // Deleted and not yet committed, or a link.
            _ => continue,
        }
        let content = fs::read(&file).with_context(|| file.display().to_string())?;
        inspect(&path, &content, &mut findings);
    }
    if findings.is_empty() {
        return Ok(());
    }
    for finding in &findings {
        println!("{finding}");
    }
    bail!("{} findings in the tracked files", findings.len());
}

/// Something that does not belong in the repository.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// 0 for the whole file.
    line: usize,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// Folders of a developer's machine, in two parts each, so that this file passes its own check.
const MACHINE_FOLDERS: &[&str] = &[concat!("/", "root/"), concat!("/", "work/")];
/// The one registry that a lock file may name; a mirror's name would tie the project to the machine that has it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// Folders allowed at the top besides tool configuration and dotfiles.
const TOP_FOLDERS: &[&str] = &["tests", "xtask", "zombie-trace", "zombie-trace-ebpf"];
const TOP_FILES: &[&str] = &["CHANGELOG.md", "Cargo.lock", "README.md"];

fn inspect(path: &str, content: &[u8], findings: &mut Vec<Finding>) {
    let mut report = |line, what| findings.push(Finding { path: path.to_owned(), line, what });
    if !belongs_at_the_top(path) {
        report(0, "does not belong at the top of the repository".to_owned());
    }
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let line = String::from_utf8_lossy(line);
        for folder in MACHINE_FOLDERS.iter().filter(|folder| names_folder(&line, folder)) {
            report(index + 1, format!("a path of one machine ({folder}…)"));
        }
        if ["<<<<<<< ", ">>>>>>> "].iter().any(|marker| line.starts_with(marker)) {
            report(index + 1, "a merge conflict".to_owned());
        }
        if path == "Cargo.lock" && line.starts_with("source = ") && !line.contains(REGISTRY) {
            report(index + 1, format!("not from the public registry: {line}"));
        }
    }
}

/// Whether a line has the folder at the beginning of a path, not in the middle of a longer one, such as a process's
/// root in `/proc`.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || "_-.~/}>)*$".contains(c)))
    })
}

fn belongs_at_the_top(path: &str) -> bool {
    match path.split_once('/') {
        Some((folder, _)) => folder.starts_with('.') || TOP_FOLDERS.contains(&folder),
        None => {
            path.starts_with('.')
                || path.starts_with("LICENSE")
                || Path::new(path).extension().is_some_and(|extension| extension == "toml")
                || TOP_FILES.contains(&path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(path: &str, content: &str) -> Vec<String> {
        let mut findings = Vec::new();
        inspect(path, content.as_bytes(), &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn paths_of_one_machine_are_found_with_their_line() {
        let folder = MACHINE_FOLDERS[0];
        assert_eq!(
            what("xtask/a.rs", &format!("first\nlet x = \"{folder}x\";\n")),
            [format!("xtask/a.rs:2: a path of one machine ({folder}…)")]
        );
        for line in [format!("{folder}x"), format!("PATH={folder}bin"), format!("a:{folder}b"), format!("({folder})")] {
            assert_eq!(what("README.md", &line).len(), 1, "{line}");
        }
    }

    #[test]
    fn the_same_name_inside_a_longer_path_is_none() {
        for folder in MACHINE_FOLDERS {
            for before in ["/proc/1", "/proc/{pid}", "$DIR", "https://example.org", ".", "<rootfs>"] {
                assert!(what("README.md", &format!("{before}{folder}x")).is_empty(), "{before}{folder}x");
            }
        }
    }

    #[test]
    fn the_top_holds_what_the_layout_says() {
        for path in [
            "Cargo.toml",
            "Cargo.lock",
            "clippy.toml",
            "README.md",
            "CHANGELOG.md",
            "LICENSE-MIT",
            ".gitignore",
            ".ci/run",
            "tests/src/lib.rs",
            "zombie-trace/docs/manual.md",
        ] {
            assert!(what(path, "").is_empty(), "{path}");
        }
        for path in ["notes.txt", "docs/manual.md", "NOTES.md", "zombie-trace-extra/x.rs"] {
            assert_eq!(what(path, "").len(), 1, "{path}");
        }
    }

    #[test]
    fn a_lock_file_names_only_the_public_registry() {
        assert!(what("Cargo.lock", &format!("source = \"{REGISTRY}\"\n")).is_empty());
        assert_eq!(what("Cargo.lock", "source = \"sparse+https://mirror.example/\"\n").len(), 1);
        assert!(what("README.md", "source = \"sparse+https://mirror.example/\"\n").is_empty());
    }

    #[test]
    fn a_merge_conflict_is_found() {
        assert_eq!(what("README.md", &format!("{} HEAD\n", "<".repeat(7))).len(), 1);
    }

    #[test]
    fn bytes_that_are_no_text_are_no_problem() {
        let mut findings = Vec::new();
        inspect("tests/fixture.bin", &[0xff, 0xfe, b'\n', 0x80], &mut findings);
        assert!(findings.is_empty());
    }
}
