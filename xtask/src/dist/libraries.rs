//! What is in the program beside Rust crates: sources of others that they and the page of `report` contain, and what the
//! machine that builds adds to a static program: the C library, the compiler's, and Rust's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::crates::Crate;
use crate::{architecture::Architecture, build, system};

/// A library and its licence.
#[derive(Debug)]
pub(super) struct Library {
    pub(super) name: &'static str,
    pub(super) version: String,
    /// The package, crate or toolchain that it is from.
    pub(super) origin: String,
    pub(super) license: &'static str,
    pub(super) texts: Vec<String>,
}

/// Whole texts, to which Debian's descriptions of packages only refer.
const COMMON: &str = "/usr/share/common-licenses";

/// Where the charting library of the page lies in the workspace.
const UPLOT: &str = "zombie-trace/src/output/html/vendor/uplot";

/// Finds all of them.
pub(super) fn of(architecture: &'static Architecture, workspace: &Path, crates: &[Crate]) -> Result<Vec<Library>> {
    let gcc = if architecture.is_native() { "gcc".to_owned() } else { format!("{}-gcc", architecture.gnu) };
    // The compiler says what it links with.
    let ask = |question: &str| {
        let file = PathBuf::from(line(Command::new(&gcc).arg(question))?);
        file.canonicalize().with_context(|| format!("{gcc} {question}: {}", file.display()))
    };
    let libc = ask("-print-file-name=libc.a")?;
    let libgcc = ask("-print-libgcc-file-name")?;
    Ok(vec![
        zstd(crates)?,
        uplot(workspace)?,
        of_package("GNU C Library", "LGPL-2.1-or-later", &libc, "LGPL-2.1")?,
        of_package("GCC runtime library", "GPL-3.0-or-later WITH GCC-exception-3.1", &libgcc, "GPL-3")?,
        of_rust(architecture)?,
    ])
}

/// The C library whose sources a crate brings; the crate's version names its own.
fn zstd(crates: &[Crate]) -> Result<Library> {
    let it = crates.iter().find(|it| it.id.0 == "zstd-sys").context("zstd-sys is not linked in any more")?;
    let version = it.id.1.split_once("+zstd.").map(|(_, version)| version.to_owned());
    Ok(Library {
        name: "Zstandard",
        version: version.with_context(|| format!("zstd-sys {} does not say what it contains", it.id.1))?,
        origin: format!("zstd-sys {}", it.id.1),
        license: "BSD-3-Clause",
        texts: vec![read(&it.folder.join("zstd/LICENSE"))?],
    })
}

fn uplot(workspace: &Path) -> Result<Library> {
    let folder = workspace.join(UPLOT);
    let manifest: serde_json::Value = serde_json::from_str(&read(&folder.join("package.json"))?)?;
    let version = manifest["dependencies"]["uplot"].as_str().context("package.json names no version of uPlot")?;
    Ok(Library {
        name: "uPlot",
        version: version.to_owned(),
        origin: format!("npm package uplot {version}"),
        license: "MIT",
        texts: vec![read(&folder.join("LICENSE"))?],
    })
}

/// A library of one of Debian's packages.
fn of_package(name: &'static str, license: &'static str, file: &Path, refers_to: &str) -> Result<Library> {
    let (package, version) = owner(file)?;
    let texts = vec![read(&copyright_of(&package))?, read(&Path::new(COMMON).join(refers_to))?];
    Ok(Library { name, origin: format!("{package} {version}"), version, license, texts })
}

/// Rust's standard library, of the compiler that builds for the architecture.
fn of_rust(architecture: &'static Architecture) -> Result<Library> {
    let (name, license) = ("Rust standard library", "MIT OR Apache-2.0");
    let cargo = build::static_cargo(architecture, "build")?;
    let rustc = cargo.get_envs().find(|(name, _)| *name == "RUSTC").and_then(|(_, value)| value);
    let rustc = rustc.map_or_else(|| "rustc".into(), ToOwned::to_owned);
    let ask = |arguments: &[&str]| line(Command::new(&rustc).args(arguments).current_dir(system::workspace()));
    let version = ask(&["--version"])?;
    let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?);
    let of_rustup = sysroot.join("share/doc/rust/COPYRIGHT-library.html");
    let texts = if of_rustup.is_file() {
        vec![without_tags(&read(&of_rustup)?)]
    } else {
        let (package, _) = owner(&sysroot.join("bin/rustc"))?;
        vec![read(&copyright_of(&package))?]
    };
    let number = version.split(' ').nth(1).unwrap_or_default().to_owned();
    Ok(Library { name, version: number, origin: version, license, texts })
}

/// The package that has a file, and its version.
fn owner(file: &Path) -> Result<(String, String)> {
    let found =
        line(Command::new("dpkg-query").arg("--search").arg(file)).context("dpkg names no owner of a library")?;
    let package = found.split(": ").next().unwrap_or_default().to_owned();
    let version = line(Command::new("dpkg-query").args(["--show", "--showformat", "${Version}", &package]))?;
    let package = package.split(':').next().unwrap_or_default().to_owned();
    Ok((package, version))
}

fn copyright_of(package: &str) -> PathBuf {
    Path::new("/usr/share/doc").join(package).join("copyright")
}

/// What a program prints on its one line.
fn line(command: &mut Command) -> Result<String> {
    Ok(system::output(command)?.trim().to_owned())
}

fn read(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| format!("the text of a licence, {}", file.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The text of a simple page, such as Rust's, in which `<` and `&` stand for themselves nowhere.
fn without_tags(page: &str) -> String {
    let mut text = String::new();
    for part in page.split('<') {
        text += part.split_once('>').map_or(part, |(_, behind)| behind);
    }
    let text = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
        .iter()
        .fold(text, |text, (code, character)| text.replace(code, character));
    let mut lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.dedup_by(|a, b| a.is_empty() && b.is_empty());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_text() {
        let page = "<h1>Copyright</h1>\n\n\n<pre>a &lt;b@c.invalid&gt; &amp; d</pre>\n";
        assert_eq!(without_tags(page), "Copyright\n\na <b@c.invalid> & d");
    }
}
