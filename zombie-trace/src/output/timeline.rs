//! What the formats that show time have in common: where a zombie is drawn, and when.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    container::Container,
    diagnosis::Cause,
    report::{ProcessRecord, ZombieRecord},
};

/// So many zombies are known to be waiting at the most; the model holds no more processes.
const MAX_OPEN: usize = 1 << 20;

/// A process in time: a pid alone is used again.
pub(super) type Key = (u32, u64);

pub(super) fn key(process: &ProcessRecord) -> Key {
    (process.pid, process.start_ns)
}

/// Where things are drawn: a process, and the container that they happened in. A runtime outside of all containers can
/// be the parent in many.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    /// The zombie's container, or else that of its parent.
    pub(super) container: Option<Container>,
    /// The parent, or the target of a signal; `None` if the parent was not known.
    pub(super) process: Option<ProcessRecord>,
}

type Place = (Option<String>, Option<Key>);

/// The rows and texts that something is drawn with, each once.
#[derive(Debug, Default)]
pub(super) struct Interned {
    rows: FxHashMap<Place, Arc<Row>>,
    texts: FxHashSet<Arc<str>>,
}

impl Interned {
    /// The row of a child of this parent.
    pub(super) fn row_of_child(&mut self, child: &ProcessRecord, parent: Option<&ProcessRecord>) -> Arc<Row> {
        self.row(child.container.as_ref().or_else(|| parent?.container.as_ref()), parent)
    }

    /// The row of a process itself.
    pub(super) fn row_of(&mut self, process: &ProcessRecord) -> Arc<Row> {
        self.row(process.container.as_ref(), Some(process))
    }

    fn row(&mut self, container: Option<&Container>, process: Option<&ProcessRecord>) -> Arc<Row> {
        let place = (container.map(|it| it.id.clone()), process.map(key));
        let make = || Arc::new(Row { container: container.cloned(), process: process.cloned() });
        Arc::clone(self.rows.entry(place).or_insert_with(make))
    }

    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&text));
        text
    }

    /// Forgets what nothing is drawn with any more.
    pub(super) fn tidy(&mut self) {
        self.rows.retain(|_, row| Arc::strong_count(row) > 1);
        self.texts.retain(|text| Arc::strong_count(text) > 1);
    }
}

/// A zombie that waits: what its end will not tell any more.
#[derive(Clone, Debug)]
pub(super) struct Open {
    /// Why it waits, as judged when it came of age.
    pub(super) cause: Cause,
    pub(super) row: Arc<Row>,
}

/// The zombies that have come of age and are still there.
#[derive(Debug, Default)]
pub(super) struct Waiting(FxHashMap<Key, Open>);

impl Waiting {
    /// One has come of age; the row that it was in until then, if it had come of age with another parent before.
    pub(super) fn insert(&mut self, zombie: &ZombieRecord, row: Arc<Row>) -> Option<Arc<Row>> {
        // Ends out of the scope are not told, so some would stay for good.
        if self.0.len() >= MAX_OPEN {
            self.0.clear();
        }
        self.0.insert(key(&zombie.process), Open { cause: zombie.cause, row }).map(|former| former.row)
    }

    /// One has ended.
    pub(super) fn remove(&mut self, process: &ProcessRecord) -> Option<Open> {
        self.0.remove(&key(process))
    }
}

/// A container in a few words.
pub(super) fn container_label(container: &Container) -> String {
    if let Some(inner) = &container.inner {
        let outer = container_label(&Container { inner: None, ..container.clone() });
        return format!("{outer}, in it {}", container_label(inner));
    }
    let short =
        |id: &str| if container.runtime.has_generated_ids() { id.chars().take(12).collect() } else { id.to_owned() };
    let of_pod = match (&container.namespace, &container.pod) {
        (Some(namespace), Some(pod)) => Some(format!("{namespace}/{pod}")),
        (None, Some(pod)) => Some(pod.clone()),
        _ => None,
    };
    match (of_pod, &container.name) {
        (Some(pod), Some(name)) => format!("{pod}/{name}"),
        (Some(pod), None) => format!("{pod} ({})", short(&container.id)),
        (None, Some(name)) => format!("{name} ({} {})", container.runtime, short(&container.id)),
        (None, None) => format!("{} {}", container.runtime, short(&container.id)),
    }
}
