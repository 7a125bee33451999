//! From a cgroup path to all that is known of the container, from whatever source.

use std::{path::Path, time::Duration};

use super::{Container, KubeletLogs, StateFiles, cgroup};

/// Asks the path, then the runtime's files, then the kubelet's folders.
#[derive(Debug)]
pub struct Lookup {
    kubelet: KubeletLogs,
    states: StateFiles,
}

impl Lookup {
    /// With the files below `root`: `/` for the host's own, or wherever the host's root is mounted.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { kubelet: KubeletLogs::new(root), states: StateFiles::new(root) }
    }

    /// The container of a cgroup path. `now` is any clock that goes forward.
    pub fn container(&mut self, path: &str, now: Duration) -> Option<Container> {
        let mut container = match cgroup::container(path) {
            Some(mut container) => match self.around(path, &container) {
                // A path tells nothing of a bare runtime's container, and anything of what lies in it.
                Some(outer) => {
                    let inner = container.inner.take().unwrap_or_else(|| Box::new(container));
                    Container { inner: Some(inner), ..outer }
                }
                None => {
                    self.states.enrich(&mut container);
                    container
                }
            },
            None => self.states.find(path)?,
        };
        self.kubelet.enrich(&mut container, now);
        Some(container)
    }

    /// The container around the cgroup of this one, according to its runtime's own files.
    fn around(&self, path: &str, container: &Container) -> Option<Container> {
        let (above, _) = path.get(..path.find(&container.id)?)?.rsplit_once('/')?;
        (!above.is_empty()).then(|| self.states.find(above))?
    }
}
