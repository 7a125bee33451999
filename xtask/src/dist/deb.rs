//! The Debian package. `dpkg-deb` writes it: Debian's own tool, which also checks what it is given.

use std::{path::Path, process::Command};

use anyhow::Result;

use super::{
    files::Files,
    names::{self, packaged_version},
    shipped::{DESCRIPTION, UNIT},
};
use crate::{architecture::Architecture, system};

/// Makes the package of one architecture in the folder.
pub(super) fn make(architecture: &Architecture, files: &Files, epoch: u64, scratch: &Path, into: &Path) -> Result<()> {
    let root = scratch.join("deb");
    files.write(&root, epoch)?;
    let mut control = Files::default();
    control.add("DEBIAN/control", self::control(architecture, files.size()));
    control.add("DEBIAN/md5sums", digests(&root, files)?);
    for (name, script) in [("postinst", POSTINST), ("prerm", PRERM), ("postrm", POSTRM)] {
        control.add_program(format!("DEBIAN/{name}"), script.replace("UNIT", UNIT));
    }
    control.write(&root, epoch)?;
    let mut build = Command::new("dpkg-deb");
    build
        .args(["--root-owner-group", "--uniform-compression", "-Zxz", "-z9", "--threads-max=1", "--build"])
        .arg(&root)
        .arg(into.join(names::deb(architecture)))
        .env("SOURCE_DATE_EPOCH", epoch.to_string());
    system::output(&mut build)?;
    Ok(())
}

/// What `dpkg --verify` compares with.
fn digests(root: &Path, files: &Files) -> Result<String> {
    system::output(Command::new("md5sum").arg("--").args(files.paths()).current_dir(root))
}

/// The package's description. It depends on nothing: the program is static.
fn control(architecture: &Architecture, size: u64) -> String {
    format!(
        "Package: zombie-trace\n\
         Version: {}\n\
         Architecture: {}\n\
         Maintainer: zombie-trace <packages@zombie-trace.invalid>\n\
         Section: utils\n\
         Priority: optional\n\
         Installed-Size: {}\n\
         Description: {}\n",
        packaged_version(names::VERSION),
        architecture.debian,
        size.div_ceil(1024),
        DESCRIPTION.join("\n "),
    )
}

// Nothing is started by an installation, but a recorder that runs is started again by an upgrade. Without systemd, as in
// a container, there is nothing to do.

const POSTINST: &str = "\
#!/bin/sh
set -e
if [ \"$1\" = configure ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    if [ -n \"$2\" ]; then
        systemctl try-restart UNIT
    fi
fi
";

const PRERM: &str = "\
#!/bin/sh
set -e
if [ \"$1\" = remove ] && [ -d /run/systemd/system ]; then
    systemctl disable --now UNIT
fi
";

const POSTRM: &str = "\
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
if [ \"$1\" = purge ]; then
    rm -rf /var/lib/zombie-trace
fi
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_file_has_what_dpkg_needs() {
        let control = control(Architecture::of_debian("arm64").unwrap(), 2049);
        for line in ["Package: zombie-trace", "Architecture: arm64", "Installed-Size: 3"] {
            assert!(control.lines().any(|it| it == line), "{line} in {control}");
        }
        // Every line of a description but the first is indented, and none is empty.
        let description = control.split_once("Description: ").unwrap().1;
        assert!(description.lines().skip(1).all(|line| line.starts_with(' ') && line.len() > 1), "{control}");
        assert!(control.ends_with('\n'));
        assert!(!control.contains("Depends"), "a static program depends on nothing");
    }

    #[test]
    fn the_scripts_are_shell() {
        for script in [POSTINST, PRERM, POSTRM] {
            let status = Command::new("sh").args(["-n", "-c", script]).status().unwrap();
            assert!(status.success(), "{script}");
        }
    }
}
