//! Signals that may end a process.

use crate::event::{BootNs, FatalSignal, KnownFatal, MemoryLimit};

/// Maximum number of different signals of a process that are remembered.
const MAX_SIGNALS: usize = 8;

/// What may end a process.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fatal {
    /// The last of each kind.
    signals: Vec<FatalSignal>,
    /// When it last sent itself SIGABRT.
    pub(super) aborted: Option<BootNs>,
    /// When its limit on CPU time was last used up, whatever became of that signal.
    pub(super) used_up_cpu: Option<BootNs>,
    /// Its memory limit, where the OOM killer chose it.
    pub(super) memory_limit: Option<MemoryLimit>,
}

impl Fatal {
    pub(super) fn add(&mut self, sent: FatalSignal) {
        let is_doomed = self.signals.iter().any(|it| it.signal == sent.signal && it.is_last);
        if is_doomed {
            return;
        }
        self.signals.retain(|it| it.signal != sent.signal);
        if self.signals.len() == MAX_SIGNALS {
            self.signals.remove(0);
        }
        self.signals.push(sent);
    }

    pub(super) fn find(&self, signal: u32) -> Option<&FatalSignal> {
        self.signals.iter().find(|it| it.signal == signal)
    }

    /// For the next file of a recording.
    pub(super) fn known(&self) -> KnownFatal {
        KnownFatal {
            signals: self.signals.clone(),
            aborted: self.aborted,
            used_up_cpu: self.used_up_cpu,
            memory_limit: self.memory_limit,
        }
    }

    /// As another reader knew it.
    pub(super) fn recall(known: &KnownFatal) -> Self {
        let signals = known.signals.iter().take(MAX_SIGNALS).copied().collect();
        let KnownFatal { aborted, used_up_cpu, memory_limit, .. } = *known;
        Self { signals, aborted, used_up_cpu, memory_limit }
    }
}
