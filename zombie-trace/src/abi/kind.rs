//! The kinds of events.

use core::mem::size_of;

use super::{
    ChildSignalEvent, DeliverEvent, ExecEvent, ExitEvent, ForkEvent, ForkFailedEvent, FreeEvent, FullPidNsEvent,
    MemoryLimitEvent, ReleaseEvent, SignalEvent, WaitEvent,
};

/// The kind of an event, as in [`Header::kind`](super::Header::kind).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum EventKind {
    /// [`ExitEvent`](super::ExitEvent)
    Exit = 1,
    /// [`ChildSignalEvent`](super::ChildSignalEvent)
    ChildSignal = 2,
    /// [`SignalEvent`](super::SignalEvent)
    Signal = 3,
    /// [`DeliverEvent`](super::DeliverEvent)
    Deliver = 4,
    /// [`WaitEvent`](super::WaitEvent)
    Wait = 5,
    /// [`FreeEvent`](super::FreeEvent)
    Free = 6,
    /// [`ForkEvent`](super::ForkEvent)
    Fork = 7,
    /// [`ExecEvent`](super::ExecEvent)
    Exec = 8,
    /// [`ForkFailedEvent`](super::ForkFailedEvent)
    ForkFailed = 9,
    /// [`ReleaseEvent`](super::ReleaseEvent)
    Release = 10,
    /// [`FullPidNsEvent`](super::FullPidNsEvent)
    FullPidNs = 11,
    /// [`MemoryLimitEvent`](super::MemoryLimitEvent)
    MemoryLimit = 12,
}

impl EventKind {
    /// All of them, in the order of their numbers, which begin at 1.
    pub const ALL: [Self; 12] = [
        Self::Exit,
        Self::ChildSignal,
        Self::Signal,
        Self::Deliver,
        Self::Wait,
        Self::Free,
        Self::Fork,
        Self::Exec,
        Self::ForkFailed,
        Self::Release,
        Self::FullPidNs,
        Self::MemoryLimit,
    ];

    /// The kind with this number, if there is one.
    #[must_use]
    pub const fn from_u16(kind: u16) -> Option<Self> {
        match kind {
            0 => None,
            _ if kind as usize > Self::ALL.len() => None,
            _ => Some(Self::ALL[kind as usize - 1]),
        }
    }

    /// Length of an event of this kind in bytes, header included.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::Exit => size_of::<ExitEvent>(),
            Self::ChildSignal => size_of::<ChildSignalEvent>(),
            Self::Signal => size_of::<SignalEvent>(),
            Self::Deliver => size_of::<DeliverEvent>(),
            Self::Wait => size_of::<WaitEvent>(),
            Self::Free => size_of::<FreeEvent>(),
            Self::Fork => size_of::<ForkEvent>(),
            Self::Exec => size_of::<ExecEvent>(),
            Self::ForkFailed => size_of::<ForkFailedEvent>(),
            Self::Release => size_of::<ReleaseEvent>(),
            Self::FullPidNs => size_of::<FullPidNsEvent>(),
            Self::MemoryLimit => size_of::<MemoryLimitEvent>(),
        }
    }
}
