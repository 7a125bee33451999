//! A signal that asks a process to end, and what it does with it.

use super::Sender;
use crate::{
    event::{BootNs, Handler, Signal},
    signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
};

/// What a process does with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It has a handler.
    Handler,
    /// `SIG_DFL`
    Default,
    /// `SIG_IGN`
    Ignored,
    /// It blocks the signal, whatever it does with it then.
    Blocked,
}

impl Disposition {
    /// The name in machine output.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Default => "default",
            Self::Ignored => "ignored",
            Self::Blocked => "blocked",
        }
    }

    /// As it was when this signal was sent; `None` if it could not be read.
    pub(super) const fn when_sent(signal: &Signal) -> Option<Self> {
        match signal.handler {
            _ if signal.blocked => Some(Self::Blocked),
            Handler::Function => Some(Self::Handler),
            Handler::Default => Some(Self::Default),
            Handler::Ignore => Some(Self::Ignored),
            Handler::Unknown => None,
        }
    }
}

/// A signal that asks to end, as a process was sent it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// Which.
    pub signal: u32,
    /// When it was first sent.
    pub first: BootNs,
    /// When it was last sent.
    pub last: BootNs,
    /// Who sent it first; `None` for the kernel.
    pub sender: Option<Sender>,
    /// What the process did with it when it was first sent; `None` if that is not known.
    pub disposition: Option<Disposition>,
}

impl Asked {
    /// Whether this signal is seen whoever is sent it. Of others only those are that an init is sent.
    #[must_use]
    pub const fn is_seen(signal: u32) -> bool {
        matches!(signal, SIGHUP | SIGINT | SIGQUIT | SIGTERM)
    }
}
