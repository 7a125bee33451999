//! Tables of what recordings tell, for where a fleet keeps its data.
//!
//! A table is a folder of files, one for each boot of each host, which is what Spark, DuckDB, Trino and the catalogues
//! take for a table: the exports of many nodes are put together by copying. What the columns are stands in
//! [`tables`] and nowhere else; the formats, the manual and the metadata of the files come from there.
//!
//! Rows are made of the records of the machine output, so that a table cannot say anything else than the report. They
//! are written as they come: memory does not grow with the recordings.

mod column;
mod csv;
mod exporter;
mod files;
mod parquet;
mod tables;

#[cfg(test)]
mod tests;

pub use exporter::{Exporter, TableFormat};
pub use tables::manual;
