//! Times as they are written.

use jiff::Timestamp;

use crate::report::Moment;

/// RFC 3339 in UTC with nanoseconds; of a time that no calendar has, the ns since 1970.
#[must_use]
pub fn rfc3339(moment: Moment) -> String {
    timestamp(moment).map_or_else(|| moment.nanoseconds().to_string(), |it| format!("{it:.9}"))
}

/// The time of day, to the millisecond.
pub(super) fn time_of_day(moment: Moment) -> String {
    let text = rfc3339(moment);
    text.get(11..23).unwrap_or(&text).to_owned()
}

/// The time for a calendar, if one has it.
pub(crate) fn timestamp(moment: Moment) -> Option<Timestamp> {
    Timestamp::from_nanosecond(moment.nanoseconds()).ok()
}

/// Ns since 1970, for drawing. A time that is too far off would be drawn at the beginning of time.
pub(super) fn nanoseconds(moment: Moment) -> i64 {
    i64::try_from(moment.nanoseconds()).unwrap_or_default()
}
