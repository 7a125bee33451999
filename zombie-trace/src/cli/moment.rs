//! Moments as people write them.

use jiff::{
    Span, Timestamp, Zoned,
    civil::{DateTime, Time},
};

/// What is said of anything else.
const FORMS: &str = "not a time; write it like 2026-07-14T12:00:00Z, \"2026-07-14 14:00\" or 14:00 in the time of this \
                     machine, or -2h for two hours ago";

/// A moment: with an offset from UTC as it is; a date, a time of day or both in the time zone of this machine; a span
/// before now; or `now`. A time of day is the last such moment, for a person who asks after the night.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    at(text.trim(), &Zoned::now())
}

fn at(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    if text == "now" {
        return Ok(now.timestamp());
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp);
    }
    let wrong = |_| FORMS.to_owned();
    let local = |civil: DateTime| civil.to_zoned(now.time_zone().clone()).map(|it| it.timestamp()).map_err(wrong);
    if let Ok(time) = text.parse::<Time>()
        && text.contains(':')
    {
        let today = now.date().to_datetime(time);
        let passed = today <= now.datetime();
        return local(if passed { today } else { now.date().yesterday().map_err(wrong)?.to_datetime(time) });
    }
    if text.starts_with(|first: char| first.is_ascii_digit())
        && let Ok(civil) = text.parse::<DateTime>()
    {
        return local(civil);
    }
    let span: Span = text.parse().map_err(wrong)?;
    if !span.is_negative() {
        return Err(format!("must be in the past; for \"{text} ago\" write -{text}"));
    }
    now.checked_add(span).map(|it| it.timestamp()).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At nine in the morning, two hours ahead of UTC.
    fn at_nine(text: &str) -> Result<String, String> {
        let now: Zoned = "2026-07-14T09:00:00+02:00[+02:00]".parse().unwrap();
        at(text, &now).map(|it| it.to_string())
    }

    fn is(text: &str, moment: &str) {
        assert_eq!(at_nine(text).as_deref(), Ok(moment), "{text}");
    }

    #[test]
    fn moments_are_written_as_people_do() {
        is("2026-07-13T12:00:00Z", "2026-07-13T12:00:00Z");
        is("2026-07-13T12:00:00.5+01:00", "2026-07-13T11:00:00.5Z");
        is("2026-07-13 12:00", "2026-07-13T10:00:00Z");
        is("2026-07-13T12:00:30", "2026-07-13T10:00:30Z");
        is("2026-07-13", "2026-07-12T22:00:00Z");
        is("now", "2026-07-14T07:00:00Z");
    }

    #[test]
    fn a_time_of_day_is_the_last_such_moment() {
        is("08:30", "2026-07-14T06:30:00Z");
        is("09:00", "2026-07-14T07:00:00Z");
        is("23:15:30", "2026-07-13T21:15:30Z");
        is("02:00", "2026-07-14T00:00:00Z");
    }

    #[test]
    fn spans_go_back_from_now() {
        is("-10min", "2026-07-14T06:50:00Z");
        is("-2h", "2026-07-14T05:00:00Z");
        is("10m ago", "2026-07-14T06:50:00Z");
        is("1 day 2 hours ago", "2026-07-13T05:00:00Z");
        assert!(at_nine("10m").unwrap_err().contains("write -10m"));
    }

    #[test]
    fn what_is_no_moment_is_refused_with_what_is() {
        for wrong in ["", "yesterday night", "25:00", "2026-13-01", "12", "-", "1e9", "-5 fortnights"] {
            let error = at_nine(wrong).unwrap_err();
            assert!(error.contains("write it like"), "{wrong}: {error}");
        }
    }
}
