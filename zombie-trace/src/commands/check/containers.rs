//! Whether containers are followed with a command.

use std::fs;

use crate::{commands::run, container::Selector, programs::is_container_keeper, report::Chosen};

/// Which containers are followed with the command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Containers {
    /// Those that the command starts or acts on, if there is a container or a runtime on this machine.
    #[default]
    Own,
    /// All that begin while the command runs.
    New,
    /// All of the machine.
    All,
    /// None but what descends from the command.
    None,
    /// These.
    Named(Vec<Selector>),
}

impl Containers {
    /// What to trace for them: the command's descendants alone are all there can be where nothing else begins or keeps
    /// containers.
    pub(super) fn to_trace(&self) -> run::Containers {
        let chosen = match self {
            Self::Own if are_there_any() => Chosen::Own,
            Self::Own | Self::None => return run::Containers::Descendants,
            Self::New => Chosen::New,
            Self::All => Chosen::All,
            Self::Named(selectors) => Chosen::Named(selectors.clone()),
        };
        run::Containers::Also(chosen)
    }
}

/// Whether something on this machine keeps containers, or a process is in a pid namespace of its own.
fn are_there_any() -> bool {
    let Ok(entries) = fs::read_dir("/proc") else { return true };
    let names = entries.flatten().map(|entry| entry.file_name());
    let pids = names.filter(|name| name.to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit())));
    // Neither takes a lock that a process could hold.
    pids.into_iter().any(|pid| {
        let status = fs::read(std::path::Path::new("/proc").join(pid).join("status")).unwrap_or_default();
        let status = String::from_utf8_lossy(&status);
        let field = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        field("Name:").is_some_and(is_container_keeper)
            || field("NSpid:").is_some_and(|pids| pids.split_whitespace().nth(1).is_some())
    })
}
