//! JSON Schemas (draft 2020-12) of a line of `live` and of a report, of the same tables as the reference.
//!
//! Fields are added in later versions, so no schema forbids more than it knows.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::{Map, Value, json};

use super::{Table, read};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

#[test]
fn the_schemas_are_those_of_the_records() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, schema) in schemas(&root.join("src")) {
        let path = root.join("docs/schema").join(name);
        let mut made = serde_json::to_string_pretty(&schema).expect("a value is JSON");
        made.push('\n');
        if std::env::var_os("ZT_UPDATE").is_some() {
            fs::create_dir_all(root.join("docs/schema")).expect("the docs can be written");
            fs::write(&path, &made).expect("the docs can be written");
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(made == kept, "docs/schema/{name} is old; run ZT_UPDATE=1 cargo test --test reference");
    }
}

fn schemas(source: &Path) -> [(&'static str, Value); 2] {
    let (events, mut records) = read(source);
    let report = records.remove("Report").expect("there is a report");
    let mut lines: Vec<Value> = events.iter().map(|event| line(event, &records)).collect();
    lines.push(json!({ "allOf": [of_type("summary"), object(&report)] }));
    let definitions: Map<String, Value> = records.iter().map(|(name, table)| (name.clone(), object(table))).collect();
    let definitions = Value::Object(definitions);
    let live = json!({
        "$schema": DRAFT,
        "title": "A line of `zombie-trace live --format json`",
        "oneOf": lines,
        "$defs": definitions,
    });
    let mut report = object(&report);
    report["$schema"] = DRAFT.into();
    report["title"] = "The object of `zombie-trace report --format json`".into();
    report["$defs"] = definitions;
    [("live.json", live), ("report.json", report)]
}

fn of_type(name: &str) -> Value {
    json!({ "type": "object", "properties": { "type": { "const": name } }, "required": ["type"] })
}

/// An event with fields of its own, or with those of the record that it stands for.
fn line(event: &Table, records: &BTreeMap<String, Table>) -> Value {
    let fields = match &event.fields[..] {
        [only] if only.name.is_empty() => object(&records[&only.kind]),
        _ => object(event),
    };
    json!({ "description": event.meaning, "allOf": [of_type(&event.name), fields] })
}

fn object(table: &Table) -> Value {
    let (mut properties, mut required, mut flat) = (Map::new(), Vec::new(), Vec::new());
    for field in &table.fields {
        if let Some(record) = field.kind.strip_prefix("the fields of ") {
            flat.push(refer(record));
            continue;
        }
        let (kind, is_required) = match field.kind.strip_suffix(", absent") {
            Some(kind) => (kind, false),
            None => (field.kind.as_str(), true),
        };
        let mut value = kind_of(kind);
        if let Some(object) = value.as_object_mut() {
            object.insert("description".to_owned(), field.meaning.clone().into());
        }
        properties.insert(field.name.clone(), value);
        if is_required {
            required.push(field.name.clone());
        }
    }
    let mut schema = json!({ "type": "object", "description": table.meaning, "properties": properties });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    if !flat.is_empty() {
        schema["allOf"] = flat.into();
    }
    schema
}

fn refer(record: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{}", record.trim_matches('`')) })
}

/// From the words of the reference. Words that it does not use are a mistake.
fn kind_of(kind: &str) -> Value {
    if let Some(kind) = kind.strip_suffix(" or null") {
        return json!({ "anyOf": [kind_of(kind), { "type": "null" }] });
    }
    if let Some(kind) = kind.strip_prefix("list of ") {
        return json!({ "type": "array", "items": kind_of(kind) });
    }
    match kind {
        "number" => json!({ "type": "integer" }),
        "string" => json!({ "type": "string" }),
        "true or false" => json!({ "type": "boolean" }),
        "time" => json!({ "type": "string", "format": "date-time" }),
        "object: numbers by table" => json!({ "type": "object", "additionalProperties": { "type": "integer" } }),
        record if record.starts_with('`') => refer(record),
        other => panic!("{other:?} is no kind of the reference"),
    }
}

fn validator(name: &str) -> jsonschema::Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema").join(name);
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).expect("it ships")).expect("it is JSON");
    jsonschema::options().should_validate_formats(true).build(&schema).expect("it is a schema")
}

#[track_caller]
fn is_valid(validator: &jsonschema::Validator, value: &Value) {
    let errors: Vec<String> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new(), "{value}");
}

/// What the tool really prints of the recordings that are kept.
fn reports() -> Vec<Value> {
    let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/recordings");
    ["format-1.zt", "format-1-node2.zt", "format-2.zt"]
        .iter()
        .map(|name| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_zombie-trace"));
            command.args(["report", "--format", "json", "--min-age", "100ms"]).arg(recordings.join(name));
            let output = command.output().expect("the tool can be started");
            serde_json::from_slice(&output.stdout).expect("a report is one object")
        })
        .collect()
}

#[test]
fn reports_are_what_the_schema_says() {
    let validator = validator("report.json");
    let reports = reports();
    assert!(reports.iter().any(|it| !it["parents"].as_array().expect("a list").is_empty()), "nothing to look at");
    reports.iter().for_each(|report| is_valid(&validator, report));
    for (pointer, wrong) in [("/totals/exits", json!("9")), ("/findings/0/explain", json!(null)), ("/window", json!(1))]
    {
        let mut changed = reports[0].clone();
        *changed.pointer_mut(pointer).expect("the report has it") = wrong;
        assert!(!validator.is_valid(&changed), "{pointer} may be anything");
    }
    let mut less = reports[0].clone();
    less.as_object_mut().expect("an object").remove("totals");
    assert!(!validator.is_valid(&less), "totals may be missing");
}

/// The lines of the snapshot are one of each kind.
#[test]
fn lines_of_live_are_what_the_schema_says() {
    let validator = validator("live.json");
    let snapshot = include_str!("../../src/output/snapshots/zombie_trace__output__tests__json_for_scripts.snap");
    let lines: Vec<Value> =
        snapshot.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: std::collections::BTreeSet<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    assert!(kinds.len() > 7 && kinds.contains("summary"), "{kinds:?}");
    lines.iter().for_each(|line| is_valid(&validator, line));
    let mut changed = lines[0].clone();
    changed["type"] = "nothing".into();
    assert!(!validator.is_valid(&changed), "any type will do");
}
