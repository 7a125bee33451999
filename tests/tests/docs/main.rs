//! What the documentation shows: its commands are the tool's own, its examples compile, its links lead somewhere.

mod commands;
mod examples;
mod links;
mod markdown;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use zombie_trace_tests::runner;

fn main() -> ExitCode {
    runner::main(vec![("commands", commands::all()), ("examples", examples::all()), ("links", links::all())])
}

/// The top of the repository.
fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in a workspace")
}

/// The README, the change log and all pages that ship.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![top().join("README.md"), top().join("CHANGELOG.md")];
    let mut folders = vec![top().join("zombie-trace/docs"), top().join("zombie-trace/ci")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "md") {
                pages.push(path);
            }
        }
    }
    assert!(pages.len() > 20, "only {} pages were found", pages.len());
    pages.sort();
    pages
}
