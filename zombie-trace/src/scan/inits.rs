//! What a PID 1 makes of the signals that people send it.

use serde::Serialize;

use crate::{
    event::ProcFacts,
    model::{DropReason, Origin, Weight},
    report::ProcessRecord,
    signal::{self, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2},
    source::proc::SignalReaders,
};

use super::Observation;

/// Those whose default action is to end the process and that are used to talk to inits. SIGWINCH is not among them: its
/// default is to be ignored, for PID 1 as for all.
const SIGNALS: [u32; 6] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];

/// `PROC_PID_INIT_INO`: the initial pid namespace has the same inode everywhere.
const INITIAL_PID_NS: u32 = 0xefff_fffc;

/// What would become of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Thrown away, as an init has no default action.
    Dropped,
    /// Kept pending, as it is blocked. The program may yet fetch it.
    Blocked,
    /// Not to be seen: it has no handler, but it may be waiting for it.
    Unknown,
    /// Given to a handler.
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
    /// Set to be ignored: a decision, its own or inherited.
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
    /// Whether it is the machine's own init.
    pub is_host: bool,
    /// Whether it drops a signal that a trace would call an error: SIGTERM for want of a handler, so that stopping it
    /// always costs the whole grace period. Never said of the machine's own init, which nobody stops that way.
    pub finding: bool,
    /// The signals.
    pub signals: Vec<SignalRecord>,
}

/// By the order in which the kernel decides (`prepare_signal`, `sig_ignored`): the main thread's mask first, then the
/// disposition.
fn judge(number: u32, facts: &ProcFacts, takers: &SignalReaders) -> SignalRecord {
    let bit = signal::bit(number);
    let blocked = (facts.blocked | takers.main_thread.unwrap_or(0)) & bit != 0;
    let (verdict, reason) = if facts.caught & bit != 0 {
        // Should it be blocked at the moment, it is handled when it no longer is.
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

/// Whether a trace would call it an error if somebody else sent it. What is blocked at this moment may be fetched in the
/// next: that is for a trace to tell.
fn is_error(record: &SignalRecord) -> bool {
    let reason = match (record.verdict, record.reason) {
        (Verdict::Dropped, Some(Reason::NoHandler)) => DropReason::NoHandler,
        (Verdict::Dropped, Some(Reason::Ignored)) => DropReason::Ignored,
        _ => return false,
    };
    Weight::of(record.number, reason, Origin::Other) == Weight::Error
}

/// The inits, those that drop most first, the machine's own last.
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
