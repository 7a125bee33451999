//! What a PID 1 does with the usual signals.

use serde::Serialize;

use crate::{
    event::ProcFacts,
    model::{DropReason, Origin, Weight},
    report::ProcessRecord,
    signal::{self, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2},
    source::proc::SignalReaders,
};

use super::Observation;

/// Signals sent to inits whose default action terminates the process. SIGWINCH is not among them: it is ignored by
/// default.
const SIGNALS: [u32; 6] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];

/// `PROC_PID_INIT_INO`: the initial pid namespace has the same inode everywhere.
const INITIAL_PID_NS: u32 = 0xefff_fffc;

/// What would happen to a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Dropped, because an init has no default action.
    Dropped,
    /// Stays pending because it is blocked. The program may still fetch it.
    Blocked,
    /// Unknown: there is no handler, but the program may be waiting for it.
    Unknown,
    /// Goes to a handler.
    Handled,
    /// Fetched by the program, from a signalfd or by `sigwait`.
    Fetched,
}

/// Why; the stable ids that a trace uses too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// No handler.
    NoHandler,
    /// `SIG_IGN`, set by itself or inherited.
    Ignored,
    /// Blocked.
    Blocked,
}

/// One signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignalRecord {
    /// Name.
    pub signal: String,
    /// Number.
    pub number: u32,
    /// What would become of it.
    pub verdict: Verdict,
    /// Why it would not be acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// How it is fetched: `sigwait` or `signalfd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetched_by: Option<&'static str>,
}

/// The init of a pid namespace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InitRecord {
    /// The process.
    pub process: ProcessRecord,
    /// Whether it is the host init.
    pub is_host: bool,
    /// Whether it drops a signal that a trace would report as an error: SIGTERM without a handler, so that stopping it
    /// always takes the whole grace period. Never set for the host init, which is not stopped that way.
    pub finding: bool,
    /// The signals.
    pub signals: Vec<SignalRecord>,
}

/// Decides in the kernel's order (`prepare_signal`, `sig_ignored`): the main thread's mask first, then the disposition.
fn judge(number: u32, facts: &ProcFacts, takers: &SignalReaders) -> SignalRecord {
    let bit = signal::bit(number);
    let blocked = (facts.blocked | takers.main_thread.unwrap_or(0)) & bit != 0;
    let (verdict, reason) = if facts.caught & bit != 0 {
        // If it is blocked now, it is handled when unblocked.
        (Verdict::Handled, None)
    } else if blocked && takers.way(number).is_some() {
        (Verdict::Fetched, None)
    } else if blocked {
        (Verdict::Blocked, Some(Reason::Blocked))
    } else if facts.ignored & bit != 0 {
        (Verdict::Dropped, Some(Reason::Ignored))
    } else if takers.main_thread.is_none() {
        (Verdict::Unknown, None)
    } else {
        (Verdict::Dropped, Some(Reason::NoHandler))
    };
    let fetched_by = takers.way(number).filter(|_| verdict == Verdict::Fetched);
    SignalRecord { signal: signal::name(number).into_owned(), number, verdict, reason, fetched_by }
}

/// Whether a trace would report an error if another process sent it. A signal that is blocked now may be fetched the
/// next moment; only a trace can tell.
fn is_error(record: &SignalRecord) -> bool {
    let reason = match (record.verdict, record.reason) {
        (Verdict::Dropped, Some(Reason::NoHandler)) => DropReason::NoHandler,
        (Verdict::Dropped, Some(Reason::Ignored)) => DropReason::Ignored,
        _ => return false,
    };
    Weight::of(record.number, reason, Origin::Other) == Weight::Error
}

/// The inits, those that drop most first, the host init last.
pub(super) fn records(observation: &Observation) -> Vec<InitRecord> {
    let by_pid = observation.by_pid();
    let mut records: Vec<InitRecord> = observation
        .inits
        .iter()
        .filter_map(|init| {
            let seed = by_pid.get(&init.process.pid).filter(|seed| seed.process == init.process)?;
            let signals: Vec<_> = SIGNALS.iter().map(|&number| judge(number, &init.facts, &init.takers)).collect();
            let is_host = init.facts.pid_ns == INITIAL_PID_NS;
            let finding = !is_host && signals.iter().any(is_error);
            Some(InitRecord { process: observation.record(seed), is_host, finding, signals })
        })
        .collect();
    records.sort_by_key(|record| {
        let dropped = record.signals.iter().filter(|signal| signal.verdict == Verdict::Dropped).count();
        (record.is_host, !record.finding, std::cmp::Reverse(dropped), record.process.pid)
    });
    records
}
