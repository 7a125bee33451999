//! The unit of the flight recorder, as systemd judges it and as it runs it.
//!
//! The system's own systemd has to be PID 1 and lets nobody else in, and in a pid namespace the recorder refuses to trace.
//! So it is root's user manager, which seals a unit by the same means, with the unit as it is shipped.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

use super::findings::traced_by;
use crate::{
    architecture::Architecture,
    dist::{names, shipped::UNIT},
    scratch::Scratch,
    system,
};

/// From 0 to 10, the less the better.
const MAX_EXPOSURE: f32 = 3.0;

pub(super) fn is_sealed(results: &Path, native: &'static Architecture) -> Result<String> {
    let scratch = Scratch::new("unit")?;
    system::output(
        Command::new("tar").arg("-xzf").arg(results.join(names::archive(native))).arg("-C").arg(scratch.path()),
    )?;
    let unit = scratch.path().join(names::base(native)).join("systemd").join(UNIT);
    let text =
        system::output(Command::new("systemd-analyze").args(["security", "--offline=true", "--no-pager"]).arg(unit))?;
    let exposure = exposure(&text).with_context(|| format!("systemd-analyze names no exposure: {text}"))?;
    if exposure >= MAX_EXPOSURE {
        bail!("the exposure of {UNIT} is {exposure}, not below {MAX_EXPOSURE}:\n{text}");
    }
    Ok(format!("{UNIT} is sealed up to an exposure of {exposure}"))
}

/// $0: the script to run in cgroups of its own, of which the manager makes use; then its arguments.
const IN_CGROUPS: &str = r#"
made=
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    [ -e $hierarchy/cgroup.procs ] || continue
    mkdir $hierarchy/zt-dist-$$ || exit 2
    made="$made $hierarchy/zt-dist-$$"
done
unshare --mount --propagation private bash -c 'for it in $0; do echo $$ >$it/cgroup.procs || exit 2; done
    exec bash -c "$@"' "$made" "$0" "$@"
code=$?
for it in $made; do find $it -depth -type d -exec rmdir {} \;; done
exit $code
"#;

/// $0: the program; $1: the unit. Prints what is found in its recording.
const RUN: &str = r#"
set -e
program=$0 unit=$1
for place in /run /var/lib /var/log; do mount -t tmpfs -o mode=755 tmpfs $place; done
# The program at the place that the unit names.
mkdir -p /var/lib/layer/upper /var/lib/layer/work
mount -t overlay overlay -o lowerdir=/usr/bin,upperdir=/var/lib/layer/upper,workdir=/var/lib/layer/work /usr/bin
cp "$program" /usr/bin/zombie-trace
mkdir -p /run/systemd/system /run/user /var/lib/systemd/user
cp "$unit" /var/lib/systemd/user/
name=$(basename "$unit")
# A user's manager has its units, and its units their state, where these say.
export HOME=/var/lib XDG_RUNTIME_DIR=/run/user XDG_CONFIG_HOME=/var/lib XDG_STATE_HOME=/var/lib
/lib/systemd/systemd --user --unit=basic.target >/var/log/manager 2>&1 & manager=$!
trap 'systemctl --user exit; wait $manager || true' EXIT
failed() { cat /var/log/manager >&2; systemctl --user status --no-pager $name >&2 || true; exit 2; }
until [ -S /run/user/systemd/private ]; do kill -0 $manager || failed; sleep 0.05; done
# What hides files is looked for where the system's manager makes it.
cp -a /run/user/systemd/inaccessible /run/systemd/
systemctl --user start $name || failed
for wait in {1..600}; do
    [ -e /var/lib/zombie-trace/node.zt ] && break
    systemctl --user is-failed --quiet $name && failed
    sleep 0.1
done
zombie-trace demo-actor app
systemctl --user stop $name
zombie-trace report /var/lib/zombie-trace/*.zt --min-age 300ms --format json || [ $? = 1 ] || failed
"#;

pub(super) fn records(results: &Path, native: &'static Architecture) -> Result<String> {
    let scratch = Scratch::new("recorder")?;
    system::output(
        Command::new("tar").arg("-xzf").arg(results.join(names::archive(native))).arg("-C").arg(scratch.path()),
    )?;
    let base = scratch.path().join(names::base(native));
    let mut bash = system::as_root("bash")?;
    bash.args(["-c", IN_CGROUPS, RUN]).arg(base.join("zombie-trace")).arg(base.join("systemd").join(UNIT));
    traced_by(&mut bash)?;
    Ok(format!("{UNIT} records under a manager of systemd what goes wrong"))
}

/// The number in `→ Overall exposure level for x.service: 2.5 OK`.
fn exposure(text: &str) -> Option<f32> {
    let line = text.lines().find(|line| line.contains("Overall exposure level"))?;
    line.split_once(".service: ")?.1.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exposure_is_read() {
        let text = "✓ x\n\n→ Overall exposure level for zombie-trace-record.service: 2.5 OK :-)\n";
        assert_eq!(exposure(text), Some(2.5));
        assert_eq!(exposure("✓ x\n"), None);
    }
}
