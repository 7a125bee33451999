//! apt with its own state and sources, so that neither the machine's installed packages nor the architectures of its
//! dpkg are touched. apt checks the archive's signature and the packages' digests.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{packages::DEBIAN_KEYRING, system};

/// Names a Debian mirror if apt is not set up for one.
const MIRROR: &str = "DEBIAN_MIRROR";

/// One of Debian's archives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    address: String,
    release: String,
}

/// apt, as on a machine of some architecture on which nothing is installed.
#[derive(Debug)]
pub(crate) struct Apt {
    folder: PathBuf,
    /// Debian's name.
    architecture: &'static str,
}

impl Source {
    /// A release in Debian's main archive.
    pub(crate) fn release(name: &str) -> Result<Self> {
        if let Ok(address) = env::var(MIRROR) {
            return Ok(Self { address, release: name.to_owned() });
        }
        let ours = debians(|line| line.label == "Debian")?;
        let Some(main) = ours.into_iter().next() else {
            bail!("apt has no mirror of Debian here; name one in {MIRROR}");
        };
        Ok(Self { release: name.to_owned(), ..main })
    }

    /// The Debian sources of the machine itself.
    pub(crate) fn of_this_machine() -> Result<Vec<Self>> {
        let found = debians(|_| true)?;
        if found.is_empty() {
            bail!("apt has no source of Debian's here");
        }
        Ok(found)
    }

    /// Where the archive is.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn line(&self, architecture: &str) -> String {
        // Only the package lists of the archive.
        let Self { address, release } = self;
        format!("deb [arch={architecture} target=Packages signed-by={DEBIAN_KEYRING}] {address} {release} main\n")
    }
}

impl Apt {
    /// Fetches the lists of the sources into this folder.
    pub(crate) fn update(folder: &Path, architecture: &'static str, sources: &[Source]) -> Result<Self> {
        for below in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(below)).with_context(|| folder.display().to_string())?;
        }
        fs::write(folder.join("status"), "")?;
        let lines: String = sources.iter().map(|source| source.line(architecture)).collect();
        fs::write(folder.join("sources.list"), lines)?;
        let apt = Self { folder: folder.to_owned(), architecture };
        apt.get("update", &[])?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let place = |option: &str, path: &str| format!("{option}={}", self.folder.join(path).display());
        for setting in [
            place("Dir::State", "state"),
            place("Dir::State::status", "status"),
            place("Dir::Cache", "cache"),
            place("Dir::Etc::sourcelist", "sources.list"),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("APT::Architecture={}", self.architecture),
            format!("APT::Architectures={}", self.architecture),
            "Acquire::Languages=none".to_owned(),
            // As root it would download as a user that cannot write below a home folder.
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.arg("-o").arg(setting);
        }
        command.current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    fn get(&self, action: &str, arguments: &[&str]) -> Result<()> {
        let mut command = self.command("apt-get");
        if !system::status(command.args(["-qq", action]).args(arguments))?.success() {
            // Without the settings, which would only hide the request.
            bail!("`apt-get {action} {}` failed: is there a network?", arguments.join(" "));
        }
        Ok(())
    }

    /// The fields of a package, as in `apt-cache show`.
    pub(crate) fn show(&self, package: &str) -> Result<String> {
        let output = self.command("apt-cache").args(["show", "--no-all-versions", package]).output()?;
        if !output.status.success() {
            bail!("apt-cache show {package}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Unpacks one package, `name` or `name=version`, into a folder.
    pub(crate) fn unpack(&self, package: &str, into: &Path) -> Result<()> {
        self.get("download", &[package])?;
        unpack_all(&self.folder, into)
    }

    /// Unpacks packages and all that they depend on.
    pub(crate) fn unpack_with_dependencies(&self, packages: &[&str], into: &Path) -> Result<()> {
        self.get("install", &[&["--no-install-recommends", "--download-only"], packages].concat())?;
        unpack_all(&self.folder.join("cache/archives"), into)
    }
}

/// Unpacks the packages in a folder, without running their scripts.
fn unpack_all(folder: &Path, into: &Path) -> Result<()> {
    fs::create_dir_all(into).with_context(|| into.display().to_string())?;
    let mut archives = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            archives.push(path);
        }
    }
    if archives.is_empty() {
        bail!("apt-get downloaded nothing");
    }
    for archive in archives {
        system::run(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(into))?;
    }
    Ok(())
}

/// A line of apt's list of its sources.
struct Line<'a> {
    label: &'a str,
    source: Source,
}

/// Debian's archives in the machine's own configuration of apt.
fn debians(wanted: impl Fn(&Line<'_>) -> bool) -> Result<Vec<Source>> {
    let ask = || {
        let mut command = Command::new("apt-get");
        let format = "$(ORIGIN)|$(LABEL)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)";
        command.args(["indextargets", "--format", format, "Identifier: Packages"]);
        let output = command.output().context("apt-get could not be started: the packages are Debian's")?;
        anyhow::Ok(parse(&String::from_utf8_lossy(&output.stdout), &wanted))
    };
    let found = ask()?;
    if !found.is_empty() {
        return Ok(found);
    }
    // A fresh machine has no lists, and without them apt does not know the origin of a source.
    system::run(system::as_root("apt-get")?.args(["-q", "update"]))?;
    ask()
}

fn parse(targets: &str, wanted: impl Fn(&Line<'_>) -> bool) -> Vec<Source> {
    let mut found = Vec::new();
    for line in targets.lines() {
        let fields: Vec<_> = line.split('|').collect();
        let ["Debian", label, address, release, "main"] = fields[..] else { continue };
        let source = Source { address: address.to_owned(), release: release.to_owned() };
        let line = Line { label, source };
        // A machine with foreign architectures lists a source once per architecture.
        if wanted(&line) && !found.contains(&line.source) {
            found.push(line.source);
        }
    }
    found
}

/// A field of a package's description.
pub(crate) fn field<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    fields.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: &str = "google|cloud-sdk|http://a.invalid/apt/|stable|main\n\
                           Debian|Debian-Security|http://b.invalid/security/|bookworm-security|main\n\
                           Debian|Debian|http://c.invalid/debian/|bookworm|main\n\
                           Debian|Debian|http://c.invalid/debian/|bookworm|contrib\n\
                           Debian|Debian|http://c.invalid/debian/|bookworm|main\n";

    fn source(address: &str, release: &str) -> Source {
        Source { address: address.to_owned(), release: release.to_owned() }
    }

    #[test]
    fn the_sources_are_debians_and_no_one_elses_each_once() {
        let all = parse(TARGETS, |_| true);
        let expected =
            [source("http://b.invalid/security/", "bookworm-security"), source("http://c.invalid/debian/", "bookworm")];
        assert_eq!(all, expected);
        assert_eq!(parse(TARGETS, |line| line.label == "Debian"), expected[1..]);
        assert!(parse("$(ORIGIN)|$(LABEL)|http://d.invalid/|stable|main\n", |_| true).is_empty());
    }

    #[test]
    fn a_source_is_of_one_architecture_and_signed() {
        let line = source("http://c.invalid/debian/", "trixie").line("arm64");
        let expected = format!(
            "deb [arch=arm64 target=Packages signed-by={DEBIAN_KEYRING}] http://c.invalid/debian/ trixie main\n"
        );
        assert_eq!(line, expected);
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let fields = "Package: a\nDepends-Not: x\nDepends: b, c\n";
        assert_eq!(field(fields, "Depends"), Some("b, c"));
        assert_eq!(field(fields, "Version"), None);
    }
}
