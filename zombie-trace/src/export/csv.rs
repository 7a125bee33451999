//! CSV: RFC 4180, with a line of names, in UTF-8. Null is empty; times are RFC 3339 in UTC with nanoseconds.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, and a process can choose its name.
//! So that first character is escaped (`\x3d`), as other hostile characters are in every output. This loses nothing,
//! because a backslash in a name is always doubled. Parquet keeps such names unchanged: no spreadsheet reads it as
//! formulas.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use super::column::{Heading, Sink, Value};

pub(super) struct Csv<W: Write> {
    writer: csv::Writer<W>,
}

impl<W: Write> Csv<W> {
    pub(super) fn begin(out: W, headings: &[Heading]) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(headings.iter().map(|it| it.name.as_str()))?;
        Ok(Self { writer })
    }
}

impl<W: Write> Sink for Csv<W> {
    fn row(&mut self, row: &[Value<'_>]) -> io::Result<()> {
        for value in row {
            match value {
                Value::Null => self.writer.write_field("")?,
                Value::Text(text) => self.writer.write_field(no_formula(text).as_ref())?,
                Value::Integer(number) => self.writer.write_field(number.to_string())?,
                Value::Time(time) => self.writer.write_field(format!("{time:.9}"))?,
                Value::Flag(flag) => self.writer.write_field(if *flag { "true" } else { "false" })?,
            }
        }
        self.writer.write_record(None::<&[u8]>)?;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.writer.flush()
    }
}

/// The text, escaped so that no spreadsheet takes it for a formula.
pub(super) fn no_formula(text: &str) -> Cow<'_, str> {
    match text.chars().next() {
        Some(first @ ('=' | '+' | '-' | '@')) => format!("\\x{:02x}{}", u32::from(first), &text[1..]).into(),
        // Spreadsheets in East Asian locales treat the wide characters the same.
        Some(first @ ('＝' | '＋' | '－' | '＠')) => {
            format!("\\u{{{:x}}}{}", u32::from(first), &text[first.len_utf8()..]).into()
        }
        _ => text.into(),
    }
}
