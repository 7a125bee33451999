//! Names of pods and containers from the kubelet's log folders.
//!
//! The kubelet keeps, for every pod of the node (`pkg/kubelet/kuberuntime`, and its documentation on logging):
//! - `/var/log/pods/NAMESPACE_POD_UID/CONTAINER/N.log`;
//! - `/var/log/containers/POD_NAMESPACE_CONTAINER-ID.log`, a symbolic link into the former. Names cannot contain `_`; a
//!   file name longer than 255 bytes is cut at its end, and such a link, with a truncated id, is skipped.
//!
//! Only the names of directory entries are read: no file is opened, no link is followed, and no API is used.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;

use super::{Container, cgroup::is_hex64};

/// Minimum time between refreshes, which read two directories.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5);

/// Entries kept per directory. A node runs a few hundred pods; the limit bounds memory for a flooded folder.
const MAX_ENTRIES: usize = 16_384;
/// Entries of any kind read per directory, to bound the time.
const MAX_READ: usize = 4 * MAX_ENTRIES;

/// A log folder that exists but cannot be read.
#[derive(Debug, Error)]
#[error("cannot read the kubelet's log folder {path}", path = path.display())]
pub struct KubeletError {
    /// The folder.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pod {
    namespace: String,
    name: String,
}

#[derive(Debug)]
struct Named {
    pod: Pod,
    container: String,
}

/// An index of the kubelet's log folders: pods by UID, containers by id.
#[derive(Debug)]
pub struct KubeletLogs {
    pods_dir: PathBuf,
    containers_dir: PathBuf,
    pods: HashMap<String, Pod>,
    containers: HashMap<String, Named>,
    refreshed: Option<Duration>,
    problem: Option<KubeletError>,
    left_out: u64,
}

impl KubeletLogs {
    /// An index of the folders below `root`: `/` for the host's own, or wherever the host's root is mounted. Reads
    /// nothing yet.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            pods_dir: root.join("var/log/pods"),
            containers_dir: root.join("var/log/containers"),
            pods: HashMap::new(),
            containers: HashMap::new(),
            refreshed: None,
            problem: None,
            left_out: 0,
        }
    }

    /// Fills in the pod, the namespace and the name of a container in a Kubernetes pod, as far as the folders show
    /// them. Known values stay. Returns whether the pod is known afterwards.
    ///
    /// `now` is any monotonic clock. On a miss the folders are read again, unless that was done less than five seconds
    /// ago; a pod's sandbox has no log and so never gets a name. A container without a pod costs nothing.
    pub fn enrich(&mut self, container: &mut Container, now: Duration) -> bool {
        let Some(uid) = container.pod_uid.clone() else { return false };
        let known = |logs: &Self| logs.pods.contains_key(&uid) && logs.containers.contains_key(&container.id);
        if !known(self) && self.is_due(now) {
            self.refresh(now);
        }
        let named = self.containers.get(&container.id);
        if let Some(named) = named {
            container.name.get_or_insert_with(|| named.container.clone());
        }
        // The UID is more reliable: a link to a container's log may be older than the pod's folder.
        if let Some(pod) = self.pods.get(&uid).or_else(|| named.map(|named| &named.pod)) {
            container.pod.get_or_insert_with(|| pod.name.clone());
            container.namespace.get_or_insert_with(|| pod.namespace.clone());
        }
        container.pod.is_some()
    }

    /// Reads both folders again. Missing folders count as empty.
    pub fn refresh(&mut self, now: Duration) {
        self.refreshed = Some(now);
        self.problem = None;
        self.left_out = 0;
        self.pods = self.index(&self.pods_dir.clone(), pod_of);
        self.containers = self.index(&self.containers_dir.clone(), container_of);
    }

    /// Why the last refresh could not read an existing folder.
    #[must_use]
    pub fn problem(&self) -> Option<&KubeletError> {
        self.problem.as_ref()
    }

    /// Minimum number of entries that the last refresh left out because there were too many.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    fn is_due(&self, now: Duration) -> bool {
        self.refreshed.is_none_or(|last| now.saturating_sub(last) >= REFRESH_INTERVAL)
    }

    fn index<T>(&mut self, dir: &Path, parse: fn(&str) -> Option<(&str, T)>) -> HashMap<String, T> {
        let mut index = HashMap::new();
        let entries = match dir.read_dir() {
            Ok(entries) => entries,
            Err(error) => {
                self.note(dir, error);
                return index;
            }
        };
        for (read, entry) in entries.enumerate() {
            if read >= MAX_READ {
                self.left_out = self.left_out.saturating_add(1);
                break;
            }
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.note(dir, error);
                    break;
                }
            };
            let name = entry.file_name();
            let Some((key, value)) = name.to_str().and_then(parse) else { continue };
            if index.len() < MAX_ENTRIES {
                index.insert(key.to_owned(), value);
            } else {
                self.left_out = self.left_out.saturating_add(1);
            }
        }
        index
    }

    fn note(&mut self, dir: &Path, source: io::Error) {
        if source.kind() != io::ErrorKind::NotFound {
            self.problem = Some(KubeletError { path: dir.to_owned(), source });
        }
    }
}

/// `NAMESPACE_POD_UID`.
fn pod_of(name: &str) -> Option<(&str, Pod)> {
    let [namespace, pod, uid] = three(name)?;
    Some((uid, Pod { namespace: namespace.to_owned(), name: pod.to_owned() }))
}

/// `POD_NAMESPACE_CONTAINER-ID.log`.
fn container_of(name: &str) -> Option<(&str, Named)> {
    let [pod, namespace, rest] = three(name.strip_suffix(".log")?)?;
    let (container, id) = rest.rsplit_once('-')?;
    if container.is_empty() || !is_hex64(id) {
        return None;
    }
    let pod = Pod { namespace: namespace.to_owned(), name: pod.to_owned() };
    Some((id, Named { pod, container: container.to_owned() }))
}

/// Three parts with `_` between them, none empty.
fn three(name: &str) -> Option<[&str; 3]> {
    let mut parts = name.split('_');
    let three = [parts.next()?, parts.next()?, parts.next()?];
    (parts.next().is_none() && three.iter().all(|part| !part.is_empty())).then_some(three)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_beyond_the_limit_are_counted() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("var/log/pods");
        std::fs::create_dir_all(&dir).unwrap();
        for number in 0..MAX_ENTRIES + 3 {
            std::fs::write(dir.join(format!("ns_pod_{number}")), "").unwrap();
        }
        let mut logs = KubeletLogs::new(root.path());
        logs.refresh(Duration::ZERO);
        assert_eq!((logs.pods.len(), logs.left_out()), (MAX_ENTRIES, 3));
    }
}
