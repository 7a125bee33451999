//! What a process has from before its last exec: children that the former program started, and what exec keeps.

use crate::event::{BootNs, Comm, Exec, KnownHeritage, KnownSource, ProcessKey, SigchldAtExec};

/// Maximum number of a process's former programs remembered; only those that started children are.
const MAX_FORMER: usize = 4;

/// What a process has from before its last exec.
#[derive(Clone, Debug, Default)]
pub struct Heritage {
    /// Former programs whose children still live: the name, and until when it was that program.
    former: Vec<(BootNs, Comm)>,
    /// Its name when it last started a child. Later names may be that of the next program, which the kernel sets some
    /// time before exec is done.
    pub(super) forked_as: Option<Comm>,
    /// How exec left SIGCHLD, where that was seen.
    pub(super) sigchld: Option<SigchldAtExec>,
    /// The program that set SIGCHLD to be ignored, if it was a former program of this process.
    pub(super) ignored_as: Option<Comm>,
    /// The program that blocked SIGCHLD.
    pub(super) blocked_as: Option<Comm>,
    /// From which process it inherited these, noted at exec because the ancestors may be gone later.
    pub(super) sources: [Option<Source>; 2],
}

/// What exec keeps of SIGCHLD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// That it is ignored.
    Ignored,
    /// That it is blocked.
    Blocked,
}

impl Kept {
    pub(super) const fn is_in(self, sigchld: SigchldAtExec) -> bool {
        match self {
            Self::Ignored => sigchld.ignored,
            Self::Blocked => sigchld.blocked,
        }
    }
}

/// Where a program got what exec kept from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The process itself, as the former program of this name.
    Itself(Comm),
    /// This ancestor, or a child of it before its exec.
    Ancestor(ProcessKey, Comm),
    /// An ancestor of this process, the last one known.
    Before(ProcessKey, Comm),
    /// An ancestor that was not seen.
    Unseen,
}

impl Heritage {
    /// For the next file of a recording.
    pub(super) fn known(&self) -> KnownHeritage {
        let Self { ref former, forked_as, sigchld, ignored_as, blocked_as, sources } = *self;
        let sources = sources.map(|source| {
            source.map(|source| match source {
                Source::Itself(comm) => KnownSource::Itself(comm),
                Source::Ancestor(key, comm) => KnownSource::Ancestor(key, comm),
                Source::Before(key, comm) => KnownSource::Before(key, comm),
                Source::Unseen => KnownSource::Unseen,
            })
        });
        KnownHeritage { former: former.clone(), forked_as, sigchld, ignored_as, blocked_as, sources }
    }

    /// What another reader knew.
    pub(super) fn recall(known: &KnownHeritage) -> Self {
        let KnownHeritage { ref former, forked_as, sigchld, ignored_as, blocked_as, sources } = *known;
        let sources = sources.map(|source| {
            source.map(|source| match source {
                KnownSource::Itself(comm) => Source::Itself(comm),
                KnownSource::Ancestor(key, comm) => Source::Ancestor(key, comm),
                KnownSource::Before(key, comm) => Source::Before(key, comm),
                KnownSource::Unseen => Source::Unseen,
            })
        });
        let former = former.iter().take(MAX_FORMER).copied().collect();
        Self { former, forked_as, sigchld, ignored_as, blocked_as, sources }
    }

    /// The process of this name calls exec.
    pub(super) fn executes(&mut self, time: BootNs, exec: &Exec, before: Comm, has_children: bool) {
        if has_children && self.former.len() < MAX_FORMER {
            self.former.push((time, self.forked_as.unwrap_or(before)));
        }
        let became = |kept: Kept, known: Option<Comm>| {
            let is_kept = exec.sigchld.is_some_and(|it| kept.is_in(it));
            let was_kept = self.sigchld.map(|it| kept.is_in(it));
            match (is_kept, was_kept) {
                (false, _) => None,
                (true, Some(false)) => Some(before),
                (true, _) => known,
            }
        };
        (self.ignored_as, self.blocked_as) =
            (became(Kept::Ignored, self.ignored_as), became(Kept::Blocked, self.blocked_as));
        self.sigchld = exec.sigchld;
        self.sources = [None; 2];
    }

    /// The program that started a child at this time, if it differs from the current one.
    #[must_use]
    pub fn program_at(&self, time: BootNs) -> Option<Comm> {
        self.former.iter().find(|(until, _)| time < *until).map(|(_, comm)| *comm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn comm(letter: u8) -> Comm {
        let mut comm = [0; 16];
        comm[0] = letter;
        comm
    }

    fn exec(ignored: Option<bool>) -> Exec {
        let sigchld = ignored.map(|ignored| SigchldAtExec { ignored, blocked: false });
        Exec {
            process: ProcessKey { pid: 7, start_ns: 1 },
            old_thread: 7,
            uid: 0,
            cgroup: 0,
            comm: comm(b'n'),
            sigchld,
        }
    }

    #[test]
    fn children_are_of_the_program_that_started_them() {
        let mut heritage = Heritage::default();
        heritage.executes(10, &exec(None), comm(b'a'), false);
        heritage.executes(20, &exec(None), comm(b'b'), true);
        heritage.executes(30, &exec(None), comm(b'c'), true);
        assert_eq!([15, 25, 35].map(|time| heritage.program_at(time)), [Some(comm(b'b')), Some(comm(b'c')), None]);
    }

    #[test]
    fn a_former_program_has_the_name_that_it_had_when_it_started_children() {
        let mut heritage = Heritage { forked_as: Some(comm(b'a')), ..Heritage::default() };
        heritage.executes(10, &exec(None), comm(b'n'), true);
        assert_eq!(heritage.program_at(5), Some(comm(b'a')), "an event told the next name before the exec did");
    }

    #[test]
    fn who_has_ignored_a_signal_is_the_program_after_whose_exec_it_was_not_yet() {
        let mut heritage = Heritage::default();
        heritage.executes(10, &exec(Some(false)), comm(b'a'), false);
        assert_eq!(heritage.ignored_as, None);
        heritage.executes(20, &exec(Some(true)), comm(b'b'), false);
        assert_eq!(heritage.ignored_as, Some(comm(b'b')));
        heritage.executes(30, &exec(Some(true)), comm(b'c'), false);
        assert_eq!(heritage.ignored_as, Some(comm(b'b')), "the next one had it already");
        heritage.executes(40, &exec(None), comm(b'd'), false);
        assert_eq!(heritage.ignored_as, None, "nothing is known of that one");
    }
}
