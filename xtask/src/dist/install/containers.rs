//! The image under Podman and containerd, privileged by what the documentation says and no more.
//!
//! Each runtime gets its own `/run`, `/var/lib` and `/var/log`, in a mount namespace that ends with it.

use std::{path::Path, process::Command};

use anyhow::Result;

use super::findings::{DEMO, demonstrated_by, traced_by};
use crate::{
    architecture::Architecture,
    dist::{names, oci},
    scratch::Scratch,
    system,
};

/// What tracing needs. Without the third the causes of zombies stay unknown; without the fourth each new container costs a
/// search through all cgroups.
const TRACING: &str = "BPF,PERFMON,SYS_PTRACE,DAC_READ_SEARCH";

/// What the demonstration needs besides: it makes a pid namespace.
const DEMONSTRATION: &str = "SYS_ADMIN";

/// $0: what to do; $1: the archive; $2: the image's name; $3: a program that goes wrong, to be traced;
/// then capabilities, separated by commas, and the arguments.
const BEGIN: &str = r#"
set -e
for place in /run /var/lib /var/log; do mount -t tmpfs -o mode=755 tmpfs $place; done
what=$0 archive=$1 image=$2 actor=$3 capabilities=$4
shift 4
# Runs a container; unless it shows the demonstration, traces with it what goes wrong outside of it.
show() {
    if [ $what = demo ]; then "$@"; return; fi
    "$@" 2>/var/lib/errors & tracer=$!
    until grep -q '^tracing' /var/lib/errors; do
        kill -0 $tracer || { cat /var/lib/errors >&2; exit 2; }
        sleep 0.05
    done
    "$actor" demo-actor app
    kill -TERM $tracer
    wait $tracer || true
}
"#;

/// Podman's own profile for seccomp allows bpf() only with CAP_SYS_ADMIN.
const PODMAN: &str = r#"
printf '[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]\n' >/var/lib/containers.conf
export CONTAINERS_CONF=/var/lib/containers.conf TMPDIR=/var/lib
podman=(podman --storage-driver vfs --cgroup-manager cgroupfs --events-backend file --runtime runc)
"${podman[@]}" load --quiet --input "$archive" >&2
[ $what = demo ] && seccomp= || seccomp=--security-opt=seccomp=unconfined
show "${podman[@]}" \
    run --rm --network none --pid host --cap-drop all --cap-add $capabilities $seccomp \
    --volume /sys/kernel/tracing:/sys/kernel/tracing:ro $image "$@"
"#;

const CONTAINERD: &str = r#"
printf 'version = 2\noom_score = 0\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >/var/lib/config.toml
containerd --config /var/lib/config.toml >/var/log/containerd 2>&1 & daemon=$!
# It ends with this script, and before its mounts.
trap 'kill $daemon; wait $daemon || true' EXIT
until ctr version >/dev/null 2>&1; do
    kill -0 $daemon || { cat /var/log/containerd >&2; exit 2; }
    sleep 0.1
done
ctr images import --snapshotter native "$archive" >&2
drop=
for name in CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT \
    KILL AUDIT_WRITE; do drop="$drop --cap-drop CAP_$name"; done
add=
for name in ${capabilities//,/ }; do add="$add --cap-add CAP_$name"; done
show ctr run --rm --snapshotter native --with-ns pid:/proc/$$/ns/pid $drop $add \
    --mount type=bind,src=/sys/kernel/tracing,dst=/sys/kernel/tracing,options=rbind:ro \
    $image zt-dist /usr/bin/zombie-trace "$@"
"#;

pub(super) fn podman(results: &Path, native: &'static Architecture) -> Result<String> {
    traced(PODMAN, results, native)?;
    Ok(format!("{} traces under Podman with {TRACING}", names::image()))
}

pub(super) fn containerd(results: &Path, native: &'static Architecture) -> Result<String> {
    traced(CONTAINERD, results, native)?;
    Ok(format!("{} traces under containerd with {TRACING}", names::image()))
}

fn traced(runtime: &str, results: &Path, native: &'static Architecture) -> Result<()> {
    let outside = Scratch::new("outside")?;
    let archive = results.join(names::archive(native));
    system::output(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(outside.path()))?;
    let actor = outside.path().join(names::base(native)).join("zombie-trace");
    let run = |what: &str, capabilities: &str| {
        let mut unshare = system::as_root("unshare")?;
        unshare.args(["--mount", "--propagation", "private", "bash", "-c", &format!("{BEGIN}{runtime}"), what]);
        unshare.arg(results.join(names::image())).arg(oci::name()).arg(&actor).arg(capabilities);
        anyhow::Ok(unshare)
    };
    demonstrated_by(run("demo", &format!("{TRACING},{DEMONSTRATION}"))?.args(DEMO))?;
    traced_by(run("live", TRACING)?.args(["live", "--min-age", "300ms", "--format", "json"]))
}
