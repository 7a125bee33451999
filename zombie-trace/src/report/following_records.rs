//! From what was decided on containers to records.

use super::{
    Session,
    containers::{ContainerRecord, Doubts},
    describe,
    following::{Followed, Group, How},
};
use crate::{diagnosis::shown_status, model::Model};

/// The records of what is followed.
pub(super) fn records(session: &Session, followed: &Followed) -> Vec<ContainerRecord> {
    followed.groups.iter().map(|(group, how)| record(&session.model, group, *how)).collect()
}

fn record(model: &Model, group: &Group, followed: How) -> ContainerRecord {
    let exit = group.init.and_then(|init| init.exit).map(|(_, status)| status);
    let shares: Vec<u64> =
        group.cgroups.iter().filter_map(|&cgroup| Some(model.share_of_cgroup(cgroup)?.exits)).collect();
    ContainerRecord {
        container: group.container.clone().map(|container| container.map_texts(&describe::text)),
        followed,
        process: group.init.and_then(|init| describe::known(model, init.key)),
        exit: exit.map(Into::into),
        exit_code: exit.map(shown_status),
        exits: (followed != How::Descends).then(|| shares.iter().sum()),
        findings: Vec::new(),
        stops: Vec::new(),
        pid_ns: group.init.map(|init| init.pid_ns).filter(|&inum| inum != 0),
    }
}

/// What is not sure, in names.
pub(super) fn doubts(followed: &Followed) -> Doubts {
    let names = |groups: &[Group]| groups.iter().map(name).collect();
    Doubts {
        unclear: names(&followed.unclear),
        unclaimed: names(&followed.unclaimed),
        missing: followed.missing.iter().map(|selector| describe::text(&selector.to_string())).collect(),
        nameless: followed.groups.iter().filter(|(group, _)| group.container.is_none()).count() as u64,
    }
}

fn name(group: &Group) -> String {
    match &group.container {
        Some(container) => {
            let name = container.pod.as_ref().or(container.name.as_ref()).unwrap_or(&container.id);
            describe::text(&format!("{} {name}", container.runtime))
        }
        None => "an unnamed container".to_owned(),
    }
}
