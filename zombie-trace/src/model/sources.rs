//! Which process a program inherited its SIGCHLD settings from.

use super::{
    Ancestor, Model, Process,
    heritage::{Kept, Source},
};
use crate::event::ProcessKey;

/// Maximum number of ancestors looked at.
const MAX_ANCESTORS: usize = 32;

impl Model {
    /// Where this SIGCHLD setting came from; `None` if it is not set or that is unknown.
    #[must_use]
    pub fn source_of(&self, process: &Process, kept: Kept) -> Option<Source> {
        let heritage = &process.heritage;
        if !kept.is_in(heritage.sigchld?) {
            return None;
        }
        let as_former = match kept {
            Kept::Ignored => heritage.ignored_as,
            Kept::Blocked => heritage.blocked_as,
        };
        if let Some(comm) = as_former {
            return Some(Source::Itself(comm));
        }
        let mut next = process.forker;
        let mut last = None;
        for _ in 0..MAX_ANCESTORS {
            let Some(key) = next else { break };
            let (comm, at_exec, forker) = match self.ancestor(key) {
                Some(Ancestor::Alive(ancestor)) => (ancestor.identity.comm, ancestor.heritage.sigchld, ancestor.forker),
                Some(Ancestor::Dead(remains)) => (remains.comm, remains.sigchld, remains.origin),
                None => break,
            };
            last = Some((key, comm));
            match at_exec.map(|it| kept.is_in(it)) {
                // The setting is newer than this ancestor's exec.
                Some(false) => return Some(Source::Ancestor(key, comm)),
                // The ancestor inherited it, too, or has not called exec since its fork.
                Some(true) | None => next = forker,
            }
        }
        let known = last.map(|(key, comm)| Source::Before(key, comm)).or_else(|| {
            let [ignored, blocked] = heritage.sources;
            if kept == Kept::Ignored { ignored } else { blocked }
        });
        Some(known.unwrap_or(Source::Unseen))
    }

    /// Remembers where a program's settings came from, while its ancestors are known.
    pub(super) fn note_sources(&mut self, key: ProcessKey) {
        let Some(process) = self.table.get(key) else { return };
        let sources = [Kept::Ignored, Kept::Blocked].map(|kept| self.source_of(process, kept));
        if let Some(process) = self.table.get_mut(key) {
            process.heritage.sources = sources;
        }
    }
}
