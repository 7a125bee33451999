//! The packets of a small trace, as they are written. Whether Perfetto reads them is tested with its own definitions.

use prost::Message;

use super::{proto::*, *};
use crate::{
    diagnosis::Cause,
    model::{DropReason, Precision, Relation, Via},
    policy::sample::{at, failed_stop, process, report, with_zombies},
};

const START: &str = "2026-01-02T03:04:05.000000000Z";
const END: &str = "2026-01-02T03:04:15.000000000Z";

fn zombie(pid: u32, since: &str, age_ns: u64) -> ZombieRecord {
    ZombieRecord {
        time: at(START),
        process: process(pid, 10, "child"),
        exit: Some(ExitRecord::Code { code: 3 }),
        since: at(since),
        age_ns,
        parent: Some(process(1200, 9, "a\\x1b[31mpp")),
        cause: Cause::NeverWaits,
        evidence: vec!["no wait call".to_owned()],
        advice: "Wait.".to_owned(),
        preexisting: false,
        doing: Vec::new(),
        waiters: Vec::new(),
    }
}

fn reaped(pid: u32, time: &str, zombie_ns: u64) -> Notice {
    Notice::Reaped {
        waiters: Vec::new(),
        time: at(time),
        process: process(pid, 10, "child"),
        exit: None,
        zombie_ns,
        precision: Precision::UpperBound,
        parent: Some(process(1200, 9, "a\\x1b[31mpp")),
        reaper: None,
        via: Via::Unknown,
        preexisting: false,
    }
}

#[derive(Clone, PartialEq, Message)]
struct Trace {
    #[prost(message, repeated, tag = "1")]
    packet: Vec<TracePacket>,
}

fn packets(write: impl FnOnce(&mut Perfetto<&mut Vec<u8>>) -> io::Result<()>) -> Vec<TracePacket> {
    let mut out = Vec::new();
    let mut trace = Perfetto::new(&mut out);
    let header = Header { host: "host".to_owned(), kernel: "6.1".to_owned(), ..Header::of_this_version() };
    trace.begin(&header).expect("memory takes everything");
    write(&mut trace).expect("memory takes everything");
    trace.finish().expect("memory takes everything");
    Trace::decode(out.as_slice()).expect("it was encoded so").packet
}

#[test]
fn a_small_trace() {
    let packets = packets(|trace| {
        trace.notice(&Notice::Zombie(zombie(1300, START, 1_000_000_000)))?;
        trace.notice(&Notice::SignalDropped {
            time: at(START),
            signal: "SIGTERM".to_owned(),
            number: 15,
            target: process(1500, 12, "web"),
            reason: DropReason::NoHandler,
            sender: None,
            relation: Relation::Kernel,
        })?;
        trace.notice(&Notice::Loss { time: at(START), events: 7 })?;
        trace.notice(&reaped(1300, "2026-01-02T03:04:07.000000000Z", 2_000_000_000))?;
        let report = with_zombies(report(), process(1200, 9, "a\\x1b[31mpp"), "never-waits", 2);
        let window = crate::report::Window { start: at(START), end: at(END) };
        let zombies = vec![zombie(1301, "2026-01-02T03:04:06.000000000Z", 9_000_000_000)];
        trace.report(&Report { window, zombies, ..report })
    });
    insta::assert_debug_snapshot!(packets);
}

#[test]
fn zombies_that_overlap_are_on_tracks_of_their_own_and_others_share_them() {
    let at = |second: u32| format!("2026-01-02T03:04:{second:02}.000000000Z");
    let packets = packets(|trace| {
        // From 1 to 5, from 2 to 6, and from 5 to 7.
        trace.notice(&reaped(1, &at(5), 4_000_000_000))?;
        trace.notice(&reaped(2, &at(6), 4_000_000_000))?;
        trace.notice(&reaped(3, &at(7), 2_000_000_000))
    });
    let begun: Vec<u64> = packets
        .iter()
        .filter_map(|packet| match &packet.data {
            Some(Data::TrackEvent(event)) if event.r#type == Some(EventType::SliceBegin.into()) => event.track_uuid,
            _ => None,
        })
        .collect();
    assert_eq!(begun.len(), 3);
    assert_ne!(begun[0], begun[1]);
    assert_eq!(begun[0], begun[2]);
}

#[test]
fn a_stop_is_a_bar_of_its_own_on_the_track_of_pid_1_and_an_instant_for_each_that_was_sent_the_signal() {
    let mut web = failed_stop(process(1500, 12, "web"));
    web.path[1].signal = None;
    let packets = packets(|trace| {
        // It overlaps the stop, and must not be on its track.
        let mut zombie = zombie(1301, "2026-01-02T03:04:06.000000000Z", 2_000_000_000);
        zombie.parent = Some(process(1500, 12, "web"));
        trace.report(&Report { stops: vec![web], zombies: vec![zombie], ..report() })
    });
    let events: Vec<(i64, &TrackEvent)> = packets
        .iter()
        .filter_map(|packet| match &packet.data {
            Some(Data::TrackEvent(event)) => Some((packet.timestamp?.cast_signed(), event)),
            _ => None,
        })
        .collect();
    let is_of = |event: &TrackEvent, category: &str| event.categories.iter().any(|it| it == category);
    let begins = |category| events.iter().find(|(_, event)| is_of(event, category)).expect("there is one");
    let ((began, stop), (_, zombie)) = (begins("stop"), begins("zombie"));
    assert_eq!(stop.name.as_deref(), Some("stop by SIGTERM: failed"));
    assert_ne!(stop.track_uuid, zombie.track_uuid);
    let ends = events.iter().find(|(_, it)| it.track_uuid == stop.track_uuid && is_end(it)).expect("it ends");
    assert_eq!(ends.0 - began, 10_000_000_000);
    let cause = |event: &TrackEvent| {
        let note = event.debug_annotations.iter().find(|it| it.name.as_deref() == Some("cause"));
        note.and_then(|it| it.value.clone())
    };
    let signals: Vec<_> = events.iter().filter(|(_, event)| is_of(event, "signal")).collect();
    let [(sent, signal)] = signals[..] else { panic!("one was sent it: {signals:#?}") };
    assert_eq!((sent, signal.name.as_deref()), (began, Some("SIGTERM")));
    assert_eq!([cause(stop), cause(signal)], [(); 2].map(|()| Some(Value::String("no-handler".to_owned()))));
}

fn is_end(event: &TrackEvent) -> bool {
    event.r#type == Some(EventType::SliceEnd.into())
}
