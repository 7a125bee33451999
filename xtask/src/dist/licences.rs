//! The licences of all that is linked into the program, with their texts.
//!
//! The texts are those that the crates themselves bring. A crate without one, or under a licence that is not in the
//! list, makes the packaging fail.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, bail};
use spdx::{Expression, ParseMode};

use super::{crates::Crate, libraries::Library};

/// Licences that ask for no more than that their text is passed on.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Starts of the names of files with licence texts, in small letters.
const NAMES: &[&str] = &["license", "licence", "copying", "unlicense", "copyright", "notice"];

/// A crate's expression as SPDX writes it, if what we allow satisfies it.
pub(super) fn expression(license: &str) -> Result<String> {
    let canonical = Expression::canonicalize(license).ok().flatten().unwrap_or_else(|| license.to_owned());
    let parsed = Expression::parse_mode(&canonical, ParseMode::STRICT);
    let parsed = parsed.map_err(|error| anyhow::anyhow!("{license:?} is no licence expression: {}", error.reason))?;
    let is_allowed = parsed.evaluate(|it| it.license.id().is_some_and(|id| ALLOWED.contains(&id.name)));
    if !is_allowed {
        bail!("{license} is not allowed; the list is in xtask/src/dist/licences.rs");
    }
    Ok(canonical)
}

/// Makes the text: first who is under what, then each text once.
pub(super) fn text(crates: &[Crate], libraries: &[Library]) -> Result<String> {
    let mut list = String::new();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut add = |content: &str, user: &str| texts.entry(normal(content)).or_default().push(user.to_owned());
    for it in crates {
        let name = format!("{} {}", it.id.0, it.id.1);
        let license = expression(&it.license).with_context(|| name.clone())?;
        list += &format!("  {name}: {license}\n");
        let found = texts_of(it, crates)?;
        if found.is_empty() {
            bail!("{name} brings no text of its licence");
        }
        found.iter().for_each(|content| add(content, &name));
    }
    for library in libraries {
        list += &format!("  {} ({}): {}\n", library.name, library.origin, library.license);
        for content in &library.texts {
            add(content, library.name);
        }
    }
    let mut whole = format!("{HEAD}\n{list}");
    for (content, users) in &texts {
        whole += &format!("\n{}\nUsed by {}\n\n{content}\n", "=".repeat(80), users.join(", "));
    }
    Ok(whole)
}

const HEAD: &str = "\
zombie-trace is under the MIT licence or the Apache licence 2.0, at your option: LICENSE-MIT and LICENSE-APACHE.

The program is linked statically, so it contains what is listed here, each part under its own licence. The texts follow.
The GNU C Library is under the LGPL: to use another version of it, build the program from its sources with
`cargo xtask build --release --static --target TRIPLE` beside that version.
";

/// A crate's texts: its own, or those of another crate from the same repository under the same licence.
fn texts_of(it: &Crate, crates: &[Crate]) -> Result<Vec<String>> {
    let sibling =
        |other: &&Crate| !it.repository.is_empty() && other.repository == it.repository && other.license == it.license;
    for one in std::iter::once(it).chain(crates.iter().filter(sibling)) {
        let found = texts_in(&one.folder)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// The texts in the topmost folder of a crate.
fn texts_in(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        if entry.file_type()?.is_file() && NAMES.iter().any(|start| name.starts_with(start)) {
            files.push(entry.path());
        }
    }
    files.sort();
    let read = |file: &std::path::PathBuf| {
        let content = fs::read(file).with_context(|| file.display().to_string())?;
        Ok(String::from_utf8_lossy(&content).into_owned())
    };
    files.iter().map(read).collect()
}

/// A text without what editors differ in, so that it is printed once.
fn normal(content: &str) -> String {
    let lines: Vec<_> = content.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn an_expression_is_allowed_if_one_of_its_choices_is() {
        assert_eq!(expression("MIT/Apache-2.0").unwrap(), "MIT OR Apache-2.0");
        assert_eq!(expression("GPL-3.0-only OR MIT").unwrap(), "GPL-3.0-only OR MIT");
        for allowed in ["Apache-2.0 WITH LLVM-exception", "(MIT OR Apache-2.0) AND Unicode-3.0"] {
            assert_eq!(expression(allowed).unwrap(), allowed);
        }
        for refused in ["GPL-3.0-only", "MIT AND MPL-2.0", "", "some licence"] {
            assert!(expression(refused).is_err(), "{refused}");
        }
    }

    fn a_crate(folder: &Path, name: &str, license: &str) -> Crate {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).unwrap();
        Crate {
            id: (name.to_owned(), "1.0.0".to_owned()),
            license: license.to_owned(),
            repository: String::new(),
            folder,
            checksum: String::new(),
            needs: [].into(),
        }
    }

    #[test]
    fn each_text_is_printed_once_with_all_who_use_it() {
        let scratch = Scratch::new("licences").unwrap();
        let crates = ["a", "b"].map(|name| a_crate(scratch.path(), name, "MIT"));
        fs::write(crates[0].folder.join("LICENSE-MIT"), "Permission is granted \nto all.\n").unwrap();
        fs::write(crates[1].folder.join("license.md"), "\nPermission is granted\r\nto all.").unwrap();
        let text = text(&crates, &[]).unwrap();
        assert!(text.contains("Used by a 1.0.0, b 1.0.0\n\nPermission is granted\nto all.\n"), "{text}");
        assert_eq!(text.matches("Permission is granted\nto all.").count(), 1, "{text}");
    }

    #[test]
    fn a_crate_without_a_text_is_named() {
        let scratch = Scratch::new("no-licence").unwrap();
        let crates = [a_crate(scratch.path(), "a", "MIT")];
        let error = text(&crates, &[]).unwrap_err().to_string();
        assert!(error.contains("a 1.0.0 brings no text"), "{error}");
    }

    #[test]
    fn a_crate_may_have_its_text_from_its_repository() {
        let scratch = Scratch::new("siblings").unwrap();
        let mut crates = ["a", "b"].map(|name| a_crate(scratch.path(), name, "MIT"));
        fs::write(crates[1].folder.join("LICENSE"), "Permission").unwrap();
        assert!(text(&crates, &[]).is_err());
        crates.iter_mut().for_each(|it| it.repository = "r".to_owned());
        let text = text(&crates, &[]).unwrap();
        assert!(text.contains("Used by a 1.0.0, b 1.0.0"), "{text}");
    }
}
