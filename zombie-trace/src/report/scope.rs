//! What the person asked to hear of.

use std::{collections::BTreeSet, str::FromStr};

use globset::{GlobBuilder, GlobMatcher};

use super::describe;
use crate::{
    container::Selector,
    model::{Identity, Model},
    recording::ScopeText,
    text::escape,
};

/// Filters; all that are given must match. A zombie matches if it or its parent does.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// A container by id or name.
    pub container: Option<Selector>,
    /// A pid namespace by its inode.
    pub pid_ns: Option<u32>,
    /// A cgroup path; what is below matches, too.
    pub cgroup: Option<String>,
    /// A pattern for the name.
    pub comm: Option<GlobMatcher>,
    /// Only what descends from the command, or is in these cgroups: what a command's own containers are in.
    pub(super) own: Option<BTreeSet<u64>>,
}

impl Scope {
    /// Whether any of these processes matches. Processes that are not known do not.
    #[must_use]
    pub fn covers<'a>(&self, model: &Model, processes: impl IntoIterator<Item = Option<&'a Identity>>) -> bool {
        let mut processes = processes.into_iter().flatten();
        match &self.own {
            None => self.is_unlimited() || processes.any(|identity| self.matches(model, identity)),
            Some(own) => processes
                .any(|identity| (identity.descends || own.contains(&identity.cgroup)) && self.matches(model, identity)),
        }
    }

    /// The same filters on a command and what is in these cgroups.
    #[must_use]
    pub(super) fn within(&self, own: BTreeSet<u64>) -> Self {
        Self { own: Some(own), ..self.clone() }
    }

    /// The filters.
    #[must_use]
    pub fn new(
        container: Option<Selector>,
        pid_ns: Option<u32>,
        cgroup: Option<String>,
        comm: Option<GlobMatcher>,
    ) -> Self {
        Self { container, pid_ns, cgroup, comm, own: None }
    }

    /// Whether the person left nothing out.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.container.is_none() && self.pid_ns.is_none() && self.cgroup.is_none() && self.comm.is_none()
    }

    /// The filters as they are written on the command line, made safe to show.
    #[must_use]
    pub fn shown(&self) -> String {
        let words = [
            self.container.as_ref().map(|it| format!("--container {it}")),
            self.pid_ns.map(|it| format!("--pid-ns {it}")),
            self.cgroup.as_ref().map(|it| format!("--cgroup {it}")),
            self.comm.as_ref().map(|it| format!("--comm {}", it.glob().glob())),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        escape::text(words.join(" ").as_bytes()).into_owned()
    }

    fn matches(&self, model: &Model, identity: &Identity) -> bool {
        let in_container = || {
            self.container.as_ref().is_none_or(|selector| {
                describe::container_of(model, identity).is_some_and(|container| selector.matches(&container))
            })
        };
        let in_namespace = || self.pid_ns.is_none_or(|inum| identity.ns.is_some_and(|ns| ns.inum == inum));
        let in_cgroup = || {
            self.cgroup
                .as_deref()
                .is_none_or(|wanted| model.cgroup(identity.cgroup).is_some_and(|cgroup| is_below(&cgroup.path, wanted)))
        };
        let named = || self.comm.as_ref().is_none_or(|glob| glob.is_match(escape::comm(&identity.comm).as_ref()));
        in_namespace() && named() && in_cgroup() && in_container()
    }
}

impl From<&Scope> for ScopeText {
    fn from(scope: &Scope) -> Self {
        Self {
            container: scope.container.as_ref().map(ToString::to_string),
            pid_ns: scope.pid_ns,
            cgroup: scope.cgroup.clone(),
            comm: scope.comm.as_ref().map(|glob| glob.glob().glob().to_owned()),
        }
    }
}

/// The scope, if everything in it means something; else what does not, in words.
impl TryFrom<&ScopeText> for Scope {
    type Error = String;

    fn try_from(text: &ScopeText) -> Result<Self, String> {
        let container = match &text.container {
            Some(text) => Some(Selector::from_str(text).map_err(|error| error.to_string())?),
            None => None,
        };
        let comm = match &text.comm {
            // Names of processes are no paths: a star also stands for a slash.
            Some(text) => Some(
                GlobBuilder::new(text)
                    .literal_separator(false)
                    .build()
                    .map_err(|error| error.kind().to_string())?
                    .compile_matcher(),
            ),
            None => None,
        };
        Ok(Self { container, pid_ns: text.pid_ns, cgroup: text.cgroup.clone(), comm, own: None })
    }
}

fn is_below(path: &str, wanted: &str) -> bool {
    let wanted = wanted.trim_end_matches('/');
    path.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::is_below;

    #[test]
    fn a_cgroup_holds_what_is_below_it_and_not_its_namesakes() {
        assert!(is_below("/docker/abc", "/docker/abc"));
        assert!(is_below("/docker/abc/init", "/docker/abc/"));
        assert!(!is_below("/docker/abcd", "/docker/abc"));
        assert!(is_below("/docker/abc", "/"));
    }
}
