//! From whom a program has what exec left it of SIGCHLD.

use super::{
    Ancestor, Model, Process,
    heritage::{Kept, Source},
};
use crate::event::ProcessKey;

/// Maximum number of ancestors looked at.
const MAX_ANCESTORS: usize = 32;

impl Model {
    /// From whom a program has this of SIGCHLD; `None` if it has not, or that is not known.
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
                // It came to be after this one had become what it is.
                Some(false) => return Some(Source::Ancestor(key, comm)),
                // It had it from before, too; or it has been no other program since it was forked.
                Some(true) | None => next = forker,
            }
        }
        let known = last.map(|(key, comm)| Source::Before(key, comm)).or_else(|| {
            let [ignored, blocked] = heritage.sources;
            if kept == Kept::Ignored { ignored } else { blocked }
        });
        Some(known.unwrap_or(Source::Unseen))
    }

    /// Remembers from whom a program has what exec left it, while those are there.
    pub(super) fn note_sources(&mut self, key: ProcessKey) {
        let Some(process) = self.table.get(key) else { return };
        let sources = [Kept::Ignored, Kept::Blocked].map(|kept| self.source_of(process, kept));
        if let Some(process) = self.table.get_mut(key) {
            process.heritage.sources = sources;
        }
    }
}
