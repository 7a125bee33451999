//! The kernels to boot: one from each Debian suite, and one of another architecture.
//!
//! apt finds and downloads the newest kernel of the suite; this takes the image out of the package and keeps it.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    apt::{Apt, Source, field},
    architecture::Architecture,
    cache,
};

/// One line of the table of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Suite {
    /// Debian's name.
    name: &'static str,
    /// The series of its kernel, which a released suite keeps; `None` for the unreleased one.
    series: Option<&'static str>,
    /// Debian's name.
    architecture: &'static str,
}

/// The suites whose kernels are tested, oldest first.
pub(crate) const SUITES: &[Suite] = &[
    Suite { name: "bullseye", series: Some("5.10"), architecture: "amd64" },
    Suite { name: "bookworm", series: Some("6.1"), architecture: "amd64" },
    Suite { name: "trixie", series: Some("6.12"), architecture: "amd64" },
    Suite { name: "sid", series: None, architecture: "amd64" },
    // One is enough: the others cover the versions, this one the architecture.
    Suite { name: "trixie", series: Some("6.12"), architecture: "arm64" },
];

/// A kernel that can be booted.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// For example `6.1.176`.
    pub(crate) version: String,
    pub(crate) suite: Suite,
    pub(crate) architecture: &'static Architecture,
    pub(crate) image: PathBuf,
}

/// A kernel as named by the user: `6.12`, `6.12.94`, `trixie`, and with `-arm64` one of that architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted<'a> {
    version: &'a str,
    architecture: &'a str,
}

impl<'a> Wanted<'a> {
    fn parse(text: &'a str) -> Self {
        let of_another = text.rsplit_once('-').filter(|(_, name)| Architecture::of_debian(name).is_some());
        let (version, architecture) = of_another.unwrap_or((text, "amd64"));
        Self { version, architecture }
    }

    /// Whether this suite may be meant; without a fixed series that is certain only once the kernel is known.
    fn may_be(self, suite: Suite) -> bool {
        let version = suite.name == self.version || suite.series.is_none_or(|series| is_of(series, self.version));
        version && suite.architecture == self.architecture
    }

    fn is(self, kernel: &Kernel) -> bool {
        let version = kernel.suite.name == self.version || is_of(&kernel.version, self.version);
        version && kernel.suite.architecture == self.architecture
    }
}

impl Suite {
    /// Its name, with the architecture if unusual; also its folder in the cache.
    pub(crate) fn label(self) -> String {
        with_architecture(self.name, self.architecture)
    }

    /// Its kernel, of this version and in this file.
    pub(crate) fn kernel(self, version: String, image: PathBuf) -> Result<Kernel> {
        let architecture = Architecture::of_debian(self.architecture).context("no architecture of ours")?;
        Ok(Kernel { version, suite: self, architecture, image })
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_architecture(&self.version, self.suite.architecture))
    }
}

fn with_architecture(name: &str, architecture: &str) -> String {
    if architecture == "amd64" { name.to_owned() } else { format!("{name}-{architecture}") }
}

/// Whether this version is the wanted one or of the wanted series: 6.1 has 6.1.176, but not 6.12.
fn is_of(version: &str, wanted: &str) -> bool {
    version.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Gets the wanted kernels, by series, version or suite; all if none is named.
pub(crate) fn bring(wanted: &[String], update: bool) -> Result<Vec<Kernel>> {
    let asked: Vec<_> = wanted.iter().map(|wanted| Wanted::parse(wanted)).collect();
    let mut kernels = Vec::new();
    for suite in SUITES {
        if asked.is_empty() || asked.iter().any(|wanted| wanted.may_be(*suite)) {
            kernels.push(of(*suite, update).with_context(|| format!("the kernel of Debian {}", suite.label()))?);
        }
    }
    let nowhere = wanted.iter().zip(&asked).find(|(_, asked)| !kernels.iter().any(|kernel| asked.is(kernel)));
    if let Some((nowhere, _)) = nowhere {
        let series = |suite: &Suite| Some(with_architecture(suite.series?, suite.architecture));
        let known: Vec<_> = SUITES.iter().filter_map(series).collect();
        let newest = kernels.iter().find(|kernel| kernel.suite.name == "sid").map(|kernel| kernel.version.as_str());
        bail!("there is no kernel {nowhere}: Debian has {} and {}", known.join(", "), newest.unwrap_or("sid's"));
    }
    kernels.retain(|kernel| asked.is_empty() || asked.iter().any(|wanted| wanted.is(kernel)));
    Ok(kernels)
}

/// The suite's kernel from the cache, or else from the archive.
fn of(suite: Suite, update: bool) -> Result<Kernel> {
    let home = cache::folder("kernels")?.join(suite.label());
    cache::keep(&home, update, |scratch| fetch(suite, scratch))?;
    let version = fs::read_to_string(home.join("version")).context("version")?.trim().to_owned();
    suite.kernel(version, home.join("vmlinuz"))
}

/// Downloads and unpacks; returns the folder to keep, in the scratch folder.
fn fetch(suite: Suite, scratch: &Path) -> Result<PathBuf> {
    println!("download the kernel of Debian {} (10 MB of lists, 10 to 80 MB of kernel)", suite.label());
    let apt = Apt::update(scratch, suite.architecture, &[Source::release(suite.name)?])?;
    let (package, version) = newest(suite.architecture, |package| apt.show(package))?;
    let unpacked = scratch.join("unpacked");
    apt.unpack(&package, &unpacked)?;
    let image = find_image(&unpacked).with_context(|| format!("{package} has no kernel in it"))?;
    let made = scratch.join("made");
    fs::create_dir_all(&made)?;
    fs::rename(image, made.join("vmlinuz"))?;
    fs::write(made.join("version"), format!("{version}\n"))?;
    Ok(made)
}

/// Follows the dependencies from the package that stands for the newest kernel to the one that has the image, and
/// returns that with the kernel's version. Newer suites have one more package in between.
fn newest(architecture: &str, show: impl Fn(&str) -> Result<String>) -> Result<(String, String)> {
    let flavour = format!("-cloud-{architecture}");
    // The package that depends on a suite's newest kernel for virtual machines.
    let first = format!("linux-image{flavour}");
    let mut package = first.clone();
    let mut fields = show(&package)?;
    for kind in ["linux-image-", "linux-binary-"] {
        if let Some(next) = dependency(&fields, kind, &flavour) {
            package = next;
            fields = show(&package)?;
        }
    }
    if package == first {
        bail!("{first} depends on no kernel");
    }
    let version = field(&fields, "Version").with_context(|| format!("{package} has no version"))?;
    // The upstream version, without the revision of the package.
    let version = version.split(['-', '+', '~']).next().unwrap_or(version).to_owned();
    Ok((package, version))
}

fn dependency(fields: &str, kind: &str, flavour: &str) -> Option<String> {
    let names = field(fields, "Depends")?.split([',', '|']).filter_map(|each| each.split_whitespace().next());
    names.filter(|name| name.ends_with(flavour)).find(|name| name.starts_with(kind)).map(ToOwned::to_owned)
}

/// The image is in `/boot`, or in newer suites with the modules.
fn find_image(unpacked: &Path) -> Option<PathBuf> {
    if let Some(image) = file_in(&unpacked.join("boot"), |name| name.starts_with("vmlinuz")) {
        return Some(image);
    }
    let releases = fs::read_dir(unpacked.join("usr/lib/modules")).ok()?;
    releases.flatten().map(|release| release.path().join("vmlinuz")).find(|image| image.is_file())
}

fn file_in(folder: &Path, is_it: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    entries.map(|entry| entry.path()).find(|path| path.file_name().and_then(|it| it.to_str()).is_some_and(&is_it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_has_its_own_versions_only() {
        assert!(is_of("6.1.176", "6.1") && is_of("6.1", "6.1") && is_of("6.1.176", "6.1.176"));
        assert!(!is_of("6.12.94", "6.1") && !is_of("6.1", "6.12"));
    }

    #[test]
    fn a_suite_is_meant_by_its_name_or_series_and_architecture() {
        let [bullseye, _, trixie, sid, arm] = SUITES else { panic!() };
        let may_be = |suite: &Suite, text| Wanted::parse(text).may_be(*suite);
        assert!(may_be(bullseye, "5.10") && may_be(bullseye, "bullseye") && !may_be(bullseye, "6.1"));
        // sid's current version is not known in advance.
        assert!(may_be(sid, "sid") && may_be(sid, "7.2") && !may_be(sid, "7.2-arm64"));
        assert!(may_be(trixie, "6.12") && may_be(trixie, "6.12-amd64") && !may_be(trixie, "6.12-arm64"));
        assert!(may_be(arm, "6.12-arm64") && may_be(arm, "trixie-arm64") && !may_be(arm, "6.12"));
    }

    #[test]
    fn every_suite_has_a_name_and_an_architecture_of_its_own() {
        let labels: std::collections::BTreeSet<_> = SUITES.iter().map(|suite| suite.label()).collect();
        assert_eq!(labels.len(), SUITES.len());
        assert!(labels.contains("trixie") && labels.contains("trixie-arm64"), "{labels:?}");
        assert!(SUITES.iter().all(|suite| Architecture::of_debian(suite.architecture).is_some()));
    }

    fn archive(packages: &'static [(&str, &str)]) -> impl Fn(&str) -> Result<String> {
        move |wanted| {
            let found = packages.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, fields)| (*fields).to_owned()).with_context(|| format!("no {wanted}"))
        }
    }

    #[test]
    fn the_newest_kernel_is_found_by_what_its_package_depends_on() {
        let found = newest(
            "amd64",
            archive(&[
                (
                    "linux-image-cloud-amd64",
                    "Version: 6.1.176-1\nDepends: linux-image-6.1.0-50-cloud-amd64 (= 6.1.176-1)\n",
                ),
                ("linux-image-6.1.0-50-cloud-amd64", "Version: 6.1.176-1\nDepends: kmod, linux-base (>= 4.3~)\n"),
            ]),
        );
        assert_eq!(found.unwrap(), ("linux-image-6.1.0-50-cloud-amd64".to_owned(), "6.1.176".to_owned()));
    }

    #[test]
    fn where_the_image_is_in_a_package_of_its_own_that_is_taken() {
        let found = newest(
            "amd64",
            archive(&[
                (
                    "linux-image-cloud-amd64",
                    "Version: 7.2.13-1\nDepends: linux-base-cloud-amd64, linux-image-7.2.13+deb14-cloud-amd64\n",
                ),
                (
                    "linux-image-7.2.13+deb14-cloud-amd64",
                    "Version: 7.2.13-1\nDepends: dracut | initramfs-tools, linux-binary-7.2.13+deb14-cloud-amd64 (= 7.2.13-1)\n",
                ),
                ("linux-binary-7.2.13+deb14-cloud-amd64", "Version: 7.2.13-1\n"),
            ]),
        );
        assert_eq!(found.unwrap(), ("linux-binary-7.2.13+deb14-cloud-amd64".to_owned(), "7.2.13".to_owned()));
    }

    #[test]
    fn another_architecture_has_kernels_of_its_own() {
        let found = newest(
            "arm64",
            archive(&[
                ("linux-image-cloud-arm64", "Version: 6.12.107-1\nDepends: linux-image-6.12.107+deb13-cloud-arm64\n"),
                ("linux-image-6.12.107+deb13-cloud-arm64", "Version: 6.12.107-1\nDepends: kmod\n"),
            ]),
        );
        assert_eq!(found.unwrap(), ("linux-image-6.12.107+deb13-cloud-arm64".to_owned(), "6.12.107".to_owned()));
    }

    #[test]
    fn a_suite_without_a_kernel_is_an_error() {
        assert!(
            newest("amd64", archive(&[("linux-image-cloud-amd64", "Version: 1\nDepends: linux-base-cloud-amd64\n")]))
                .is_err()
        );
        assert!(newest("amd64", archive(&[])).is_err());
    }
}
