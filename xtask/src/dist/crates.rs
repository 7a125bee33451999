//! Which crates are linked into the program, the eBPF programs included.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{architecture::Architecture, bpf, system};

/// A name and a version.
pub(super) type Id = (String, String);

/// A crate of the registry that is linked in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Crate {
    pub(super) id: Id,
    /// What its manifest says: mostly, but not always, an SPDX expression.
    pub(super) license: String,
    /// Where its sources are said to be.
    pub(super) repository: String,
    /// Where it is unpacked.
    pub(super) folder: PathBuf,
    /// SHA-256 of its package.
    pub(super) checksum: String,
    /// Crates that it needs and that are linked in.
    pub(super) needs: BTreeSet<Id>,
}

/// The crates that a program is made of.
#[derive(Debug)]
pub(super) struct Linked {
    pub(super) crates: Vec<Crate>,
    /// What the program needs itself.
    pub(super) needs: BTreeSet<Id>,
}

/// What cargo calls the kernel's side.
const BPF_TARGET: &str = "bpfel-unknown-none";

/// Asks cargo for them.
pub(super) fn linked(workspace: &Path, architecture: &Architecture) -> Result<Linked> {
    let compiler = bpf::find_compiler()?.rustc;
    let mut all = tree(workspace, &["--package", "zombie-trace", "--target", architecture.triple], None)?;
    let bpf = ["--package", "zombie-trace-ebpf", "--features", "bpf", "--target", BPF_TARGET];
    all.extend(tree(workspace, &bpf, Some(&compiler))?);
    let mut metadata = system::cargo();
    metadata.current_dir(workspace).args(["metadata", "--format-version", "1", "--locked"]);
    // Otherwise cargo downloads what only other systems need.
    metadata.args(["--filter-platform", architecture.triple, "--filter-platform", BPF_TARGET]);
    let metadata: Value =
        serde_json::from_str(&system::output(&mut metadata)?).context("what cargo metadata prints")?;
    let lock = fs::read_to_string(workspace.join("Cargo.lock")).context("Cargo.lock")?;
    select(&all, &metadata, &checksums(&lock))
}

/// What cargo links for a package: no build script, no macro, and nothing that only tests need.
fn tree(workspace: &Path, arguments: &[&str], rustc: Option<&Path>) -> Result<BTreeSet<Id>> {
    let mut tree = system::cargo();
    tree.current_dir(workspace)
        .args(["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"])
        .args(arguments);
    if let Some(rustc) = rustc {
        tree.env("RUSTC", rustc);
    }
    system::output(&mut tree)?.lines().map(|line| named(line).with_context(|| format!("cargo tree: {line}"))).collect()
}

/// Reads `name v1.2.3`, behind which a path may stand.
fn named(line: &str) -> Option<Id> {
    let mut words = line.split(' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    Some((name.to_owned(), version.to_owned()))
}

/// Picks the crates in `all` out of cargo's description of the whole workspace.
fn select(all: &BTreeSet<Id>, metadata: &Value, checksums: &BTreeMap<Id, String>) -> Result<Linked> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let ids: BTreeMap<&str, Id> = packages
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, (text(package, "name"), text(package, "version")))))
        .collect();
    let mut edges: BTreeMap<&Id, BTreeSet<Id>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().context("cargo metadata resolves nothing")? {
        let Some(from) = node["id"].as_str().and_then(|id| ids.get(id)) else { continue };
        let dependencies = node["deps"].as_array().into_iter().flatten();
        let normal = dependencies.filter(|it| {
            it["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
        });
        let needs = normal.filter_map(|it| ids.get(it["pkg"].as_str()?)).filter(|id| all.contains(*id)).cloned();
        edges.entry(from).or_default().extend(needs);
    }
    let needs_of = |id: &Id| edges.get(id).cloned().unwrap_or_default();
    let (mut crates, mut needs) = (Vec::new(), BTreeSet::new());
    for package in packages {
        let id = (text(package, "name"), text(package, "version"));
        if !all.contains(&id) {
            continue;
        }
        if package["source"].is_null() {
            // One of ours.
            needs.extend(needs_of(&id));
            continue;
        }
        let folder = Path::new(package["manifest_path"].as_str().unwrap_or_default()).parent();
        crates.push(Crate {
            license: text(package, "license"),
            repository: text(package, "repository"),
            folder: folder.context("a manifest lies in a folder")?.to_owned(),
            checksum: checksums.get(&id).with_context(|| format!("{} has no checksum in Cargo.lock", id.0))?.clone(),
            needs: needs_of(&id),
            id,
        });
    }
    crates.sort_by(|a, b| a.id.cmp(&b.id));
    let own: BTreeSet<Id> = crates.iter().map(|it| it.id.clone()).collect();
    needs.retain(|id| own.contains(id));
    Ok(Linked { crates, needs })
}

/// The checksums in a lock file.
fn checksums(lock: &str) -> BTreeMap<Id, String> {
    let blocks = lock.split("[[package]]");
    let value = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))?;
        Some(line.trim_matches('"').to_owned())
    };
    let read = |block| Some(((value(block, "name")?, value(block, "version")?), value(block, "checksum")?));
    blocks.filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(name: &str) -> Id {
        (name.to_owned(), "1.0.0".to_owned())
    }

    #[test]
    fn lines_of_cargo_tree_are_read() {
        assert_eq!(named("a v1.0.0"), Some(id("a")));
        assert_eq!(named("a v1.0.0 (/home/x) (*)"), Some(id("a")));
        assert_eq!(named("a"), None);
    }

    #[test]
    fn what_is_only_built_with_or_tested_with_is_not_linked_in() {
        let package = |name: &str, source: Value| {
            json!({"id": name, "name": name, "version": "1.0.0", "source": source, "license": "MIT",
                   "manifest_path": format!("/r/{name}/Cargo.toml")})
        };
        let edge = |to: &str, kind: Value| json!({"pkg": to, "dep_kinds": [{"kind": kind}]});
        let registry = || json!("registry");
        let metadata = json!({
            "packages": [package("own", Value::Null), package("b", registry()), package("a", registry()),
                         package("builder", registry())],
            "resolve": {"nodes": [
                {"id": "own", "deps": [edge("a", Value::Null), edge("builder", json!("build"))]},
                {"id": "a", "deps": [edge("b", Value::Null), edge("builder", Value::Null)]},
            ]},
        });
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"01\"\n\n[[package]]\nname = \"b\"\n\
                    version = \"1.0.0\"\nchecksum = \"02\"\n";
        let all = [id("own"), id("a"), id("b")].into();
        let linked = select(&all, &metadata, &checksums(lock)).unwrap();
        assert_eq!(linked.needs, [id("a")].into());
        let [a, b] = &linked.crates[..] else { panic!("{linked:?}") };
        assert_eq!((&a.id, &a.needs, &*a.checksum), (&id("a"), &[id("b")].into(), "01"));
        assert_eq!((&b.id, b.needs.len(), b.folder.to_str()), (&id("b"), 0, Some("/r/b")));
        let error = select(&all, &metadata, &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains("no checksum"), "{error}");
    }
}
