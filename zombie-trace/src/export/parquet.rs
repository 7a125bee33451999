//! Parquet, by the Arrow project's writer without Arrow itself, because rows come one by one.
//!
//! Times are and will stay `TIMESTAMP(MICROS, UTC)`: Spark refuses to read nanoseconds. Durations are whole
//! nanoseconds, so no measurement is rounded.

use std::{fs::File, io, mem, sync::Arc};

use bytes::Bytes;
use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel},
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::Type,
};

use super::column::{Heading, Kind, Sink, Value};

/// Maximum number of rows in a row group.
const GROUP_ROWS: usize = 65_536;
/// Maximum bytes of text in a row group, which is held in memory until written.
const GROUP_BYTES: usize = 16 << 20;

pub(super) struct Parquet {
    writer: SerializedFileWriter<io::BufWriter<File>>,
    columns: Vec<Gathered>,
    rows: usize,
    bytes: usize,
}

/// The unwritten values of a column, and for each row whether it has one.
struct Gathered {
    there: Vec<i16>,
    values: Values,
}

enum Values {
    Text(Vec<ByteArray>),
    Integer(Vec<i64>),
    Flag(Vec<bool>),
}

impl Parquet {
    pub(super) fn begin(file: File, table: &str, schema: &str, headings: &[Heading]) -> io::Result<Self> {
        let fields = headings.iter().map(field).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let root = Type::group_type_builder(table).with_fields(fields).build().map_err(failed)?;
        let mut notes = vec![KeyValue::new("zombie-trace.schema".to_owned(), schema.to_owned())];
        notes.extend(headings.iter().map(|it| KeyValue::new(format!("column.{}", it.name), it.meaning.clone())));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("zombie-trace ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(notes))
            .build();
        let writer = SerializedFileWriter::new(io::BufWriter::new(file), Arc::new(root), Arc::new(properties))
            .map_err(failed)?;
        let columns = headings
            .iter()
            .map(|heading| Gathered {
                there: Vec::new(),
                values: match heading.kind {
                    Kind::Text => Values::Text(Vec::new()),
                    Kind::Integer | Kind::Time => Values::Integer(Vec::new()),
                    Kind::Flag => Values::Flag(Vec::new()),
                },
            })
            .collect();
        Ok(Self { writer, columns, rows: 0, bytes: 0 })
    }

    fn write_group(&mut self) -> io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for Gathered { there, values } in &mut self.columns {
            match values {
                Values::Text(values) => write::<ByteArrayType, _>(&mut group, values, there),
                Values::Integer(values) => write::<Int64Type, _>(&mut group, values, there),
                Values::Flag(values) => write::<BoolType, _>(&mut group, values, there),
            }
            .map_err(failed)?;
        }
        group.close().map_err(failed)?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl Sink for Parquet {
    fn row(&mut self, row: &[Value<'_>]) -> io::Result<()> {
        for (column, value) in self.columns.iter_mut().zip(row) {
            let there = match (&mut column.values, value) {
                (Values::Text(values), Value::Text(text)) => {
                    self.bytes += text.len();
                    values.push(ByteArray::from(Bytes::copy_from_slice(text.as_bytes())));
                    true
                }
                (Values::Integer(values), Value::Integer(number)) => {
                    values.push(*number);
                    true
                }
                (Values::Integer(values), Value::Time(time)) => {
                    values.push(time.as_microsecond());
                    true
                }
                (Values::Flag(values), Value::Flag(flag)) => {
                    values.push(*flag);
                    true
                }
                // The kind of a value always matches its column; a test checks every column.
                _ => false,
            };
            column.there.push(i16::from(there));
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.write_group()?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.write_group()?;
        self.writer.finish().map_err(failed)?;
        io::Write::flush(self.writer.inner_mut())
    }
}

fn field(heading: &Heading) -> Result<Arc<Type>, ParquetError> {
    let (physical, logical) = match heading.kind {
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Integer => (Physical::INT64, None),
        Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        Kind::Flag => (Physical::BOOLEAN, None),
    };
    Type::primitive_type_builder(&heading.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
        .map(Arc::new)
}

fn write<T: DataType, W: io::Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &mut Vec<T::T>,
    there: &mut Vec<i16>,
) -> Result<(), ParquetError> {
    let (values, there) = (mem::take(values), mem::take(there));
    if let Some(mut column) = group.next_column()? {
        column.typed::<T>().write_batch(&values, Some(&there), None)?;
        column.close()?;
    }
    Ok(())
}

/// The underlying I/O error, so that a full disk is reported as such.
fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) => *source,
            Err(source) => io::Error::other(source),
        },
        error => io::Error::other(error),
    }
}
