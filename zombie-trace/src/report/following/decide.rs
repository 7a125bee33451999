//! Which containers are the command's, and how sure that is.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    facts::{Chosen, Client, Following, Init, Seen},
    how::How,
};
use crate::{
    container::{Container, Runtime, Selector},
    event::BootNs,
    model::Model,
};

/// A container, or what was one and is gone without a name.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct Group {
    pub(in crate::report) container: Option<Container>,
    pub(in crate::report) cgroups: BTreeSet<u64>,
    pub(in crate::report) preexisting: bool,
    pub(in crate::report) init: Option<Init>,
}

/// What was decided.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct Followed {
    pub(in crate::report) groups: Vec<(Group, How)>,
    /// Containers that the command may have started, and others as well.
    pub(in crate::report) unclear: Vec<Group>,
    /// Containers that began while the command ran, and no client is known that started them.
    pub(in crate::report) unclaimed: Vec<Group>,
    /// What was asked for by name and never was there.
    pub(in crate::report) missing: Vec<Selector>,
}

impl Followed {
    /// The cgroups of all that is followed. What has no name may have begun in a cgroup that others are in, too.
    pub(in crate::report) fn cgroups(&self) -> BTreeSet<u64> {
        let named = self.groups.iter().filter(|(group, _)| group.container.is_some());
        named.flat_map(|(group, _)| &group.cgroups).copied().collect()
    }
}

enum Whose {
    Command(How),
    Unclear,
    Unclaimed,
    Others,
}

/// Decides by all that was seen.
pub(in crate::report) fn decide(following: &Following, model: &Model) -> Followed {
    let mut followed = Followed::default();
    for group in groups(following, model) {
        match whose(following, &group) {
            Whose::Command(how) => followed.groups.push((group, how)),
            Whose::Unclear => followed.unclear.push(group),
            Whose::Unclaimed => followed.unclaimed.push(group),
            Whose::Others => {}
        }
    }
    if let Chosen::Named(selectors) = &following.chosen {
        let is_there = |selector: &&Selector| {
            followed.groups.iter().any(|(group, _)| group.container.as_ref().is_some_and(|it| selector.matches(it)))
        };
        followed.missing = selectors.iter().filter(|selector| !is_there(selector)).cloned().collect();
    }
    followed
}

/// The containers that were seen, by when they began.
fn groups(following: &Following, model: &Model) -> Vec<Group> {
    let mut named = BTreeMap::<(Runtime, String), Group>::new();
    let mut nameless = Vec::new();
    for (&id, seen) in &following.cgroups {
        let Some(cgroup) = model.cgroup(id) else {
            // It was gone before it could be looked up.
            let is_gone = seen.init.is_some_and(|init| init.exit.is_some());
            if is_gone && seen.is_of_pid_1() {
                let mut group = Group::default();
                group.add(id, seen);
                nameless.push(group);
            }
            continue;
        };
        let Some(container) = cgroup.container() else { continue };
        let group = named.entry((container.runtime, container.id.clone())).or_default();
        group.add(id, seen);
        group.container = Some(container);
    }
    let mut groups: Vec<Group> = named.into_values().chain(nameless).collect();
    groups.sort_by_key(|group| (group.began(), group.cgroups.first().copied()));
    groups
}

fn whose(following: &Following, group: &Group) -> Whose {
    let descends = group.init.is_some_and(|init| init.descends);
    if descends {
        return Whose::Command(How::Descends);
    }
    let asked = |is: bool| if is { Whose::Command(How::Asked) } else { Whose::Others };
    match &following.chosen {
        Chosen::All => return asked(true),
        Chosen::New => return asked(!group.preexisting),
        Chosen::Named(selectors) => {
            let container = group.container.as_ref();
            return asked(container.is_some_and(|it| selectors.iter().any(|selector| selector.matches(it))));
        }
        Chosen::Own => {}
    }
    let clients: Vec<&Client> = following.clients.values().filter(|client| group.is_spoken_to_by(client)).collect();
    let (own, others): (Vec<&Client>, Vec<&Client>) = clients.into_iter().partition(|client| client.descends);
    if own.iter().any(|client| group.is_named_by(client, following.project.as_deref())) {
        return Whose::Command(How::Named);
    }
    if group.preexisting {
        return Whose::Others;
    }
    let may_be_of = |clients: &[&Client]| clients.iter().any(|client| group.may_be_started_by(client));
    match (may_be_of(&own), may_be_of(&others) || following.is_overfull) {
        (true, false) => Whose::Command(How::BeganMeanwhile),
        (true, true) => Whose::Unclear,
        (false, true) => Whose::Others,
        (false, false) => Whose::Unclaimed,
    }
}

impl Group {
    fn add(&mut self, cgroup: u64, seen: &Seen) {
        self.cgroups.insert(cgroup);
        self.preexisting |= seen.preexisting;
        let rank = |init: &Init| (!init.is_pid_1, init.key.start_ns);
        self.init = [self.init, seen.init].into_iter().flatten().min_by_key(rank);
    }

    fn began(&self) -> BootNs {
        self.init.map_or(0, |init| init.key.start_ns)
    }

    fn is_spoken_to_by(&self, client: &Client) -> bool {
        self.container.as_ref().is_none_or(|container| client.speaks_to(container.runtime))
    }

    /// Whether a client has named it, and it was there while the client ran.
    fn is_named_by(&self, client: &Client, own_project: Option<&str>) -> bool {
        let (Some(container), Some(request)) = (&self.container, &client.request) else { return false };
        let was_there = client.ended.is_none_or(|ended| self.began() <= ended)
            && self.init.and_then(|init| init.exit).is_none_or(|(exited, _)| client.began <= exited);
        let is_of_project = || {
            let project = request.project.as_ref().map(|project| project.as_deref().or(own_project));
            project.flatten().is_some() && project.flatten() == container.project()
        };
        let acts = || request.acts_on.iter().any(|name| is_called(container, name)) || is_of_project();
        let starts = || self.is_started_by_name(client, container);
        was_there && (acts() || starts())
    }

    fn is_started_by_name(&self, client: &Client, container: &Container) -> bool {
        let Some(request) = client.request.as_ref().filter(|request| request.starts) else { return false };
        client.runs_at(self.began()) && request.new_names.iter().any(|name| is_exactly(container, name))
    }

    /// Whether it began while the client ran, for all that is known of what the client asked for.
    fn may_be_started_by(&self, client: &Client) -> bool {
        // What these start descends from them, unless podman is told to ask another one; then nothing tells whose it is.
        let starts_itself = match client.name {
            "runc" | "crun" => true,
            "podman" => client.descends || self.container.is_none(),
            _ => false,
        };
        if starts_itself || !client.runs_at(self.began()) {
            return false;
        }
        let (Some(request), Some(container)) = (&client.request, &self.container) else { return true };
        // Who calls a bare runtime or ctr chooses the id; other names may not be known yet.
        let is_name_known = container.name.is_some() || ["ctr", "runc", "crun"].contains(&client.name);
        let has_other_name = !request.new_names.is_empty()
            && is_name_known
            && !request.new_names.iter().any(|name| is_exactly(container, name));
        let is_of_other_project = request.project.is_some() && container.project().is_none();
        request.starts && !has_other_name && !is_of_other_project
    }
}

/// Whether this is its name or its id.
fn is_exactly(container: &Container, name: &str) -> bool {
    container.id == name || container.name.as_deref() == Some(name)
}

/// Whether a person who writes this means the container.
fn is_called(container: &Container, name: &str) -> bool {
    Selector::parse(name).is_ok_and(|selector| selector.matches(container))
}
