//! Which container a cgroup belongs to, now or a moment later.
//!
//! runc and crun put the first process of a container into its cgroup and write down that they did only then. So a
//! cgroup that is asked about at the first fork in it may have no name yet; it is looked at again for a while.

use std::{collections::VecDeque, path::Path, time::Duration};

use crate::{
    container::Lookup,
    event::{BootNs, Cgroup, Event, Fact, What},
};

/// For so long, ns, a name may come yet.
const MAY_COME_NS: u64 = 5_000_000_000;
/// Time between two looks, ns.
const AGAIN_NS: u64 = 10_000_000;
/// So many cgroups are looked at again; when there are more, the oldest is given up.
const MAX_NAMELESS: usize = 64;

#[derive(Debug)]
struct Nameless {
    id: u64,
    path: String,
    since: BootNs,
}

#[derive(Debug)]
pub(super) struct Cgroups {
    lookup: Lookup,
    nameless: VecDeque<Nameless>,
    looked: BootNs,
}

impl Cgroups {
    /// With the runtimes' files below this folder.
    pub(super) fn new(root: &Path) -> Self {
        Self { lookup: Lookup::new(root), nameless: VecDeque::new(), looked: 0 }
    }

    /// What a cgroup's path tells now.
    pub(super) fn tell(&mut self, id: u64, path: String, now: BootNs) -> Event {
        let container = self.lookup.container(&path, Duration::from_nanos(now));
        // A process is in the root from its start, before any runtime moves it.
        if container.is_none() && path != "/" {
            if self.nameless.len() == MAX_NAMELESS {
                self.nameless.pop_front();
            }
            self.nameless.push_back(Nameless { id, path: path.clone(), since: now });
        }
        Event { time: now, what: What::Fact(Fact::Cgroup(Cgroup::new(id, path, container))) }
    }

    /// What has become known since.
    pub(super) fn tell_later(&mut self, now: BootNs) -> Vec<Event> {
        if self.nameless.is_empty() || now.saturating_sub(self.looked) < AGAIN_NS {
            return Vec::new();
        }
        self.looked = now;
        let mut told = Vec::new();
        self.nameless.retain(|Nameless { id, path, since }| {
            let container = self.lookup.container(path, Duration::from_nanos(now));
            let is_known = container.is_some();
            if is_known {
                told.push(Event {
                    time: now,
                    what: What::Fact(Fact::Cgroup(Cgroup::new(*id, path.clone(), container))),
                });
            }
            !is_known && now.saturating_sub(*since) < MAY_COME_NS
        });
        told
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn name(event: &Event) -> Option<String> {
        let What::Fact(Fact::Cgroup(cgroup)) = &event.what else { panic!("{event:?}") };
        cgroup.container().map(|container| container.id)
    }

    fn crun_writes(root: &Path, id: &str) {
        let folder = root.join("run/crun").join(id);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("status"), format!(r#"{{"cgroup-path": "/zt/{id}"}}"#)).unwrap();
    }

    #[test]
    fn a_name_that_is_written_down_late_is_told_late_and_once() {
        let root = tempfile::tempdir().unwrap();
        let mut cgroups = Cgroups::new(root.path());
        assert_eq!(name(&cgroups.tell(7, "/zt/c1".to_owned(), 1)), None);
        assert_eq!(cgroups.tell_later(AGAIN_NS), []);
        crun_writes(root.path(), "c1");
        let told = cgroups.tell_later(3 * AGAIN_NS);
        assert_eq!(told.iter().map(name).collect::<Vec<_>>(), [Some("c1".to_owned())]);
        assert_eq!(cgroups.tell_later(5 * AGAIN_NS), []);
    }

    #[test]
    fn a_cgroup_of_no_runtime_is_given_up() {
        let root = tempfile::tempdir().unwrap();
        let mut cgroups = Cgroups::new(root.path());
        cgroups.tell(7, "/zt/c1".to_owned(), 1);
        cgroups.tell_later(MAY_COME_NS + 1);
        crun_writes(root.path(), "c1");
        assert_eq!(cgroups.tell_later(2 * MAY_COME_NS), []);
    }

    #[test]
    fn a_flood_of_cgroups_costs_the_oldest() {
        let root = tempfile::tempdir().unwrap();
        let mut cgroups = Cgroups::new(root.path());
        for id in 0..=MAX_NAMELESS {
            cgroups.tell(id as u64, format!("/zt/c{id}"), 1);
            crun_writes(root.path(), &format!("c{id}"));
        }
        assert_eq!(cgroups.tell_later(2 * AGAIN_NS).len(), MAX_NAMELESS);
    }
}
