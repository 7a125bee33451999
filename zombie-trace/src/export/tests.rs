//! What is written can be read, agrees with the report, and is complete or absent.

use std::{collections::BTreeMap, fs, path::Path};

use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use tempfile::TempDir;

use super::{
    Exporter, TableFormat,
    column::{Heading, Kind, Sink, Value},
    csv::no_formula,
    manual,
    parquet::Parquet,
};
use crate::{
    container::{Container, Runtime},
    diagnosis::{Cause, StopCause},
    model::{DropReason, LimitKind, Precision, Relation, StopOutcome, Via},
    output::Reporter,
    policy::sample::{at, ended, part, process, report, with_drop, with_zombies},
    recording::Header,
    report::{
        ExitRecord, ForkFailureRecord, Notice, ProcessRecord, Report, Severity, StopRecord, Window, ZombieRecord,
    },
};

const TIME: &str = "2026-01-02T03:04:05.678901234Z";

fn header() -> Header {
    Header { host: "../a=1 \u{1b}".to_owned(), boot_id: "0123456789".to_owned(), ..Header::of_this_version() }
}

fn in_container(comm: &str) -> ProcessRecord {
    ProcessRecord {
        exe: Some("/bin/sh".to_owned()),
        container: Some(Container {
            runtime: Runtime::Docker,
            id: "c0ffee".to_owned(),
            name: Some("web".to_owned()),
            pod: Some("pod".to_owned()),
            namespace: Some("ns".to_owned()),
            pod_uid: None,
            image: None,
            compose: None,
            inner: None,
        }),
        ..process(7, 8, comm)
    }
}

fn zombie(pid: u32) -> ZombieRecord {
    ZombieRecord {
        time: at(TIME),
        process: process(pid, 10, "=cmd|'calc'"),
        exit: Some(ExitRecord::Code { code: 3 }),
        since: at(TIME),
        age_ns: 1_500,
        parent: Some(in_container("-bash")),
        cause: Cause::NeverWaits,
        evidence: vec!["one, \"two\"".to_owned(), "three".to_owned()],
        advice: "Wait.".to_owned(),
        preexisting: false,
        doing: Vec::new(),
        waiters: Vec::new(),
    }
}

fn reaped(pid: u32) -> Notice {
    Notice::Reaped {
        waiters: Vec::new(),
        time: at(TIME),
        process: process(pid, 10, "child"),
        exit: Some(ExitRecord::Signal { signal: "SIGSEGV".to_owned(), core_dumped: true }),
        zombie_ns: 1_000_000_000,
        precision: Precision::Exact,
        parent: Some(in_container("app")),
        reaper: Some(process(9, 9, "reaper")),
        via: Via::Wait4,
        preexisting: true,
    }
}

fn notices() -> Vec<Notice> {
    let dropped = Notice::SignalDropped {
        time: at(TIME),
        signal: "SIGTERM".to_owned(),
        number: 15,
        target: in_container("web"),
        reason: DropReason::NoHandler,
        sender: Some(process(1600, 13, "kill")),
        relation: Relation::Outside,
    };
    vec![Notice::Zombie(zombie(1)), Notice::Zombie(zombie(2)), reaped(1), reaped(3), dropped]
}

fn whole_report() -> Report {
    let mut report = with_zombies(report(), in_container("app"), "never-waits", 3);
    report = with_drop(report, in_container("web"), DropReason::NoHandler, Severity::Error);
    report.window = Window { start: at(TIME), end: at(TIME) };
    report.zombies = vec![zombie(2)];
    report.stops.push(StopRecord {
        target: in_container("web"),
        outcome: StopOutcome::Failed,
        signal: "SIGTERM".to_owned(),
        number: 15,
        sent: at(TIME),
        sender: Some(process(9, 9, "kill")),
        relation: Relation::Outside,
        reason: Some(DropReason::NoHandler),
        received: Some(false),
        took_ns: 2,
        exit: ExitRecord::Code { code: 1 },
        killed_by: Some(process(9, 9, "kill")),
        killed_without_term: vec![process(10, 10, "victim")],
        more_killed_without_term: 2,
        uncertain: true,
        cause: Some(StopCause::NoHandler),
        evidence: vec!["web had no handler".to_owned()],
        advice: Some("Install one.".to_owned()),
        path: vec![part("web", 0), part("worker", 1)],
        more_in_path: 1,
    });
    report.ended.push(ended(in_container("web")));
    report.fork_failures.push(ForkFailureRecord {
        process: in_container("bash"),
        errno: "EAGAIN",
        limit: LimitKind::PidsMax,
        path: Some("/a".to_owned()),
        used: Some(9),
        allowed: Some(10),
        zombies: 8,
        parent: Some(process(9, 9, "app")),
        parent_zombies: 7,
        shortage: crate::report::Shortage::default(),
        count: 2,
        first: at(TIME),
        last: at(TIME),
    });
    report
}

fn export(folder: &Path, format: TableFormat, overwrite: bool) -> Result<(), String> {
    let mut exporter = Exporter::new(folder.to_owned(), format, overwrite, None);
    let mut all = || {
        exporter.begin(&header())?;
        notices().iter().try_for_each(|notice| exporter.notice(notice))?;
        exporter.report(&whole_report())?;
        exporter.finish()
    };
    all().map_err(|error| error.to_string())
}

/// The one file of each table.
fn files(folder: &Path) -> BTreeMap<String, std::path::PathBuf> {
    let tables = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    tables
        .map(|table| {
            let files: Vec<_> = fs::read_dir(&table).unwrap().map(|it| it.unwrap().path()).collect();
            assert_eq!(files.len(), 1, "{files:?}");
            (table.file_name().unwrap().to_string_lossy().into_owned(), files[0].clone())
        })
        .collect()
}

/// The rows of a Parquet file, as text by column; nulls are left out.
fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    let row = |row: parquet::record::Row| {
        let there = row.get_column_iter().filter(|(_, field)| **field != Field::Null);
        there
            .map(|(name, field)| {
                let text = if let Field::Str(text) = field { text.clone() } else { field.to_string() };
                (name.clone(), text)
            })
            .collect()
    };
    reader.get_row_iter(None).unwrap().map(|it| row(it.unwrap())).collect()
}

#[test]
fn every_column_of_every_table_holds_what_it_is_for() {
    let folder = TempDir::new().unwrap();
    export(folder.path(), TableFormat::Parquet, false).unwrap();
    let files = files(folder.path());
    assert_eq!(
        files.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "dropped_signals",
            "ended",
            "findings",
            "fork_failures",
            "parents",
            "reports",
            "stop_path",
            "stops",
            "zombies"
        ]
    );
    let mut seen = BTreeMap::new();
    for (table, path) in &files {
        let file = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
        for column in file.metadata().file_metadata().schema().get_fields() {
            seen.insert((table.clone(), column.name().to_owned()), false);
        }
        for row in rows(path) {
            for name in row.into_keys() {
                seen.insert((table.clone(), name), true);
            }
        }
    }
    // A value of the wrong kind would be missing; these are really null.
    let empty: Vec<String> =
        seen.iter().filter(|(_, there)| !**there).map(|((table, name), _)| format!("{table}.{name}")).collect();
    insta::assert_snapshot!(empty.join("\n"));
    insta::assert_debug_snapshot!("zombies", rows(&files["zombies"]));
}

#[test]
fn csv_has_the_same_rows_and_no_formulas() {
    let folder = TempDir::new().unwrap();
    export(folder.path(), TableFormat::Csv, false).unwrap();
    let files = files(folder.path());
    let mut reader = csv::Reader::from_path(&files["zombies"]).unwrap();
    let names = reader.headers().unwrap().clone();
    let in_csv: Vec<BTreeMap<&str, String>> = reader
        .records()
        .map(|it| names.iter().zip(&it.unwrap()).map(|(name, value)| (name, value.to_owned())).collect())
        .collect();
    assert_eq!(in_csv.len(), 3);
    assert_eq!(in_csv[2]["comm"], "\\x3dcmd|'calc'");
    assert_eq!(in_csv[2]["parent_comm"], "\\x2dbash");
    assert_eq!(in_csv[2]["evidence"], "one, \"two\"; three");
    assert_eq!(in_csv[0]["ended"], TIME);
    assert_eq!(in_csv[0]["began"], "2026-01-02T03:04:04.678901234Z");
    assert_eq!(in_csv[0]["cause"], "never-waits");
    assert_eq!((in_csv[1]["cause"].as_str(), in_csv[2]["ended"].as_str()), ("", ""));
}

#[test]
fn formulas_begin_with_an_escape() {
    for (text, safe) in [("=1", "\\x3d1"), ("+1", "\\x2b1"), ("-x", "\\x2dx"), ("@x", "\\x40x"), ("＝1", "\\u{ff1d}1")]
    {
        assert_eq!(no_formula(text), safe);
    }
    for harmless in ["", "a=1", "sh", "\\x3d"] {
        assert_eq!(no_formula(harmless), harmless);
    }
}

#[test]
fn names_of_hosts_lead_nowhere_and_files_are_the_owners() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    export(folder.path(), TableFormat::Parquet, false).unwrap();
    for path in files(folder.path()).values() {
        let name = path.file_name().unwrap().to_string_lossy();
        assert_eq!(name, "x..__a_1__-01234567-19700101T000000.000000000Z.parquet".replacen("__a", "_a", 1));
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o600);
    }
}

#[test]
fn what_is_there_is_replaced_only_when_asked_for_and_never_through_a_link() {
    let folder = TempDir::new().unwrap();
    export(folder.path(), TableFormat::Parquet, false).unwrap();
    let before = fs::read(&files(folder.path())["zombies"]).unwrap();
    let error = export(folder.path(), TableFormat::Parquet, false).unwrap_err();
    assert!(error.contains("already exists") && error.contains("--overwrite"), "{error}");
    export(folder.path(), TableFormat::Parquet, true).unwrap();
    assert_eq!(fs::read(&files(folder.path())["zombies"]).unwrap(), before);
    let error = export(folder.path(), TableFormat::Csv, true).unwrap_err();
    assert!(error.contains("another format"), "{error}");

    let zombies = files(folder.path())["zombies"].clone();
    let precious = folder.path().with_extension("precious");
    fs::write(&precious, "precious").unwrap();
    fs::remove_file(&zombies).unwrap();
    std::os::unix::fs::symlink(&precious, &zombies).unwrap();
    let error = export(folder.path(), TableFormat::Parquet, true).unwrap_err();
    assert!(error.contains("not a regular file"), "{error}");
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
    fs::remove_file(&precious).unwrap();

    let elsewhere = TempDir::new().unwrap();
    let linked = TempDir::new().unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), linked.path().join("zombies")).unwrap();
    let error = export(linked.path(), TableFormat::Parquet, true).unwrap_err();
    assert!(error.contains("symbolic link"), "{error}");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn nothing_is_left_of_an_export_that_fails() {
    let folder = TempDir::new().unwrap();
    let mut exporter = Exporter::new(folder.path().to_owned(), TableFormat::Parquet, false, None);
    exporter.begin(&header()).unwrap();
    exporter.notice(&reaped(1)).unwrap();
    drop(exporter);
    for table in fs::read_dir(folder.path()).unwrap() {
        assert_eq!(fs::read_dir(table.unwrap().path()).unwrap().count(), 0);
    }
}

#[test]
fn rows_are_written_in_groups_of_a_bounded_size() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let heading = |name: &str, kind| Heading { name: name.to_owned(), kind, meaning: String::new() };
    let headings = [heading("number", Kind::Integer), heading("text", Kind::Text)];
    let mut sink = Box::new(Parquet::begin(file.reopen().unwrap(), "t", "s", &headings).unwrap());
    for number in 0..70_000_u32 {
        sink.row(&[number.into(), if number % 3 == 0 { Value::Null } else { "t".into() }]).unwrap();
    }
    let long = "x".repeat(1 << 20);
    for number in 0..40_u32 {
        sink.row(&[number.into(), long.as_str().into()]).unwrap();
    }
    sink.finish().unwrap();
    let reader = SerializedFileReader::new(file.reopen().unwrap()).unwrap();
    let groups: Vec<i64> =
        reader.metadata().row_groups().iter().map(parquet::file::metadata::RowGroupMetaData::num_rows).collect();
    // The second is full by its text.
    assert_eq!((groups.iter().sum::<i64>(), groups[0], groups.len()), (70_040, 65_536, 4), "{groups:?}");
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    let number = |at: usize| rows[at].get_column_iter().next().unwrap().1.clone();
    assert_eq!((number(69_999), number(70_001)), (Field::Long(69_999), Field::Long(1)));
}

#[test]
fn the_manual_is_that_of_the_columns() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tables.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let text = fs::read_to_string(&path).unwrap();
        let (above, _) = text.split_once("## reports").unwrap();
        fs::write(&path, format!("{above}{}", manual())).unwrap();
    }
    let text = fs::read_to_string(path).unwrap();
    assert!(text.ends_with(&manual()), "bring it up to date with UPDATE_DOCS=1 cargo test -p zombie-trace the_manual");
}
