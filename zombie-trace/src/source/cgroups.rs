//! Which container a cgroup belongs to, now or a moment later.
//!
//! runc and crun write down a container's cgroup only after they have moved its first process there. So a cgroup may
//! have no name yet at its first fork, and is looked up again for a while, as is one that could not be read in time.

use std::collections::VecDeque;

use crate::{
    container::Container,
    event::{BootNs, Cgroup, Event, Fact, What},
};

/// How long, ns, a name may still appear: a busy machine takes long to start a container.
const MAY_COME_NS: u64 = 60_000_000_000;
/// Minimum time between two lookups, ns.
const AGAIN_NS: u64 = 10_000_000;
/// A cgroup without a name is looked up again after this part of its age.
const AGE_PART: u64 = 10;
/// Maximum number of cgroups looked up again; beyond that, the oldest is given up.
const MAX_NAMELESS: usize = 64;
/// Maximum number of unread cgroups that are asked about again.
const MAX_UNREAD: usize = 4096;
/// When those are asked about again, ns.
const UNREAD_AGAIN_NS: u64 = 1_000_000_000;

#[derive(Debug)]
struct UnnamedCgroup {
    id: u64,
    path: String,
    since: BootNs,
    looked: BootNs,
}

impl UnnamedCgroup {
    fn is_due(&self, now: BootNs) -> bool {
        let age = self.looked.saturating_sub(self.since);
        now.saturating_sub(self.looked) >= AGAIN_NS.max(age / AGE_PART)
    }
}

#[derive(Debug, Default)]
pub(super) struct Cgroups {
    nameless: VecDeque<UnnamedCgroup>,
    /// The paths in the open question.
    asked: Option<Vec<String>>,
    unread: VecDeque<(BootNs, u64)>,
}

impl Cgroups {
    /// What was found out about a cgroup.
    pub(super) fn found(&mut self, id: u64, path: String, container: Option<Container>, now: BootNs) -> Event {
        // A process starts in the root, before any runtime moves it.
        if container.is_none() && path != "/" {
            if self.nameless.len() == MAX_NAMELESS {
                self.nameless.pop_front();
            }
            self.nameless.push_back(UnnamedCgroup { id, path: path.clone(), since: now, looked: now });
        }
        Event { time: now, what: What::Fact(Fact::Cgroup(Cgroup::new(id, path, container))) }
    }

    /// The paths to look up again, if due; none while an answer is pending.
    pub(super) fn paths_to_ask(&mut self, now: BootNs) -> Option<Vec<String>> {
        self.nameless.retain(|it| now.saturating_sub(it.since) < MAY_COME_NS);
        if self.asked.is_some() {
            return None;
        }
        let due: Vec<String> = self
            .nameless
            .iter_mut()
            .filter(|it| it.is_due(now))
            .map(|it| {
                it.looked = now;
                it.path.clone()
            })
            .collect();
        self.asked = (!due.is_empty()).then_some(due);
        self.asked.clone()
    }

    /// Takes in an answer: one container per path asked about.
    pub(super) fn named(&mut self, containers: Vec<Option<Container>>, now: BootNs) -> Vec<Event> {
        let paths = self.asked.take().unwrap_or_default();
        let mut told = Vec::new();
        for (path, container) in paths.into_iter().zip(containers) {
            let Some(container) = container else { continue };
            self.nameless.retain(|it| {
                if it.path == path {
                    let cgroup = Cgroup::new(it.id, path.clone(), Some(container.clone()));
                    told.push(Event { time: now, what: What::Fact(Fact::Cgroup(cgroup)) });
                }
                it.path != path
            });
        }
        told
    }

    /// The names could not be looked up, which does not use up the time of these cgroups.
    pub(super) fn unnamed(&mut self, now: BootNs) {
        let paths = self.asked.take().unwrap_or_default();
        for cgroup in std::mem::take(&mut self.nameless) {
            if paths.contains(&cgroup.path) {
                self.unread(cgroup.id, now);
            } else {
                self.nameless.push_back(cgroup);
            }
        }
    }

    /// Only the path of a cgroup could be read.
    pub(super) fn found_unnamed(&mut self, id: u64, path: String, now: BootNs) -> Event {
        self.unread(id, now);
        Event { time: now, what: What::Fact(Fact::Cgroup(Cgroup::new(id, path, None))) }
    }

    /// A cgroup could not be read.
    pub(super) fn unread(&mut self, id: u64, now: BootNs) {
        if self.unread.len() < MAX_UNREAD {
            self.unread.push_back((now, id));
        }
    }

    /// A cgroup to ask about again, if due.
    pub(super) fn id_to_ask(&mut self, now: BootNs) -> Option<u64> {
        let (at, id) = *self.unread.front()?;
        (now.saturating_sub(at) >= UNREAD_AGAIN_NS).then(|| self.unread.pop_front().map_or(id, |(_, id)| id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::Runtime;

    fn container(id: &str) -> Option<Container> {
        Some(Container::new(Runtime::Podman, id.to_owned()))
    }

    fn name(event: &Event) -> Option<String> {
        let What::Fact(Fact::Cgroup(cgroup)) = &event.what else { panic!("{event:?}") };
        cgroup.container().map(|container| container.id)
    }

    #[test]
    fn a_name_that_is_written_down_late_is_told_late_and_once() {
        let mut cgroups = Cgroups::default();
        assert_eq!(name(&cgroups.found(7, "/zt/c1".to_owned(), None, 1)), None);
        assert_eq!(cgroups.paths_to_ask(AGAIN_NS - 1), None);
        assert_eq!(cgroups.paths_to_ask(AGAIN_NS + 1), Some(vec!["/zt/c1".to_owned()]));
        assert_eq!(cgroups.paths_to_ask(3 * AGAIN_NS), None, "it is asked about now");
        assert_eq!(cgroups.named(vec![None], 3 * AGAIN_NS), []);
        assert!(cgroups.paths_to_ask(4 * AGAIN_NS).is_some());
        let told = cgroups.named(vec![container("c1")], 4 * AGAIN_NS);
        assert_eq!(told.iter().map(name).collect::<Vec<_>>(), [Some("c1".to_owned())]);
        assert_eq!(cgroups.paths_to_ask(6 * AGAIN_NS), None);
    }

    #[test]
    fn the_older_a_cgroup_is_the_more_seldom_it_is_looked_at() {
        let mut cgroups = Cgroups::default();
        cgroups.found(7, "/zt/c1".to_owned(), None, 0);
        let mut looks = Vec::new();
        for now in (0..=2 * MAY_COME_NS).step_by(usize::try_from(AGAIN_NS).unwrap()) {
            if cgroups.paths_to_ask(now).is_some() {
                looks.push(now);
                assert_eq!(cgroups.named(vec![None], now), []);
            }
        }
        let young = looks.iter().filter(|&&at| at <= 10 * AGAIN_NS).count();
        assert_eq!(young, 10, "a name comes soon, as a rule");
        assert!(looks.len() < 100, "{}", looks.len());
        assert!(*looks.last().unwrap() > MAY_COME_NS * 8 / 10, "{looks:?}");
    }

    #[test]
    fn paths_that_could_not_be_read_are_asked_about_again() {
        let mut cgroups = Cgroups::default();
        cgroups.found(7, "/zt/c1".to_owned(), None, 1);
        assert!(cgroups.paths_to_ask(2 * AGAIN_NS).is_some());
        cgroups.unnamed(2 * AGAIN_NS);
        assert_eq!(cgroups.paths_to_ask(MAY_COME_NS + 4 * AGAIN_NS), None);
        assert_eq!(cgroups.id_to_ask(2 * AGAIN_NS + UNREAD_AGAIN_NS), Some(7), "however late: nobody has looked yet");
        cgroups.unread(9, 1);
        assert_eq!((cgroups.id_to_ask(2), cgroups.id_to_ask(UNREAD_AGAIN_NS + 1)), (None, Some(9)));
        assert_eq!(cgroups.id_to_ask(u64::MAX), None);
    }

    #[test]
    fn a_cgroup_of_no_runtime_is_given_up() {
        let mut cgroups = Cgroups::default();
        cgroups.found(7, "/zt/c1".to_owned(), None, 1);
        assert_eq!(cgroups.paths_to_ask(MAY_COME_NS + 1), None);
    }

    #[test]
    fn a_flood_of_cgroups_costs_the_oldest() {
        let mut cgroups = Cgroups::default();
        for id in 0..=MAX_NAMELESS {
            cgroups.found(id as u64, format!("/zt/c{id}"), None, 1);
        }
        let paths = cgroups.paths_to_ask(2 * AGAIN_NS).unwrap_or_default();
        assert_eq!((paths.len(), paths.first().map(String::as_str)), (MAX_NAMELESS, Some("/zt/c1")));
    }
}
