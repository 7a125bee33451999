//! `cargo xtask dist`: what is shipped, made from one build for each architecture.

mod crates;
mod deb;
mod files;
mod install;
mod libraries;
mod licences;
mod names;
mod oci;
mod program;
mod rpm;
mod sbom;
mod shipped;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use files::gzip;
use program::Place;
use shipped::{Shipped, Texts};

use crate::{
    architecture::{ARCHITECTURES, Architecture},
    package::{self, prebuilt},
    setup::{self, Wants},
    system,
};

/// Make what is shipped: archives, packages and the image, for x86-64 and arm64
///
/// The results are in target/dist. The same sources and the same tools give the same bytes; the time in them is that of
/// the commit, or SOURCE_DATE_EPOCH.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask dist
  cargo xtask dist --target x86_64-unknown-linux-gnu
                                    for one architecture only
  cargo xtask dist --verify         make all a second time, from a copy of the sources in another folder, and fail if
                                    a byte differs
  cargo xtask dist --install        and install each thing: the package in new roots of two Debian releases, the rpm and
                                    the archive in one of busybox, the image under Podman and containerd")]
pub(crate) struct Options {
    /// Only for this architecture; can be repeated
    #[arg(long, value_name = "TRIPLE", value_parser = Architecture::of_triple)]
    target: Vec<&'static Architecture>,
    /// Also with changes that are not committed
    #[arg(long)]
    allow_dirty: bool,
    /// Build everything again elsewhere, and compare
    #[arg(long)]
    verify: bool,
    /// Install what was made in roots of its own and trace in each, as root
    #[arg(long)]
    install: bool,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    let wanted = |it: &&Architecture| options.target.is_empty() || options.target.contains(it);
    let architectures: Vec<_> = ARCHITECTURES.iter().filter(wanted).collect();
    if options.install && !architectures.iter().any(|it| it.is_native()) {
        bail!("--install needs what is made for this machine's own architecture");
    }
    let cross = architectures.iter().any(|it| !it.is_native());
    setup::ensure(Wants { dist: true, cross, ..Wants::default() })?;
    if !options.allow_dirty {
        package::refuse_changes()?;
    }
    let epoch = epoch()?;
    let results = system::target_folder().join("dist");
    let place =
        Place { workspace: system::workspace().to_owned(), target_dir: system::target_folder().join("dist-build") };
    make(&place, &architectures, epoch, &results)?;
    list(&results)?;
    if options.verify {
        verify(&architectures, epoch, &results)?;
        println!("ok       a second build, from another folder, is the same to the byte");
    }
    if options.install {
        install::all(&results)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes everything in the folder, whose files it replaces.
fn make(place: &Place, architectures: &[&'static Architecture], epoch: u64, results: &Path) -> Result<()> {
    clear(results)?;
    let scratch = place.target_dir.join("pack");
    let _ = fs::remove_dir_all(&scratch);
    let created = rfc3339(epoch)?;
    let programs = architectures.iter().map(|architecture| program::build(place, architecture));
    let programs = programs.collect::<Result<Vec<_>>>()?;
    let native = architectures.iter().position(|it| it.is_native());
    let speaker = native.map_or_else(|| built_to_speak(place), |index| Ok(programs[index].file.clone()))?;
    fs::create_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
    let texts = Texts::gather(&place.workspace, &speaker, &scratch)?;
    let mut all = Vec::new();
    for (architecture, program) in architectures.iter().zip(&programs) {
        let read = |file: &Path| fs::read(file).with_context(|| file.display().to_string());
        let linked = crates::linked(&place.workspace, architecture)?;
        let libraries = libraries::of(architecture, &place.workspace, &linked.crates)?;
        let binary = read(&program.file)?;
        let shipped = Shipped {
            architecture,
            texts: &texts,
            debug: read(&program.debug)?,
            licences: licences::text(&linked.crates, &libraries)?,
            sbom: sbom::make(&linked, &libraries, &binary, &created)?,
            program: binary,
        };
        pack(&shipped, epoch, &scratch.join(architecture.rust), results)?;
        all.push(shipped);
    }
    let images: Vec<_> = all.iter().map(|shipped| (shipped.architecture, shipped.image())).collect();
    let platforms: Vec<_> = images.iter().map(|(architecture, files)| oci::Platform { architecture, files }).collect();
    store(results, &names::image(), oci::archive(&platforms, epoch, &created)?)?;
    fs::remove_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
    write_digests(results)
}

/// Makes the archives and packages of one architecture.
fn pack(shipped: &Shipped<'_>, epoch: u64, scratch: &Path, results: &Path) -> Result<()> {
    let architecture = shipped.architecture;
    store(results, &names::archive(architecture), gzip(&shipped.archive().tar(epoch)?)?)?;
    store(results, &names::debug_archive(architecture), gzip(&shipped.debug_archive().tar(epoch)?)?)?;
    store(results, &names::sbom(architecture), &*shipped.sbom)?;
    deb::make(architecture, &shipped.debian()?, epoch, scratch, results)?;
    rpm::make(architecture, &shipped.rpm()?, epoch, scratch, results)
}

fn store(results: &Path, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
    fs::write(results.join(name), content).with_context(|| name.to_owned())
}

/// A program that runs here and says the same of itself as those that are shipped, if none of them runs here.
fn built_to_speak(place: &Place) -> Result<PathBuf> {
    let mut cargo = system::cargo();
    cargo.current_dir(&place.workspace).args([
        "build",
        "--package",
        "zombie-trace",
        "--bin",
        "zombie-trace",
        "--locked",
    ]);
    cargo.arg("--target-dir").arg(&place.target_dir);
    system::run(&mut cargo)?;
    Ok(place.target_dir.join("debug/zombie-trace"))
}

/// Makes everything again from a copy of the sources, with another folder for cargo, and compares.
fn verify(architectures: &[&'static Architecture], epoch: u64, results: &Path) -> Result<()> {
    let again = system::target_folder().join("dist-again");
    let place = Place { workspace: again.join("workspace"), target_dir: again.join("target") };
    prebuilt::copy_sources(&place.workspace)?;
    let second = again.join("results");
    make(&place, architectures, epoch, &second)?;
    let digests = |folder: &Path| fs::read_to_string(folder.join(names::DIGESTS)).context(names::DIGESTS);
    let (first, other) = (digests(results)?, digests(&second)?);
    let differing: Vec<_> = first.lines().filter(|line| !other.lines().any(|it| it == *line)).collect();
    if first != other {
        bail!("two builds differ, compare with {}:\n{}", second.display(), differing.join("\n"));
    }
    fs::remove_dir_all(&again).with_context(|| again.display().to_string())
}

/// Removes earlier results, and nothing that cargo may have put there for another profile.
fn clear(results: &Path) -> Result<()> {
    fs::create_dir_all(results).with_context(|| results.display().to_string())?;
    for name in names_in(results)?.into_iter().filter(|name| name.starts_with("zombie-trace") || name == names::DIGESTS)
    {
        fs::remove_file(results.join(&name)).with_context(|| name.clone())?;
    }
    Ok(())
}

/// The files of a folder that are results, sorted.
fn names_in(results: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(results).with_context(|| results.display().to_string())? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.retain(|name| name.starts_with("zombie-trace") || name == names::DIGESTS);
    names.sort();
    Ok(names)
}

fn write_digests(results: &Path) -> Result<()> {
    let mut lines = String::new();
    for name in names_in(results)? {
        let content = fs::read(results.join(&name)).with_context(|| name.clone())?;
        lines += &format!("{}  {name}\n", oci::hex(&content));
    }
    store(results, names::DIGESTS, lines)
}

fn list(results: &Path) -> Result<()> {
    for name in names_in(results)? {
        let size = results.join(&name).metadata().with_context(|| name.clone())?.len();
        println!("ok       target/dist/{name} ({} KB)", size / 1000);
    }
    Ok(())
}

/// The time that everything is of, in seconds since 1970: <https://reproducible-builds.org/specs/source-date-epoch/>.
fn epoch() -> Result<u64> {
    if let Ok(set) = env::var("SOURCE_DATE_EPOCH") {
        return set.parse().with_context(|| format!("SOURCE_DATE_EPOCH={set}"));
    }
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).current_dir(system::workspace());
    let text = system::output(&mut git).context("no time of the commit: set SOURCE_DATE_EPOCH")?;
    text.trim().parse().context("git names no time of the commit: set SOURCE_DATE_EPOCH")
}

fn rfc3339(epoch: u64) -> Result<String> {
    let text = system::output(Command::new("date").args(["--utc", &format!("--date=@{epoch}"), "+%FT%TZ"]))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_time_is_written_as_the_formats_want_it() {
        assert_eq!(rfc3339(1_000_000_000).unwrap(), "2001-09-09T01:46:40Z");
    }

    #[test]
    fn what_others_keep_in_the_folder_stays() {
        let scratch = Scratch::new("dist").unwrap();
        let results = scratch.path();
        fs::create_dir(results.join("deps")).unwrap();
        for name in ["zombie-trace_0.0.1_amd64.deb", "other", names::DIGESTS] {
            fs::write(results.join(name), "x").unwrap();
        }
        clear(results).unwrap();
        assert!(names_in(results).unwrap().is_empty());
        assert!(results.join("deps").is_dir() && results.join("other").is_file());
        fs::write(results.join("zombie-trace-0.1.0-oci.tar"), "abc").unwrap();
        write_digests(results).unwrap();
        let digests = fs::read_to_string(results.join(names::DIGESTS)).unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digests, format!("{abc}  zombie-trace-0.1.0-oci.tar\n"));
    }
}
