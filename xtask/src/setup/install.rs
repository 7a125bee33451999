//! Installing packages with apt-get, without starting their services.

use std::{path::Path, process::Output};

use anyhow::{Context as _, Result, bail};

use crate::{packages, system};

/// Installs packages. The lists are fetched first, because a fresh machine has none.
pub(super) fn install(names: &[&str]) -> Result<()> {
    // A broken third-party source makes the update fail, but the packages may still be available.
    let update = apt_get(&["update"])?;
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(names);
    let no_services = NoServices::begin()?;
    let output = apt_get(&arguments)?;
    drop(no_services);
    if output.status.success() {
        return Ok(());
    }
    // Without a network the update only warns but succeeds; its warning is then the reason.
    if !update.status.success() || !update.stderr.is_empty() {
        eprintln!("{}", transcript("apt-get update", &update));
    }
    eprintln!("{}", transcript("apt-get install", &output));
    bail!(
        "apt-get could not install {}. Is there a network, and does this release have these packages? By hand, as \
         root: {}",
        names.join(" "),
        packages::install_command(names)
    );
}

fn apt_get(arguments: &[&str]) -> Result<Output> {
    let mut command = system::as_root("env")?;
    command
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300"])
        .args(arguments)
        .stdin(std::process::Stdio::null());
    command.output().with_context(|| format!("`{}` could not be started", system::display(&command)))
}

/// While this lives, installing packages starts no service: the tests need servers' programs, not running servers.
/// Debian Policy, 9.3.3: `invoke-rc.d` asks `policy-rc.d`, and 101 forbids.
struct NoServices {
    ours: bool,
}

impl NoServices {
    const POLICY: &str = "/usr/sbin/policy-rc.d";

    fn begin() -> Result<Self> {
        // An existing one is kept.
        let ours = !Path::new(Self::POLICY).exists();
        if ours {
            let script = format!(r"printf '#!/bin/sh\nexit 101\n' > {0} && chmod 755 {0}", Self::POLICY);
            system::run(system::as_root("sh")?.args(["-c", &script]))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        let removed = self.ours.then(|| system::as_root("rm").and_then(|mut rm| system::run(rm.arg(Self::POLICY))));
        if let Some(Err(error)) = removed {
            eprintln!("warning: remove {} by hand: {error:#}", Self::POLICY);
        }
    }
}

fn transcript(what: &str, output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let both = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
    let lines: Vec<_> = both.lines().collect();
    let tail = &lines[lines.len().saturating_sub(20)..];
    format!("--- {what}: {}\n{}\n---", output.status, tail.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_transcript_is_cut_to_its_end() {
        use std::os::unix::process::ExitStatusExt as _;
        let stdout = (0..100).map(|line| format!("{line}\n")).collect::<String>().into_bytes();
        let output = Output { status: std::process::ExitStatus::from_raw(25600), stdout, stderr: b"E: no".to_vec() };
        let text = transcript("apt-get install", &output);
        assert!(text.ends_with("99\nE: no\n---"), "{text}");
        assert!(!text.contains("\n80\n"), "{text}");
    }
}
