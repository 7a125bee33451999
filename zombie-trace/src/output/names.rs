//! Processes and containers as people call them.

use super::{Palette, style::paint};
use crate::{container::Container, report::ProcessRecord};

/// `python3 (1234, pid 1 in docker 3f2a91c04b7e)`; with its parent, where that is known, as it is for senders of signals:
/// `runc (25099, parent containerd-shim 24688)`.
pub(super) fn name(palette: Palette, process: &ProcessRecord) -> String {
    let container = process.container.as_ref().map(container_name);
    let inner = match (container, process.ns_pid) {
        (Some(container), Some(ns_pid)) if ns_pid != process.pid => Some(format!("pid {ns_pid} in {container}")),
        (Some(container), _) => Some(format!("in {container}")),
        (None, Some(ns_pid)) if ns_pid != process.pid => Some(format!("pid {ns_pid} in its namespace")),
        (None, _) => None,
    };
    with_details(palette, process, inner)
}

/// Minimum number of characters of a command line shown, however narrow the terminal is.
const MIN_COMMAND: usize = 40;

/// A name with the command line beside it, where that tells more: a hundred processes may be `python3`.
pub(super) fn with_command(palette: Palette, process: &ProcessRecord) -> String {
    const INDENT: usize = 4;
    let name = name(palette, process);
    let plain = self::name(Palette::default(), process).chars().count();
    match command(palette, process, INDENT + plain) {
        Some(command) => format!("{name}  {}", paint(palette.dim, command)),
        None => name,
    }
}

/// The command line, cut to fit into a line of which `used` columns are taken; `None` where it tells no more than the name.
pub(super) fn command(palette: Palette, process: &ProcessRecord, used: usize) -> Option<String> {
    let command = process.cmdline.as_ref().or(process.exe.as_ref()).filter(|&command| *command != process.comm)?;
    let room = palette.columns.saturating_sub(used).max(MIN_COMMAND);
    if command.chars().count() <= room {
        return Some(command.clone());
    }
    Some(command.chars().take(room - 1).chain(['…']).collect())
}

/// `PID 1 web (1234)`, `PID 1 web (1234, in docker 3f2a91c04b7e)`: for a process that is PID 1 of its namespace.
pub(super) fn pid_1(palette: Palette, process: &ProcessRecord) -> String {
    let inner = process.container.as_ref().map(|container| format!("in {}", container_name(container)));
    format!("PID 1 {}", with_details(palette, process, inner))
}

/// A sender of a signal, `the kernel` if there is none.
pub(super) fn sender(palette: Palette, sender: Option<&ProcessRecord>) -> String {
    sender.map_or_else(|| "the kernel".to_owned(), |sender| name(palette, sender))
}

fn with_details(palette: Palette, process: &ProcessRecord, inner: Option<String>) -> String {
    let parent = process.parent.as_ref().map(|parent| format!("parent {} {}", parent.comm, parent.pid));
    let details: Vec<String> = [Some(process.pid.to_string()), inner, parent].into_iter().flatten().collect();
    format!("{} ({})", paint(palette.name, &process.comm), details.join(", "))
}

/// What a person calls a container.
pub(super) fn container_name(container: &Container) -> String {
    if let Some(inner) = &container.inner {
        let outer = Container { inner: None, ..container.clone() };
        return format!("{}, in it {}", container_name(&outer), container_name(inner));
    }
    if let Some(pod) = &container.pod {
        let namespace = container.namespace.as_deref().map(|it| format!("{it}/")).unwrap_or_default();
        return format!("pod {namespace}{pod}");
    }
    if let Some(name) = &container.name {
        return format!("{} {name}", container.runtime);
    }
    let short: String = container.id.chars().take(12).collect();
    format!("{} {short}", container.runtime)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::sample::process;

    #[test]
    fn a_command_line_is_cut_to_what_is_left_of_the_line_and_never_to_nothing() {
        let of = |columns, cmdline: &str| {
            let process = ProcessRecord { cmdline: Some(cmdline.to_owned()), ..process(7, 1, "app") };
            command(Palette { columns, ..Palette::default() }, &process, 20)
        };
        let long = "é".repeat(200);
        assert_eq!(of(100, &long).unwrap().chars().count(), 80);
        assert_eq!(of(10, &long).unwrap().chars().count(), MIN_COMMAND);
        assert_eq!(of(1000, &long), Some(long));
        assert_eq!(of(100, "app"), None, "that is its name");
    }
}
