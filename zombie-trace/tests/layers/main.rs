//! Keeps the layers of the crate as they were drawn: imports go down, never up and never in a circle.
//!
//! The imports are read from the source by `syn`: `use` declarations and paths in code, macros included. A name that a
//! module only hands on (`pub use`) leads to the file that defines it, so a facade does not tie the files behind it
//! together. What is compiled for unit tests alone may look anywhere.

mod graph;
mod paths;
mod source;

use std::path::{Path, PathBuf};

use graph::circle;
use source::{Crate, Import};

/// The layers from the top to the bottom: a module imports only from rows below its own.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["commands"],
    &["agent", "top", "reap", "export", "init_check"],
    &["output"],
    // A scan reports the same processes as a trace, in its own words.
    &["policy", "scan"],
    &["report"],
    &["diagnosis"],
    &["source"],
    &["probe", "recording", "decode", "model"],
    &["kernel", "event"],
    // An image is read without anything that traces.
    &["container", "image", "remedy"],
    &["files"],
    &["signal", "text", "programs", "abi", "explain"],
];

/// The modules that turn events into what is reported: no clock, file, terminal or format.
const PURE: &[&str] =
    &["decode", "event", "model", "diagnosis", "report", "policy", "text", "signal", "programs", "remedy", "explain"];

/// What a pure module must not import. A path that begins with one of these is refused.
const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "anstyle",
    "aya",
    "caps",
    "csv",
    "env_logger",
    "indicatif",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "libc",
    "parquet",
    "prost",
    "quick_junit",
    "rustix",
    "tempfile",
    "tokio",
    "zstd",
    "crate::cli",
    "crate::commands",
    "crate::export",
    "crate::init_check",
    "crate::kernel",
    "crate::output",
    "crate::probe",
    "crate::source",
];

/// The longest that a file may be.
const MAX_LINES: usize = 450;

fn manifest() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn this_crate() -> Crate {
    Crate::read(&manifest().join("src"))
}

/// The row of a module, 0 for the top.
fn layer(module: &str) -> usize {
    LAYERS.iter().position(|row| row.contains(&module)).unwrap_or_else(|| panic!("`{module}` is in no layer: add it"))
}

#[test]
fn imports_only_go_down() {
    let source = this_crate();
    let wrong: Vec<String> = source
        .imports()
        .into_iter()
        .filter(|import| import.importing_module() != import.to_module())
        .filter(|import| import.to_module() != "lib")
        .filter(|import| layer(import.importing_module()) >= layer(import.to_module()))
        .map(|import| format!("{import}: {} is not below {}", import.to_module(), import.importing_module()))
        .collect();
    assert!(wrong.is_empty(), "imports that do not go down:\n{}", wrong.join("\n"));
}

#[test]
fn the_core_is_pure() {
    let source = this_crate();
    let wrong: Vec<String> = source
        .paths()
        .filter(|(file, _)| PURE.contains(&file.module()))
        .filter(|(_, path)| IMPURE.iter().any(|prefix| begins_with(path, prefix)))
        .map(|(file, path)| format!("{file}: {path}"))
        .collect();
    assert!(wrong.is_empty(), "the pure core imports:\n{}", wrong.join("\n"));
}

fn begins_with(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn no_folder_has_a_circle() {
    let source = this_crate();
    let imports: Vec<Import<'_>> = source.imports();
    let mut wrong = Vec::new();
    for folder in source.folders() {
        let edges = imports.iter().filter_map(|import| import.within(&folder));
        if let Some(circle) = circle(edges) {
            let shown: Vec<String> = circle
                .windows(2)
                .map(|pair| {
                    let example = imports
                        .iter()
                        .find(|import| {
                            import.within(&folder).is_some_and(|(from, to)| [from, to] == [&*pair[0], &*pair[1]])
                        })
                        .map_or_else(String::new, ToString::to_string);
                    format!("    {} → {} ({example})", pair[0], pair[1])
                })
                .collect();
            wrong.push(format!("  in {}:\n{}", folder.display(), shown.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "circles:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let root = manifest().parent().expect("the crate is in a workspace");
    let mut files = Vec::new();
    for folder in ["zombie-trace", "zombie-trace-ebpf", "xtask", "tests"] {
        source::rust_files(&root.join(folder), &mut files);
    }
    let long: Vec<String> = files
        .iter()
        .filter_map(|path: &PathBuf| {
            let lines = std::fs::read_to_string(path).expect("a source file is text").lines().count();
            (lines > MAX_LINES).then(|| format!("{} has {lines} lines", path.strip_prefix(root).unwrap().display()))
        })
        .collect();
    assert!(files.len() > 300, "only {} files were found", files.len());
    assert!(long.is_empty(), "files of more than {MAX_LINES} lines:\n{}", long.join("\n"));
}
