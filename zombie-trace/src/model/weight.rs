//! The one table that says how much it matters that a signal did not reach an init. `live`, `report`, `check` and
//! `scan` all use it.
//!
//! Three things decide: which signal, why it was lost, and who sent it. Most dropped signals do not matter: the SIGPIPE
//! of a program that handles EPIPE, a window's new size, a group's signal to its own sender. What matters is a signal
//! by which another process requests an exit or a reload.

use super::{DropReason, DroppedSignal, Relation, Sender};
use crate::{
    event::{Comm, ProcessKey},
    signal::{
        self, SIGABRT, SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGPWR, SIGQUIT, SIGRTMIN, SIGSTOP, SIGTERM, SIGUSR1, SIGUSR2,
        SIGXFSZ,
    },
};

/// How much a signal that did not reach an init matters, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// Does not matter: not even counted as dropped.
    Nothing,
    /// Good to know at the end, when its effect is known.
    Aside,
    /// Good to know.
    Note,
    /// Should be looked at.
    Warning,
    /// Should be fixed.
    Error,
}

/// Who sent a signal, as far as that decides whether it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The init itself: by `raise`, to its own group, or by an error of its own.
    Itself,
    /// The kernel.
    Kernel,
    /// A process that seems to belong to a package manager or one of its scripts.
    PackageScript,
    /// Any other process.
    Other,
}

impl Origin {
    /// Of a signal to `target`; without a sender it is the kernel's.
    pub(super) fn of(target: ProcessKey, sender: Option<&Sender>) -> Self {
        let Some(sender) = sender else { return Self::Kernel };
        let names = [Some(&sender.comm), sender.parent.as_ref().map(|(_, comm)| comm)];
        if sender.process == target {
            Self::Itself
        } else if names.into_iter().flatten().any(is_of_a_package) {
            Self::PackageScript
        } else {
            Self::Other
        }
    }
}

impl DroppedSignal {
    /// Who sent it, as far as that decides whether it matters.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin::of(self.target, self.sender.as_ref())
    }

    /// How much it matters.
    #[must_use]
    pub fn weight(&self) -> Weight {
        Weight::of(self.signal, self.reason, self.origin())
    }
}

impl Weight {
    /// Of a signal that did not reach an init for this reason. `origin` says who sent it.
    #[must_use]
    pub fn of(signal: u32, reason: DropReason, origin: Origin) -> Self {
        if signal::is_ignored_by_default(signal) {
            return Self::Nothing;
        }
        match origin {
            Origin::Itself => Self::sent_by_itself(signal, reason),
            Origin::Kernel => Self::sent_by_the_kernel(signal, reason),
            Origin::PackageScript if signal == SIGHUP => Self::sent_by_another(signal, reason).min(Self::Note),
            Origin::PackageScript | Origin::Other => Self::sent_by_another(signal, reason),
        }
    }

    fn sent_by_itself(signal: u32, reason: DropReason) -> Self {
        match (signal, reason) {
            // Sent for a failed write: the program sees EPIPE or EFBIG in any case.
            (SIGPIPE | SIGXFSZ, _) => Self::Nothing,
            // A program that ignores or blocks its own signals does so on purpose.
            (_, DropReason::Ignored | DropReason::Blocked | DropReason::Coalesced) => Self::Nothing,
            // abort() ends even a PID 1, but by another signal.
            (SIGABRT, _) => Self::Aside,
            (SIGKILL | SIGSTOP, _) => Self::Note,
            // A shell that wants the terminal.
            _ if signal::stops_by_default(signal) => Self::Nothing,
            (SIGTERM | SIGINT | SIGQUIT | SIGHUP, _) => Self::Warning,
            _ => Self::Note,
        }
    }

    fn sent_by_the_kernel(signal: u32, reason: DropReason) -> Self {
        match (signal, reason) {
            // The kernel sends these for an error of the program itself.
            (SIGPIPE | SIGXFSZ, _) => Self::Nothing,
            (_, DropReason::Ignored | DropReason::Blocked | DropReason::Coalesced) => Self::Nothing,
            // Somebody typed Ctrl-C.
            (SIGINT | SIGQUIT, _) => Self::Warning,
            _ => Self::Note,
        }
    }

    fn sent_by_another(signal: u32, reason: DropReason) -> Self {
        let asks = matches!(signal, SIGTERM | SIGINT | SIGQUIT | SIGHUP);
        let may_ask = matches!(signal, SIGUSR1 | SIGUSR2 | SIGPWR | SIGABRT | SIGRTMIN..);
        match reason {
            // The kernel protects every init; the program does nothing wrong.
            DropReason::ProtectedFromInside => Self::Note,
            _ if signal::stops_by_default(signal) => Self::Note,
            // One was already pending, which says as much.
            DropReason::Coalesced => Self::Note,
            DropReason::NoHandler | DropReason::DroppedAtDelivery | DropReason::Blocked if signal == SIGTERM => {
                Self::Error
            }
            DropReason::NoHandler | DropReason::DroppedAtDelivery | DropReason::Blocked if asks || may_ask => {
                Self::Warning
            }
            // Decided by the program or its ancestor.
            DropReason::Ignored if asks => Self::Warning,
            _ => Self::Note,
        }
    }

    /// Whether it is reported at once, not only at the end.
    #[must_use]
    pub fn is_told_at_once(self) -> bool {
        self > Self::Aside
    }
}

/// Whether a name is that of a package manager or of a package's script: `libc6:amd64.pos` is what 15 bytes keep of
/// `libc6:amd64.postinst`.
fn is_of_a_package(comm: &Comm) -> bool {
    const MANAGERS: [&[u8]; 10] =
        [b"dpkg", b"apt", b"apt-get", b"rpm", b"dnf", b"yum", b"microdnf", b"zypper", b"apk", b"pacman"];
    const SCRIPTS: [&[u8]; 4] = [b"preinst", b"postinst", b"prerm", b"postrm"];
    let length = comm.iter().position(|&byte| byte == 0).unwrap_or(comm.len());
    let name = &comm[..length];
    let is_cut = length == comm.len() - 1;
    let of_script = name.iter().rposition(|&byte| byte == b'.').map(|dot| &name[dot + 1..]);
    let is_script =
        |end: &[u8]| SCRIPTS.iter().any(|&script| end == script || is_cut && end.len() >= 2 && script.starts_with(end));
    MANAGERS.contains(&name) || of_script.is_some_and(is_script)
}

impl Relation {
    /// Of a sender inside or outside the init's namespace; the kernel is not a process.
    pub(super) const fn of(is_process: bool, is_inside: bool) -> Self {
        match (is_process, is_inside) {
            (false, _) => Self::Kernel,
            (true, true) => Self::Inside,
            (true, false) => Self::Outside,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::{SIGALRM, SIGCHLD, SIGCONT, SIGTTIN, SIGURG, SIGWINCH};

    const REASONS: [DropReason; 6] = [
        DropReason::NoHandler,
        DropReason::ProtectedFromInside,
        DropReason::Ignored,
        DropReason::Blocked,
        DropReason::DroppedAtDelivery,
        DropReason::Coalesced,
    ];
    const ORIGINS: [Origin; 4] = [Origin::Itself, Origin::Kernel, Origin::PackageScript, Origin::Other];

    fn comm(name: &str) -> Comm {
        let mut comm = Comm::default();
        comm[..name.len()].copy_from_slice(name.as_bytes());
        comm
    }

    #[test]
    fn what_is_ignored_by_default_is_never_missed() {
        for signal in [SIGCHLD, SIGCONT, SIGWINCH, SIGURG] {
            for (reason, origin) in REASONS.into_iter().flat_map(|reason| ORIGINS.map(|origin| (reason, origin))) {
                assert_eq!(Weight::of(signal, reason, origin), Weight::Nothing, "{signal} {reason:?} {origin:?}");
            }
        }
    }

    #[test]
    fn an_error_of_its_own_is_never_missed() {
        for reason in REASONS {
            assert_eq!(Weight::of(SIGPIPE, reason, Origin::Itself), Weight::Nothing);
            assert_eq!(Weight::of(SIGXFSZ, reason, Origin::Itself), Weight::Nothing);
            assert_eq!(Weight::of(SIGPIPE, reason, Origin::Kernel), Weight::Nothing);
        }
    }

    #[test]
    fn what_it_sends_itself_and_ignores_is_meant_for_others() {
        for signal in 1..=64 {
            for reason in [DropReason::Ignored, DropReason::Blocked, DropReason::Coalesced] {
                assert_eq!(Weight::of(signal, reason, Origin::Itself), Weight::Nothing, "{signal} {reason:?}");
            }
        }
        assert_eq!(Weight::of(SIGTTIN, DropReason::NoHandler, Origin::Itself), Weight::Nothing);
    }

    #[test]
    fn who_raises_a_signal_against_itself_in_vain_should_know() {
        assert_eq!(Weight::of(SIGTERM, DropReason::NoHandler, Origin::Itself), Weight::Warning);
        assert_eq!(Weight::of(SIGABRT, DropReason::NoHandler, Origin::Itself), Weight::Aside);
        assert!(!Weight::Aside.is_told_at_once() && Weight::Note.is_told_at_once());
    }

    #[test]
    fn a_request_of_another_to_end_or_to_reload_is_an_error_or_a_warning() {
        for reason in [DropReason::NoHandler, DropReason::DroppedAtDelivery, DropReason::Blocked, DropReason::Ignored] {
            for signal in [SIGTERM, SIGINT, SIGQUIT, SIGHUP] {
                assert!(Weight::of(signal, reason, Origin::Other) >= Weight::Warning, "{signal} {reason:?}");
            }
        }
        assert_eq!(Weight::of(SIGTERM, DropReason::NoHandler, Origin::Other), Weight::Error);
        assert_eq!(Weight::of(SIGKILL, DropReason::ProtectedFromInside, Origin::Other), Weight::Note);
    }

    #[test]
    fn a_reload_by_a_package_is_a_note_and_a_stop_by_one_is_not() {
        assert_eq!(Weight::of(SIGHUP, DropReason::NoHandler, Origin::PackageScript), Weight::Note);
        assert_eq!(Weight::of(SIGTERM, DropReason::NoHandler, Origin::PackageScript), Weight::Error);
    }

    #[test]
    fn timers_are_notes_at_most_and_ctrl_c_is_more() {
        assert_eq!(Weight::of(SIGALRM, DropReason::NoHandler, Origin::Kernel), Weight::Note);
        assert_eq!(Weight::of(SIGALRM, DropReason::Coalesced, Origin::Kernel), Weight::Nothing);
        assert_eq!(Weight::of(SIGINT, DropReason::NoHandler, Origin::Kernel), Weight::Warning);
    }

    #[test]
    fn packages_are_known_by_name() {
        for name in ["dpkg", "apt-get", "x.postinst", "libc6:amd64.pos", "a-long-one.prer"] {
            assert!(is_of_a_package(&comm(name)), "{name}");
        }
        for name in ["app", "", "a.pos", "postinst", "dpkg-deb", "x.p", "0123456789abc.p"] {
            assert!(!is_of_a_package(&comm(name)), "{name}");
        }
    }

    #[test]
    fn origins_are_told_apart() {
        let key = |pid| ProcessKey { pid, start_ns: 1 };
        let sender = |pid, name, parent: Option<&str>| Sender {
            process: key(pid),
            comm: comm(name),
            ns: crate::event::NsPid { nr: pid, inum: 1 },
            uid: 0,
            parent: parent.map(|name| (key(9), comm(name))),
        };
        assert_eq!(Origin::of(key(1), None), Origin::Kernel);
        assert_eq!(Origin::of(key(1), Some(&sender(1, "app", Some("dpkg")))), Origin::Itself);
        assert_eq!(Origin::of(key(1), Some(&sender(2, "kill", Some("x.postinst")))), Origin::PackageScript);
        assert_eq!(Origin::of(key(1), Some(&sender(2, "kill", Some("bash")))), Origin::Other);
        assert_eq!(Origin::of(key(1), Some(&sender(2, "kill", None))), Origin::Other);
    }
}
