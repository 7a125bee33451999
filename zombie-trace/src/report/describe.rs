//! A process as a record.

use super::{
    process::{ParentName, ProcessRecord},
    program,
};
use crate::{
    container::Container,
    event::ProcessKey,
    model::{Identity, Model, Process, Sender},
    text::escape,
};

/// A process that the model knows.
pub(super) fn process(model: &Model, process: &Process) -> ProcessRecord {
    identity(model, process.key, &process.identity)
}

/// A process that the model may know; `None` if it does not.
pub(super) fn known(model: &Model, key: ProcessKey) -> Option<ProcessRecord> {
    model.remembered(key).map(|it| process(model, it))
}

/// A process by who it is.
pub(super) fn identity(model: &Model, key: ProcessKey, identity: &Identity) -> ProcessRecord {
    let comm = escape::comm(&identity.comm).into_owned();
    let by_arguments = identity.cmdline.as_deref().and_then(program::of_arguments);
    let program = by_arguments.map_or_else(|| program::of_comm(&comm), |name| text(&name));
    let container = container_of(model, identity);
    ProcessRecord {
        program: program::within(program, container.as_ref()),
        comm,
        pid: key.pid,
        start_ns: key.start_ns,
        ns_pid: identity.ns.map(|ns| ns.nr),
        pid_ns: identity.ns.map(|ns| ns.inum).filter(|&inum| inum != 0),
        exe: identity.exe.as_deref().map(|exe| escape::text(exe.as_bytes()).into_owned()),
        cmdline: identity.cmdline.as_deref().map(|arguments| {
            let joined = arguments.join(" ");
            escape::text(joined.as_bytes()).into_owned()
        }),
        container,
        parent: None,
        descends: identity.descends,
    }
}

/// A sender as it was when it sent, enriched by what is known of it now.
pub(super) fn sender(model: &Model, sender: &Sender) -> ProcessRecord {
    let mut record = known(model, sender.process)
        .unwrap_or_else(|| identity(model, sender.process, &Identity { ..Identity::default() }));
    record.comm = escape::comm(&sender.comm).into_owned();
    record.program.clone_from(&record.comm);
    record.ns_pid = Some(sender.ns.nr);
    record.pid_ns = Some(sender.ns.inum);
    record.parent =
        sender.parent.map(|(parent, comm)| ParentName { pid: parent.pid, comm: escape::comm(&comm).into_owned() });
    record
}

/// Text of a traced process's making, made safe to show.
pub(super) fn text(text: &str) -> String {
    escape::text(text.as_bytes()).into_owned()
}

/// The container of a process.
pub(super) fn container_of(model: &Model, identity: &Identity) -> Option<Container> {
    Some(model.cgroup(identity.cgroup)?.container()?.map_texts(&text))
}
