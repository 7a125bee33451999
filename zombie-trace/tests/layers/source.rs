//! The modules of a crate and what each file imports.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
};

use syn::{Attribute, Item, ItemMod, UseTree, Visibility, visit::Visit};

use super::paths::Paths;

/// The path of a module or an item, below the crate's root.
pub(crate) type Names = Vec<String>;

/// A module: a file, or one that stands within a file.
#[derive(Debug, Default)]
struct Module {
    /// The file that it stands in.
    file: usize,
    /// What names stand for that are imported here.
    uses: BTreeMap<String, Target>,
    /// What is imported whole, `use …::*`.
    globs: Vec<Names>,
}

/// What an imported name stands for.
#[derive(Clone, Debug)]
enum Target {
    /// Something of this crate.
    Own(Names),
    /// Something of another crate.
    Foreign(Names),
}

/// Where a `use` stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    module: &'a Names,
    file: usize,
    is_handed_on: bool,
}

/// A source file.
#[derive(Debug)]
pub(crate) struct File {
    /// Below `src`.
    path: PathBuf,
    /// The paths that stand in it: in which module, and the path.
    paths: Vec<(Names, Names)>,
    /// Names that it hands on, `pub use`, with where they come from: imports only if it uses them itself.
    handed_on: Vec<(String, (Names, Names))>,
    /// Names that stand alone in its code.
    names: BTreeSet<String>,
}

/// A crate's source.
#[derive(Debug, Default)]
pub(crate) struct Crate {
    files: Vec<File>,
    modules: BTreeMap<Names, Module>,
}

/// That one file imports something that another defines.
#[derive(Clone, Debug)]
pub(crate) struct Import<'a> {
    from: &'a File,
    to: &'a File,
    what: String,
}

/// All files in Rust below this folder, in order; not those that were built.
pub(crate) fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder can be listed").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

impl File {
    /// The module at the top that it belongs to.
    pub(crate) fn module(&self) -> &str {
        let first = self.path.iter().next().and_then(|it| it.to_str()).expect("names of files are text");
        first.strip_suffix(".rs").unwrap_or(first)
    }
}

impl fmt::Display for File {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(formatter)
    }
}

impl Import<'_> {
    pub(crate) fn importing_module(&self) -> &str {
        self.from.module()
    }

    pub(crate) fn to_module(&self) -> &str {
        self.to.module()
    }

    /// The entries of a folder that it goes from and to, if both are in it. What the folder's own `mod.rs` defines is
    /// the common ground of its files, and what it calls is what it was made for: that is no circle.
    pub(crate) fn within(&self, folder: &Path) -> Option<(&str, &str)> {
        if self.to.path == folder.join("mod.rs") {
            return None;
        }
        let first = |path: &Path| path.iter().next().and_then(|it| it.to_str()).map(str::len);
        let (from, to) = (self.from.path.strip_prefix(folder).ok()?, self.to.path.strip_prefix(folder).ok()?);
        let (from_len, to_len) = (first(from)?, first(to)?);
        Some((&from.to_str()?[..from_len], &to.to_str()?[..to_len]))
    }
}

impl fmt::Display for Import<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} imports {} of {}", self.from, self.what, self.to)
    }
}

impl Crate {
    /// Reads the crate whose `lib.rs` and `main.rs` are in this folder.
    pub(crate) fn read(folder: &Path) -> Self {
        let mut source = Self::default();
        source.file(folder, Path::new("lib.rs"), Vec::new());
        // The binary is a crate of its own, but it is of one piece.
        source.file(folder, Path::new("main.rs"), vec!["main".to_owned()]);
        source
    }

    fn file(&mut self, root: &Path, path: &Path, module: Names) {
        let text = fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let number = self.files.len();
        let file = File { path: path.to_owned(), paths: Vec::new(), handed_on: Vec::new(), names: BTreeSet::new() };
        self.files.push(file);
        // Where the files of its modules are.
        let name = path.file_stem().and_then(|it| it.to_str()).expect("names of files are text");
        let folder = match name {
            "lib" | "main" | "mod" => path.parent().expect("it has one").to_owned(),
            _ => path.with_extension(""),
        };
        self.items(root, &folder, number, module, &parsed.items);
    }

    fn items(&mut self, root: &Path, folder: &Path, file: usize, module: Names, items: &[Item]) {
        self.modules.insert(module.clone(), Module { file, ..Module::default() });
        for item in items.iter().filter(|item| !is_for_tests(attributes(item))) {
            match item {
                Item::Mod(inner) => self.module(root, folder, file, &module, inner),
                Item::Use(declared) => {
                    let is_handed_on = !matches!(declared.vis, Visibility::Inherited);
                    let place = Place { module: &module, file, is_handed_on };
                    self.declare(place, &mut Vec::new(), &declared.tree);
                }
                other => {
                    let mut paths = Paths { module: &module, found: Vec::new(), names: BTreeSet::new() };
                    paths.visit_item(other);
                    self.files[file].paths.extend(paths.found);
                    self.files[file].names.extend(paths.names);
                }
            }
        }
    }

    fn module(&mut self, root: &Path, folder: &Path, file: usize, module: &Names, inner: &ItemMod) {
        let name = inner.ident.to_string();
        let path: Names = module.iter().cloned().chain([name.clone()]).collect();
        match &inner.content {
            Some((_, items)) => self.items(root, &folder.join(&name), file, path, items),
            None => {
                let flat = folder.join(format!("{name}.rs"));
                let place = if root.join(&flat).is_file() { flat } else { folder.join(&name).join("mod.rs") };
                self.file(root, &place, path);
            }
        }
    }

    /// Takes a `use` in: what its names stand for.
    fn declare(&mut self, place: Place<'_>, before: &mut Names, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.declare(place, before, &path.tree);
                before.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.declare(place, before, tree)),
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                let (path, known_as) = if name == "self" {
                    (before.clone(), before.last().cloned().unwrap_or_default())
                } else {
                    (before.iter().cloned().chain([name.clone()]).collect(), name)
                };
                self.name(place, path, known_as);
            }
            UseTree::Rename(rename) => {
                let mut path = before.clone();
                if rename.ident != "self" {
                    path.push(rename.ident.to_string());
                }
                self.name(place, path, rename.rename.to_string());
            }
            UseTree::Glob(_) => {
                self.files[place.file].paths.push((place.module.clone(), before.clone()));
                if let Target::Own(path) = absolute(place.module, before, |_| true) {
                    self.modules.get_mut(place.module).expect("it was entered").globs.push(path);
                }
            }
        }
    }

    fn name(&mut self, place: Place<'_>, path: Names, known_as: String) {
        let Place { module, file, is_handed_on } = place;
        let found = (module.clone(), path.clone());
        if is_handed_on {
            self.files[file].handed_on.push((known_as.clone(), found));
        } else {
            self.files[file].paths.push(found);
        }
        // Whether the first name is a module beside it is known only when all are read; see `own`.
        let target = absolute(module, &path, |_| false);
        self.modules.get_mut(module).expect("it was entered").uses.insert(known_as, target);
    }

    /// A path in full, as far as it is of this crate: what it begins with may be a module below, or an imported name.
    fn in_full(&self, module: &Names, path: &[String]) -> Target {
        let is_own = |name: &str| {
            let below: Names = module.iter().cloned().chain([name.to_owned()]).collect();
            self.modules.contains_key(&below)
        };
        if let Some(first) = path.first()
            && !is_own(first)
            && let Some(target) = self.modules.get(module).and_then(|it| it.uses.get(first))
        {
            let rest = path[1..].iter().cloned();
            return match target {
                Target::Own(names) => Target::Own(names.iter().cloned().chain(rest).collect()),
                // Of another crate, or of a module beside this one.
                Target::Foreign(names) => match absolute(module, names, is_own) {
                    Target::Own(names) => Target::Own(names.into_iter().chain(rest).collect()),
                    Target::Foreign(names) => Target::Foreign(names.into_iter().chain(rest).collect()),
                },
            };
        }
        absolute(module, path, is_own)
    }

    /// The file that defines what this path names; `None` for a module itself, which is only a way to other things.
    fn defined_in(&self, path: &[String], steps: usize) -> Option<usize> {
        // Imports that name each other end nowhere.
        let steps = steps.checked_sub(1)?;
        let mut at = Vec::new();
        for (index, name) in path.iter().enumerate() {
            let module = self.modules.get(&at)?;
            at.push(name.clone());
            if self.modules.contains_key(&at) {
                continue;
            }
            at.pop();
            let rest = &path[index + 1..];
            if module.uses.contains_key(name) {
                return match self.in_full(&at, &path[index..]) {
                    Target::Own(names) => self.defined_in(&names, steps),
                    Target::Foreign(_) => Some(module.file),
                };
            }
            let by_glob = module.globs.iter().find_map(|glob| {
                let path: Names = glob.iter().cloned().chain([name.clone()]).chain(rest.iter().cloned()).collect();
                self.names_something(&path).then(|| self.defined_in(&path, steps)).flatten()
            });
            return Some(by_glob.unwrap_or(module.file));
        }
        None
    }

    /// Whether a path that a glob leads to is surely a module or an import there: what else a module defines is not known.
    fn names_something(&self, path: &[String]) -> bool {
        let Some((name, before)) = path.split_last() else { return false };
        self.modules.contains_key(path) || self.modules.get(before).is_some_and(|module| module.uses.contains_key(name))
    }

    /// Everything that a file imports from another, each once.
    pub(crate) fn imports(&self) -> Vec<Import<'_>> {
        let mut seen = BTreeSet::new();
        let mut imports = Vec::new();
        for (number, from) in self.files.iter().enumerate() {
            let used = from.handed_on.iter().filter(|(name, _)| from.names.contains(name)).map(|(_, path)| path);
            for (module, path) in from.paths.iter().chain(used) {
                let Target::Own(names) = self.in_full(module, path) else { continue };
                let Some(to) = self.defined_in(&names, 16).filter(|&to| to != number) else { continue };
                if seen.insert((number, to)) {
                    imports.push(Import { from, to: &self.files[to], what: path.join("::") });
                }
            }
        }
        imports
    }

    /// Every path in every file, in full.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (&File, String)> {
        self.files.iter().flat_map(move |file| {
            file.paths.iter().map(move |(module, path)| {
                let shown = match self.in_full(module, path) {
                    Target::Own(names) => format!("crate::{}", names.join("::")),
                    Target::Foreign(names) => names.join("::"),
                };
                (file, shown)
            })
        })
    }

    /// The folders that have files, the crate's own first.
    pub(crate) fn folders(&self) -> BTreeSet<PathBuf> {
        self.files.iter().flat_map(|file| file.path.ancestors().skip(1).map(Path::to_owned)).collect()
    }
}

/// A path as it stands in a module, from the crate's root.
fn absolute(module: &Names, path: &[String], is_own: impl Fn(&str) -> bool) -> Target {
    let mut at = module.clone();
    let mut rest = path;
    let own = match path.first().map(String::as_str) {
        Some("crate") => {
            at.clear();
            rest = &path[1..];
            true
        }
        // The library, seen from the binary.
        Some("zombie_trace") => {
            at.clear();
            rest = &path[1..];
            true
        }
        Some("self") => {
            rest = &path[1..];
            true
        }
        Some("super") => {
            while let Some("super") = rest.first().map(String::as_str) {
                at.pop();
                rest = &rest[1..];
            }
            true
        }
        Some(name) => is_own(name),
        None => false,
    };
    if own { Target::Own(at.into_iter().chain(rest.iter().cloned()).collect()) } else { Target::Foreign(path.to_vec()) }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}
