//! Turns the events of a replay into rows.

use std::{
    io,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use rustc_hash::FxHashMap;

use super::{
    column::{Column, Heading, Sink, Value},
    csv::Csv,
    files::{Draft, FileError},
    parquet::Parquet,
    tables::{self, DropRow, PathRow, Table, Within, ZombieRow},
};
use crate::{
    diagnosis::Cause,
    model::Precision,
    output::{Reporter, timestamp},
    recording::Header,
    report::{
        EndedRecord, Finding, ForkFailureRecord, Notice, ParentRecord, ProcessRecord, Report, StopRecord, ZombieRecord,
    },
    text::escape,
};

/// The version of the tables: any change except new columns needs a new version.
const SCHEMA: &str = "zombie-trace.export/1";

/// Maximum number of reported zombies remembered with their cause until they are gone; rows beyond that have no cause.
const MAX_WAITING: usize = 1 << 18;

/// The formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableFormat {
    /// Apache Parquet.
    #[default]
    Parquet,
    /// Comma-separated values.
    Csv,
}

impl TableFormat {
    const fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
        }
    }
}

/// A file of a table that rows are written to.
struct Writer<R> {
    draft: Draft,
    columns: Vec<Column<R>>,
    sink: Box<dyn Sink>,
}

/// A complete file without its final name.
struct Written(Draft);

impl<R> Writer<R> {
    fn begin(table: Table<R>, place: &Place<'_>) -> Result<Self, FileError> {
        let draft = Draft::begin(place.folder, table.name, &place.name, place.overwrite)?;
        let columns = table.columns.0;
        let headings: Vec<Heading> =
            tables::common().into_iter().chain(columns.iter().map(|it| it.heading.clone())).collect();
        let file = draft.writer()?;
        let sink: io::Result<Box<dyn Sink>> = match place.format {
            TableFormat::Parquet => {
                Parquet::begin(file, table.name, SCHEMA, &headings).map(|it| -> Box<dyn Sink> { Box::new(it) })
            }
            TableFormat::Csv => Csv::begin(file, &headings).map(|it| -> Box<dyn Sink> { Box::new(it) }),
        };
        let sink = sink.map_err(FileError::io(draft.path()))?;
        Ok(Self { draft, columns, sink })
    }

    fn row(&mut self, run: &Run, row: &R) -> Result<(), FileError> {
        let common = [Value::text(run.host.as_str()), Value::text(run.boot_id.as_str())];
        let cells: Vec<Value<'_>> =
            common.into_iter().chain(self.columns.iter().map(|column| (column.value)(row))).collect();
        self.sink.row(&cells).map_err(FileError::io(self.draft.path()))
    }

    fn finish(self) -> Result<Written, FileError> {
        self.sink.finish().map_err(FileError::io(self.draft.path()))?;
        self.draft.sync()?;
        Ok(Written(self.draft))
    }
}

/// Where files are made.
struct Place<'a> {
    folder: &'a Path,
    name: String,
    format: TableFormat,
    overwrite: bool,
}

struct Run {
    host: String,
    boot_id: String,
}

/// The files of one boot of one host.
struct Files {
    run: Run,
    reports: Writer<Report>,
    zombies: Writer<ZombieRow>,
    parents: Writer<Within<ParentRecord>>,
    dropped_signals: Writer<DropRow>,
    stops: Writer<StopRecord>,
    stop_path: Writer<PathRow>,
    ended: Writer<EndedRecord>,
    fork_failures: Writer<ForkFailureRecord>,
    findings: Writer<Within<Finding>>,
    waiting: FxHashMap<(u32, u64), (Cause, Vec<String>)>,
}

impl Files {
    fn begin(run: Run, place: &Place<'_>) -> Result<Self, FileError> {
        Ok(Self {
            run,
            reports: Writer::begin(tables::reports(), place)?,
            zombies: Writer::begin(tables::zombies(), place)?,
            parents: Writer::begin(tables::parents(), place)?,
            dropped_signals: Writer::begin(tables::dropped_signals(), place)?,
            stops: Writer::begin(tables::stops(), place)?,
            stop_path: Writer::begin(tables::stop_path(), place)?,
            ended: Writer::begin(tables::ended(), place)?,
            fork_failures: Writer::begin(tables::fork_failures(), place)?,
            findings: Writer::begin(tables::findings(), place)?,
            waiting: FxHashMap::default(),
        })
    }

    fn notice(&mut self, notice: &Notice) -> Result<(), FileError> {
        match notice {
            Notice::Zombie(zombie) => {
                if self.waiting.len() < MAX_WAITING {
                    self.waiting.insert(key(&zombie.process), (zombie.cause, zombie.evidence.clone()));
                }
                Ok(())
            }
            Notice::Reaped { time, process, exit, zombie_ns, precision, parent, reaper, via, preexisting, .. } => {
                let (cause, evidence) = self.waiting.remove(&key(process)).unzip();
                let ended = timestamp(*time);
                let lived = SignedDuration::from_nanos(i64::try_from(*zombie_ns).unwrap_or(i64::MAX));
                let row = ZombieRow {
                    process: process.clone(),
                    exit: exit.clone(),
                    began: ended.and_then(|it| it.checked_sub(lived).ok()),
                    ended,
                    zombie_ns: *zombie_ns,
                    precision: *precision,
                    preexisting: *preexisting,
                    parent: parent.clone(),
                    reaper: reaper.clone(),
                    via: Some(*via),
                    cause,
                    evidence: evidence.unwrap_or_default(),
                };
                self.zombies.row(&self.run, &row)
            }
            Notice::SignalDropped { time, signal, number, target, reason, sender, relation } => {
                let row = DropRow {
                    time: *time,
                    signal: signal.clone(),
                    number: *number,
                    target: target.clone(),
                    reason: *reason,
                    relation: *relation,
                    sender: sender.clone(),
                };
                self.dropped_signals.row(&self.run, &row)
            }
            // The rest comes from the report, with its outcome.
            _ => Ok(()),
        }
    }

    /// Writes what is known only at the end, and names the files when all are complete.
    fn end(mut self, report: &Report) -> Result<(), FileError> {
        let run = &self.run;
        self.reports.row(run, report)?;
        for zombie in &report.zombies {
            self.zombies.row(run, &waiting(zombie))?;
        }
        for parent in &report.parents {
            self.parents.row(run, &Within { window: report.window, record: parent.clone() })?;
        }
        for stop in &report.stops {
            self.stops.row(run, stop)?;
            for part in &stop.path {
                self.stop_path.row(run, &PathRow { sent: stop.sent, init: stop.target.clone(), part: part.clone() })?;
            }
        }
        for ended in &report.ended {
            self.ended.row(run, ended)?;
        }
        for failure in &report.fork_failures {
            self.fork_failures.row(run, failure)?;
        }
        for finding in &report.findings {
            self.findings.row(run, &Within { window: report.window, record: finding.clone() })?;
        }
        let written = [
            self.zombies.finish()?,
            self.parents.finish()?,
            self.dropped_signals.finish()?,
            self.stops.finish()?,
            self.stop_path.finish()?,
            self.ended.finish()?,
            self.fork_failures.finish()?,
            self.findings.finish()?,
            // The last one: its existence shows that all are there.
            self.reports.finish()?,
        ];
        written.into_iter().try_for_each(|Written(draft)| draft.publish())
    }
}

fn key(process: &ProcessRecord) -> (u32, u64) {
    (process.pid, process.start_ns)
}

/// The row of a zombie that is there at the end.
fn waiting(zombie: &ZombieRecord) -> ZombieRow {
    ZombieRow {
        process: zombie.process.clone(),
        exit: zombie.exit.clone(),
        began: timestamp(zombie.since),
        ended: None,
        zombie_ns: zombie.age_ns,
        precision: Precision::LowerBound,
        preexisting: zombie.preexisting,
        parent: zombie.parent.clone(),
        reaper: None,
        via: None,
        cause: Some(zombie.cause),
        evidence: zombie.evidence.clone(),
    }
}

/// Writes tables from a replay.
pub struct Exporter {
    folder: PathBuf,
    format: TableFormat,
    overwrite: bool,
    since: Option<Timestamp>,
    files: Option<Files>,
    boots: u64,
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Exporter").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Exporter {
    /// Creates one that writes below this folder. Rows exclude what ended before `since`, so file names contain it.
    #[must_use]
    pub fn new(folder: PathBuf, format: TableFormat, overwrite: bool, since: Option<Timestamp>) -> Self {
        Self { folder, format, overwrite, since, files: None, boots: 0 }
    }

    /// How many boots of hosts have been written.
    #[must_use]
    pub fn boots(&self) -> u64 {
        self.boots
    }
}

/// The file name of a run: host, boot, and start. It is unique and stable, so that a repeated export does not add its
/// rows a second time.
fn name(header: &Header, since: Option<Timestamp>) -> String {
    const LONGEST: usize = 64;
    let safe = |text: &str, longest| -> String {
        let safe = |it: char| if it.is_ascii_alphanumeric() || ".-".contains(it) { it } else { '_' };
        let text: String = text.chars().take(longest).map(safe).collect();
        // Spark ignores names that begin with a dot or an underscore.
        if text.starts_with(['.', '_']) || text.is_empty() { format!("x{text}") } else { text }
    };
    let opened = i128::from(header.opened) + i128::from(header.clock_offset_ns);
    let opened = Timestamp::from_nanosecond(opened).unwrap_or(Timestamp::UNIX_EPOCH);
    let from = since.map_or(opened, |since| since.max(opened)).strftime("%Y%m%dT%H%M%S.%9fZ");
    format!("{}-{}-{from}", safe(&header.host, LONGEST), safe(&header.boot_id, 8))
}

impl Reporter for Exporter {
    fn begin(&mut self, header: &Header) -> io::Result<()> {
        let shown = |text: &str| escape::text(text.as_bytes()).into_owned();
        let run = Run { host: shown(&header.host), boot_id: shown(&header.boot_id) };
        let name = format!("{}.{}", name(header, self.since), self.format.extension());
        let place = Place { folder: &self.folder, name, format: self.format, overwrite: self.overwrite };
        self.files = Some(Files::begin(run, &place).map_err(io::Error::other)?);
        Ok(())
    }

    fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        self.files.as_mut().map_or(Ok(()), |files| files.notice(notice).map_err(io::Error::other))
    }

    fn report(&mut self, report: &Report) -> io::Result<()> {
        if let Some(files) = self.files.take() {
            files.end(report).map_err(io::Error::other)?;
            self.boots += 1;
        }
        Ok(())
    }
}
