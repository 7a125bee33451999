//! Bytes → [`Event`]: total, never panics, never trusts what it has not checked.
//!
//! Input is a run of wire events back to back, as the kernel wrote them and as a recording stores them. Layouts are
//! read by `zerocopy`, which checks lengths and alignment; numbers that stand for a kind are checked here.

use crate::abi::{
    self, ChildSignalEvent, DeliverEvent, EventKind, ExecEvent, ExitEvent, ForkEvent, ForkFailedEvent, FreeEvent,
    FullPidNsEvent, Header, MemoryLimitEvent, NO_MEMORY_LIMIT, ReleaseEvent, SignalEvent, TaskKey, WaitEvent,
    child_flags, exec_flags, exit_flags, release_flags, signal_flags, wait_flags,
};
use thiserror::Error;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::event::{
    ChildSignal, Deliver, Event, Exec, Exit, ExitStatus, Fork, ForkFailed, FullPidNs, Handler, MemoryLimit, ProcessKey,
    Release, Selector, SigchldAtExec, Signal, SignalOutcome, Usage, Wait, WaitCall, WaitReport, What,
};

/// Why bytes are not events. Offsets count from the start of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Fewer bytes are left than the event says it has, or than a header takes.
    #[error("an event at byte {offset} is cut short")]
    Truncated {
        /// Where it starts.
        offset: usize,
    },
    /// The kind is not one this version knows.
    #[error("an event at byte {offset} is of unknown kind {kind}")]
    UnknownKind {
        /// Where it starts.
        offset: usize,
        /// The number found.
        kind: u16,
    },
    /// The length does not fit the kind.
    #[error("an event at byte {offset} says it is {len} bytes long, which its kind is not")]
    BadLength {
        /// Where it starts.
        offset: usize,
        /// The length found.
        len: u16,
    },
}

/// All events of a buffer, in order. After an error nothing more can be read from it, since where the next event
/// starts is not known.
#[must_use]
pub fn events(bytes: &[u8]) -> Events<'_> {
    Events { bytes, offset: 0 }
}

/// See [`events`].
#[derive(Clone, Debug)]
pub struct Events<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl Iterator for Events<'_> {
    type Item = Result<Event, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.offset..).filter(|rest| !rest.is_empty())?;
        let decoded = one(rest, self.offset);
        self.offset = match &decoded {
            Ok((_, len)) => self.offset + len,
            Err(_) => self.bytes.len(),
        };
        Some(decoded.map(|(event, _)| event))
    }
}

fn one(bytes: &[u8], offset: usize) -> Result<(Event, usize), DecodeError> {
    let (header, _) = Header::read_from_prefix(bytes).map_err(|_| DecodeError::Truncated { offset })?;
    let kind = EventKind::from_u16(header.kind).ok_or(DecodeError::UnknownKind { offset, kind: header.kind })?;
    let len = usize::from(header.len);
    let body = bytes.get(..len).ok_or(DecodeError::Truncated { offset })?;
    let bad_length = DecodeError::BadLength { offset, len: header.len };
    let what = match kind {
        EventKind::Exit => exit(&layout(body).ok_or(bad_length)?),
        EventKind::ChildSignal => child_signal(&layout(body).ok_or(bad_length)?),
        EventKind::Signal => signal(&layout(body).ok_or(bad_length)?),
        EventKind::Deliver => deliver(&layout(body).ok_or(bad_length)?),
        EventKind::Wait => wait(&layout(body).ok_or(bad_length)?),
        EventKind::Free => What::Free(key(layout::<FreeEvent>(body).ok_or(bad_length)?.process)),
        EventKind::Fork => fork(&layout(body).ok_or(bad_length)?),
        EventKind::Exec => exec(&layout(body).ok_or(bad_length)?),
        EventKind::ForkFailed => fork_failed(&layout(body).ok_or(bad_length)?),
        EventKind::FullPidNs => full_pid_ns(&layout(body).ok_or(bad_length)?),
        EventKind::MemoryLimit => memory_limit(&layout(body).ok_or(bad_length)?),
        EventKind::Release => release(&layout(body).ok_or(bad_length)?),
    };
    Ok((Event { time: header.time_ns, what }, len))
}

/// Exactly a `T`, copied: the buffer need not be aligned.
fn layout<T: FromBytes + KnownLayout + Immutable>(bytes: &[u8]) -> Option<T> {
    T::read_from_bytes(bytes).ok()
}

fn key(key: TaskKey) -> ProcessKey {
    ProcessKey { pid: key.tgid, start_ns: key.start_ns }
}

fn outcome(result: u32) -> SignalOutcome {
    match result {
        0 => SignalOutcome::Delivered,
        1 => SignalOutcome::Ignored,
        2 => SignalOutcome::AlreadyPending,
        3 => SignalOutcome::Overflow,
        4 => SignalOutcome::LostInfo,
        other => SignalOutcome::Unknown(other),
    }
}

fn exit(event: &ExitEvent) -> What {
    let has = |bit: u32| event.flags & bit != 0;
    let discards = has(exit_flags::PARENT_IGNORES) || has(exit_flags::PARENT_NOCLDWAIT);
    What::Exit(Exit {
        process: key(event.process),
        thread: event.process.tid,
        parent: key(event.parent),
        tracer: has(exit_flags::PTRACED).then_some(event.tracer),
        group_dead: has(exit_flags::GROUP_DEAD),
        status: ExitStatus::from_raw(event.exit_code),
        exit_signal: event.exit_signal,
        parent_discards: (!has(exit_flags::PARENT_UNREADABLE)).then_some(discards),
        reaps_itself: has(exit_flags::AUTOREAP),
        is_oom_victim: has(exit_flags::OOM_KNOWN).then(|| has(exit_flags::OOM_VICTIM)),
        is_init: has(exit_flags::NS_INIT),
        is_subreaper: has(exit_flags::SUBREAPER),
        parent_is_init: has(exit_flags::PARENT_NS_INIT),
        parent_is_subreaper: has(exit_flags::PARENT_SUBREAPER),
        level: event.level,
        ns: event.ns,
        uid: event.uid,
        cgroup: event.cgroup_id,
        comm: event.comm,
        parent_comm: event.parent_comm,
    })
}

fn child_signal(event: &ChildSignalEvent) -> What {
    let has = |bit: u32| event.flags & bit != 0;
    What::ChildSignal(ChildSignal {
        current: key(event.current),
        child_is_current: has(child_flags::CHILD_IS_CURRENT),
        child_nr: event.child_nr,
        target: key(event.target),
        target_comm: event.target_comm,
        target_ns: abi::NsPid { nr: event.target_nr, inum: event.target_ns },
        target_level: event.target_level,
        target_is_init: has(child_flags::TARGET_INIT),
        target_is_subreaper: has(child_flags::TARGET_SUBREAPER),
        target_exiting: has(child_flags::TARGET_EXITING),
        signal: event.signal,
        outcome: outcome(event.result),
        handler: Handler::from_u32(event.handler),
        nocldwait: has(child_flags::NOCLDWAIT),
        blocked: has(child_flags::BLOCKED),
    })
}

fn signal(event: &SignalEvent) -> What {
    let has = |bit: u32| event.flags & bit != 0;
    What::Signal(Signal {
        target: key(event.target),
        target_comm: event.target_comm,
        target_ns: abi::NsPid { nr: event.target_nr, inum: event.target_ns },
        target_level: event.target_level,
        target_cgroup: event.cgroup_id,
        target_is_init: has(signal_flags::TARGET_INIT),
        unkillable: has(signal_flags::UNKILLABLE),
        target_exiting: has(signal_flags::TARGET_EXITING),
        target_traced: has(signal_flags::TARGET_PTRACED),
        group: has(signal_flags::GROUP),
        sender: key(event.sender),
        sender_thread: event.sender.tid,
        sender_comm: event.sender_comm,
        sender_ns: abi::NsPid { nr: event.sender_nr, inum: event.sender_ns },
        sender_uid: event.sender_uid,
        sender_inside: has(signal_flags::SENDER_INSIDE),
        from_kernel: has(signal_flags::FROM_KERNEL),
        sender_exiting: has(signal_flags::SENDER_EXITING),
        signal: event.signal,
        code: event.code,
        outcome: outcome(event.result),
        handler: Handler::from_u32(event.handler),
        blocked: has(signal_flags::BLOCKED),
    })
}

fn deliver(event: &DeliverEvent) -> What {
    What::Deliver(Deliver {
        target: key(event.target),
        signal: event.signal,
        code: event.code,
        traced: event.flags & signal_flags::TARGET_PTRACED != 0,
    })
}

fn wait(event: &WaitEvent) -> What {
    let has = |bit: u32| event.flags & bit != 0;
    let call = if has(wait_flags::WAITID) { WaitCall::Waitid } else { WaitCall::Wait4 };
    What::Wait(Wait {
        reaper: key(event.reaper),
        thread: event.reaper.tid,
        ns: event.ns,
        child_nr: (event.child_nr != 0).then_some(event.child_nr),
        errno: event.error.unsigned_abs(),
        call,
        selector: match event.selector {
            abi::selector::ANY => Selector::Any,
            abi::selector::PID => Selector::Pid(event.id),
            abi::selector::PGID => Selector::Pgid(event.id),
            abi::selector::PIDFD => Selector::Pidfd(event.id),
            _ => Selector::Unknown,
        },
        options: has(wait_flags::ARGS_KNOWN).then_some(event.options),
        // Seen to reap, whatever it could write where.
        report: if has(wait_flags::REAPED) {
            WaitReport::Dead
        } else if has(wait_flags::STATUS_KNOWN) {
            report(call, event.status)
        } else {
            WaitReport::Unknown
        },
    })
}

/// `wait(2)`: a status word ends in 0x7f for a stop and is 0xffff for a continue; a siginfo's code is 1 to 3 for a
/// death and 4 to 6 for a trap, stop or continue.
fn report(call: WaitCall, status: u32) -> WaitReport {
    match (call, status) {
        (WaitCall::Wait4, 0xffff) => WaitReport::Alive,
        (WaitCall::Wait4, status) if status & 0xff == 0x7f => WaitReport::Alive,
        (WaitCall::Wait4, _) | (WaitCall::Waitid, 1..=3) => WaitReport::Dead,
        (WaitCall::Waitid, 4..=6) => WaitReport::Alive,
        (WaitCall::Waitid, _) => WaitReport::Unknown,
    }
}

fn fork(event: &ForkEvent) -> What {
    What::Fork(Fork {
        forker: key(event.forker),
        child: key(event.child),
        parent_pid: event.parent_tgid,
        ns: event.ns,
        level: event.level,
        cgroup: event.cgroup_id,
        uid: event.uid,
        comm: event.comm,
    })
}

fn exec(event: &ExecEvent) -> What {
    What::Exec(Exec {
        process: key(event.process),
        old_thread: event.old_tid,
        uid: event.uid,
        cgroup: event.cgroup_id,
        comm: event.comm,
        sigchld: (event.flags & exec_flags::KNOWN != 0).then_some(SigchldAtExec {
            ignored: event.flags & exec_flags::SIGCHLD_IGNORED != 0,
            blocked: event.flags & exec_flags::SIGCHLD_BLOCKED != 0,
        }),
    })
}

fn fork_failed(event: &ForkFailedEvent) -> What {
    What::ForkFailed(ForkFailed {
        process: key(event.process),
        errno: event.error.unsigned_abs(),
        failures: event.failures,
        uid: event.uid,
        cgroup: event.cgroup_id,
        comm: event.comm,
        ns: event.ns,
        level: event.level,
    })
}

fn full_pid_ns(event: &FullPidNsEvent) -> What {
    What::FullPidNs(FullPidNs {
        process: key(event.process),
        inum: event.inum,
        level: event.level,
        usage: Usage { used: event.used.into(), allowed: event.pid_max.into() },
    })
}

fn memory_limit(event: &MemoryLimitEvent) -> What {
    let limit = match event.bytes {
        NO_MEMORY_LIMIT => MemoryLimit::None,
        bytes => MemoryLimit::Bytes { bytes, levels_above: event.levels_above },
    };
    What::MemoryLimit { process: key(event.process), limit }
}

fn release(event: &ReleaseEvent) -> What {
    let has = |bit: u32| event.flags & bit != 0;
    What::Release(Release {
        process: key(event.process),
        reaper: key(event.reaper),
        reaper_exiting: has(release_flags::REAPER_EXITING),
        reaper_is_init: has(release_flags::REAPER_NS_INIT),
    })
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};
    use zerocopy::IntoBytes;

    use super::*;

    fn free_event(pid: u32) -> FreeEvent {
        FreeEvent {
            header: Header { time_ns: 7, kind: EventKind::Free as u16, len: 32, cpu: 1 },
            process: TaskKey { start_ns: 5, tgid: pid, tid: pid },
        }
    }

    #[test]
    fn events_are_read_back_to_back() {
        let mut bytes = free_event(1).as_bytes().to_vec();
        bytes.extend_from_slice(free_event(2).as_bytes());
        let read: Result<Vec<_>, _> = events(&bytes).collect();
        let expected = [1, 2].map(|pid| Event { time: 7, what: What::Free(ProcessKey { pid, start_ns: 5 }) });
        assert_eq!(read, Ok(expected.to_vec()));
    }

    #[test]
    fn a_torn_event_is_named_and_ends_the_buffer() {
        let mut bytes = free_event(1).as_bytes().to_vec();
        bytes.extend_from_slice(&free_event(2).as_bytes()[..20]);
        let read: Vec<_> = events(&bytes).collect();
        assert_eq!(read.len(), 2);
        assert_eq!(read[1], Err(DecodeError::Truncated { offset: 32 }));
    }

    #[test]
    fn a_length_that_is_not_its_kinds_is_refused() {
        let mut event = free_event(1);
        event.header.len = 24;
        assert_eq!(events(event.as_bytes()).next(), Some(Err(DecodeError::BadLength { offset: 0, len: 24 })));
        event.header.len = 0;
        assert_eq!(events(event.as_bytes()).next(), Some(Err(DecodeError::BadLength { offset: 0, len: 0 })));
        event.header.kind = 99;
        assert_eq!(events(event.as_bytes()).next(), Some(Err(DecodeError::UnknownKind { offset: 0, kind: 99 })));
    }

    #[test]
    fn status_words_and_siginfo_codes_tell_the_dead_from_the_living() {
        assert_eq!(report(WaitCall::Wait4, 0x0100), WaitReport::Dead);
        assert_eq!(report(WaitCall::Wait4, 0x008b), WaitReport::Dead);
        assert_eq!(report(WaitCall::Wait4, 0x137f), WaitReport::Alive);
        assert_eq!(report(WaitCall::Wait4, 0xffff), WaitReport::Alive);
        assert_eq!(report(WaitCall::Waitid, 2), WaitReport::Dead);
        assert_eq!(report(WaitCall::Waitid, 5), WaitReport::Alive);
        assert_eq!(report(WaitCall::Waitid, 9), WaitReport::Unknown);
    }

    #[test]
    fn a_call_that_was_seen_to_reap_has_found_a_dead_child_whatever_it_could_write() {
        let key = TaskKey { start_ns: 5, tgid: 3, tid: 3 };
        let event = |flags| WaitEvent {
            header: Header { time_ns: 7, kind: EventKind::Wait as u16, len: 64, cpu: 1 },
            reaper: key,
            child_nr: 9,
            error: -14,
            selector: abi::selector::ANY,
            id: 0,
            options: 2,
            status: 0,
            flags,
            ns: 1,
        };
        let report = |flags| match wait(&event(flags)) {
            What::Wait(wait) => Some((wait.report, wait.errno)),
            _ => None,
        };
        assert_eq!(report(0), Some((WaitReport::Unknown, 14)));
        assert_eq!(report(wait_flags::REAPED), Some((WaitReport::Dead, 14)));
    }

    #[test]
    fn a_memory_limit_is_in_bytes_or_there_is_none() {
        let limit = |bytes| {
            let event = MemoryLimitEvent {
                header: Header { time_ns: 7, kind: EventKind::MemoryLimit as u16, len: 48, cpu: 1 },
                process: TaskKey { start_ns: 5, tgid: 3, tid: 4 },
                bytes,
                levels_above: 2,
                reserved: 0,
            };
            events(event.as_bytes()).next().map(|event| event.map(|event| event.what))
        };
        let is = |limit| Some(Ok(What::MemoryLimit { process: ProcessKey { pid: 3, start_ns: 5 }, limit }));
        assert_eq!(limit(64 << 20), is(MemoryLimit::Bytes { bytes: 64 << 20, levels_above: 2 }));
        assert_eq!(limit(NO_MEMORY_LIMIT), is(MemoryLimit::None));
    }

    #[test]
    fn exit_statuses_keep_code_signal_and_core_apart() {
        assert_eq!(ExitStatus::from_raw(0x0700), ExitStatus::Code(7));
        assert_eq!(ExitStatus::from_raw(9), ExitStatus::Signal { signal: 9, core_dumped: false });
        assert_eq!(ExitStatus::from_raw(0x8b), ExitStatus::Signal { signal: 11, core_dumped: true });
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail_but_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1024)) {
            prop_assert!(events(&bytes).count() <= bytes.len() / 16 + 1);
        }

        #[test]
        fn any_body_behind_a_valid_header_decodes(kind in select(EventKind::ALL.to_vec()), body in proptest::collection::vec(any::<u8>(), 256)) {
            let len = kind.size().try_into().unwrap();
            let mut bytes = Header { time_ns: 1, kind: kind as u16, len, cpu: 0 }.as_bytes().to_vec();
            bytes.extend_from_slice(&body[..kind.size() - 16]);
            let read: Vec<_> = events(&bytes).collect();
            prop_assert_eq!(read.len(), 1);
            prop_assert!(read[0].is_ok());
        }
    }
}
