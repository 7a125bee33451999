//! Tables from recordings, for a fleet's data store.
//!
//! A table is a folder of files, one per boot of each host, as Spark, DuckDB, Trino and the catalogues expect: copying
//! combines the exports of many nodes. Only [`tables`] defines the columns; the formats, the manual and the metadata of
//! the files come from there.
//!
//! Rows are made from the records of the machine output, so that a table cannot differ from the report. They are
//! written one by one: memory does not grow with the recordings.

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
