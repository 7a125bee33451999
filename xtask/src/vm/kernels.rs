//! The kernels to boot: Debian's, one of each of its suites.
//!
//! apt does the work, with a state and sources of its own, so that nothing of the machine's is touched: it finds the
//! newest kernel of the suite, downloads it, and checks the archive's signature and the package's digest. What is left
//! to do here is to unpack the image and to keep it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{packages::DEBIAN_KEYRING, system};

/// One line of the table of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Suite {
    /// Debian's name of it.
    pub(crate) name: &'static str,
    /// The series of its kernel; a released suite keeps it, the one in the making has ever newer ones.
    series: Option<&'static str>,
}

/// The suites whose kernels are tested, the oldest first.
pub(crate) const SUITES: &[Suite] = &[
    Suite { name: "bullseye", series: Some("5.10") },
    Suite { name: "bookworm", series: Some("6.1") },
    Suite { name: "trixie", series: Some("6.12") },
    Suite { name: "sid", series: None },
];

/// The package that depends on a suite's newest kernel for virtual machines.
const NEWEST: &str = "linux-image-cloud-amd64";
/// Names a mirror of Debian where apt is not set up for one.
const MIRROR: &str = "DEBIAN_MIRROR";
const DIGESTS: &str = "SHA256SUMS";

/// A kernel that can be booted.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// As in `6.1.176`.
    pub(crate) version: String,
    pub(crate) suite: &'static str,
    pub(crate) image: PathBuf,
}

impl Suite {
    /// Whether a person may mean this suite; where its series is not fixed, that is only known once the kernel is.
    fn may_be(self, wanted: &str) -> bool {
        self.name == wanted || self.series.is_none_or(|series| is_of(series, wanted))
    }
}

/// Whether this version is the wanted one or of the wanted series: 6.1 has 6.1.176, but not 6.12.
fn is_of(version: &str, wanted: &str) -> bool {
    version.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Brings the kernels that are wanted, by series, version or suite; all of them if none is named.
pub(crate) fn bring(wanted: &[String], update: bool) -> Result<Vec<Kernel>> {
    let mut kernels = Vec::new();
    for suite in SUITES {
        if wanted.is_empty() || wanted.iter().any(|wanted| suite.may_be(wanted)) {
            kernels.push(of(*suite, update).with_context(|| format!("the kernel of Debian {}", suite.name))?);
        }
    }
    let is_it = |kernel: &Kernel, wanted: &str| kernel.suite == wanted || is_of(&kernel.version, wanted);
    if let Some(nowhere) = wanted.iter().find(|wanted| !kernels.iter().any(|kernel| is_it(kernel, wanted))) {
        let known: Vec<_> = SUITES.iter().filter_map(|suite| suite.series).collect();
        let newest = kernels.iter().find(|kernel| kernel.suite == "sid").map(|kernel| kernel.version.as_str());
        bail!("there is no kernel {nowhere}: Debian has {} and {}", known.join(", "), newest.unwrap_or("sid's"));
    }
    kernels.retain(|kernel| wanted.is_empty() || wanted.iter().any(|wanted| is_it(kernel, wanted)));
    Ok(kernels)
}

/// The suite's kernel from the cache, or else from the archive.
fn of(suite: Suite, update: bool) -> Result<Kernel> {
    let cache = cache()?;
    let home = cache.join(suite.name);
    if !update && home.exists() {
        match kept(suite, &home) {
            Ok(kernel) => return Ok(kernel),
            Err(error) => println!("discard  {}: {error:#}", home.display()),
        }
    }
    fs::create_dir_all(&cache).with_context(|| cache.display().to_string())?;
    // Made whole beside its place and then moved there, so that what is in the cache is complete.
    let scratch = Scratch(cache.join(format!(".{}-{}", suite.name, std::process::id())));
    let made = fetch(suite, &scratch.0)?;
    if home.exists() {
        fs::remove_dir_all(&home).with_context(|| home.display().to_string())?;
    }
    fs::rename(&made, &home).with_context(|| home.display().to_string())?;
    kept(suite, &home)
}

/// `~/.cache/zombie-trace/kernels`.
fn cache() -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let base = base.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    Ok(base.context("no place for kernels: neither XDG_CACHE_HOME nor HOME is set")?.join("zombie-trace/kernels"))
}

/// A kernel in the cache, if it is still what was put there.
fn kept(suite: Suite, home: &Path) -> Result<Kernel> {
    let check = Command::new("sha256sum").args(["--check", "--strict", "--status", DIGESTS]).current_dir(home).status();
    if !check.context("sha256sum could not be started")?.success() {
        bail!("its digest is not that of what was downloaded");
    }
    let version = fs::read_to_string(home.join("version")).context("version")?.trim().to_owned();
    Ok(Kernel { version, suite: suite.name, image: home.join("vmlinuz") })
}

/// A folder that is gone when the value is.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// apt with a state and sources of its own.
struct Apt<'a>(&'a Path);

impl Apt<'_> {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let place = |option: &str, path: &str| format!("{option}={}", self.0.join(path).display());
        for setting in [
            place("Dir::State", "state"),
            place("Dir::State::status", "status"),
            place("Dir::Cache", "cache"),
            place("Dir::Etc::sourcelist", "sources.list"),
            "Dir::Etc::sourceparts=-".to_owned(),
            "Acquire::Languages=none".to_owned(),
            // As root it would download as a user who cannot write below a home folder.
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.arg("-o").arg(setting);
        }
        command.current_dir(self.0).stdin(Stdio::null());
        command
    }

    /// The fields of a package, as `apt-cache show` has them.
    fn show(&self, package: &str) -> Result<String> {
        let output = self.command("apt-cache").args(["show", "--no-all-versions", package]).output()?;
        if !output.status.success() {
            bail!("apt-cache show {package}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Downloads and unpacks; returns the folder to keep, in the scratch folder.
fn fetch(suite: Suite, scratch: &Path) -> Result<PathBuf> {
    for folder in ["state/lists/partial", "cache/archives/partial", "unpacked", "made"] {
        fs::create_dir_all(scratch.join(folder)).with_context(|| scratch.display().to_string())?;
    }
    fs::write(scratch.join("status"), "")?;
    // Of all that the archive lists, the packages alone.
    let source =
        format!("deb [arch=amd64 target=Packages signed-by={DEBIAN_KEYRING}] {} {} main\n", mirror()?, suite.name);
    fs::write(scratch.join("sources.list"), source)?;
    let apt = Apt(scratch);
    println!("download the kernel of Debian {} (10 MB of lists, 10 to 80 MB of kernel)", suite.name);
    system::run(apt.command("apt-get").args(["-q", "update"]))?;

    let (package, version) = newest(|package| apt.show(package))?;
    system::run(apt.command("apt-get").args(["-q", "download", &package]))?;
    let archive = file_in(scratch, |name| name.ends_with(".deb")).context("apt-get downloaded nothing")?;
    let unpacked = scratch.join("unpacked");
    system::run(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(&unpacked))?;
    let image = find_image(&unpacked).with_context(|| format!("{package} has no kernel in it"))?;

    let made = scratch.join("made");
    fs::rename(image, made.join("vmlinuz"))?;
    fs::write(made.join("version"), format!("{version}\n"))?;
    let digests = Command::new("sha256sum").args(["vmlinuz", "version"]).current_dir(&made).output()?;
    if !digests.status.success() {
        bail!("sha256sum: {}", String::from_utf8_lossy(&digests.stderr).trim());
    }
    fs::write(made.join(DIGESTS), digests.stdout)?;
    Ok(made)
}

/// Debian's mirror in the machine's own configuration of apt.
fn mirror() -> Result<String> {
    if let Ok(mirror) = env::var(MIRROR) {
        return Ok(mirror);
    }
    let ask = || {
        let mut command = Command::new("apt-get");
        command.args(["indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Identifier: Packages"]);
        let output = command.output().context("apt-get could not be started: the kernels are Debian's")?;
        anyhow::Ok(debians(&String::from_utf8_lossy(&output.stdout)))
    };
    if let Some(mirror) = ask()? {
        return Ok(mirror);
    }
    // A fresh machine has no lists, and without them apt does not know whose a source is.
    system::run(system::as_root("apt-get")?.args(["-q", "update"]))?;
    ask()?.with_context(|| format!("apt has no mirror of Debian here; name one in {MIRROR}"))
}

/// Among lines `origin|label|address` the address of Debian's main archive.
fn debians(targets: &str) -> Option<String> {
    targets.lines().find_map(|line| line.strip_prefix("Debian|Debian|")).map(ToOwned::to_owned)
}

/// Follows the dependencies from the package that stands for the newest kernel to the one that has the image, and
/// returns that with the kernel's version. Newer suites have one package more on the way.
fn newest(show: impl Fn(&str) -> Result<String>) -> Result<(String, String)> {
    let mut package = NEWEST.to_owned();
    let mut fields = show(&package)?;
    for kind in ["linux-image-", "linux-binary-"] {
        if let Some(next) = dependency(&fields, kind) {
            package = next;
            fields = show(&package)?;
        }
    }
    if package == NEWEST {
        bail!("{NEWEST} depends on no kernel");
    }
    let version = field(&fields, "Version").with_context(|| format!("{package} has no version"))?;
    // The upstream version, without the revision of the package.
    let version = version.split(['-', '+', '~']).next().unwrap_or(version).to_owned();
    Ok((package, version))
}

fn field<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    fields.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn dependency(fields: &str, kind: &str) -> Option<String> {
    let names = field(fields, "Depends")?.split([',', '|']).filter_map(|each| each.split_whitespace().next());
    names.filter(|name| name.ends_with("-cloud-amd64")).find(|name| name.starts_with(kind)).map(ToOwned::to_owned)
}

/// The image lies in `/boot`, or in newer suites with the modules.
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
    fn a_suite_is_meant_by_its_name_or_series() {
        let [bullseye, .., sid] = SUITES else { panic!() };
        assert!(bullseye.may_be("5.10") && bullseye.may_be("bullseye") && !bullseye.may_be("6.1"));
        // What sid has today is not known beforehand.
        assert!(sid.may_be("sid") && sid.may_be("7.2"));
    }

    #[test]
    fn the_mirror_is_debians_and_no_one_elses() {
        let targets = "google|cloud-sdk|http://a.invalid/apt/\nDebian|Debian-Security|http://b.invalid/security/\n\
                       Debian|Debian|http://c.invalid/debian/\n";
        assert_eq!(debians(targets).as_deref(), Some("http://c.invalid/debian/"));
        assert_eq!(debians("$(ORIGIN)|$(LABEL)|http://d.invalid/\n"), None);
    }

    fn archive(packages: &'static [(&str, &str)]) -> impl Fn(&str) -> Result<String> {
        move |wanted| {
            let found = packages.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, fields)| (*fields).to_owned()).with_context(|| format!("no {wanted}"))
        }
    }

    #[test]
    fn the_newest_kernel_is_found_by_what_its_package_depends_on() {
        let found = newest(archive(&[
            (NEWEST, "Version: 6.1.176-1\nDepends: linux-image-6.1.0-50-cloud-amd64 (= 6.1.176-1)\n"),
            ("linux-image-6.1.0-50-cloud-amd64", "Version: 6.1.176-1\nDepends: kmod, linux-base (>= 4.3~)\n"),
        ]));
        assert_eq!(found.unwrap(), ("linux-image-6.1.0-50-cloud-amd64".to_owned(), "6.1.176".to_owned()));
    }

    #[test]
    fn where_the_image_is_in_a_package_of_its_own_that_is_taken() {
        let found = newest(archive(&[
            (NEWEST, "Version: 7.2.13-1\nDepends: linux-base-cloud-amd64, linux-image-7.2.13+deb14-cloud-amd64\n"),
            (
                "linux-image-7.2.13+deb14-cloud-amd64",
                "Version: 7.2.13-1\nDepends: dracut | initramfs-tools, linux-binary-7.2.13+deb14-cloud-amd64 (= 7.2.13-1)\n",
            ),
            ("linux-binary-7.2.13+deb14-cloud-amd64", "Version: 7.2.13-1\n"),
        ]));
        assert_eq!(found.unwrap(), ("linux-binary-7.2.13+deb14-cloud-amd64".to_owned(), "7.2.13".to_owned()));
    }

    #[test]
    fn a_suite_without_a_kernel_is_an_error() {
        assert!(newest(archive(&[(NEWEST, "Version: 1\nDepends: linux-base-cloud-amd64\n")])).is_err());
        assert!(newest(archive(&[])).is_err());
    }
}
