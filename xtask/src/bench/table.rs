//! A table of figures, for a terminal and for the documentation.

use std::fmt;

/// The first row is the header, and the first column has the names.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Vec<String>>);

impl Table {
    pub(super) fn new(header: &[&str]) -> Self {
        Self(vec![header.iter().map(|&it| it.to_owned()).collect()])
    }

    pub(super) fn push(&mut self, row: impl IntoIterator<Item = String>) {
        self.0.push(row.into_iter().collect());
    }

    /// In Markdown.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::new();
        for (index, row) in self.0.iter().enumerate() {
            text += &format!("| {} |\n", row.join(" | "));
            if index == 0 {
                text += &format!("|{}\n", " --- |".repeat(row.len()));
            }
        }
        text
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.0.first().map_or(0, Vec::len);
        let length = |cell: Option<&String>| cell.map_or(0, |cell| cell.chars().count());
        let widths: Vec<usize> =
            (0..columns).map(|column| self.0.iter().map(|row| length(row.get(column))).max().unwrap_or(0)).collect();
        for row in &self.0 {
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                match column {
                    0 => write!(out, "{cell:<width$}")?,
                    _ => write!(out, "  {cell:>width$}")?,
                }
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_for_a_terminal_and_marked_up_for_a_page() {
        let mut table = Table::new(&["", "a cycle"]);
        table.push(["no tracer".to_owned(), "67.0 µs".to_owned()]);
        table.push(["live".to_owned(), "7 µs".to_owned()]);
        assert_eq!(table.to_string(), "           a cycle\nno tracer  67.0 µs\nlive          7 µs\n");
        assert_eq!(table.markdown(), "|  | a cycle |\n| --- | --- |\n| no tracer | 67.0 µs |\n| live | 7 µs |\n");
    }
}
