//! The facts for the diagnosis of one process.

use std::os::fd::OwnedFd;

use crate::{
    event::{BootNs, Gap, GapReason, MAX_THREADS, Part, ProcFacts, Runtime, Task},
    programs::{INIT_PATHS, SHELLS},
};

use super::{
    Depth, ProcReader, cmdline, executable, ns_pids,
    parse::{Stat, Status},
    process::{Closed, Directory},
};

impl ProcReader {
    /// The facts for the diagnosis of a process; `None` if it is gone.
    ///
    /// `start_ns` is its start, exact or rounded down to a clock tick: another process with the same pid does not
    /// match.
    #[must_use]
    pub fn facts(&self, pid: u32, start_ns: BootNs) -> Option<ProcFacts> {
        self.look(pid, start_ns, Depth::Full).map(|(facts, _)| facts)
    }

    /// Like [`Self::facts`], with what was left out.
    #[must_use]
    pub fn look(&self, pid: u32, start_ns: BootNs, depth: Depth) -> Option<(ProcFacts, Vec<Gap>)> {
        let mut gaps = Vec::new();
        let mut buffer = Vec::new();
        let (directory, stat) = self.open(pid, start_ns, &mut buffer)?;
        directory.read("status", &mut buffer).ok()?;
        let status = Status::parse(&buffer);
        let wait_channel = wait_channel(&directory, &mut buffer);
        let pid_ns = directory.namespace("ns/pid").unwrap_or_else(|| self.outermost_pid_ns(&status));
        let frozen_by = directory.read("cgroup", &mut buffer).ok().and_then(|()| self.hierarchies.frozen_by(&buffer));
        let state = char::from(stat.state);
        // If the leader runs or sleeps normally, the process can run; otherwise its threads decide.
        let ran_ns = if state == 'R' { ran_ns(&directory, &mut buffer) } else { None };
        let tasks = if matches!(state, 'R' | 'S' | 'I') { Vec::new() } else { tasks(&directory, &mut buffer) };
        if !tasks.is_empty() && usize::try_from(stat.threads).is_ok_and(|threads| threads > tasks.len()) {
            gaps.push(Gap::only(Part::Threads, tasks.len().try_into().unwrap_or(u32::MAX)));
        }
        let exe = executable(&directory);
        let is_init_of_image = status.ns_pids.len() > 1 && status.ns_pids.last() == Some(&1);
        let runtime = match (runtime_by_name(exe.as_deref()), depth) {
            (None, Depth::Full) => match directory.executable() {
                Ok(file) => has_go_build_info(&file).then_some(Runtime::Go),
                Err(closed) => {
                    let reason = match closed {
                        Closed::Remote => Some(GapReason::Remote),
                        Closed::UnknownFileSystem => Some(GapReason::UnknownFileSystem),
                        Closed::Failed(_) => None,
                    };
                    gaps.extend(reason.map(|reason| Gap { part: Part::Executable, reason }));
                    None
                }
            },
            (by_name, _) => by_name,
        };
        let (cmdline, inits_in_image) = match depth {
            Depth::Brief => (Vec::new(), Vec::new()),
            Depth::Full => (
                cmdline(&directory, &mut buffer),
                if is_init_of_image { self.inits_in_image(&directory) } else { Vec::new() },
            ),
        };
        let facts = ProcFacts {
            state,
            threads: stat.threads,
            parent_pid: stat.parent_pid,
            tracer: status.tracer,
            blocked: status.blocked,
            ignored: status.ignored,
            caught: status.caught,
            pending: status.pending,
            runtime,
            exe,
            cmdline,
            wait_channel,
            pid_ns,
            inits_in_image,
            ns_pids: ns_pids(status.ns_pids, pid),
            switches: status.switches,
            ran_ns,
            frozen_by,
            tasks,
        };
        Some((facts, gaps))
    }

    /// The inits in the root, if that is neither this program's own nor that of the first process of this `/proc`.
    fn inits_in_image(&self, directory: &Directory) -> Vec<String> {
        let root_of = |process: &str| Directory::open(&self.root.join(process)).and_then(|it| it.subdirectory("root"));
        let Ok(root) = directory.subdirectory("root") else { return Vec::new() };
        let Some(place) = root.place() else { return Vec::new() };
        if ["1", "self"].into_iter().any(|other| root_of(other).ok().and_then(|it| it.place()) == Some(place)) {
            return Vec::new();
        }
        INIT_PATHS.iter().filter(|path| root.has_program(path)).map(|path| (*path).to_owned()).collect()
    }
}

/// "0" means not sleeping or not permitted.
pub(super) fn wait_channel(directory: &Directory, buffer: &mut Vec<u8>) -> Option<String> {
    directory.read("wchan", buffer).ok()?;
    let name = String::from_utf8_lossy(buffer);
    let name = name.trim();
    (!name.is_empty() && name != "0").then(|| name.to_owned())
}

/// A kernel without scheduler statistics has no such file, or zeroes.
fn ran_ns(directory: &Directory, buffer: &mut Vec<u8>) -> Option<u64> {
    directory.read("schedstat", buffer).ok()?;
    let text = std::str::from_utf8(buffer).ok()?;
    text.split_ascii_whitespace().next()?.parse().ok().filter(|&ran| ran > 0)
}

fn tasks(directory: &Directory, buffer: &mut Vec<u8>) -> Vec<Task> {
    let ids = directory.numbers("task", MAX_THREADS).unwrap_or_default();
    let read = |tid: u32| {
        let directory = directory.subdirectory(&format!("task/{tid}")).ok()?;
        directory.read("stat", buffer).ok()?;
        let stat = Stat::parse(buffer)?;
        let wait_channel = wait_channel(&directory, buffer);
        let is_dead = stat.state == b'Z' && directory.read("status", buffer).is_ok();
        let tracer = if is_dead { Status::parse(buffer).tracer } else { None };
        let state = char::from(stat.state);
        (!stat.is_gone()).then_some(Task { tid, state, comm: stat.comm, wait_channel, tracer })
    };
    ids.into_iter().filter_map(read).collect()
}

fn runtime_by_name(exe: Option<&str>) -> Option<Runtime> {
    let exe = exe?;
    let name = exe.strip_suffix(" (deleted)").unwrap_or(exe).rsplit('/').next()?;
    // `python3.11`, `node20`: without the version.
    let name = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.' || letter == '-');
    match name {
        "python" | "pypy" => Some(Runtime::Python),
        "node" | "nodejs" => Some(Runtime::Node),
        "java" => Some(Runtime::Java),
        name if SHELLS.contains(&name) => Some(Runtime::Shell),
        _ => None,
    }
}

/// Looks for the section `.go.buildinfo` of a 64-bit little-endian ELF file, in three small reads.
fn has_go_build_info(file: &OwnedFd) -> bool {
    const SECTION_SIZE: usize = 64;
    /// Go's linkers make fewer sections and shorter names.
    const MOST: u64 = 1 << 16;
    let read = |offset: u64, length: u64| -> Option<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        (rustix::io::pread(file, &mut bytes, offset).ok()? == bytes.len()).then_some(bytes)
    };
    let find = || -> Option<bool> {
        let header = read(0, 64)?;
        if header.get(..6)? != b"\x7fELF\x02\x01" {
            return None;
        }
        let sections = number(&header, 40, 8)?;
        let (count, names) = (number(&header, 60, 2)?, number(&header, 62, 2)?);
        let table = read(sections, (count * SECTION_SIZE as u64).min(MOST))?;
        let of_names = table.chunks_exact(SECTION_SIZE).nth(usize::try_from(names).ok()?)?;
        let text = read(number(of_names, 24, 8)?, number(of_names, 32, 8)?.min(MOST))?;
        Some(text.split(|&byte| byte == 0).any(|name| name == b".go.buildinfo"))
    };
    find().unwrap_or(false)
}

fn number(bytes: &[u8], offset: usize, length: usize) -> Option<u64> {
    let mut number = [0; 8];
    number.get_mut(..length)?.copy_from_slice(bytes.get(offset..offset.checked_add(length)?)?);
    Some(u64::from_le_bytes(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(name: &[u8]) -> OwnedFd {
        // The header, one section header, and the section of names that it describes.
        let mut bytes = vec![0; 128];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[40] = 64;
        bytes[60] = 1;
        bytes[64 + 24] = 128;
        bytes[64 + 32] = u8::try_from(name.len()).unwrap();
        bytes.extend_from_slice(name);
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &bytes).unwrap();
        file.into()
    }

    #[test]
    fn a_go_program_is_known_by_its_section() {
        assert!(has_go_build_info(&elf(b"\0.text\0.go.buildinfo\0")));
        assert!(!has_go_build_info(&elf(b"\0.text\0.go.buildinfos\0")));
        assert!(!has_go_build_info(&elf(b"")));
        assert!(!has_go_build_info(&tempfile::tempfile().unwrap().into()));
    }

    #[test]
    fn runtimes_are_known_by_name_whatever_the_version() {
        let of = |exe: &str| runtime_by_name(Some(exe));
        assert_eq!(of("/usr/bin/python3.11"), Some(Runtime::Python));
        assert_eq!(of("/opt/node (deleted)"), Some(Runtime::Node));
        assert_eq!(of("/bin/dash"), Some(Runtime::Shell));
        assert_eq!(of("/usr/bin/mynode"), None);
    }

    #[test]
    fn programs_are_looked_for_within_a_root() {
        let root = tempfile::tempdir().unwrap();
        let bin = root.path().join("usr/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(bin.join("tini"), "").unwrap();
        std::os::unix::fs::symlink("/usr/bin/tini", root.path().join("tini")).unwrap();
        let directory = Directory::open(root.path()).unwrap();
        assert!(!directory.has_program("/tini"), "not executable");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(bin.join("tini"), executable).unwrap();
        assert!(directory.has_program("/tini"), "a link is followed within the root");
        assert!(!directory.has_program("/usr/bin/dumb-init"));
        assert!(!directory.has_program("/usr/bin"));
    }
}
