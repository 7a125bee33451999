//! The package for distributions with rpm. `rpmbuild` writes it, for any architecture, from files that are there already.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

use super::{
    files::Files,
    names::{self, RPM_RELEASE, packaged_version},
    shipped::{DESCRIPTION, UNIT},
};
use crate::{architecture::Architecture, system};

/// Makes the package of one architecture in the folder.
pub(super) fn make(architecture: &Architecture, files: &Files, epoch: u64, scratch: &Path, into: &Path) -> Result<()> {
    let top = scratch.join("rpm");
    let content = top.join("content");
    files.write(&content, epoch)?;
    let spec = top.join("zombie-trace.spec");
    fs::write(&spec, self::spec(files, &content)).with_context(|| spec.display().to_string())?;
    let mut build = Command::new("rpmbuild");
    build.args(["-bb", "--quiet", "--target", &format!("{}-linux", architecture.rust)]);
    let top_folder = format!("_topdir {}", top.join("build").display());
    for define in MACROS.iter().copied().chain([&*top_folder]) {
        build.arg("--define").arg(define);
    }
    let result = into.display().to_string();
    build.arg("--define").arg(format!("_rpmdir {result}")).arg(&spec).env("SOURCE_DATE_EPOCH", epoch.to_string());
    let output = build.output().context("rpmbuild could not be started: run `cargo xtask setup`")?;
    let made = into.join(names::rpm(architecture));
    if !output.status.success() || !made.is_file() {
        bail!(
            "`{}` did not make {}: {}",
            system::display(&build),
            made.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

const MACROS: &[&str] = &[
    // The file's name, without a folder for each architecture.
    "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
    // The same, whoever builds it and whenever.
    "_buildhost localhost",
    "use_source_date_epoch_as_buildtime 1",
    "clamp_mtime_to_source_date_epoch 1",
    // The program is stripped already, and by the tool of its architecture.
    "__os_install_post %{nil}",
    "debug_package %{nil}",
    "_build_id_links none",
    // Which every rpm since 2011 reads; the smallest.
    "_binary_payload w9.xzdio",
    "_binary_filedigest_algorithm 8",
    // The build's own folders in the home folder are not used.
    "_dbpath %{_topdir}/db",
];

/// The instructions for rpmbuild.
fn spec(files: &Files, content: &Path) -> String {
    let list: String = files.paths().map(|path| format!("{}/{path}\n", kind(path))).collect();
    // Folders that are ours alone, and go with the package.
    let folders = files.folders().into_iter().filter(|folder| folder.split('/').any(|name| name == "zombie-trace"));
    let folders: String = folders.map(|folder| format!("%dir /{folder}\n")).collect();
    let (summary, description) = DESCRIPTION.split_first().expect("the description has a first line");
    format!(
        "Name: zombie-trace\n\
         Version: {}\n\
         Release: {RPM_RELEASE}\n\
         Summary: {summary}\n\
         License: MIT OR Apache-2.0\n\
         AutoReqProv: no\n\
         \n\
         %description\n\
         {}\n\
         \n\
         %install\n\
         cp --archive '{}/.' %{{buildroot}}\n\
         \n\
         %preun\n\
         # At the end and not at an upgrade. systemd itself sees to units that come and go.\n\
         if [ \"$1\" = 0 ] && [ -d /run/systemd/system ]; then\n    systemctl --no-reload disable --now {UNIT}\nfi\n\
         \n\
         %postun\n\
         if [ \"$1\" -ge 1 ] && [ -d /run/systemd/system ]; then\n    systemctl try-restart {UNIT}\nfi\n\
         \n\
         %files\n\
         %defattr(-,root,root,-)\n\
         {folders}{list}",
        packaged_version(names::VERSION),
        description.join("\n"),
        content.display(),
    )
}

/// What rpm is to know of a file, before its path.
fn kind(path: &str) -> &'static str {
    if path.starts_with("usr/share/licenses/") {
        "%license "
    } else if path.starts_with("usr/share/doc/") || path.starts_with("usr/share/man/") {
        "%doc "
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spec_lists_each_file_with_its_kind_and_only_our_own_folders() {
        let mut files = Files::default();
        files.add_program("usr/bin/zombie-trace", "");
        files.add("usr/share/licenses/zombie-trace/LICENSE-MIT", "");
        files.add("usr/share/doc/zombie-trace/docs/json.md", "");
        let spec = spec(&files, Path::new("/a b"));
        let list = spec.split_once("%defattr(-,root,root,-)\n").unwrap().1;
        let expected = "%dir /usr/share/doc/zombie-trace\n%dir /usr/share/doc/zombie-trace/docs\n\
                        %dir /usr/share/licenses/zombie-trace\n/usr/bin/zombie-trace\n\
                        %doc /usr/share/doc/zombie-trace/docs/json.md\n\
                        %license /usr/share/licenses/zombie-trace/LICENSE-MIT\n";
        assert_eq!(list, expected);
        assert!(spec.contains("cp --archive '/a b/.' %{buildroot}\n"), "{spec}");
    }
}
