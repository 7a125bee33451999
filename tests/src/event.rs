//! One object of the machine output, with accessors for the tests.

use std::fmt;
use std::str::FromStr;

use nix::sys::signal::Signal;
use serde_json::Value;

/// An event of `live --format json`, the summary included.
#[derive(Clone, Debug, PartialEq)]
pub struct Event(pub Value);

impl Event {
    /// Reads a line of the stream; none if it is not a JSON object with a `type`.
    pub fn parse(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        value.get("type")?.as_str()?;
        Some(Self(value))
    }

    /// Whether `type` is this.
    pub fn is(&self, kind: &str) -> bool {
        self.text("/type") == Some(kind)
    }

    /// The value at a JSON pointer; null counts as absent.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer).filter(|value| !value.is_null())
    }

    /// The text at a JSON pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer)?.as_str()
    }

    /// The number at a JSON pointer.
    pub fn number(&self, pointer: &str) -> Option<i64> {
        self.at(pointer)?.as_i64()
    }

    /// `process.pid`: the process that the event is about.
    pub fn pid(&self) -> Option<i32> {
        self.pid_of("process")
    }

    /// The pid of the process in this field: `parent`, `reaper`, `target`, `sender`.
    pub fn pid_of(&self, field: &str) -> Option<i32> {
        self.number(&format!("/{field}/pid")).and_then(|pid| i32::try_from(pid).ok())
    }

    /// Whether any process that the event names, in any role, has this pid.
    pub fn names(&self, pid: i32) -> bool {
        ["process", "parent", "reaper", "target", "sender"].iter().any(|field| self.pid_of(field) == Some(pid))
    }

    /// `exit.code`.
    pub fn exit_code(&self) -> Option<i64> {
        self.number("/exit/code")
    }

    /// `exit.signal`, given by number or by name.
    pub fn exit_signal(&self) -> Option<i32> {
        let signal = self.at("/exit/signal")?;
        match signal.as_str() {
            Some(name) => signal_number(name),
            None => i32::try_from(signal.as_i64()?).ok(),
        }
    }

    /// `cause` of a zombie.
    pub fn cause(&self) -> Option<&str> {
        self.text("/cause")
    }

    /// `reason` of a dropped signal.
    pub fn reason(&self) -> Option<&str> {
        self.text("/reason")
    }

    /// `time` in nanoseconds since the epoch.
    pub fn time(&self) -> Option<i128> {
        Some(jiff::Timestamp::from_str(self.text("/time")?).ok()?.as_nanosecond())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

fn signal_number(name: &str) -> Option<i32> {
    Signal::from_str(name).or_else(|_| Signal::from_str(&format!("SIG{name}"))).ok().map(|signal| signal as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DROPPED: &str = r#"{"type":"signal_dropped","time":"2026-01-02T03:04:05.000000006Z","signal":"SIGTERM",
        "number":15,"target":{"pid":7,"pid_ns":4026532177},"reason":"no-handler","sender":null,"relation":"kernel"}"#;

    #[test]
    fn an_event_answers_by_its_fields() {
        let event = Event::parse(DROPPED).unwrap();
        assert!(event.is("signal_dropped") && !event.is("zombie"));
        assert_eq!(event.pid_of("target"), Some(7));
        assert_eq!(event.reason(), Some("no-handler"));
        assert_eq!(event.time(), Some(1_767_323_045_000_000_006));
        assert!(event.names(7) && !event.names(8));
    }

    #[test]
    fn null_counts_as_absent() {
        let event = Event::parse(DROPPED).unwrap();
        assert_eq!(event.at("/sender"), None);
        assert_eq!(event.pid_of("sender"), None);
    }

    #[test]
    fn a_death_is_a_code_or_a_signal_by_number_or_name() {
        let dead = |exit: &str| Event::parse(&format!(r#"{{"type":"zombie","exit":{exit}}}"#)).unwrap();
        assert_eq!(dead(r#"{"code":3}"#).exit_code(), Some(3));
        assert_eq!(dead(r#"{"code":3}"#).exit_signal(), None);
        for signal in ["11", r#""SIGSEGV""#, r#""SEGV""#] {
            let event = dead(&format!(r#"{{"signal":{signal},"core_dumped":false}}"#));
            assert_eq!((event.exit_code(), event.exit_signal()), (None, Some(11)), "{signal}");
        }
    }

    #[test]
    fn what_is_no_typed_object_is_no_event() {
        for line in ["", "child pid=3", "[1]", "3", r#"{"pid":3}"#, r#"{"type":3}"#, r#"{"type":"zombie""#] {
            assert_eq!(Event::parse(line), None, "{line}");
        }
    }
}
