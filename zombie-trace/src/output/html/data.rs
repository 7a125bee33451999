//! What the page is told of one report.
//!
//! The lists of the report are cut where they would make the page slow, and say how many entries are left out. Zombies
//! are not listed with their evidence, which is their parents', but as numbers ([`Columns`]).

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::{
    columns::Columns,
    zombies::{MarkKind, Zombie, Zombies, container_label},
};
use crate::{
    container::Container,
    output::{
        time::nanoseconds,
        timeline::{Key, Row, key},
    },
    report::{
        Command, Drop, EndedRecord, Finding, ForkFailureRecord, LatencyRecord, Loss, ParentRecord, ProcessRecord,
        Report, Severity, StopRecord, StuckRecord, TotalsRecord, Window, ends_by_concern,
    },
};

/// So many entries of a list are shown.
const MAX_LISTED: usize = 2_000;

/// The beginning of a list.
#[derive(Serialize)]
struct Listed<'a, T> {
    shown: &'a [T],
    left_out: usize,
}

fn listed<T>(all: &[T]) -> Listed<'_, T> {
    let (shown, rest) = all.split_at(all.len().min(MAX_LISTED));
    Listed { shown, left_out: rest.len() }
}

/// One report.
#[derive(Serialize)]
pub(super) struct Run<'a> {
    host: &'a str,
    kernel: &'a str,
    window: &'a Window,
    min_age_ns: u64,
    loss: Loss,
    totals: TotalsRecord,
    latency: LatencyRecord,
    /// Upper bounds in ns and counts, see [`crate::model::Latency::spread`].
    spread: Vec<(u64, u64)>,
    command: Option<&'a Command>,
    severities: Severities,
    parents: Listed<'a, ParentRecord>,
    dropped_signals: Listed<'a, Drop>,
    stops: Listed<'a, StopRecord>,
    ended: Listed<'a, &'a EndedRecord>,
    fork_failures: Listed<'a, ForkFailureRecord>,
    stuck: Listed<'a, StuckRecord>,
    /// Findings that are in none of the other lists.
    others: Vec<&'a Finding>,
    timeline: Timeline<'a>,
}

#[derive(Default, Serialize)]
struct Severities {
    error: usize,
    warning: usize,
    note: usize,
}

/// What is drawn. Times are ns since `origin`.
#[derive(Serialize)]
struct Timeline<'a> {
    /// Ns since 1970; a string, since it is beyond what a double holds exactly.
    origin: String,
    /// From `origin` to the beginning and the end of the window.
    window: (i64, i64),
    containers: Vec<ContainerEntry<'a>>,
    rows: Vec<RowEntry<'a>>,
    /// What the columns have texts by the number of.
    texts: Vec<&'a str>,
    count: usize,
    left_out: u64,
    /// For each zombie: since when after the one before; how long; row; pid; and by number of the text its name, exit,
    /// cause, precision, way of reaping and reaper.
    columns: String,
    marks: Vec<MarkEntry<'a>>,
    losses: Vec<(i64, u64)>,
    marks_left_out: u64,
}

#[derive(Serialize)]
struct ContainerEntry<'a> {
    label: String,
    #[serde(flatten)]
    container: &'a Container,
}

#[derive(Serialize)]
struct RowEntry<'a> {
    container: Option<usize>,
    process: Option<&'a ProcessRecord>,
}

#[derive(Serialize)]
struct MarkEntry<'a> {
    at: i64,
    row: usize,
    kind: MarkKind,
    text: &'a str,
}

/// Numbers things in the order in which they come.
struct Numbering<K>(FxHashMap<K, usize>);

impl<K: std::hash::Hash + Eq> Numbering<K> {
    fn new() -> Self {
        Self(FxHashMap::default())
    }

    fn number(&mut self, key: K, new: impl FnOnce()) -> usize {
        let next = self.0.len();
        *self.0.entry(key).or_insert_with(|| {
            new();
            next
        })
    }
}

/// Rows, containers and texts, numbered.
struct Tables<'a> {
    rows: Vec<RowEntry<'a>>,
    row_numbers: Numbering<(Option<usize>, Option<Key>)>,
    containers: Vec<ContainerEntry<'a>>,
    container_numbers: Numbering<&'a str>,
    texts: Vec<&'a str>,
    text_numbers: Numbering<&'a str>,
}

impl<'a> Tables<'a> {
    fn row(&mut self, row: &'a Row) -> usize {
        let container = row.container.as_ref().map(|container| {
            let label = || container_label(row).unwrap_or_default();
            self.container_numbers
                .number(&container.id, || self.containers.push(ContainerEntry { label: label(), container }))
        });
        let process = row.process.as_ref();
        self.row_numbers.number((container, process.map(key)), || self.rows.push(RowEntry { container, process }))
    }

    fn text(&mut self, text: &'a str) -> u64 {
        self.text_numbers.number(text, || self.texts.push(text)) as u64
    }
}

impl<'a> Run<'a> {
    /// Writes the report by `write`.
    pub(super) fn with<R>(
        report: &Report,
        min_age_ns: u64,
        mut gathered: Zombies,
        write: impl FnOnce(&Run<'_>) -> R,
    ) -> R {
        report.zombies.iter().for_each(|zombie| gathered.still_there(zombie));
        let marks = std::mem::take(&mut gathered.marks);
        let losses = std::mem::take(&mut gathered.losses);
        let marks_left_out = gathered.marks_left_out;
        let (zombies, left_out) = gathered.into_sorted();
        let (start, end) = (nanoseconds(report.window.start), nanoseconds(report.window.end));
        let origin = zombies.first().map_or(start, |first| first.since.min(start));
        let mut tables = Tables {
            rows: Vec::new(),
            row_numbers: Numbering::new(),
            containers: Vec::new(),
            container_numbers: Numbering::new(),
            texts: Vec::new(),
            text_numbers: Numbering::new(),
        };
        let columns = columns(&zombies, origin, &mut tables);
        let ended = ends_by_concern(report);
        let marks = marks
            .iter()
            .map(|mark| MarkEntry {
                at: mark.at.saturating_sub(origin),
                row: tables.row(&mark.row),
                kind: mark.kind,
                text: &mark.text,
            })
            .collect();
        let count = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
        let elsewhere = |finding: &&Finding| {
            ["zombies/auto-reaped/", "zombies/status-stolen/"].iter().any(|id| finding.id.starts_with(id))
        };
        write(&Run {
            host: &report.host,
            kernel: &report.kernel,
            window: &report.window,
            min_age_ns,
            loss: report.loss.clone(),
            totals: report.totals,
            latency: report.latency,
            spread: report.distribution.spread(),
            command: report.command.as_ref(),
            severities: Severities {
                error: count(Severity::Error),
                warning: count(Severity::Warning),
                note: count(Severity::Note),
            },
            parents: listed(&report.parents),
            dropped_signals: listed(&report.dropped_signals),
            stops: listed(&report.stops),
            ended: listed(&ended),
            fork_failures: listed(&report.fork_failures),
            stuck: listed(&report.stuck),
            others: report.findings.iter().filter(elsewhere).take(MAX_LISTED).collect(),
            timeline: Timeline {
                origin: origin.to_string(),
                window: (start.saturating_sub(origin), end.saturating_sub(origin)),
                count: zombies.len(),
                left_out,
                columns,
                marks,
                losses: losses.into_iter().map(|(at, events)| (at.saturating_sub(origin), events)).collect(),
                marks_left_out,
                containers: tables.containers,
                rows: tables.rows,
                texts: tables.texts,
            },
        })
    }
}

fn columns<'a>(zombies: &'a [Zombie], origin: i64, tables: &mut Tables<'a>) -> String {
    let mut columns = Columns::default();
    let mut before = origin;
    for zombie in zombies {
        columns.push(zombie.since.saturating_sub(before).unsigned_abs());
        before = zombie.since;
        columns.push(zombie.length_ns);
        columns.push(tables.row(&zombie.row) as u64);
        columns.push(zombie.pid.into());
        let texts: [&'a str; 6] =
            [&zombie.name, &zombie.exit, zombie.cause, zombie.precision, zombie.via, &zombie.reaper];
        for text in texts {
            columns.push(tables.text(text));
        }
    }
    columns.into_base64()
}
