//! Columns of tables.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::{output::timestamp, report::Moment};

/// The kinds of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Escaped text.
    Text,
    /// A whole number; durations are in ns.
    Integer,
    /// A moment.
    Time,
    /// Yes or no.
    Flag,
}

impl Kind {
    /// The name of the kind in the manual: SQL's.
    pub(super) const fn sql(self) -> &'static str {
        match self {
            Self::Text => "VARCHAR",
            Self::Integer => "BIGINT",
            Self::Time => "TIMESTAMP (UTC)",
            Self::Flag => "BOOLEAN",
        }
    }
}

/// One cell. Each may be null.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    Integer(i64),
    Time(Timestamp),
    Flag(bool),
}

impl<'a> Value<'a> {
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn or_null(value: Option<impl Into<Self>>) -> Self {
        value.map_or(Self::Null, Into::into)
    }

    /// A moment; null if it is outside the calendar.
    pub(super) fn time(moment: Moment) -> Self {
        timestamp(moment).map_or(Self::Null, Self::Time)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text.into())
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        // Pids, counts and nanoseconds since boot always fit.
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// Name and meaning of a column.
#[derive(Clone, Debug)]
pub(super) struct Heading {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) meaning: String,
}

/// Returns the cell of a row.
type Find<R> = Box<dyn for<'a> Fn(&'a R) -> Value<'a>>;

/// A column of a table whose rows are made of `R`.
pub(super) struct Column<R> {
    pub(super) heading: Heading,
    pub(super) value: Find<R>,
}

/// The columns of a table, in their order.
pub(super) struct Columns<R>(pub(super) Vec<Column<R>>);

impl<R: 'static> Columns<R> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a column.
    pub(super) fn with(
        mut self,
        name: &str,
        kind: Kind,
        meaning: &str,
        value: impl for<'a> Fn(&'a R) -> Value<'a> + 'static,
    ) -> Self {
        let heading = Heading { name: name.to_owned(), kind, meaning: meaning.to_owned() };
        self.0.push(Column { heading, value: Box::new(value) });
        self
    }

    pub(super) fn text(self, name: &str, meaning: &str, value: impl for<'a> Fn(&'a R) -> Value<'a> + 'static) -> Self {
        self.with(name, Kind::Text, meaning, value)
    }

    pub(super) fn integer(
        self,
        name: &str,
        meaning: &str,
        value: impl for<'a> Fn(&'a R) -> Value<'a> + 'static,
    ) -> Self {
        self.with(name, Kind::Integer, meaning, value)
    }

    pub(super) fn time(self, name: &str, meaning: &str, value: impl for<'a> Fn(&'a R) -> Value<'a> + 'static) -> Self {
        self.with(name, Kind::Time, meaning, value)
    }

    pub(super) fn flag(self, name: &str, meaning: &str, value: impl for<'a> Fn(&'a R) -> Value<'a> + 'static) -> Self {
        self.with(name, Kind::Flag, meaning, value)
    }
}

/// Where the rows of one table go.
pub(super) trait Sink {
    /// One row, in the order of the columns.
    fn row(&mut self, row: &[Value<'_>]) -> std::io::Result<()>;

    /// Writes what is left.
    fn finish(self: Box<Self>) -> std::io::Result<()>;
}
