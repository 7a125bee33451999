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
