//! What is shipped for one architecture, and where each format puts it.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use super::{
    files::{Files, gzip},
    names, oci,
};
use crate::{architecture::Architecture, system};

/// The unit of the flight recorder.
pub(super) const UNIT: &str = "zombie-trace-record.service";

/// The description in packages: a line of its own, then lines of text.
pub(super) const DESCRIPTION: &[&str] = &[
    "trace zombie processes, their negligent parents, and signals that PID 1 drops",
    "Watches the kernel's own events with eBPF, and says how long each zombie waits to",
    "be reaped, which parent is negligent and why, and which signals each PID 1 drops.",
    "It does not change what it watches. Needs Linux 5.8 or newer with BTF.",
];

/// Texts that are the same for all architectures.
#[derive(Debug)]
pub(super) struct Texts {
    /// The manual pages by name, such as `zombie-trace-live.1`.
    manual: Vec<(String, Vec<u8>)>,
    bash: Vec<u8>,
    zsh: Vec<u8>,
    fish: Vec<u8>,
    unit: Vec<u8>,
    readme: String,
    /// The pages that the README refers to.
    docs: Vec<(String, Vec<u8>)>,
    /// The licences of zombie-trace itself.
    own_licences: Vec<(&'static str, Vec<u8>)>,
}

impl Texts {
    /// Reads them from the sources, and asks a program that runs here for what it says of itself.
    pub(super) fn gather(workspace: &Path, program: &Path, scratch: &Path) -> Result<Self> {
        let read = |path: &str| fs::read(workspace.join(path)).with_context(|| path.to_owned());
        let ask = |arguments: &[&str]| system::output(Command::new(program).args(arguments).stdin(Stdio::null()));
        let completions = |shell: &str| ask(&["completions", shell]).map(String::into_bytes);
        let pages = scratch.join("manual");
        fs::create_dir_all(&pages).with_context(|| pages.display().to_string())?;
        let folder = pages.to_str().context("the path of the target folder is no UTF-8")?;
        ask(&["manual-pages", folder])?;
        let mut docs = all_in(&workspace.join("zombie-trace/docs"))?;
        docs.retain(|(name, _)| name.ends_with(".md"));
        let readme = String::from_utf8(read("README.md")?).context("README.md")?;
        Ok(Self {
            manual: all_in(&pages)?,
            bash: completions("bash")?,
            zsh: completions("zsh")?,
            fish: completions("fish")?,
            unit: read(&format!("zombie-trace/deploy/{UNIT}"))?,
            readme: beside_its_docs(&readme),
            docs,
            own_licences: vec![("LICENSE-APACHE", read("LICENSE-APACHE")?), ("LICENSE-MIT", read("LICENSE-MIT")?)],
        })
    }
}

/// Everything for one architecture.
#[derive(Debug)]
pub(super) struct Shipped<'a> {
    pub(super) architecture: &'static Architecture,
    pub(super) texts: &'a Texts,
    pub(super) program: Vec<u8>,
    pub(super) debug: Vec<u8>,
    /// The licences of what is linked in.
    pub(super) licences: String,
    pub(super) sbom: Vec<u8>,
}

/// The file of the licences of others.
const LICENCES: &str = "THIRD-PARTY-LICENSES.txt";

impl Shipped<'_> {
    /// The content of the archive, to be unpacked anywhere.
    pub(super) fn archive(&self) -> Files {
        let (mut files, texts) = (Files::default(), self.texts);
        let base = names::base(self.architecture);
        files.add_program(format!("{base}/zombie-trace"), &*self.program);
        for (name, page) in &texts.manual {
            files.add(format!("{base}/man/{name}"), &**page);
        }
        files.add(format!("{base}/completions/zombie-trace.bash"), &*texts.bash);
        files.add(format!("{base}/completions/_zombie-trace"), &*texts.zsh);
        files.add(format!("{base}/completions/zombie-trace.fish"), &*texts.fish);
        files.add(format!("{base}/systemd/{UNIT}"), &*texts.unit);
        self.add_docs(&mut files, &base);
        self.add_licences(&mut files, &base);
        files.add(format!("{base}/zombie-trace.cdx.json"), &*self.sbom);
        files
    }

    /// The debug information, to be unpacked beside the program.
    pub(super) fn debug_archive(&self) -> Files {
        let mut files = Files::default();
        let base = names::debug_base(self.architecture);
        files.add(format!("{base}/{}", super::program::DEBUG_NAME), &*self.debug);
        files
    }

    /// The files that Debian's package installs.
    pub(super) fn debian(&self) -> Result<Files> {
        let mut files = self.installed("usr/share/zsh/vendor-completions", "usr/share/fish/vendor_completions.d")?;
        let doc = "usr/share/doc/zombie-trace";
        self.add_licences(&mut files, doc);
        // Debian's tools look for this name.
        files.add(format!("{doc}/copyright"), self.copyright());
        Ok(files)
    }

    /// The files that the rpm installs.
    pub(super) fn rpm(&self) -> Result<Files> {
        let mut files = self.installed("usr/share/zsh/site-functions", "usr/share/fish/vendor_completions.d")?;
        self.add_licences(&mut files, "usr/share/licenses/zombie-trace");
        Ok(files)
    }

    /// The content of the image.
    pub(super) fn image(&self) -> Files {
        let mut files = Files::default();
        files.add_program(oci::PROGRAM, &*self.program);
        self.add_licences(&mut files, "usr/share/doc/zombie-trace");
        files.add("usr/share/doc/zombie-trace/zombie-trace.cdx.json", &*self.sbom);
        files
    }

    /// What all packages install at the same places.
    fn installed(&self, zsh: &str, fish: &str) -> Result<Files> {
        let (mut files, texts) = (Files::default(), self.texts);
        files.add_program("usr/bin/zombie-trace", &*self.program);
        for (name, page) in &texts.manual {
            files.add(format!("usr/share/man/man1/{name}.gz"), gzip(page)?);
        }
        files.add("usr/share/bash-completion/completions/zombie-trace", &*texts.bash);
        files.add(format!("{zsh}/_zombie-trace"), &*texts.zsh);
        files.add(format!("{fish}/zombie-trace.fish"), &*texts.fish);
        files.add(format!("usr/lib/systemd/system/{UNIT}"), &*texts.unit);
        let doc = "usr/share/doc/zombie-trace";
        self.add_docs(&mut files, doc);
        files.add(format!("{doc}/zombie-trace.cdx.json"), &*self.sbom);
        Ok(files)
    }

    fn add_docs(&self, files: &mut Files, folder: &str) {
        files.add(format!("{folder}/README.md"), self.texts.readme.as_bytes());
        for (name, page) in &self.texts.docs {
            files.add(format!("{folder}/docs/{name}"), &**page);
        }
    }

    fn add_licences(&self, files: &mut Files, folder: &str) {
        for (name, text) in &self.texts.own_licences {
            files.add(format!("{folder}/{name}"), &**text);
        }
        files.add(format!("{folder}/{LICENCES}"), self.licences.as_bytes());
    }

    fn copyright(&self) -> Vec<u8> {
        let mut text = format!(
            "zombie-trace is under the MIT licence or the Apache licence 2.0, at your option. Their texts are in\n\
             LICENSE-MIT and LICENSE-APACHE beside this file, those of all that is linked in are in {LICENCES}.\n"
        )
        .into_bytes();
        for (_, own) in self.texts.own_licences.iter().filter(|(name, _)| *name == "LICENSE-MIT") {
            text.push(b'\n');
            text.extend(own);
        }
        text
    }
}

/// The README with links to pages in the folder beside it; in the repository they lie elsewhere.
fn beside_its_docs(readme: &str) -> String {
    readme.replace("](zombie-trace/docs/", "](docs/")
}

/// The files of a folder, sorted by name.
fn all_in(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_file() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push((name, fs::read(&path).with_context(|| path.display().to_string())?));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_the_readme_lead_to_the_pages_beside_it() {
        let readme = "[all fields](zombie-trace/docs/json.md), [LICENSE-MIT](LICENSE-MIT)";
        assert_eq!(beside_its_docs(readme), "[all fields](docs/json.md), [LICENSE-MIT](LICENSE-MIT)");
    }
}
