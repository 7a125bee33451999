//! Shared by the commands: the workspace's place, running programs, becoming root.

use std::{
    env,
    ffi::OsStr,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::bpf;

/// The workspace's root.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// Where cargo builds the workspace.
pub(crate) fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), |dir| workspace().join(dir))
}

/// A cargo of the workspace: the one that runs xtask, without its settings for xtask itself.
pub(crate) fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(workspace());
    // The user's settings for the whole build (RUSTFLAGS, CARGO_TARGET_DIR) stay; variables that describe xtask would
    // make every build that watches them start over.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}

/// A cargo for tools outside the workspace, without any settings of the build.
pub(crate) fn plain_cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    bpf::clean(&mut command);
    command
}

/// Runs a program and waits for it.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("{} could not be started", command.get_program().to_string_lossy()))
}

/// Runs a program that has to succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` failed: {status}", display(command));
    }
    Ok(())
}

/// What a program prints that has to succeed; shown only if it does not.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("`{}` could not be started", display(command)))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}: {}\n{}", display(command), output.status, errors.trim(), text.trim());
    }
    Ok(text)
}

/// The exit code of a program, passed on; 128 plus the signal's number, as in a shell.
pub(crate) fn pass_on(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// A command as a user would type it.
pub(crate) fn display(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// How a command gets root's rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// It has them already.
    Already,
    /// By `sudo`.
    Sudo,
    /// Not at all.
    Impossible,
}

/// How to get root's rights here.
pub(crate) fn root() -> Root {
    decide_root(effective_uid(), find_program("sudo").is_some())
}

fn decide_root(uid: Option<u32>, sudo: bool) -> Root {
    match (uid, sudo) {
        (Some(0), _) => Root::Already,
        (_, true) => Root::Sudo,
        (_, false) => Root::Impossible,
    }
}

/// The effective user id, from `/proc`, which saves a dependency.
fn effective_uid() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    ids.split_whitespace().nth(1)?.parse().ok()
}

pub(crate) fn as_root(program: impl AsRef<OsStr>) -> Result<Command> {
    match root() {
        Root::Already => Ok(Command::new(program)),
        Root::Sudo => {
            let mut command = Command::new("sudo");
            command.arg(program);
            Ok(command)
        }
        Root::Impossible => {
            bail!("{} needs root, and there is no sudo: run this as root", program.as_ref().to_string_lossy())
        }
    }
}

/// Makes `cargo run` or `cargo test` start programs as root, while cargo itself and its output stay the caller's.
pub(crate) fn run_as_root(cargo: &mut Command) -> Result<()> {
    match root() {
        Root::Already => {}
        Root::Sudo => {
            cargo.args(["--config", r#"target."cfg(all())".runner = ["sudo", "-E"]"#]);
        }
        Root::Impossible => bail!("zombie-trace needs root, and there is no sudo: run this as root"),
    }
    Ok(())
}

pub(crate) fn python_has(module: &str) -> bool {
    let mut python = Command::new("python3");
    python.args(["-c", &format!("import {module}")]).stdin(Stdio::null()).stderr(Stdio::null());
    python.status().is_ok_and(|status| status.success())
}

/// Finds a program on the user's path or on root's.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// Whether a program runs without any library: its ELF header has no interpreter.
pub(crate) fn is_static(program: &Path) -> bool {
    // The program headers follow the ELF header in every linker's output.
    start_of(program).is_some_and(|start| asks_for_interpreter(&start) == Some(false))
}

/// The `e_machine` of a 64-bit ELF file: the architecture that it is for.
pub(crate) fn elf_machine(file: &Path) -> Option<u16> {
    half_of_elf(&start_of(file)?, 18)
}

fn start_of(file: &Path) -> Option<Vec<u8>> {
    let mut start = Vec::new();
    File::open(file).ok()?.take(4096).read_to_end(&mut start).ok()?;
    Some(start)
}

/// A field of two bytes in a 64-bit ELF file.
fn half_of_elf(elf: &[u8], at: usize) -> Option<u16> {
    if elf.get(..5)? != b"\x7fELF\x02" {
        return None;
    }
    Some(u16::from_le_bytes(elf.get(at..at + 2)?.try_into().ok()?))
}

fn asks_for_interpreter(elf: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    let half = |at: usize| half_of_elf(elf, at).map(usize::from);
    let (size, count) = (half(54)?, half(56)?);
    let start = usize::try_from(u64::from_le_bytes(elf.get(32..40)?.try_into().ok()?)).ok()?;
    for index in 0..count {
        let at = start.checked_add(index * size)?;
        let kind = u32::from_le_bytes(elf.get(at..at.checked_add(4)?)?.try_into().ok()?);
        if kind == PT_INTERP {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::Architecture;

    #[test]
    fn sudo_is_used_only_where_it_is_needed_and_there() {
        assert_eq!(decide_root(Some(0), true), Root::Already);
        assert_eq!(decide_root(Some(0), false), Root::Already);
        assert_eq!(decide_root(Some(1000), true), Root::Sudo);
        assert_eq!(decide_root(Some(1000), false), Root::Impossible);
        assert_eq!(decide_root(None, false), Root::Impossible);
    }

    #[test]
    fn the_user_id_is_read() {
        assert!(effective_uid().is_some());
    }

    #[test]
    fn a_program_that_is_no_elf_file_is_not_static() {
        assert_eq!(asks_for_interpreter(b""), None);
        assert_eq!(asks_for_interpreter(b"#!/bin/sh\n"), None);
        assert_eq!(asks_for_interpreter(b"\x7fELF\x02"), None);
        assert!(!is_static(Path::new("/nonexistent")));
    }

    #[test]
    fn an_interpreter_in_the_program_headers_is_found() {
        let elf = |kinds: &[u32]| {
            let mut elf = vec![0; 64];
            elf[..5].copy_from_slice(b"\x7fELF\x02");
            elf[32..40].copy_from_slice(&64_u64.to_le_bytes());
            elf[54..56].copy_from_slice(&56_u16.to_le_bytes());
            elf[56..58].copy_from_slice(&u16::try_from(kinds.len()).unwrap().to_le_bytes());
            for kind in kinds {
                let mut entry = [0; 56];
                entry[..4].copy_from_slice(&kind.to_le_bytes());
                elf.extend(entry);
            }
            elf
        };
        assert_eq!(asks_for_interpreter(&elf(&[1, 1])), Some(false));
        assert_eq!(asks_for_interpreter(&elf(&[6, 3, 1])), Some(true));
        assert_eq!(asks_for_interpreter(&elf(&[1, 3])[..100]), None);
    }

    #[test]
    fn a_program_tells_what_it_is_for() {
        let own = Architecture::native().unwrap();
        assert_eq!(elf_machine(&env::current_exe().unwrap()), Some(own.elf));
        assert_eq!(half_of_elf(b"#!/bin/sh, which is no ELF file", 18), None);
        assert_eq!(elf_machine(Path::new("/nonexistent")), None);
    }

    #[test]
    fn commands_are_shown_as_typed() {
        assert_eq!(display(Command::new("apt-get").args(["install", "tini"])), "apt-get install tini");
    }
}
