//! Where in the working directory the program of a violation lies: code scanning shows nothing without a file.

use std::{
    env,
    ffi::OsString,
    path::{Component, Path, PathBuf},
};

use crate::{output::check::Places, policy::Verdict, report::ProcessRecord};

impl Places {
    /// Looks for the programs of a verdict's processes, and for the command.
    pub(super) fn find(command: &[OsString], verdict: &Verdict) -> Self {
        // Without a working directory nothing is relative to it.
        let Some(directory) = env::current_dir().ok().and_then(|path| path.canonicalize().ok()) else {
            return Self::default();
        };
        let words: Vec<&str> = command.iter().filter_map(|word| word.to_str()).collect();
        let mut places = Self { command: first_file(&directory, words), ..Self::default() };
        let waived = verdict.waived.iter().map(|waived| &waived.violation);
        for process in verdict.violations.iter().chain(waived).filter_map(|it| it.process.as_ref()) {
            if let Some(place) = place_of(&directory, process) {
                places.processes.insert((process.pid, process.start_ns), place);
            }
        }
        places
    }
}

/// The program itself, or the script that an interpreter runs.
fn place_of(directory: &Path, process: &ProcessRecord) -> Option<String> {
    let arguments = process.cmdline.as_deref().unwrap_or_default().split(' ');
    first_file(directory, process.exe.as_deref().into_iter().chain(arguments))
}

/// The first of these words that is the name of a file below the directory, as a path relative to it.
fn first_file<'a>(directory: &Path, words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    words.into_iter().filter(|word| !word.is_empty()).find_map(|word| {
        let path: PathBuf = directory.join(word).canonicalize().ok()?;
        let below = path.strip_prefix(directory).ok()?;
        // Names that are no text cannot be written down.
        let plain = below.components().all(|part| matches!(part, Component::Normal(_)));
        (plain && path.is_file()).then(|| below.to_str().map(ToOwned::to_owned)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::policy::sample::process;

    #[test]
    fn a_program_or_its_script_is_a_place_if_it_lies_in_the_working_directory() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().canonicalize().unwrap();
        fs::create_dir(directory.join("tests")).unwrap();
        for file in ["tests/run.py", "server"] {
            fs::write(directory.join(file), "").unwrap();
        }
        let place = |exe: &str, cmdline: &str| {
            let record = ProcessRecord {
                exe: (!exe.is_empty()).then(|| exe.to_owned()),
                cmdline: Some(cmdline.to_owned()),
                ..process(7, 1, "x")
            };
            place_of(&directory, &record)
        };
        assert_eq!(place("/bin/sh", "python3 -u tests/run.py --all").as_deref(), Some("tests/run.py"));
        assert_eq!(place("/bin/sh", "python3 ./tests/../server").as_deref(), Some("server"));
        assert_eq!(place(&directory.join("server").to_string_lossy(), "x").as_deref(), Some("server"));
        assert_eq!(place("/bin/sh", "sh -c true"), None);
        assert_eq!(place("", "tests"), None, "a folder is no program");
        assert_eq!(place("", "../../etc/passwd /etc/passwd"), None, "outside");
    }
}
