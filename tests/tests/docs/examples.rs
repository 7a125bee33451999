//! The code in the explanations of causes: what a user copies has to compile. All blocks are whole files or, in Go, Java
//! and Python, statements that their parsers take.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use zombie_trace::explain::{Block, sections};
use zombie_trace_tests::{TestResult, require, runner::Test, tests};

pub(crate) fn all() -> Vec<Test> {
    tests![
        c_compiles,
        go_is_formatted,
        python_parses,
        node_parses,
        java_compiles,
        shell_parses,
        no_other_language_is_used
    ]
}

/// The blocks of a language, each with the id that it is under.
fn code(language: &str) -> Vec<(&'static str, &'static str)> {
    let of = |section: zombie_trace::explain::Section| {
        section.blocks().into_iter().filter_map(move |block| match block {
            Block::Code(it, text) => Some((section.id, it, text)),
            _ => None,
        })
    };
    let found: Vec<_> =
        sections().flat_map(of).filter(|(_, it, _)| *it == language).map(|(id, _, text)| (id, text)).collect();
    assert!(found.len() > 2, "only {} examples in {language}", found.len());
    found
}

/// Gives a text to a command and returns what it prints; it must succeed.
#[track_caller]
fn accepts(command: &mut Command, id: &str, text: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    child.stdin.take().expect("stdin is a pipe").write_all(text.as_bytes()).expect("the command reads");
    let output = child.wait_with_output().expect("the command ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{id}: {command:?}: {stderr}\n{text}");
    String::from_utf8(output.stdout).expect("it prints text")
}

fn c_compiles() -> TestResult {
    let gcc = require::program("gcc")?;
    for (id, text) in code("c") {
        let options = ["-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c", "-"];
        accepts(Command::new(&gcc).args(options), id, text);
    }
    Ok(())
}

fn go_is_formatted() -> TestResult {
    let gofmt = require::program("gofmt")?;
    for (id, text) in code("go") {
        assert_eq!(accepts(&mut Command::new(&gofmt), id, text), text, "{id}: not as gofmt writes it");
    }
    Ok(())
}

fn python_parses() -> TestResult {
    let python = require::program("python3")?;
    for (id, text) in code("python") {
        accepts(Command::new(&python).args(["-c", "import ast, sys; ast.parse(sys.stdin.read())"]), id, text);
    }
    Ok(())
}

fn node_parses() -> TestResult {
    let node = require::program("node")?;
    for (id, text) in code("js") {
        accepts(Command::new(&node).args(["--check", "-"]), id, text);
    }
    Ok(())
}

fn shell_parses() -> TestResult {
    let sh = require::program("sh")?;
    for (id, text) in code("sh") {
        accepts(Command::new(&sh).arg("-n"), id, text);
    }
    Ok(())
}

/// All in one class, since the compiler takes a second to start.
fn java_compiles() -> TestResult {
    let javac = require::program("javac")?;
    let folder = tempfile::TempDir::new().expect("the temporary folder can be written");
    let mut source = String::from("import java.util.concurrent.*;\nclass Examples {\n");
    for (number, (id, text)) in code("java").into_iter().enumerate() {
        source.push_str(&format!("// {id}\nvoid example{number}() throws Exception {{\n{text}}}\n"));
    }
    source.push_str("}\n");
    let file = folder.path().join("Examples.java");
    std::fs::write(&file, &source).expect("it can be written");
    let arguments: [&Path; 4] = [Path::new("-proc:none"), Path::new("-d"), folder.path(), &file];
    accepts(Command::new(&javac).args(arguments), "all", &source);
    Ok(())
}

/// What is not checked here is configuration, of which the tools for containers are the only readers.
fn no_other_language_is_used() -> TestResult {
    const KNOWN: [&str; 8] = ["c", "go", "python", "js", "java", "sh", "dockerfile", "yaml"];
    for section in sections() {
        for block in section.blocks() {
            if let Block::Code(language, text) = block {
                assert!(KNOWN.contains(&language), "{}: {language:?}: {text}", section.id);
            }
        }
    }
    Ok(())
}
