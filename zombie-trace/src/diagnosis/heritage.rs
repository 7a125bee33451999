//! State from before exec, in words: children of the former program, and SIGCHLD settings that exec keeps.

use super::{Case, Cause, Verdict, words::name};
use crate::model::{Kept, Model, Process, Source};

/// A zombie that its parent started before exec: the new program does not know it, and no init can adopt it.
pub(super) fn before_exec(case: &Case<'_>, verdict: &mut Verdict) {
    let Some(waiter) = case.waiter.filter(|waiter| !case.adopted && case.zombie.forker == Some(waiter.key)) else {
        return;
    };
    let Some(former) = waiter.heritage.program_at(case.zombie.key.start_ns) else { return };
    let (parent, former) = (case.waiter_name(), name(&former, waiter.key.pid));
    verdict.evidence.push(format!(
        "{parent} started this child as {former}, before it exec'ed {parent}: it was never adopted, and {parent} may not \
         know of it"
    ));
    let is_about_it = matches!(
        verdict.cause,
        Cause::NeverWaits | Cause::WaitsForOthers | Cause::LazyReaper | Cause::HandlerIgnoresChildren | Cause::Unknown
    );
    if is_about_it {
        verdict.advice = format!(
            "Let {former} stay the parent of what it starts (`helper & {parent} & wait -n`), or start the helper so that \
             it is adopted (`setsid -f helper`, or a double fork). An init in front does not get this child: it is no \
             orphan."
        );
    }
}

/// Since when SIGCHLD is ignored or blocked, and who did that. `None` if the program itself did, or that is unknown.
pub(super) fn inherited(model: &Model, process: &Process, kept: Kept) -> Option<Inherited> {
    let own = name(&process.identity.comm, process.key.pid);
    let state = match kept {
        Kept::Ignored => "ignored",
        Kept::Blocked => "blocked",
    };
    let already = format!("SIGCHLD was already {state} when {own} was exec'ed");
    let (sentence, from) = match model.source_of(process, kept)? {
        Source::Itself(before) => {
            let before = name(&before, process.key.pid);
            (format!("{already}: the same process had set it so before, as {before}"), before)
        }
        Source::Ancestor(key, comm) => {
            let from = format!("{} (pid {})", name(&comm, key.pid), key.pid);
            (format!("{already}: inherited from {from}, which set it so or started it so"), from)
        }
        Source::Before(key, comm) => {
            let from = format!("{} (pid {})", name(&comm, key.pid), key.pid);
            (format!("{already}: inherited from {from}, of which it is not known whether it inherited it"), from)
        }
        Source::Unseen => {
            (format!("{already}: inherited from whoever started it"), "the program that starts it".to_owned())
        }
    };
    Some(Inherited { sentence, from, own })
}

/// What was inherited, in words.
pub(super) struct Inherited {
    pub(super) sentence: String,
    from: String,
    own: String,
}

impl Inherited {
    /// What to do if it is ignored.
    pub(super) fn advice_on_ignored(&self) -> String {
        let Self { from, own, .. } = self;
        format!(
            "In {from}, set SIGCHLD back to SIG_DFL before exec, or use a handler or SA_NOCLDWAIT there, which exec resets; \
             or start {own} by `env --default-signal=CHLD`."
        )
    }

    /// What to do if it is blocked.
    pub(super) fn advice_on_blocked(&self) -> String {
        let Self { from, own, .. } = self;
        format!(
            "In {from}, unblock SIGCHLD between fork and exec; or let {own} unblock it when it \
             starts."
        )
    }
}
