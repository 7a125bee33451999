//! The value of `--container`.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::Container;

/// An abbreviated id has at least this many characters.
const SHORTEST_PREFIX: usize = 3;

/// An invalid selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SelectorError {
    /// It is empty.
    #[error("nothing given: a container is named by its id or the start of it, its name, its pod, or NAMESPACE/POD")]
    Empty,
    /// `NAMESPACE/POD` with a part missing or one too many.
    #[error("a slash stands between a namespace and a pod: NAMESPACE/POD")]
    BadPodPath,
    /// `RUNTIME://ID` with a part missing or a further slash.
    #[error("after RUNTIME:// stands a container's id, or at least {SHORTEST_PREFIX} characters of it")]
    BadId,
}

/// Which containers are selected.
///
/// | written | means |
/// | --- | --- |
/// | `WORD` | the container with this id or name, and those whose pod has this name or UID |
/// | three or more hex digits and dashes | also those whose id begins so |
/// | `NAMESPACE/POD` | the containers of one Kubernetes pod |
/// | `RUNTIME://ID` | an id or its beginning, as `kubectl` prints it in `containerID` |
///
/// A word may select several containers: `cafe` is a name and the beginning of an id. There are no patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Word(String),
    Pod { namespace: String, pod: String },
    Id { runtime: String, id: String },
}

impl Selector {
    /// Reads what was written.
    ///
    /// # Errors
    /// It is empty or a part beside a slash is missing, so that it cannot match a container.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.is_empty() {
            return Err(SelectorError::Empty);
        }
        let kind = if let Some((runtime, id)) = text.split_once("://") {
            if runtime.is_empty() || id.is_empty() || id.contains('/') {
                return Err(SelectorError::BadId);
            }
            Kind::Id { runtime: runtime.to_owned(), id: id.to_owned() }
        } else if let Some((namespace, pod)) = text.split_once('/') {
            if namespace.is_empty() || pod.is_empty() || pod.contains('/') {
                return Err(SelectorError::BadPodPath);
            }
            Kind::Pod { namespace: namespace.to_owned(), pod: pod.to_owned() }
        } else {
            Kind::Word(text.to_owned())
        };
        Ok(Self { kind })
    }

    /// Whether this container or the one within it is selected.
    ///
    /// Names and pods match only once they are known: fill them in first ([`super::KubeletLogs::enrich`]).
    #[must_use]
    pub fn matches(&self, container: &Container) -> bool {
        self.matches_one(container) || container.inner.as_deref().is_some_and(|inner| self.matches(inner))
    }

    fn matches_one(&self, container: &Container) -> bool {
        let is = |field: &Option<String>, word: &str| field.as_deref() == Some(word);
        match &self.kind {
            Kind::Word(word) => {
                matches_id(container, word)
                    || is(&container.name, word)
                    || is(&container.pod, word)
                    || is(&container.pod_uid, word)
            }
            Kind::Pod { namespace, pod } => is(&container.namespace, namespace) && is(&container.pod, pod),
            Kind::Id { runtime, id } => runtime == container.runtime.as_str() && matches_id(container, id),
        }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Word(word) => f.write_str(word),
            Kind::Pod { namespace, pod } => write!(f, "{namespace}/{pod}"),
            Kind::Id { runtime, id } => write!(f, "{runtime}://{id}"),
        }
    }
}

fn matches_id(container: &Container, word: &str) -> bool {
    container.id == word
        || (container.runtime.has_generated_ids()
            && is_prefix(word)
            && container.id.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)))
}

fn is_prefix(word: &str) -> bool {
    word.len() >= SHORTEST_PREFIX && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}
