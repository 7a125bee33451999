//! The reference of the JSON that `live`, `report` and `record` print is made of the records themselves: what is said of a
//! field stands at the field. This makes `docs/json.md` of it and compares; `ZT_UPDATE=1 cargo test --test reference` writes
//! it. The JSON Schemas in `docs/schema` are made and written with it.

mod schema;

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use syn::{Attribute, Expr, ExprLit, Field, Fields, Item, Lit, Meta, Type};

/// The files with the records, below `src`.
const FOLDERS: [&str; 2] = ["report", "container"];
/// What is not part of this JSON: grades are those of `init-check`, units those of `scan`.
const ELSEWHERE: [&str; 2] = ["Graded", "Unit"];
/// Said before the tables.
const PREFACE: &str = "\
# The JSON of `live`, `report` and `check`

A test generates this page from the records in `src/report`; do not edit it. `live --format json` prints one object per
line; its `type` says what it is. Events of the kinds below are printed as they happen. The last line is the `summary`,
which has the fields of `Report`. `report --format json` prints only the report; `check --format json` has it in the
field `report`. Later versions may add fields; none is renamed or removed.

Times are RFC 3339 in UTC. Durations are in nanoseconds and end in `_ns`. Pids are those of the host. Names and command
lines are escaped: characters that are not printable become `\\xNN`. \"absent\" means that the field may be missing,
\"null\" that it may be null.

JSON Schemas: [`schema/live.json`](schema/live.json) for a line of `live`, [`schema/report.json`](schema/report.json) for
a report. They allow additional fields.
";

/// A table: the name of a record or an event, what it is, and its fields.
struct Table {
    name: String,
    meaning: String,
    fields: Vec<Row>,
}

struct Row {
    name: String,
    kind: String,
    meaning: String,
}

#[test]
fn the_reference_is_that_of_the_records() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = reference(&root.join("src"));
    let path = root.join("docs/json.md");
    if std::env::var_os("ZT_UPDATE").is_some() {
        fs::write(&path, &made).expect("the docs can be written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let first = made.lines().zip(kept.lines().chain(std::iter::repeat(""))).find(|(made, kept)| made != kept);
    assert!(made == kept, "docs/json.md is old; run ZT_UPDATE=1 cargo test --test reference. First: {first:?}");
}

/// The kinds of events, and the records by name.
fn read(source: &Path) -> (Vec<Table>, BTreeMap<String, Table>) {
    let (mut events, mut records) = (Vec::new(), BTreeMap::new());
    for folder in FOLDERS {
        let entries = fs::read_dir(source.join(folder)).expect("the folder is there");
        let paths = entries.map(|entry| entry.expect("it can be listed").path());
        let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|it| it == "rs")).collect();
        files.sort();
        for file in files {
            let text = fs::read_to_string(&file).expect("it can be read");
            for item in syn::parse_file(&text).expect("it compiles").items {
                collect(&item, &mut events, &mut records);
            }
        }
    }
    (events, records)
}

fn reference(source: &Path) -> String {
    let (events, mut records) = read(source);
    // A record that stands for an event is told there.
    let mut text = PREFACE.to_owned();
    for mut table in events {
        if let [Row { name, kind, .. }] = &table.fields[..]
            && name.is_empty()
        {
            let record = records.remove(kind).expect("an event stands for a record");
            table.fields = record.fields;
        }
        print(&mut text, &format!("Event `{}`", table.name), &table);
    }
    let report = records.remove("Report").expect("there is a report");
    print(&mut text, "`Report`", &report);
    for (name, table) in records {
        print(&mut text, &format!("`{name}`"), &table);
    }
    text
}

fn print(text: &mut String, heading: &str, table: &Table) {
    write!(text, "\n## {heading}\n\n{}\n\n| field | type | meaning |\n| --- | --- | --- |\n", table.meaning)
        .expect("a string takes it");
    for Row { name, kind, meaning } in &table.fields {
        let name = if name.is_empty() { "…".to_owned() } else { format!("`{name}`") };
        writeln!(text, "| {name} | {kind} | {meaning} |").expect("a string takes it");
    }
}

fn collect(item: &Item, events: &mut Vec<Table>, records: &mut BTreeMap<String, Table>) {
    match item {
        Item::Struct(item) if is_serialized(&item.attrs) && !ELSEWHERE.contains(&item.ident.to_string().as_str()) => {
            let name = item.ident.to_string();
            let table = Table { name: name.clone(), meaning: doc(&item.attrs), fields: rows(&item.fields) };
            records.insert(name, table);
        }
        Item::Enum(item) if item.ident == "Notice" => {
            for variant in &item.variants {
                let name = snake_case(&variant.ident.to_string());
                let fields = match &variant.fields {
                    // Its fields are those of the record.
                    Fields::Unnamed(fields) => fields.unnamed.iter().map(|field| stands_for(&field.ty)).collect(),
                    fields => rows(fields),
                };
                events.push(Table { name, meaning: doc(&variant.attrs), fields });
            }
        }
        // One of several shapes.
        Item::Enum(item) if is_serialized(&item.attrs) && has(&item.attrs, "untagged") => {
            let fields = item.variants.iter().flat_map(|variant| {
                let only = doc(&variant.attrs);
                rows(&variant.fields).into_iter().map(move |row| Row {
                    kind: format!("{}, absent", row.kind),
                    meaning: format!("{only} {}", row.meaning),
                    ..row
                })
            });
            let name = item.ident.to_string();
            records.insert(name.clone(), Table { name, meaning: doc(&item.attrs), fields: fields.collect() });
        }
        _ => {}
    }
}

fn stands_for(kind: &Type) -> Row {
    Row { name: String::new(), kind: innermost(kind), meaning: String::new() }
}

fn rows(fields: &Fields) -> Vec<Row> {
    fields.iter().filter(|field| !has(&field.attrs, "skip")).map(row).collect()
}

fn row(field: &Field) -> Row {
    let is_flat = has(&field.attrs, "flatten");
    let own = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
    let name = if is_flat { String::new() } else { renamed(&field.attrs).unwrap_or(own) };
    let absent = if has(&field.attrs, "skip_serializing_if") { ", absent" } else { "" };
    let kind = if is_flat { format!("the fields of {}", innermost(&field.ty)) } else { kind(&field.ty, absent) };
    Row { name, kind, meaning: doc(&field.attrs) }
}

/// A type as a reader of JSON sees it.
fn kind(of: &Type, absent: &str) -> String {
    let Some((name, argument)) = generic(of) else { return format!("?{absent}") };
    let word = match (name.as_str(), argument) {
        ("Option", Some(inner)) if absent.is_empty() => format!("{} or null", kind(inner, "")),
        ("Option" | "Box", Some(inner)) => kind(inner, ""),
        ("Vec", Some(inner)) => format!("list of {}", kind(inner, "")),
        ("u8" | "u32" | "u64" | "i32" | "i64" | "usize", _) => "number".to_owned(),
        ("String" | "str" | "char", _) => "string".to_owned(),
        ("bool", _) => "true or false".to_owned(),
        ("Moment", _) => "time".to_owned(),
        ("Overflows", _) => "object: numbers by table".to_owned(),
        (name, _) if is_word(name) => "string".to_owned(),
        (name, _) => format!("`{name}`"),
    };
    format!("{word}{absent}")
}

/// Enums that are one word in JSON.
fn is_word(name: &str) -> bool {
    [
        "Cause",
        "Disposition",
        "StopCause",
        "DropReason",
        "EndWay",
        "FindingKind",
        "How",
        "LimitKind",
        "Precision",
        "Relation",
        "Runtime",
        "Severity",
        "StopOutcome",
        "Via",
    ]
    .contains(&name)
}

fn innermost(of: &Type) -> String {
    match generic(of) {
        Some((_, Some(inner))) => innermost(inner),
        Some((name, None)) => name,
        None => "?".to_owned(),
    }
}

/// `Option<String>` as its name and argument.
fn generic(of: &Type) -> Option<(String, Option<&Type>)> {
    let segment = match of {
        Type::Path(path) => path.path.segments.last()?,
        Type::Reference(reference) => return generic(&reference.elem),
        _ => return None,
    };
    let argument = match &segment.arguments {
        syn::PathArguments::AngleBracketed(arguments) => arguments.args.iter().find_map(|argument| match argument {
            syn::GenericArgument::Type(inner) => Some(inner),
            _ => None,
        }),
        _ => None,
    };
    Some((segment.ident.to_string(), argument))
}

fn is_serialized(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|it| it.path().is_ident("derive") && tokens(it).contains("Serialize"))
}

/// Whether a `serde` attribute says this.
fn has(attributes: &[Attribute], word: &str) -> bool {
    let says = |text: String| text.split([',', '(', ')', '=']).any(|part| part.trim() == word);
    attributes.iter().any(|it| it.path().is_ident("serde") && says(tokens(it)))
}

fn renamed(attributes: &[Attribute]) -> Option<String> {
    let text =
        attributes.iter().filter(|it| it.path().is_ident("serde")).map(tokens).find(|it| it.contains("rename ="))?;
    Some(text.split("rename =").nth(1)?.split('"').nth(1)?.to_owned())
}

fn tokens(attribute: &Attribute) -> String {
    match &attribute.meta {
        Meta::List(list) => list.tokens.to_string(),
        _ => String::new(),
    }
}

/// The first paragraph of what is said of it, on one line.
fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|it| match &it.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    let paragraph: Vec<String> = lines.map(|line| line.trim().to_owned()).take_while(|line| !line.is_empty()).collect();
    // Names of types mean nothing to who reads JSON, and a bar ends a cell.
    paragraph.join(" ").replace("[`", "`").replace("`]", "`").replace('|', "\\|")
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
